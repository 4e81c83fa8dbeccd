/**
 * MIME bundles as notebook outputs: which bytes an item has, and in which order the items stand, as VS Code's own ipynb reader has them,
 * so that an output written live equals the same one read from the file.
 */
import type { JsonValue, Output } from '../protocol/types';

export const STDOUT = 'application/vnd.code.notebook.stdout';
export const STDERR = 'application/vnd.code.notebook.stderr';
export const ERROR = 'application/vnd.code.notebook.error';

export interface Item {
  readonly mime: string;
  readonly data: Uint8Array;
}

/** Richest first: what VS Code's ipynb reader prefers. */
const PREFERENCE = [
  'application/vnd.',
  'application/vdom.',
  'application/geo+json',
  'application/x-nteract-model-debug+json',
  'text/html',
  'application/javascript',
  'image/gif',
  'text/latex',
  'text/markdown',
  'image/png',
  'image/svg+xml',
  'image/jpeg',
  'application/json',
  'text/plain',
];

/** The items of one output. */
export function itemsOf(output: Output): Item[] {
  switch (output.output_type) {
    case 'stream':
      return [{ mime: output.name === 'stderr' ? STDERR : STDOUT, data: bytes(output.text) }];
    case 'error':
      return [{ mime: ERROR, data: bytes(JSON.stringify(errorOf(output))) }];
    default:
      return bundleItems(output.data);
  }
}

/** What VS Code keeps with an output; its ipynb writer reads `outputType`, `executionCount` and `metadata`, and drops the rest. */
export function metadataOf(output: Output): Record<string, unknown> {
  switch (output.output_type) {
    case 'stream':
      return { outputType: 'stream' };
    case 'error':
      return { outputType: 'error', originalError: output };
    case 'display_data':
      return { outputType: 'display_data', metadata: output.metadata ?? {} };
    case 'execute_result':
      return { outputType: 'execute_result', executionCount: output.execution_count, metadata: output.metadata ?? {} };
  }
}

export function bundleItems(data: JsonValue): Item[] {
  if (data === null || typeof data !== 'object' || Array.isArray(data)) return [];
  return Object.entries(data)
    .map(([mime, value]) => ({ mime, data: itemBytes(mime, value) }))
    .sort((one, other) => rank(one) - rank(other));
}

/** Whether two outputs show the same, whatever the order of their items. */
export function sameItems(some: readonly Item[], others: readonly Item[]): boolean {
  if (some.length !== others.length) return false;
  return some.every((one) => {
    const other = others.find((candidate) => candidate.mime === one.mime);
    return other !== undefined && sameData(one, other);
  });
}

function sameData(one: Item, other: Item): boolean {
  if (Buffer.compare(one.data, other.data) === 0) return true;
  // Written by us and read from a file, a traceback's ends of lines and the order of keys may differ.
  if (one.mime === ERROR) return sameError(one.data, other.data);
  return isJson(one.mime) && canonical(one.data) === canonical(other.data);
}

function sameError(one: Uint8Array, other: Uint8Array): boolean {
  const [left, right] = [parse(one), parse(other)].map((value) => value as { name?: string; message?: string; stack?: string } | null);
  if (!left || !right) return false;
  const stack = (error: { stack?: string }) => (error.stack ?? '').replace(/\n+/g, '\n').trim();
  return left.name === right.name && left.message === right.message && stack(left) === stack(right);
}

function canonical(data: Uint8Array): string {
  return JSON.stringify(parse(data), (_key, value: unknown) =>
    value !== null && typeof value === 'object' && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)))
      : value,
  );
}

function parse(data: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(data).toString('utf8'));
  } catch {
    return null;
  }
}

function errorOf(output: Output & { output_type: 'error' }) {
  return { name: output.ename, message: output.evalue, stack: output.traceback.join('\n') };
}

function itemBytes(mime: string, value: JsonValue | undefined): Uint8Array {
  const text = Array.isArray(value) && value.every((part) => typeof part === 'string') ? value.join('') : value;
  if (typeof text !== 'string') return bytes(JSON.stringify(text ?? null));
  // VS Code's ipynb writer makes base64 of these alone: of others that were decoded it would write what is no text.
  const isBinary = mime.startsWith('image/') && mime !== 'image/svg+xml';
  return isBinary ? Buffer.from(text, 'base64') : bytes(text);
}

function rank(item: Item): number {
  // An empty vendor item is a placeholder: never what is to be shown.
  if (item.mime.startsWith('application/vnd.') && item.data.length === 0) return PREFERENCE.length + 1;
  const found = PREFERENCE.findIndex((prefix) => item.mime.startsWith(prefix));
  return found < 0 ? PREFERENCE.length : found;
}

const isJson = (mime: string) => mime === 'application/json' || mime.endsWith('+json');

const bytes = (text: string): Uint8Array => Buffer.from(text, 'utf8');
