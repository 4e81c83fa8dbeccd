/**
 * How long to wait before the sidecar is started again: at once the first time, then longer and longer up to ten seconds, never giving
 * up. One that ran for half a minute starts from the beginning.
 */
const FIRST_MS = 100;
const LONGEST_MS = 10_000;
const HEALTHY_MS = 30_000;

export class BackOff {
  private failures = 0;
  private startedAt: number | undefined;

  started(now: number): void {
    this.startedAt = now;
  }

  /** The wait after an end at `now`. */
  next(now: number): number {
    if (this.startedAt !== undefined && now - this.startedAt >= HEALTHY_MS) this.failures = 0;
    this.startedAt = undefined;
    const wait = Math.min(FIRST_MS * 2 ** this.failures, LONGEST_MS);
    this.failures = Math.min(this.failures + 1, 10);
    return wait;
  }

  reset(): void {
    this.failures = 0;
  }
}
