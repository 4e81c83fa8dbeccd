/** Counts lines of text that a cell has printed. Pure. */

/** How many lines `now` has that `before` has not: all of them, where it does not begin with that. */
export function newLines(before: string, now: string): number {
  const rest = now.startsWith(before) ? now.slice(before.length) : now;
  return rest.split('\n').filter((line, index, all) => line !== '' || index < all.length - 1).length;
}
