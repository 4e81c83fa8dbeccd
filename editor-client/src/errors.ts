/**
 * What went wrong, as the sidecar names it. Its messages are written for people and say what to do, so they are shown as they are.
 */

export type ErrorKind =
  | 'InvalidParams'
  | 'SessionNotFound'
  | 'NotebookHasSession'
  | 'KernelspecNotFound'
  | 'KernelFailed'
  | 'SessionEnded'
  | 'LimitReached'
  | 'StoreFailed'
  | 'OfferGone'
  | 'SessionMoved'
  | 'NotWaiting'
  | 'NotFound'
  | 'ForeignHost';

/** The sidecar went away before it answered: whether it did what was asked is not known. */
export class SidecarGone extends Error {
  override readonly name = 'SidecarGone';
}

export interface ErrorData {
  readonly kind?: string;
  readonly offer?: unknown;
  readonly stderrTail?: string;
  /** A Python package that is not there, and the environment that lacks it. */
  readonly missing?: string;
  readonly interpreter?: string;
}

/** `data` of a JSON-RPC error, or nothing of it. */
export function dataOf(error: unknown): ErrorData {
  if (typeof error !== 'object' || error === null || !('data' in error)) return {};
  return typeof error.data === 'object' && error.data !== null ? error.data : {};
}

export const isKind = (error: unknown, ...kinds: ErrorKind[]): boolean => (kinds as (string | undefined)[]).includes(dataOf(error).kind);

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
