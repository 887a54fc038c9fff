import { givenValues, purpose } from './formatActions.ts';
import { eventType } from './formatTraits.ts';
import { playbookLimits } from './limits.ts';
import {
  cel,
  celValue,
  day,
  durationFrom,
  exactlyOne,
  flag,
  hour,
  hours,
  id,
  instant,
  integer,
  type Located,
  listOf,
  mapOf,
  object,
  oneOf,
  oneOrMore,
  optional,
  required,
  type Shape,
  second,
  startOf,
  text,
  unknownKey,
} from './shape.ts';
import type { Tree } from './tree.ts';

/** How a rule is written: what triggers it, what it asks, what it does. */

const eventTypes = oneOrMore('event types', eventType, playbookLimits.eventsPerWhen);
const segmentIds = oneOrMore('segments', id('the id of a segment'), playbookLimits.segmentsPerWhen);
const weekdays = oneOrMore('days', oneOf('mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'), 7);

const elementShape = object('an event of the sequence, such as { event: product_viewed, times: 3 }', {
  event: required(eventTypes, 'An event type, or a list of them: any of them.'),
  times: optional(integer(1, 10), 'So many of them [1].'),
  if: optional(cel(), 'Only events for which this holds.'),
  same: optional(celValue('product.category'), 'The value of this is the same in all of its `times`.'),
  as: optional(id('a name such as seen'), 'What conditions and texts call the last of them: seen.product.name.'),
});
export type RawElement = ReturnType<typeof elementShape.read> & {};

const eventWhen = object('{ event: … }', { event: required(eventTypes, 'These events, any of them.') });
const sequenceWhen = object('{ sequence: […], within: … }', {
  sequence: required(
    listOf('events', elementShape, playbookLimits.sequence),
    'Events in this order, whatever else happens between them.',
  ),
  within: required(durationFrom(second, 30 * day, 'from 1s to 30d'), 'From the first of them to the last.'),
  without: optional(eventTypes, 'None of these in between.'),
});
const absenceWhen = object('{ absent: …, since: …, for: … }', {
  absent: required(eventTypes, 'What does not happen.'),
  since: required(eventTypes, 'What begins the wait; each of them begins it again.'),
  for: required(durationFrom(second, 90 * day, 'from 1s to 90d'), 'How long it is waited for.'),
  key: optional(celValue('cart.id'), 'Each of these has a wait of its own.'),
});
const segmentWhen = object('{ entered: … } or { left: … }', {
  entered: optional(segmentIds, 'When a visitor comes into one of these segments.'),
  left: optional(segmentIds, 'When a visitor goes out of one of these segments.'),
});
const spentWhen = object('{ spent: … }', {
  spent: required(
    durationFrom(second, 24 * hour, 'from 1s to 24h'),
    'When a page has been visible for so long, once for each view of a page.',
  ),
});

type Read<T> = T extends Shape<infer R> ? R : never;
export type RawWhen =
  | { readonly kind: 'event'; readonly event: readonly Located<string>[]; readonly at: Tree }
  | ({ readonly kind: 'sequence' } & Read<typeof sequenceWhen>)
  | ({ readonly kind: 'absence' } & Read<typeof absenceWhen>)
  | ({ readonly kind: 'segment' } & Read<typeof segmentWhen>)
  | ({ readonly kind: 'spent' } & Read<typeof spentWhen>);

/** The keys that tell which kind of trigger is meant: one is enough, the others of that kind are told as missing. */
const whenKinds = [
  ['sequence', ['sequence', 'within', 'without'], sequenceWhen],
  ['absence', ['absent', 'since', 'for', 'key'], absenceWhen],
  ['segment', ['entered', 'left'], segmentWhen],
  ['spent', ['spent'], spentWhen],
  ['event', ['event'], eventWhen],
] as const;
const whenKeys = whenKinds.flatMap(([, keys]) => keys as readonly string[]);
const laterWhens = ['schedule', 'every', 'at'];

const whenShape: Shape<RawWhen> = {
  expected:
    'an event type, a list of them, { sequence: …, within: … }, { absent: …, since: …, for: … }, { entered: … }, { left: … } or { spent: … }',
  json: {
    anyOf: [
      eventTypes.json,
      ...[eventWhen, sequenceWhen, absenceWhen, spentWhen].map(({ json }) => json),
      { ...segmentWhen.json, anyOf: [{ required: ['entered'] }, { required: ['left'] }] },
    ],
  },
  read(tree, report) {
    if (tree.kind !== 'map') {
      const event = eventTypes.read(tree, report);
      return event === undefined ? undefined : { kind: 'event', event, at: tree };
    }
    const meant = whenKinds.find(([, keys]) =>
      tree.entries.some(({ key }) => (keys as readonly string[]).includes(key)),
    );
    if (meant === undefined) {
      const [first] = tree.entries;
      if (first === undefined) report.error(startOf(tree), 'when is empty', { expected: this.expected });
      else unknownKey(report, first.keySpan, first.key, whenKeys, laterWhens);
      return undefined;
    }
    const [kind, , shape] = meant;
    const read = shape.read(tree, report);
    return read === undefined ? undefined : ({ kind, ...read } as RawWhen);
  },
};

