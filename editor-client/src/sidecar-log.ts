/** What the sidecar writes to its standard error, each line at its own level in VS Code's log. Pure but for the reading of lines. */
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

type Level = 'trace' | 'debug' | 'info' | 'warn' | 'error';

/** The part of VS Code's log that is needed. */
export type Log = Readonly<Record<Level, (message: string) => void>>;

export interface Line {
  readonly level: Level;
  readonly text: string;
}

/** A line of the log without its time, which the channel adds. What is no line of it, such as a panic, is an error. */
export function parseLine(line: string): Line {
  const found = /^\d{4}-\d\d-\d\dT\S+\s+(TRACE|DEBUG|INFO|WARN|ERROR)\s+(.*)$/.exec(line);
  return { level: (found?.[1]?.toLowerCase() ?? 'error') as Level, text: found?.[2] ?? line };
}

export function passOn(input: Readable, log: Log): void {
  createInterface({ input, crlfDelay: Infinity }).on('line', (line) => {
    const { level, text } = parseLine(line);
    log[level](text);
  });
}
