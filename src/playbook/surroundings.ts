import type { Declarations } from '../cel/compiler.ts';
import { nearest } from '../model/nearest.ts';
import type { VisitorFacts } from './facts.ts';
import type { RawContent, RawSlot } from './format.ts';
import type { RawSegment } from './formatTraits.ts';
import type { EventType } from './playbook.ts';
import type { Report } from './problem.ts';
import type { ActionDefinition } from './sending.ts';
import type { Located, Named } from './shape.ts';
import type { CheckedTrait, EventPlaces } from './traits.ts';

/** What rules refer to. */
export interface RuleSurroundings {
  readonly events: EventPlaces;
  readonly eventTypes: ReadonlyMap<string, EventType>;
  readonly slots: ReadonlyMap<string, Named<RawSlot>>;
  readonly contents: ReadonlyMap<string, Named<RawContent>>;
  /** `checked` is null of one that is broken. */
  readonly actions: ReadonlyMap<string, { readonly checked: ActionDefinition | null }>;
  readonly segments: ReadonlyMap<string, Named<RawSegment>>;
  readonly traits: ReadonlyMap<string, CheckedTrait>;
  readonly visitor: VisitorFacts;
  readonly minorDigits: number;
  readonly report: Report;
  /** Told of each content that a rule shows, with what its texts may name there. */
  shows(content: string, slot: string, declared: Declarations): void;
  /** Told of each action that a rule sends. */
  sends(action: string): void;
}

/** What an id stands for; null: it is unknown, which the report tells. */
export function lookUp<T>(at: Located<string>, known: ReadonlyMap<string, T>, what: string, report: Report): T | null {
  const found = known.get(at.value);
  if (found !== undefined) return found;
  const near = nearest(at.value, known.keys());
  const one = `${/^[aeiou]/.test(what) ? 'an' : 'a'} ${what}`;
  const expected =
    known.size === 0
      ? `${one}; the playbook has none`
      : known.size <= 24
        ? `one of ${[...known.keys()].join(', ')}`
        : `${one} of the playbook`;
  report.error(
    at.tree,
    `${at.value} is not ${one} of this playbook`,
    near === null ? { expected } : { expected, nearest: near },
  );
  return null;
}