const onlyShape = object('when it may be shown', {
  page: optional(
    oneOrMore('kinds of page', id('a kind of page, such as product'), 20),
    'On pages of these kinds only.',
  ),
  device: optional(
    oneOrMore('devices', oneOf('desktop', 'mobile', 'tablet', 'tv', 'bot'), 5),
    'On these devices only.',
  ),
  hours: optional(hours, 'At these times of the day only, where the visitor is.'),
  days: optional(weekdays, 'On these days of the week only.'),
});
const showShape = object('what to show', {
  slot: required(id('the id of a slot'), 'Where.'),
  content: required(id('the id of a content'), 'What.'),
  pinned: optional(flag, 'Before everything that is not pinned, whatever its priority [false].'),
  while: optional(
    cel(),
    'Shown only as long as this holds. May read facts of the visitor, and of the event and product as they were when it was decided.',
  ),
  for: optional(durationFrom(second, 366 * day, 'from 1s to 366d'), 'Ends after this long.'),
  until: optional(instant, 'Ends at this moment.'),
  exclude: optional(
    object('what ends it', {
      bought: optional(flag, 'Ends, or does not begin, when the visitor has bought the product that it is about.'),
      shown: optional(integer(1, 1_000), 'Ends when the visitor has seen the content this often, in whatever slot.'),
    }),
    'What makes it enough.',
  ),
  only: optional(onlyShape, 'Asked each time a page is shown.'),
});
const setShape = object('what to set', {
  trait: required(id('the id of a trait that is declared with `set`'), 'Which.'),
  to: required(celValue('product.category'), 'Its new value.'),
});
const emitShape = object('an event to append', {
  event: required(eventType, 'Its type.'),
  properties: optional(
    mapOf('properties', celValue('product.id'), 50, /^\S{1,64}$/, 'the name of a property'),
    'Its properties, in CEL: \'"tents"\' or product.id.',
  ),
});
const sendShape = object('a message to send', {
  action: required(id('the id of an action'), 'Which.'),
  with: optional(givenValues(celValue('product.name')), 'What the action asks for, in CEL: 10, or product.name.'),
});
const actions = ['show', 'set', 'emit', 'send'] as const;
const laterActions = ['tag', 'experiment', 'model'];
const entryShape = exactlyOne(
  object(
    'something to do, such as { show: { slot: …, content: … } }',
    {
      show: optional(showShape, 'Shows a content in a slot.'),
      set: optional(setShape, 'Gives a trait its value.'),
      emit: optional(emitShape, 'Appends an event of the same visitor.'),
      send: optional(sendShape, 'Sends a message.'),
      purpose: optional(purpose, 'It does not happen without consent to this.'),
      if: optional(cel(), 'Only if this holds too.'),
    },
    laterActions,
  ),
  actions,
  laterActions,
);
export type RawEntry = ReturnType<typeof entryShape.read> & {};
export type RawShow = Read<typeof showShape>;
export type RawSet = Read<typeof setShape>;
export type RawEmit = Read<typeof emitShape>;
export type RawSend = Read<typeof sendShape>;

const limitShape = object('a limit, such as { times: 1, per: session }', {
  times: required(integer(1, 1_000), 'How often it may run.'),
  per: optional(
    cel('visitor, session, day, or a value in CEL such as cart.id'),
    'For each of what: visitor, session, day, or a value [visitor].',
  ),
  group: optional(id('a name of your own'), 'Rules of one group are counted together.'),
});

const entriesShape = listOf('things to do', entryShape, playbookLimits.entriesPerRule, true);
export const ruleShape = object(
  'a rule',
  {
    name: optional(text(), 'What people call it.'),
    when: required(whenShape, 'What makes it run.'),
    if: optional(cel(), 'The condition.'),
    unless: optional(cel(), 'It does not run where this holds.'),
    from: optional(instant, 'It runs from this moment on.'),
    to: optional(instant, 'It runs until this moment.'),
    hours: optional(hours, 'It runs at these times of the day only, where the visitor is.'),
    days: optional(weekdays, 'It runs on these days of the week only.'),
    purpose: optional(purpose, 'Nothing of it happens without consent to this.'),
    limit: optional(limitShape, 'How often it may run.'),
    cooldown: optional(durationFrom(second, 366 * day, 'from 1s to 366d'), 'It does not run again for this long.'),
    // biome-ignore lint/suspicious/noThenProperty: the format's word; a list is no thenable
    then: optional(entriesShape, 'What happens: all of it, each with an optional `if`.'),
    choose: optional(entriesShape, 'What happens: the first one whose `if` holds.'),
    priority: optional(integer(-1_000, 1_000), 'Higher wins; a tie goes to the smaller id [0].'),
    status: optional(oneOf('draft', 'live', 'paused'), 'Only a live rule runs [live].'),
  },
  ['holdout', 'experiment', 'schedule'],
);
export type RawRule = ReturnType<typeof ruleShape.read> & {};
