/**
 * What agents are asked, told and refused by the language-model tools, in words. Pure.
 * Guarantees: what is wrong with an input is said with the way out; what a person is asked names notebook, process and what is lost.
 */
import { isAbsolute } from 'node:path';
import { pathToFileURL } from 'node:url';
import { activityText, agentText, isBusy, moment, type Translate, windowsOf } from '../describe';
import { byText, placeText, statusText } from '../executions';
import { cut, unordered } from '../plain';
import type { Execution, Session, SessionVariablesResult, Variable } from '../protocol/types';

/** What a model passes is checked by VS Code against the schema, and by us. */
export type Input = Readonly<Record<string, unknown>>;

const SHOWN = 2_000;
const NAMES_SHOWN = 5;
const MOST_HISTORY = 500;
const MOST_SECONDS = 3_600;

/** The notebook that a tool is about. Throws where none is named. */
export function notebookUriOf(input: Input): string {
  const path = input['notebookPath'];
  if (typeof path !== 'string' || path.trim() === '') {
    throw new Error('notebookPath is missing: name the notebook by its absolute path. There is no current notebook.');
  }
  if (/^(file|untitled|vscode-[\w-]+):/.test(path)) return path;
  if (!isAbsolute(path)) throw new Error(`notebookPath is to be absolute: "${path}" is not. The list of sessions has the paths.`);
  return pathToFileURL(path).toString();
}

export function codeOf(input: Input): string {
  const code = input['code'];
  if (typeof code !== 'string' || code.trim() === '') throw new Error('code is missing: there is nothing to run.');
  return code;
}

export const limitOf = (input: Input): number => numberOf(input, 'limit', 20, MOST_HISTORY);

export const secondsOf = (input: Input): number => numberOf(input, 'timeoutSeconds', 60, MOST_SECONDS);

function numberOf(input: Input, name: string, usual: number, most: number): number {
  const value = input[name];
  if (value === undefined || value === null) return usual;
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 1) throw new Error(`${name} is to be a number from 1 to ${most}.`);
  return Math.min(Math.floor(value), most);
}

/** Why a kernel is neither stopped nor restarted for an agent; undefined where it is. */
export function refusal(session: Session, mayStopOpen: boolean): string | undefined {
  const { length } = windowsOf(session);
  if (length === 0 || mayStopOpen) return undefined;
  const where = length === 1 ? 'a window has it open' : `${length} windows have it open`;
  return (
    `The kernel of ${session.label} (PID ${session.pid ?? 'unknown'}) stays as it is: ${where}. ` +
    'The user can do it there, or allow it with the setting kernelKeeper.agents.mayStopOpenKernels.'
  );
}

export const noKernel = (notebookUri: string): string =>
  `No kernel runs for ${notebookUri}. The user can start one by opening the notebook and running a cell; the list of sessions has what runs.`;

/** What a person reads before an agent's code is run, above the code. */
export function runWords(session: Session, translate: Translate): { title: string; message: string } {
  const { label, pid, kernel } = session;
  const waits = isBusy(session) ? ` ${translate('It is busy: the code waits until what runs has ended.')}` : '';
  return {
    title: translate('Run code in the kernel of {0}?', label),
    message: translate('{0}, PID {1}. The code can change its variables, and files.', kernel.displayName, pid ?? '–') + waits,
  };
}

/** What a person reads before an agent ends or restarts a kernel. */
export function endWords(
  session: Session,
  isRestart: boolean,
  variables: readonly Variable[],
  translate: Translate,
): { title: string; message: string } {
  const { label, pid, kernel, notebooks } = session;
  const title = isRestart ? translate('Restart the kernel of {0}?', label) : translate('Stop the kernel of {0}?', label);
  const lines = [`${kernel.displayName}, PID ${pid ?? '–'}, ${activityText(session, new Date(), translate)}.`];
  if (isBusy(session)) lines.push(translate('What it is running is broken off.'));
  lines.push(lossText(variables, translate));
  if (notebooks.length > 1) lines.push(translate('{0} notebooks share it.', notebooks.length));
  const { length } = windowsOf(session);
  if (length > 0) lines.push(length === 1 ? translate('A window has it open.') : translate('{0} windows have it open.', length));
  return { title, message: lines.join(' ') };
}

function lossText(variables: readonly Variable[], translate: Translate): string {
  if (variables.length === 0) return translate('Its variables are lost.');
  const names = variables.slice(0, NAMES_SHOWN).map(({ name }) => name);
  const more = variables.length - names.length;
  const list = more > 0 ? translate('{0} and {1} more', names.join(', '), more) : names.join(', ');
  return translate('Its variables are lost: {0}.', list);
}

const english: Translate = (message, ...values) => message.replace(/\{(\d)\}/g, (_all, index: string) => String(values[Number(index)]));

/** Of no text more than a model needs, and nothing that steers who prints it. */
const told = (_name: string, value: unknown): unknown => (typeof value === 'string' ? cut(unordered(value), SHOWN) : value);

/** For the model, as JSON. */
export function sessionsText(sessions: readonly Session[], now: Date): string {
  if (sessions.length === 0) return 'No kernels are running.';
  const facts = sessions.map((session) => {
    const windows = windowsOf(session);
    const isHere = windows.some(({ thisWindow }) => thisWindow);
    return {
      label: session.label,
      notebookPaths: session.notebooks.map(({ notebookPath, notebookUri }) => notebookPath ?? notebookUri),
      kernel: session.kernel.displayName,
      language: session.kernel.language,
      pid: session.pid,
      activity: activityText(session, now, english),
      startedAt: session.startedAt,
      lastActivityAt: session.lastActivityAt,
      memoryBytes: session.memoryBytes,
      openIn: isHere ? 'this window' : windows.length > 0 ? 'another window' : 'no window',
      ...(agentText(session, english) === '' ? {} : { note: agentText(session, english) }),
      ...(session.warnings.length > 0 ? { warnings: session.warnings } : {}),
    };
  });
  return JSON.stringify(facts, told, 1);
}

/** Newest first, as JSON. */
export function historyText(executions: readonly Execution[]): string {
  if (executions.length === 0) return 'Nothing ran in this notebook yet.';
  const facts = executions.map((execution) => ({
    place: placeText(execution, english),
    status: statusText(execution, english),
    startedAt: execution.startedAt,
    completedAt: execution.completedAt,
    ...(byText(execution, english) === '' ? {} : { by: 'an agent' }),
    ...(execution.error ? { error: `${execution.error.ename}: ${execution.error.evalue}` } : {}),
    code: execution.code,
  }));
  return JSON.stringify(facts, told, 1);
}

/** A line a variable, as JSON. */
export function variablesText({ variables, supported, stale, asOf }: SessionVariablesResult, now: Date): string {
  if (!supported) return "This language's kernels cannot be asked for their variables.";
  const head = stale
    ? `The kernel is busy or has ended: this was so ${asOf === null ? 'earlier' : `at ${moment(asOf, now, true)}`}.\n`
    : '';
  if (variables.length === 0) return `${head}No variables are known.`;
  return head + variables.map((variable) => JSON.stringify(variable, told)).join('\n');
}
