/**
 * The colours and the face of a character, as terminals have them (`ESC[…m`); the journal's are alike (`server/src/journal/fold/style.rs`).
 * Pure.
 */

/** What later characters look like: equal ones are the same object. */
export interface Style {
  /** In order: 1 bold, 2 faint, 3 italic, … as the sequence numbers them. */
  readonly face: readonly number[];
  /** The numbers of the sequence; empty where it is the terminal's own. */
  readonly text: string;
  readonly background: string;
  readonly underline: string;
}

/** The terminal's own. */
export const OWN: Style = { face: [], text: '', background: '', underline: '' };

/** All that were seen, a thousand at most: a program uses few. */
const known = new Map<string, Style>();
const MOST_KNOWN = 1000;

/** What is off after a code. */
const OFF: Readonly<Record<number, readonly number[]>> = {
  22: [1, 2],
  23: [3],
  24: [4, 21],
  25: [5, 6],
  27: [7],
  28: [8],
  29: [9],
  54: [51, 52],
  55: [53],
};

/** The style after a sequence with these numbers. */
export function applied(style: Style, parameters: string): Style {
  const next = { ...style, face: [...style.face] };
  const codes = parameters.split(';');
  for (let code = codes.shift(); code !== undefined; code = codes.shift()) {
    const [first, ...parts] = code.split(':');
    const number = numberOf(first);
    if (number === 0) Object.assign(next, OWN, { face: [] });
    else if (number === 4 && parts[0] === '0') next.face = next.face.filter((face) => face !== 4);
    else if (isFace(number)) next.face = [...next.face.filter((face) => face !== number), number].toSorted((a, b) => a - b);
    else if (isColour(number, 30)) next.text = String(number);
    else if (isColour(number, 40)) next.background = String(number);
    else if (number === 38) next.text = mixed(38, code, parts, codes);
    else if (number === 48) next.background = mixed(48, code, parts, codes);
    else if (number === 58) next.underline = mixed(58, code, parts, codes);
    else if (number === 39) next.text = '';
    else if (number === 49) next.background = '';
    else if (number === 59) next.underline = '';
    else next.face = next.face.filter((face) => !OFF[number]?.includes(face));
  }
  if (turn(next, OWN) === '') return OWN;
  const key = [next.face.join(), next.text, next.background, next.underline].join('|');
  const same = known.get(key);
  if (same === undefined && known.size < MOST_KNOWN) known.set(key, next);
  return same ?? next;
}

/** The sequence that leads from one to the other. */
export function turn(from: Style, to: Style): string {
  const colours = [
    [from.text, to.text],
    [from.background, to.background],
    [from.underline, to.underline],
  ] as const;
  const adds = from.face.every((face) => to.face.includes(face)) && colours.every(([was, is]) => was === '' || was === is);
  const faces = adds ? to.face.filter((face) => !from.face.includes(face)) : to.face;
  const changed = colours.filter(([was, is]) => is !== '' && !(adds && was === is)).map(([, is]) => is);
  const codes = [...(adds ? [] : ['0']), ...faces, ...changed];
  return codes.length === 0 ? '' : `\u001b[${codes.join(';')}m`;
}

/** One of a table, or of red, green and blue. */
function mixed(code: number, whole: string, parts: readonly string[], codes: string[]): string {
  // The first of four numbers names a room of colours, and is mostly left out.
  const rest = parts.filter((part) => part !== '');
  const numbers = whole.includes(':') ? [rest[0], ...rest.slice(rest.length > 4 ? -3 : 1)] : codes;
  const kind = numbers.shift();
  if (kind === '5') return `${code};5;${numberOf(numbers.shift())}`;
  if (kind === '2') return `${code};2;${[0, 1, 2].map(() => numberOf(numbers.shift())).join(';')}`;
  return '';
}

function isFace(number: number): boolean {
  return (number >= 1 && number <= 9) || number === 21 || (number >= 51 && number <= 53);
}

function isColour(number: number, from: number): boolean {
  return (number >= from && number <= from + 7) || (number >= from + 60 && number <= from + 67);
}

/** One that is left out is 0; one that is too large means nothing. */
function numberOf(text: string | undefined): number {
  return text !== undefined && text.length > 4 ? 9999 : Number(text ?? '');
}
