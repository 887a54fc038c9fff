import type { Window } from './playbook.ts';
import { day, hour, second } from './shape.ts';

const minute = 60 * second;
const grid = [second, 10 * second, minute, 10 * minute, hour, day];

/** The grid of a window (semantics 3.8): fine enough to be about right at a sixtieth, coarse enough to be bounded. */
export function windowOf(widthMs: number): Window {
  const stepMs = grid.find((step) => step * 60 >= widthMs) ?? day;
  return { widthMs, stepMs, steps: Math.ceil(widthMs / stepMs) };
}

/** `30m`, `1h30m`, `7d`: as a playbook writes it. */
export function writtenDuration(ms: number): string {
  const units = [
    [day, 'd'],
    [hour, 'h'],
    [minute, 'm'],
    [second, 's'],
    [1, 'ms'],
  ] as const;
  let rest = ms;
  let text = '';
  for (const [size, unit] of units) {
    const count = Math.floor(rest / size);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * size;
  }
  return text;
}
