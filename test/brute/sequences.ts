import { type Happened, type Product, type Seen, seenOf, type Value } from './facts.ts';

/** One event of a sequence (semantics 3.10). */
export interface Element {
  readonly events: readonly string[];
  readonly if?: (seen: Seen) => boolean;
  readonly same?: (seen: Seen) => Value;
  /** Names the run that it belongs to: `times: 3` makes three elements of one run. */
  readonly run: number;
  readonly as?: string;
}

export interface Sequence {
  readonly elements: readonly Element[];
  readonly within: number;
  readonly without?: readonly string[];
}

/**
 * A match that the last of these events completes, as indexes of them; null: none. Every way to choose the events is tried.
 * Of several matches the one with the latest first event counts, then the one whose event before the last is the latest, and so on.
 *
 * @param after the index of the event that completed the match before; all of a match come after it
 */
export function completedMatch(
  sequence: Sequence,
  catalog: readonly Product[],
  events: readonly Happened[],
  after: number,
): readonly number[] | null {
  const { elements, within, without = [] } = sequence;
  const last = events.length - 1;
  let best: readonly number[] | null = null;

  const isLater = (match: readonly number[]): boolean => {
    if (best === null || match[0] !== best[0]) return best === null || match[0]! > best[0]!;
    for (let i = match.length - 1; i > 0; i--) if (match[i] !== best[i]) return match[i]! > best[i]!;
    return false;
  };
  const fits = (element: Element, index: number): boolean => {
    const event = events[index]!;
    if (!element.events.includes(event.type)) return false;
    try {
      return element.if === undefined || element.if(seenOf(catalog, event));
    } catch {
      return false;
    }
  };
  const valueAt = (element: Element, index: number): Value | undefined => {
    try {
      return element.same!(seenOf(catalog, events[index]!));
    } catch {
      return undefined;
    }
  };
  /** `chosen` are the events of the elements from the one after `place` on. */
  const choose = (place: number, chosen: readonly number[]): void => {
    if (place < 0) {
      if (isLater(chosen)) best = chosen;
      return;
    }
    const element = elements[place]!;
    const isLast = place === elements.length - 1;
    for (let index = isLast ? last : chosen[0]! - 1; index > after; index--) {
      const event = events[index]!;
      if (events[last]!.now - event.now > within) break;
      if (fits(element, index) && sameAsRun(place, index, chosen)) choose(place - 1, [index, ...chosen]);
      // Nothing before it can be the beginning of a match that ends after it.
      if (isLast || without.includes(event.type)) break;
    }
  };
  const sameAsRun = (place: number, index: number, chosen: readonly number[]): boolean => {
    const element = elements[place]!;
    if (element.same === undefined) return true;
    const value = valueAt(element, index);
    if (value === undefined || value === null) return false;
    const next = elements[place + 1];
    return next === undefined || next.run !== element.run || valueAt(next, chosen[0]!) === value;
  };
  choose(elements.length - 1, []);
  return best;
}
