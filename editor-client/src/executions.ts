/** How executions are put into words. Pure. */
import { duration, isByAgent, moment, type Translate } from './describe';
import type { Execution } from './protocol/types';

/** "Cell 3", or where code came from that was in none. */
export function placeText({ cellIndex, origin }: Execution, translate: Translate): string {
  if (cellIndex !== null) return translate('Cell {0}', cellIndex + 1);
  return origin === 'cli' ? translate('Code (command line)') : translate('Code');
}

/** How it ended, or how far it is. */
export function statusText({ status, startedAt }: Execution, translate: Translate): string {
  switch (status) {
    case 'pending':
      return translate('waiting');
    case 'running':
      return translate('running');
    case 'ok':
      return translate('succeeded');
    case 'error':
      return translate('failed');
    case 'aborted':
      return startedAt === null ? translate('did not run') : translate('stopped with its kernel');
    case 'lost':
      return translate('lost with its kernel');
  }
}

/** "2.1 s"; empty while it runs. */
export function tookText({ startedAt, completedAt }: Execution): string {
  return startedAt !== null && completedAt !== null ? duration(Date.parse(completedAt) - Date.parse(startedAt)) : '';
}

/** Who ran it, where that was not the person. */
export const byText = (execution: Execution, translate: Translate): string => (isByAgent(execution) ? translate('by an agent') : '');

/** "Cell 3, succeeded, 17:05, 2.1 s" */
export function executionLine(execution: Execution, now: Date, translate: Translate): string {
  const { startedAt, queuedAt, error } = execution;
  const how = error ? `${statusText(execution, translate)}: ${error.ename}` : statusText(execution, translate);
  const parts = [
    placeText(execution, translate),
    how,
    moment(startedAt ?? queuedAt, now),
    tookText(execution),
    byText(execution, translate),
  ];
  return parts.filter((part) => part !== '').join(', ');
}
