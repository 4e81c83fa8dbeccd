/**
 * The line of a stream that is being written, as a terminal has it: `\r`, `\b`, and "erase in line" (`ESC[K`) are carried out, as the
 * journal does (`server/src/journal/fold/line.rs`); `tests/fixtures/streams.json` says what becomes of what.
 * Guarantees: a line in which nothing is written over stays as it came, but for what erases nothing; what is written costs what it is
 * long, however long the line is, and however it comes in pieces.
 * Leaves out: the movements of a cursor between lines.
 */
import { applied, OWN, turn, type Style } from './style';

/** Longer ones are no sequences that anybody sends: they are text. */
const LONGEST_SEQUENCE = 64;
/** A text that is put together of pieces is joined anew for each look into it: that must not cost what the line is long. */
const LONGEST_RUN = 1024;

/** Characters of one colour. */
interface Run {
  readonly style: Style;
  lead: string;
  text: string;
}

export class Line {
  /** As it came, until something in it is written over. */
  private raw = '';
  private cells: Cells | undefined;
  /** The colours at its beginning. */
  private base = OWN;
  /** The colours of what is written next. */
  private pen = OWN;
  /** The beginning of a sequence whose end is still to come. */
  private partial = '';
  /** The cursor goes to the beginning before anything else is done; at a line's end it makes no difference. */
  private isReturning = false;

  /** Roughly how long it is. */
  get length(): number {
    return this.raw.length + this.partial.length + (this.cells?.length ?? 0);
  }

  /** Whether what comes next is put at its end. */
  get isAtEnd(): boolean {
    return !this.isReturning && (this.cells === undefined || (this.cells.after.length === 0 && this.cells.before.length > 0));
  }

  /** Types into it as a terminal does. No line feed is in the text. */
  edit(text: string): void {
    let rest = this.partial + text;
    this.partial = '';
    for (let at = rest.search(CONTROL); at >= 0; at = rest.search(CONTROL)) {
      this.write(rest.slice(0, at));
      rest = rest.slice(at);
      let length = 1;
      if (rest.startsWith('\r')) this.isReturning = true;
      else if (rest.startsWith('\b')) this.inCells().backspace();
      else {
        const found = sequence(rest);
        if (found === 'unfinished') {
          this.partial = rest;
          return;
        }
        length = found;
        if (length > 1) this.carryOut(rest.slice(0, length));
        else this.pass(rest.slice(0, 1));
      }
      rest = rest.slice(length);
    }
    this.write(rest);
  }

  /** Its text; the next line goes on in its colours. */
  end(): string {
    const text = this.toString();
    this.raw = '';
    this.cells = undefined;
    this.partial = '';
    this.isReturning = false;
    this.base = this.pen;
    return text;
  }

  toString(): string {
    return (this.cells?.text(this.base, this.pen) ?? this.raw) + this.partial;
  }

  private write(text: string): void {
    if (text === '') return;
    if (this.cells === undefined && !this.isReturning) this.raw += text;
    else this.inCells().write(text, this.pen);
  }

  private carryOut(sequence: string): void {
    const parameters = sequence.slice(2, -1);
    const letter = sequence.at(-1) ?? '';
    if (letter === 'm' && /^[\d:;]*$/.test(parameters)) {
      this.pen = applied(this.pen, parameters);
      if (this.cells === undefined) this.raw += sequence;
    } else if (letter === 'K' && /^0?$/.test(parameters)) {
      if (this.cells !== undefined || this.isReturning) this.inCells().eraseAfter();
    } else if (letter === 'K' && parameters === '1') {
      this.inCells().eraseBefore();
    } else if (letter === 'K' && parameters === '2') {
      this.inCells().eraseAfter();
      this.inCells().eraseBefore();
    } else if (letter === 'G' && /^1?$/.test(parameters)) {
      this.isReturning = true;
    } else {
      this.pass(sequence);
    }
  }

  /** What has no width, and no meaning here. */
  private pass(text: string): void {
    if (this.cells === undefined) this.raw += text;
    else this.cells.lead += text;
  }

  /** The line in cells, with the cursor where it belongs. */
  private inCells(): Cells {
    if (this.cells === undefined) {
      const { raw, pen, isReturning } = this;
      this.raw = '';
      this.cells = new Cells();
      this.pen = this.base;
      this.isReturning = false;
      this.edit(raw);
      this.pen = pen;
      this.isReturning = isReturning;
    }
    if (this.isReturning) this.cells.toStart();
    this.isReturning = false;
    return this.cells;
  }
}

/** The line, in pieces before and after the cursor. */
class Cells {
  readonly before: Run[] = [];
  /** The nearest last. */
  readonly after: Run[] = [];
  /** Sequences that go with the next character. */
  lead = '';
  /** Of all runs. */
  length = 0;
  /** Characters that were erased at the beginning. They are blanks where something follows. */
  private blank = 0;

  /** Writes over what is after the cursor. */
  write(text: string, pen: Style): void {
    const last = this.before.at(-1);
    if (this.after.length > 0) this.dropAfter(measure(text, lastPoint(last?.text), Infinity).cells);
    this.length += text.length;
    if (last?.style === pen && this.lead === '' && last.text.length < LONGEST_RUN) {
      last.text += text;
    } else {
      this.before.push({ style: pen, lead: this.lead, text });
      this.lead = '';
    }
  }

