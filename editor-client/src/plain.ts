/**
 * Foreign text made harmless before VS Code draws it: names of files, labels, prompts and errors are anybody's words. Pure.
 * Guarantees: no link and no icon comes of it, wherever it is put together from; it reads as before, as what is added is not drawn.
 * VS Code reads `[label](target)` in notifications, progress, and the prompts of boxes as a link, also one that runs a command, and
 * `$(name)` in labels and in the status bar as an icon.
 */

/** Is not drawn, and does not break a line. */
const JOINER = '\u2060';

/** For all that VS Code does not take for Markdown. */
export const plain = (text: string): string => text.replace(/(?<=[\]$])\(/g, `${JOINER}(`);

/** For Markdown whose signs are escaped besides: what looks like an address is none there. */
export const plainInMarkdown = (text: string): string =>
  plain(text)
    .replace(/:(?=\/\/)/g, `:${JOINER}`)
    .replace(/(?<=www)\./gi, `${JOINER}.`)
    .replace(/@/g, `${JOINER}@`);

/** A way to show a message, through which no link comes; `detail` of a modal question is text, too. */
export const shown =
  <F extends (message: string, ...rest: never[]) => unknown>(
    show: F,
  ): ((...given: [message: string, ...rest: unknown[]]) => ReturnType<F>) =>
  (message, ...rest) => {
    const made = rest.map((one) => (isObject(one) && typeof one['detail'] === 'string' ? { ...one, detail: plain(one['detail']) } : one));
    return show(plain(message), ...(made as never[])) as ReturnType<F>;
  };

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null;

const STRING = /(?:\u001b[\]PX^_]|[\u0090\u0098\u009d-\u009f])[^]*?(?:[\u0007\u009c]|\u001b\\)/g;
const SEQUENCE = /(?:\u001b\[|\u009b)[ -?]*[@-~]?|\u001b[ -/]*[0-~]?/g;
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

/** Without what a terminal would obey, for who reads and has none. What was written over (carriage returns) is left to others. */
export function unordered(text: string): string {
  // Behind the last end no string ends: looking for one from each beginning would take its time.
  const end = Math.max(text.lastIndexOf('\u0007'), text.lastIndexOf('\u009c'), text.lastIndexOf('\u001b\\') + 1) + 1;
  const whole = text.slice(0, end).replace(STRING, '') + text.slice(end);
  return whole.replace(SEQUENCE, '').replace(CONTROL, '');
}

/** Cut in its middle, which is said. */
export function cut(text: string, most: number): string {
  if (text.length <= most) return text;
  const half = Math.floor(most / 2);
  return `${text.slice(0, half)}\n[… ${text.length - 2 * half} characters left out …]\n${text.slice(-half)}`;
}

/** The language of a block of code, as its fence has it: one word. */
export const languageWord = (language: string): string => /^[\w+#.-]+$/.exec(language)?.[0] ?? '';
