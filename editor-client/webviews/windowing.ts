/** Which of many rows of one height are drawn, and how far to scroll. Pure. */

export interface Slice {
  /** The first row that is drawn, and the one after the last. */
  readonly first: number;
  readonly end: number;
  /** Pixels that the rows take which are not drawn. */
  readonly above: number;
  readonly below: number;
}

/** More than can be seen, so that a little scrolling draws nothing. */
const BESIDES = 12;

export function sliceOf(count: number, scrollTop: number, height: number, rowHeight: number): Slice {
  const most = Math.max(count * rowHeight - height, 0);
  const top = Math.min(Math.max(scrollTop, 0), most);
  const first = Math.max(Math.floor(top / rowHeight) - BESIDES, 0);
  const end = Math.min(Math.ceil((top + height) / rowHeight) + BESIDES, count);
  return { first, end, above: first * rowHeight, below: (count - end) * rowHeight };
}

/** Where to scroll so that a row can be seen: nowhere if it can. `height` is what the header leaves. */
export function scrollFor(index: number, scrollTop: number, height: number, rowHeight: number): number {
  const top = index * rowHeight;
  if (top < scrollTop) return top;
  return Math.max(scrollTop, top + rowHeight - height);
}