  toStart(): void {
    for (let run = this.before.pop(); run !== undefined; run = this.before.pop()) this.after.push(run);
    if (this.blank > 0 && this.after.length > 0) this.putAfter(' '.repeat(this.blank));
    this.blank = 0;
  }

  /** At the end it takes a character away, as Jupyter's front ends do; after a `\r` the next one is written over it. */
  backspace(): void {
    const isEnd = this.after.length === 0;
    const run = this.before.at(-1);
    if (run === undefined) {
      if (this.blank > 0 && !isEnd) this.putAfter(' ');
      this.blank = Math.max(0, this.blank - 1);
      return;
    }
    const from = lastCell(run.text);
    const cell = run.text.slice(from);
    run.text = run.text.slice(0, from);
    this.length -= cell.length;
    if (run.text === '') this.before.pop();
    if (!isEnd) this.putAfter(cell, run.style);
  }

  eraseAfter(): void {
    for (const run of this.after) this.length -= run.text.length;
    this.after.length = 0;
  }

  /** The character under the cursor is erased as well. */
  eraseBefore(): void {
    for (const run of this.before) {
      this.length -= run.text.length;
      this.blank += measure(run.text, undefined, Infinity).cells;
    }
    this.before.length = 0;
    if (this.after.length > 0) {
      this.dropAfter(1);
      this.putAfter(' ');
    }
  }

  text(base: Style, pen: Style): string {
    let style = base;
    let text = '';
    const go = (next: Style) => {
      text += turn(style, next);
      style = next;
    };
    if (this.blank > 0 && this.before.length + this.after.length > 0) {
      go(OWN);
      text += ' '.repeat(this.blank);
    }
    for (const run of [...this.before, ...this.after.toReversed()]) {
      go(run.style);
      text += run.lead + run.text;
    }
    go(pen);
    return text + this.lead;
  }

  private putAfter(text: string, style = OWN): void {
    this.length += text.length;
    this.after.push({ style, lead: '', text });
  }

  private dropAfter(count: number): void {
    let left = count;
    for (let run = this.after.at(-1); run !== undefined && left > 0; run = this.after.at(-1)) {
      const { cells, units } = measure(run.text, undefined, left);
      left -= cells;
      this.length -= units;
      run.lead = '';
      run.text = run.text.slice(units);
      if (run.text === '') this.after.pop();
    }
  }
}

const CONTROL = /[\b\r\u001b]/;

/** How long the control sequence (`ESC [ … letter`) is that the text begins with; 1 where it is none. */
function sequence(text: string): number | 'unfinished' {
  if (text.length > 1 && text[1] !== '[') return 1;
  for (let at = 2; at < Math.min(text.length, LONGEST_SEQUENCE); at++) {
    const code = text.charCodeAt(at);
    if (code >= 0x40 && code <= 0x7e) return at + 1;
    if (code < 0x20 || code > 0x3f) return 1;
  }
  return text.length < LONGEST_SEQUENCE ? 'unfinished' : 1;
}

/** How many characters, as people see them, are in the text after `before`, `most` at most; and their UTF-16 units. */
function measure(text: string, before: number | undefined, most: number): { cells: number; units: number } {
  let last = before;
  let cells = 0;
  let at = 0;
  while (at < text.length) {
    const point = text.codePointAt(at) ?? 0;
    if (last !== undefined && joins(last, point)) {
      // Two letters make a flag; a third begins the next one.
      last = isRegional(point) ? 0x20 : point;
    } else {
      if (cells === most) break;
      cells += 1;
      last = point;
    }
    at += point > 0xffff ? 2 : 1;
  }
  return { cells, units: at };
}

/** Where the last character, as people see it, begins. */
function lastCell(text: string): number {
  let at = text.length;
  for (;;) {
    const point = lastPoint(text.slice(Math.max(0, at - 2), at)) ?? 0;
    at = Math.max(0, at - (point > 0xffff ? 2 : 1));
    const before = lastPoint(text.slice(Math.max(0, at - 2), at));
    if (before === undefined || !joins(before, point)) return at;
    if (isRegional(point)) return at - 2;
  }
}

function lastPoint(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined;
  const low = text.charCodeAt(text.length - 1);
  const isLow = low >= 0xdc00 && low <= 0xdfff && text.length > 1;
  return isLow ? text.codePointAt(text.length - 2) : low;
}

const JOINER = 0x200d;
const JOINED = /[\p{Grapheme_Extend}\p{Default_Ignorable_Code_Point}\p{Emoji_Modifier}\u1160-\u11ff]/u;

/** Whether both are parts of what people see as one character: accents, colours of skin, families, flags. */
function joins(before: number, point: number): boolean {
  if (point < 0x300) return false;
  return before === JOINER || JOINED.test(String.fromCodePoint(point)) || (isRegional(before) && isRegional(point));
}

function isRegional(point: number): boolean {
  return point >= 0x1f1e6 && point <= 0x1f1ff;
}
