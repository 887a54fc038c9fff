import type { HeldEvent, Source } from '../model/visitor.ts';
import type { FoldSettings } from './settings.ts';

/**
 * One source's numbers (semantics 2.1–2.3), as pure functions over `Source`. What is done with the events is arrival.ts.
 */

/** A source not known before. One that starts soon enough is taken to start at 1: the earlier numbers may still come. */
export function newSource(id: string, sequence: number, foundExpired: boolean, settings: FoldSettings): Source {
  const base = { id, skipped: [], held: [] };
  if (sequence <= settings.firstNumber && !foundExpired) return { ...base, next: 1, missing: [], floor: 0 };
  const missing: number[] = [];
  for (let n = Math.max(1, sequence - settings.missing); n < sequence; n++) missing.push(n);
  return { ...base, next: sequence, missing, floor: Math.max(0, sequence - settings.missing - 1) };
}

/** Takes numbers that will never come out of the gap before `sequence`, and out of the missing. Others are not looked at. */
export function withSkipped(
  source: Source,
  skipped: readonly number[],
  sequence: number,
  settings: FoldSettings,
): { readonly source: Source; readonly taken: number } {
  let { missing, skipped: ahead } = source;
  let taken = 0;
  for (const number of skipped) {
    if (number < source.next) {
      if (!missing.includes(number)) continue;
      missing = missing.filter((each) => each !== number);
    } else {
      const isHeld = source.held.some((event) => event.sequence === number);
      if (number >= sequence || isHeld || ahead.includes(number) || ahead.length >= settings.skippedAhead) continue;
      ahead = [...ahead, number].sort((a, b) => a - b);
    }
    taken++;
  }
  return taken === 0 ? { source, taken } : { source: passSkipped({ ...source, missing, skipped: ahead }), taken };
}

/** `next` moves over the skipped numbers that it has come to. */
function passSkipped(source: Source): Source {
  let { next, skipped } = source;
  while (skipped.length > 0 && skipped[0]! <= next) {
    if (skipped[0] === next) next++;
    skipped = skipped.slice(1);
  }
  return next === source.next && skipped.length === source.skipped.length ? source : { ...source, next, skipped };
}

/** `next` moves past this number, the gap before it becomes missing; of more than the limit the smallest are given up. */
export function passTo(source: Source, sequence: number, settings: FoldSettings): Source {
  if (sequence === source.next && source.skipped.length === 0) return { ...source, next: sequence + 1 };
  const gap: number[] = [];
  let { floor, missing } = source;
  // From the top, so that a gap of millions costs no more than what is kept of it.
  for (let n = sequence - 1; n >= source.next; n--) {
    if (source.skipped.includes(n)) continue;
    if (gap.length === settings.missing) {
      floor = Math.max(floor, n);
      break;
    }
    gap.push(n);
  }
  const dropped = Math.max(0, missing.length + gap.length - settings.missing);
  if (dropped > 0 && missing.length > 0) floor = Math.max(floor, missing[Math.min(dropped, missing.length) - 1]!);
  missing = [...missing.slice(dropped), ...gap.reverse()];
  const skipped = source.skipped.filter((n) => n > sequence);
  return passSkipped({ ...source, next: sequence + 1, missing, floor, skipped });
}

/** Held events stand in the order of their numbers. */
export function withHeld(source: Source, event: HeldEvent): Source {
  return { ...source, held: [...source.held, event].sort((a, b) => a.sequence - b.sequence) };
}

/** The event that has waited longest: the one with the smallest offset. */
export function firstHeld(source: Source): HeldEvent | null {
  let first: HeldEvent | null = null;
  for (const event of source.held) if (first === null || event.offset < first.offset) first = event;
  return first;
}
