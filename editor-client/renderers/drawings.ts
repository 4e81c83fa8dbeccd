/** What is drawn in a page, and how each is let go: listeners, timers and graphics contexts outlive the elements that they belong to. */
export class Drawings {
  readonly #ends = new Map<string, () => void>();

  /** Lets go what was drawn for an output, and remembers how what is drawn now is. */
  begin(id: string, end: () => void): void {
    this.end(id);
    this.#ends.set(id, end);
  }

  /** Lets go what was drawn for an output, or for all of them. */
  end(id?: string): void {
    for (const each of id === undefined ? [...this.#ends.keys()] : [id]) {
      const end = this.#ends.get(each);
      this.#ends.delete(each);
      end?.();
    }
  }
}
