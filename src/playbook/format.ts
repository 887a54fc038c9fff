import type { JsonObject } from '../model/json.ts';
import type { FittedContent } from './fitContent.ts';
import type { Report } from './problem.ts';
import {
  anyMap,
  cel,
  decimal,
  durationFrom,
  id,
  instant,
  integer,
  type Located,
  listOf,
  mapOf,
  type Named,
  object,
  oneOf,
  oneOrMore,
  optional,
  required,
  type Shape,
  shown,
  text,
  unknownKey,
} from './shape.ts';
import { entryOf, type Tree } from './tree.ts';

/** The playbook format, version 1: what each section may hold. `usher schema` prints the same for editors. */

const second = 1_000;
const day = 86_400_000;

/** How much a playbook may hold. */
export const playbookLimits = {
  files: 200,
  events: 500,
  traits: 200,
  types: 100,
  content: 2_000,
  slots: 200,
  rules: 2_000,
  showsPerRule: 10,
  eventsPerWhen: 20,
  products: 50_000,
  captures: 8,
} as const;

const anyEvent = '*';
const eventType = id('an event type of the tracking plan');
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

export type RawEvent = ReturnType<typeof eventShape.read> & {};
const eventShape = object('an event type', {
  name: optional(text(), 'What people call it.'),
  says: optional(
    text('a phrase such as "viewed ${event.productId}"'),
    'Put after "you" where Usher explains why something is shown.',
  ),
  properties: optional(
    anyMap,
    'JSON Schema (2020-12) of its properties. Properties that it does not declare are refused.',
  ),
});

