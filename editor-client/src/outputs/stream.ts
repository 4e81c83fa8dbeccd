/**
 * Stream text as a notebook shows it: `\r`, backspace and `ESC[K` are carried out in the line they are in (`line.ts`), as the journal does,
 * so that what is written live equals what is restored later. ANSI colours stay in the text.
 * Guarantees: memory is bounded by `limit`: beyond it head and tail are kept, and the middle is counted.
 * Leaves out: where the text goes.
 */
import { Line } from './line';

/** What changed since the text was last taken: text to append, or that all of it must be written anew. */
export type Change = { kind: 'none' } | { kind: 'append'; text: string } | { kind: 'rewrite' };

/** The line between head and tail of a cut stream. */
export type CutLine = (charactersLeftOut: number) => string;

export class StreamText {
  /** Complete lines that are kept; nothing in them changes any more. */
  private head = '';
  /** Complete lines after the cut; empty as long as nothing is cut. */
  private tail = '';
  private leftOut = 0;
  private readonly line = new Line();
  /** Characters of head + line that were taken already. */
  private taken = 0;
  /** Those of the line, as they were then. */
  private takenLine = '';
  private rewrite = false;

  constructor(
    private readonly limit: number,
    private readonly cutLine: CutLine,
  ) {}

  get length(): number {
    return this.head.length + this.tail.length + this.line.length;
  }

  get isCut(): boolean {
    return this.leftOut > 0;
  }

  /** Whether the next change is one that writes all of it. */
  get mustRewrite(): boolean {
    return this.rewrite || !this.line.toString().startsWith(this.takenLine);
  }

  push(text: string): void {
    let from = 0;
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', from)) {
      if (at > from) this.line.edit(text.slice(from, at));
      this.endLine('\n');
      from = at + 1;
    }
    if (from === text.length) return;
    this.line.edit(text.slice(from));
    if (this.isCut) this.rewrite = true;
    // A line without an end is bounded, too.
    if (this.line.length > this.limit && this.line.isAtEnd) this.endLine('');
  }

  /** All of the text. */
  toString(): string {
    const middle = this.leftOut > 0 ? this.cutLine(this.leftOut) + this.tail : '';
    return this.head + middle + this.line.toString();
  }

  /** What is to be written now; the next call tells what changed after this one. */
  take(): Change {
    const line = this.line.toString();
    const mustRewrite = this.rewrite || !line.startsWith(this.takenLine);
    const from = this.taken;
    this.taken = this.head.length + line.length;
    this.takenLine = line;
    this.rewrite = false;
    if (mustRewrite) return { kind: 'rewrite' };
    if (from === this.taken) return { kind: 'none' };
    const text = from < this.head.length ? this.head.slice(from) + line : line.slice(from - this.head.length);
    return { kind: 'append', text };
  }

  private endLine(end: string): void {
    const line = this.line.end();
    if (!line.startsWith(this.takenLine)) this.rewrite = true;
    this.takenLine = '';
    if (this.isCut) this.tail += line + end;
    else this.head += line + end;
    const half = Math.floor(this.limit / 2);
    if (!this.isCut && this.head.length > this.limit) {
      const cut = wholeCharacter(this.head, half);
      this.tail = this.head.slice(cut);
      this.head = this.head.slice(0, cut);
      this.trimTail(half);
      this.rewrite = true;
    } else if (this.isCut) {
      this.rewrite = true;
      // Trimmed in steps, so that a line costs what it is long, not what the tail is.
      if (this.tail.length > half * 1.5) this.trimTail(half);
    }
  }

  private trimTail(keep: number): void {
    const from = wholeCharacter(this.tail, Math.max(this.tail.length - keep, 1));
    this.leftOut += from;
    this.tail = this.tail.slice(from);
  }
}

/** `index`, moved so that it does not lie within a surrogate pair. */
function wholeCharacter(text: string, index: number): number {
  const code = text.charCodeAt(index);
  return code >= 0xdc00 && code <= 0xdfff ? index + 1 : index;
}
