import type { JsonObject } from '../model/json.ts';
import { playbookLimits } from './limits.ts';
import {
  cel,
  day,
  durationFrom,
  id,
  integer,
  type Located,
  object,
  oneOf,
  oneOrMore,
  optional,
  required,
  type Shape,
  second,
  text,
} from './shape.ts';

/** How a trait, and a segment, is written. */

const anyEvent = '*';
export const eventType = id('an event type of the tracking plan');
const traitEvents: Shape<readonly Located<string>[]> = (() => {
  const types = oneOrMore('event types', eventType, playbookLimits.eventsPerWhen);
  return {
    expected: `${types.expected}, or "${anyEvent}" for every event`,
    json: { anyOf: [{ const: anyEvent }, ...(types.json['anyOf'] as JsonObject[])] },
    read(tree, report) {
      if (tree.kind === 'scalar' && tree.value === anyEvent) return [{ value: anyEvent, tree }];
      return types.read(tree, report);
    },
  };
})();

const traitFields = {
  name: optional(text(), 'What people call it.'),
  count: optional(traitEvents, 'Counts these events.'),
  sum: optional(traitEvents, 'Adds up `of` over these events.'),
  min: optional(traitEvents, 'The smallest `of` of these events.'),
  max: optional(traitEvents, 'The largest `of` of these events.'),
  average: optional(traitEvents, 'The average `of` of these events.'),
  last: optional(traitEvents, 'Remembers the last `of` of these events.'),
  first: optional(traitEvents, 'Remembers the first `of` of these events.'),
  recent: optional(traitEvents, 'Remembers the last few different `of`, newest first.'),
  distinct: optional(traitEvents, 'How many different `of` these events had.'),
  rate: optional(traitEvents, 'How many of these events there were in the window, told `per` a time.'),
  score: optional(traitEvents, 'Grows by `of` with each of these events, and is halved in each `halfLife`.'),
  set: optional(oneOf('text', 'number', 'bool', 'time'), 'A value that rules give it with `set`, of this type.'),
  of: optional(
    cel('a value in CEL, such as event.productId'),
    'What is added up, compared or remembered; what a score grows by [1].',
  ),
  by: optional(
    cel('a text in CEL, such as product.category'),
    'A value for each of these: conditions read traits.NAME["tents"].',
  ),
  if: optional(cel(), 'Only events for which this holds.'),
  over: optional(
    overShape(),
    'all: since the visitor is known; session: begins anew with each session; 30m: only the events of the last 30 minutes [all].',
  ),
  limit: optional(integer(1, 64), 'How many values `recent` [20] or `distinct` [64] keeps.'),
  groups: optional(integer(1, 64), 'How many groups `by` keeps [16].'),
  halfLife: optional(durationFrom(60 * second, 366 * day, 'from 1m to 366d'), 'In this time a score is halved.'),
  per: optional(durationFrom(second, 400 * day, 'from 1s to 400d'), 'The time that a rate is told per.'),
  says: optional(
    text('words such as "after {value} orders"'),
    'How the fact is told where Usher explains why something is shown.',
  ),
};
const builtInTraitFields = {
  ...traitFields,
  cart: optional(
    object('the events of a cart', {
      add: required(eventType, 'Puts a product in.'),
      remove: required(eventType, 'Takes a product out.'),
      order: required(eventType, 'Empties it.'),
    }),
    'The cart.',
  ),
  path: optional(text('a name such as visitor.orders'), 'Where conditions read it.'),
};
const laterTraitKeys = ['top'];
export const traitShape = object('a trait', traitFields, laterTraitKeys);
export const builtInTraitShape = object('a trait', builtInTraitFields, laterTraitKeys);
export type RawTrait = ReturnType<typeof builtInTraitShape.read> & {};

/** A word, or a window in ms. */
function overShape(): Shape<Located<'all' | 'session' | number>> {
  const words = oneOf('all', 'session');
  const window = durationFrom(second, 400 * day, 'from 1s to 400d');
  const expected = `all, session, or ${window.expected}`;
  return {
    expected,
    json: { anyOf: [words.json, window.json] },
    read(tree, report) {
      const isWord = tree.kind === 'scalar' && typeof tree.value === 'string' && /^[a-z]+$/i.test(tree.value);
      return (isWord ? words : window).read(tree, report);
    },
  };
}

export const segmentShape = object('a segment', {
  name: optional(text(), 'What people call those who are in it.'),
  if: required(
    cel('a condition in CEL, such as visitor.orders >= 3'),
    'Who is in it. May read cart, visitor, session, traits, other segments, and now.',
  ),
});
export type RawSegment = ReturnType<typeof segmentShape.read> & {};
