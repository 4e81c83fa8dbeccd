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

/** The language of a block of code, as its fence has it: one word. */
export const languageWord = (language: string): string => /^[\w+#.-]+$/.exec(language)?.[0] ?? '';