const traitFields = {
  name: optional(text(), 'What people call it.'),
  count: optional(traitEvents, 'Counts these events.'),
  sum: optional(traitEvents, 'Adds up `of` over these events.'),
  last: optional(traitEvents, 'Remembers the last `of` of these events.'),
  first: optional(traitEvents, 'Remembers the first `of` of these events.'),
  recent: optional(traitEvents, 'Remembers the last few different `of`, newest first.'),
  of: optional(cel('a value in CEL, such as event.productId'), 'What is added up or remembered.'),
  if: optional(cel(), 'Only events for which this holds.'),
  over: optional(overShape(), 'all: since the visitor is known; session: begins anew with each session.'),
  limit: optional(integer(1, 64), 'How many `recent` remembers [20].'),
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
const laterTraitKeys = ['by', 'distinct', 'top', 'decay', 'window'];
const traitShape = object('a trait', traitFields, laterTraitKeys);
const builtInTraitShape = object('a trait', builtInTraitFields, laterTraitKeys);
export type RawTrait = ReturnType<typeof builtInTraitShape.read> & {};

/** `over: 30m` is a window: a known word of the format. */
function overShape(): Shape<Located<'all' | 'session'>> {
  const known = oneOf('all', 'session');
  return {
    ...known,
    read(tree, report) {
      if (tree.kind === 'scalar' && typeof tree.value === 'string' && /^\d+(ms|s|m|h|d)$/.test(tree.value)) {
        report.error(tree, `a window (over: ${tree.value}) is not run by this version yet`, {
          expected: known.expected,
        });
        return undefined;
      }
      return known.read(tree, report);
    },
  };
}

export interface RawContent {
  readonly type: Located<string>;
  /** The map, `type` included. */
  readonly tree: Tree;
  /** null: the playbook does not declare its type, or that is not known yet. */
  readonly fitted: FittedContent | null;
}
const typeShape = id('a content type: a name of a-z, 0-9 and _');
const contentShape: Shape<RawContent> = {
  expected: 'a content: its type, and any data',
  json: {
    type: 'object',
    required: ['type'],
    properties: { type: { description: 'Slots accept contents of one type.', ...typeShape.json } },
  },
  read(tree, report) {
    if (tree.kind !== 'map') {
      report.error(tree, `expected a content, got ${shown(tree)}`, { expected: this.expected });
      return undefined;
    }
    const entry = entryOf(tree, 'type');
    if (entry === undefined) {
      report.error({ ...tree, end: tree.start + 1 }, 'type is missing', { expected: `type: ${typeShape.expected}` });
      return undefined;
    }
    const type = typeShape.read(entry.value, report);
    return type === undefined ? undefined : { type, tree, fitted: null };
  },
};

const contentTypeShape = object('a type of content', {
  name: optional(text(), 'What people call it.'),
  properties: optional(
    anyMap,
    'JSON Schema (2020-12) of the data of its contents. Properties that it does not declare are refused.',
  ),
});
export type RawContentType = ReturnType<typeof contentTypeShape.read> & {};

const slotShape = object('a slot', {
  name: optional(text(), 'What people call it.'),
  page: optional(id('a kind of page, such as product'), 'Shown on this kind of page only.'),
  accepts: optional(typeShape, 'The type of content it shows.'),
  fallback: required(
    id('the id of a content'),
    'What it shows when no rule has decided, and whenever something fails.',
  ),
});
export type RawSlot = ReturnType<typeof slotShape.read> & {};

const showShape = object('what to show', {
  slot: required(id('the id of a slot'), 'Where.'),
  content: required(id('the id of a content'), 'What.'),
  while: optional(
    cel(),
    'Shown only as long as this holds. May read facts of the visitor, and of the event and product as they were when it was decided.',
  ),
  for: optional(durationFrom(second, 366 * day, 'from 1s to 366d'), 'Ends after this long.'),
  until: optional(instant, 'Ends at this moment.'),
});
const laterActions = ['send', 'emit', 'purpose', 'tag', 'experiment', 'model'];
const thenShape = object(
  'something to do, such as { show: { slot: …, content: … } }',
  {
    show: required(showShape, 'Shows a content in a slot.'),
    if: optional(cel(), 'Only if this holds too.'),
  },
  laterActions,
);
export type RawShow = ReturnType<typeof thenShape.read> & {};

const laterWhens = ['absent', 'since', 'for', 'key', 'sequence', 'within', 'segment', 'schedule', 'entered', 'left'];
const whenTypes = oneOrMore('event types', eventType, playbookLimits.eventsPerWhen);
const whenShape: Shape<readonly Located<string>[]> = {
  expected: 'an event type, a list of them, or { event: … }',
  json: {
    anyOf: [
      ...(whenTypes.json['anyOf'] as JsonObject[]),
      { type: 'object', required: ['event'], additionalProperties: false, properties: { event: whenTypes.json } },
    ],
  },
  read(tree, report) {
    if (tree.kind !== 'map') return whenTypes.read(tree, report);
    // One word tells which kind of trigger is meant; the rest of it is not worth a message each.
    const later = tree.entries.find(({ key }) => laterWhens.includes(key));
    if (later !== undefined) {
      report.error(later.keySpan, `when: { ${later.key}: … } is not run by this version yet`, {
        expected: this.expected,
      });
      return undefined;
    }
    const unknown = tree.entries.find(({ key }) => key !== 'event');
    if (unknown !== undefined) {
      unknownKey(report, unknown.keySpan, unknown.key, ['event'], laterWhens);
      return undefined;
    }
    const event = entryOf(tree, 'event');
    if (event === undefined) {
      report.error({ ...tree, end: tree.start + 1 }, 'event is missing', { expected: this.expected });
      return undefined;
    }
    return whenTypes.read(event.value, report);
  },
};

const showsShape = listOf('things to do', thenShape, playbookLimits.showsPerRule, true);
const ruleShape = object(
  'a rule',
  {
    name: optional(text(), 'What people call it.'),
    when: required(whenShape, 'The events that it looks at.'),
    if: optional(cel(), 'The condition.'),
    // biome-ignore lint/suspicious/noThenProperty: the format's word; a list is no thenable
    then: optional(showsShape, 'What happens: all of it, each with an optional `if`.'),
    choose: optional(showsShape, 'What happens: the first one whose `if` holds.'),
    priority: optional(integer(-1_000, 1_000), 'Higher wins; a tie goes to the smaller id [0].'),
    status: optional(oneOf('draft', 'live', 'paused'), 'Only a live rule runs [live].'),
  },
  ['limit', 'purpose', 'holdout', 'experiment', 'schedule'],
);
export type RawRule = ReturnType<typeof ruleShape.read> & {};

const money = decimal(0, 1_000_000_000);
const productShape = object('a product', {
  name: required(text(), 'What people call it.'),
  category: optional(text(), 'One category.'),
  brand: optional(text(), 'The brand.'),
  price: required(money, 'In major units of the currency: 149.90.'),
  image: optional(text(), 'Address of a picture.'),
  url: optional(text(), 'Address of its page.'),
});
export type RawProduct = ReturnType<typeof productShape.read> & {};
/** Shops bring their own product ids, so these are not names. */
const productId = /^[^\s"'\\]{1,64}$/;

const sections = {
  format: optional(oneOf(1), 'Version of this format. In playbook.yaml.'),
  currency: optional(text('a currency code such as USD'), 'ISO 4217 code of all prices [USD]. In playbook.yaml.'),
  timezone: optional(
    text('a time zone such as Europe/Berlin'),
    "Used when the visitor's own is unknown [UTC]. In playbook.yaml.",
  ),
  session: optional(
    object('a session', {
      idle: optional(
        durationFrom(second, 24 * 3_600 * second, 'from 1s to 24h'),
        'A session ends after this long without an event [30m].',
      ),
    }),
    'What a session is. In playbook.yaml.',
  ),
  events: optional(mapOf('event types', eventShape, playbookLimits.events), 'The tracking plan: what can happen.'),
  traits: optional(
    mapOf('traits', traitShape, playbookLimits.traits),
    'Facts that Usher computes of each visitor; conditions read them as traits.ID.',
  ),
  types: optional(
    mapOf('types of content', contentTypeShape, playbookLimits.types),
    'What contents of a type hold; each becomes a type in GraphQL.',
  ),
  content: optional(mapOf('contents', contentShape, playbookLimits.content), 'What slots can show.'),
  slots: optional(mapOf('slots', slotShape, playbookLimits.slots), 'Named places on pages.'),
  rules: optional(mapOf('rules', ruleShape, playbookLimits.rules), 'What is shown when.'),
};
const laterSections = ['segments', 'experiments', 'actions', 'audiences', 'consent', 'models', 'campaigns'];
const fileShape = object('a map of sections', sections, laterSections);
const builtInFileShape = object('a map of sections', {
  events: sections.events,
  traits: optional(mapOf('traits', builtInTraitShape, playbookLimits.traits), 'Facts.'),
});
const catalogShape = object('a map of products', {
  catalog: required(
    mapOf(
      'products',
      productShape,
      playbookLimits.products,
      productId,
      'at most 64 characters without spaces or quotes',
    ),
    'The products, by id.',
  ),
});

export type RawFile = {
  readonly [K in keyof typeof sections]?: (typeof sections)[K] extends { shape: Shape<infer T> }
    ? T | undefined
    : never;
} & { readonly traits?: readonly Named<RawTrait>[] | undefined; readonly at: Tree };

/** Keys that only playbook.yaml may hold. */
export const mainFileKeys = ['format', 'currency', 'timezone', 'session'] as const;

export function readSections(tree: Tree, builtIn: boolean, report: Report): RawFile {
  if (tree.kind !== 'map') {
    fileShape.read(tree, report);
    return { at: tree };
  }
  // Section by section: a mistake in one rule does not take the other sections with it, whose names would all be unknown then.
  const shape = builtIn ? builtInFileShape : fileShape;
  const read: Record<string, unknown> = { at: tree };
  for (const entry of tree.entries) {
    const one = shape.read({ ...tree, entries: [entry] }, report) as Record<string, unknown> | undefined;
    if (one?.[entry.key] !== undefined) read[entry.key] = one[entry.key];
  }
  return read as unknown as RawFile;
}

export function readCatalogSection(tree: Tree, report: Report): readonly Named<RawProduct>[] {
  return catalogShape.read(tree, report)?.catalog ?? [];
}

/** JSON Schema of one file of a playbook, for editors. */
export function playbookSchema(): JsonObject {
  const { properties } = fileShape.json as { properties: JsonObject };
  const catalog = (catalogShape.json as { properties: JsonObject }).properties['catalog'] as JsonObject;
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'A file of an Usher playbook, format 1',
    type: 'object',
    additionalProperties: false,
    properties: { ...properties, catalog },
  };
}
