/**
 * How much memory kernels took lately: of each at most one sample every ten seconds, for an hour. Pure but for what it keeps; the time is
 * a parameter, in milliseconds.
 */

/** When, and how many bytes. */
export type Sample = readonly [at: number, bytes: number];

export const KEPT_MS = 60 * 60_000;
const APART_MS = 10_000;

export class MemorySamples {
  private readonly samples = new Map<string, Sample[]>();

  /** What comes within ten seconds of each other counts as one, with the most that it was. */
  add(id: string, at: number, bytes: number): void {
    const kept = (this.samples.get(id) ?? []).filter(([when]) => when > at - KEPT_MS);
    const last = kept.at(-1);
    if (last && slot(last[0]) === slot(at)) kept[kept.length - 1] = [at, Math.max(bytes, last[1])];
    else kept.push([at, bytes]);
    this.samples.set(id, kept);
  }

  /** Oldest first. */
  of(id: string): readonly Sample[] {
    return this.samples.get(id) ?? [];
  }

  /** Forgets all others. */
  keep(ids: ReadonlySet<string>): void {
    for (const id of this.samples.keys()) if (!ids.has(id)) this.samples.delete(id);
  }
}

const slot = (at: number) => Math.floor(at / APART_MS);
