/**
 * What happened while nobody looked, in one sentence a cell: "Cell 3 finished at 17:35, Cell 4 failed: NameError". Pure.
 */
import { moment, type Translate } from '../describe';
import type { ExecutionStatus } from '../protocol/types';

export interface Happened {
  /** Position in the notebook, from 0. */
  readonly index: number;
  readonly status: ExecutionStatus;
  readonly startedAt: string | null;
  readonly completedAt: string | null;
  /** The exception's name, where it failed. */
  readonly ename: string | undefined;
}

const SHOWN = 4;

/** Undefined where nothing happened. */
export function summarise(happened: readonly Happened[], now: Date, translate: Translate): string | undefined {
  if (happened.length === 0) return undefined;
  const inOrder = [...happened].sort((one, other) => time(one) - time(other));
  // What came last says most.
  const shown = inOrder.slice(-SHOWN);
  const sentences = shown.map((one) => sentence(one, now, translate));
  const more = inOrder.length - shown.length;
  if (more > 0) sentences.unshift(translate('{0} more cells ran', more));
  return sentences.join(', ');
}

function sentence(one: Happened, now: Date, translate: Translate): string {
  const cell = one.index + 1;
  const at = one.completedAt ?? one.startedAt;
  const when = at === null ? '' : moment(at, now);
  switch (one.status) {
    case 'ok':
      return translate('Cell {0} finished at {1}', cell, when);
    case 'error':
      return one.ename === undefined ? translate('Cell {0} failed at {1}', cell, when) : translate('Cell {0} failed: {1}', cell, one.ename);
    case 'running':
      return translate('Cell {0} is running since {1}', cell, when);
    case 'pending':
      return translate('Cell {0} is waiting', cell);
    case 'aborted':
      return translate('Cell {0} was not run', cell);
    case 'lost':
      return translate('Cell {0} was running when its kernel ended', cell);
  }
}

const time = (one: Happened): number => Date.parse(one.completedAt ?? one.startedAt ?? '') || Number.MAX_SAFE_INTEGER;
