/** Lines of a small chart, from samples. Pure. */
import type { Sample } from '../src/views/samples';

export interface Frame {
  readonly from: number;
  readonly to: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** Longer than while the panel is hidden: nobody knows what was in between. */
const GAP_MS = 90_000;

/** What goes into the `d` of two paths: the line, broken where nothing is known, and what lies below it. */
export function pathsOf(samples: readonly Sample[], frame: Frame): { line: string; area: string } {
  const { from, to, top, width, height } = frame;
  const x = (at: number) => round(((at - from) / (to - from)) * width);
  const y = (bytes: number) => round(height - (Math.min(bytes, top) / top) * height);
  const lines: string[] = [];
  const areas: string[] = [];
  for (const piece of pieces(samples.filter(([at]) => at >= from))) {
    const points = piece.map(([at, bytes]) => `${x(at)} ${y(bytes)}`);
    const [first, last] = [piece[0], piece.at(-1)];
    if (!first || !last) continue;
    // A single point is drawn as one, by the round ends of the line.
    lines.push(`M${points.join('L')}${points.length === 1 ? 'h0' : ''}`);
    if (points.length > 1) areas.push(`M${x(first[0])} ${String(height)}L${points.join('L')}L${x(last[0])} ${String(height)}Z`);
  }
  return { line: lines.join(''), area: areas.join('') };
}

/** The sample closest to a moment. */
export function nearest(samples: readonly Sample[], at: number): Sample | undefined {
  let best: Sample | undefined;
  for (const sample of samples) if (!best || Math.abs(sample[0] - at) < Math.abs(best[0] - at)) best = sample;
  return best;
}

function pieces(samples: readonly Sample[]): Sample[][] {
  const all: Sample[][] = [];
  let before = -Infinity;
  for (const sample of samples) {
    if (sample[0] - before > GAP_MS) all.push([]);
    all.at(-1)?.push(sample);
    [before] = sample;
  }
  return all;
}

const round = (value: number) => String(Math.round(value * 10) / 10);
