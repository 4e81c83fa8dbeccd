/**
 * Stream text as a notebook shows it: `\r` and backspace are applied to the line they are in, as JupyterLab and the journal do, so that
 * what is written live equals what is restored later. ANSI colours stay in the text.
 * Guarantees: memory is bounded by `limit`: beyond it head and tail are kept, and the middle is counted.
 * Leaves out: where the text goes.
 */

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
  private line = new Line();
  /** Characters of head + line that were taken already. */
  private taken = 0;
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
    return this.rewrite;
  }

  push(text: string): void {
    let from = 0;
    while (from < text.length) {
      const at = nextControl(text, from);
      if (at > from) this.write(text.slice(from, at));
      if (at < text.length) this.control(text, at);
      from = at + (text.startsWith('\r\n', at) ? 2 : 1);
    }
  }

  /** All of the text. */
  toString(): string {
    const middle = this.leftOut > 0 ? this.cutLine(this.leftOut) + this.tail : '';
    return this.head + middle + this.line.toString();
  }

  /** What is to be written now; the next call tells what changed after this one. */
  take(): Change {
    if (this.rewrite) {
      this.taken = this.head.length + this.line.length;
      this.rewrite = false;
      return { kind: 'rewrite' };
    }
    const all = this.head.length + this.line.length;
    if (all === this.taken) return { kind: 'none' };
    const line = this.line.toString();
    const text = this.taken < this.head.length ? this.head.slice(this.taken) + line : line.slice(this.taken - this.head.length);
    this.taken = all;
    return { kind: 'append', text };
  }

  private write(text: string): void {
    if (!this.line.isAtEnd && this.head.length + this.line.cursor < this.taken) this.rewrite = true;
    this.line.write(text);
    if (this.isCut) this.rewrite = true;
    // A line without an end is bounded, too.
    if (this.line.length > this.limit && this.line.isAtEnd) this.endLine('');
  }

  private control(text: string, at: number): void {
    const character = text[at];
    if (character === '\n' || text.startsWith('\r\n', at)) this.endLine('\n');
    else if (character === '\r') this.line.toStart();
    else if (this.line.cursor > 0) {
      // JupyterLab drops the character before a backspace.
      this.line.dropBefore();
      if (this.head.length + this.line.cursor < this.taken || this.isCut) this.rewrite = true;
    }
  }

  private endLine(end: string): void {
    if (this.isCut) this.tail += this.line.toString() + end;
    else this.head += this.line.toString() + end;
    this.line = new Line();
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

/**
 * The line that is being written, in pieces on both sides of the cursor: whatever is written costs what it is long, not what the line is.
 */
class Line {
  length = 0;
  /** Characters before the cursor. */
  cursor = 0;
  private before: string[] = [];
  /** The nearest last. */
  private readonly after: string[] = [];

  get isAtEnd(): boolean {
    return this.cursor === this.length;
  }

  /** Writes over what is after the cursor. */
  write(text: string): void {
    let over = text.length;
    for (let next = this.after.pop(); next !== undefined; next = over > 0 ? this.after.pop() : undefined) {
      if (next.length > over) this.after.push(next.slice(over));
      over -= Math.min(over, next.length);
    }
    this.before.push(text);
    this.cursor += text.length;
    this.length += over;
  }

  toStart(): void {
    for (let piece = this.before.pop(); piece !== undefined; piece = this.before.pop()) this.after.push(piece);
    this.cursor = 0;
  }

  dropBefore(): void {
    const piece = this.before.pop() ?? '';
    if (piece.length > 1) this.before.push(piece.slice(0, -1));
    this.cursor -= 1;
    this.length -= 1;
  }

  toString(): string {
    // What is joined once is one piece from then on.
    if (this.before.length > 1) this.before = [this.before.join('')];
    return (this.before[0] ?? '') + this.after.toReversed().join('');
  }
}

function nextControl(text: string, from: number): number {
  for (let index = from; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code === 10 || code === 13 || code === 8) return index;
  }
  return text.length;
}

/** `index`, moved so that it does not lie within a surrogate pair. */
function wholeCharacter(text: string, index: number): number {
  const code = text.charCodeAt(index);
  return code >= 0xdc00 && code <= 0xdfff ? index + 1 : index;
}
