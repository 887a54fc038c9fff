import type { JsonObject } from '../model/json.ts';
import type { FittedContent } from './fitContent.ts';
import { actionShape, destinationShape } from './formatActions.ts';
import { ruleShape } from './formatRules.ts';
import { builtInTraitShape, type RawTrait, segmentShape, traitShape } from './formatTraits.ts';
import { playbookLimits } from './limits.ts';
import { availabilities } from './playbook.ts';
import type { Report } from './problem.ts';
import {
  anyMap,
  decimal,
  durationFrom,
  hour,
  id,
  integer,
  type Located,
  mapOf,
  type Named,
  object,
  oneOf,
  optional,
  required,
  type Shape,
  second,
  shown,
  text,
} from './shape.ts';
import { entryOf, type Tree } from './tree.ts';

export { playbookLimits } from './limits.ts';

/** The playbook format, version 1: what each section may hold. `usher schema` prints the same for editors. */

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

const money = decimal(0, 1_000_000_000);
const productShape = object('a product', {
  name: required(text(), 'What people call it.'),
  category: optional(text(), 'One category.'),
  brand: optional(text(), 'The brand.'),
  price: required(money, 'In major units of the currency: 149.90.'),
  image: optional(text(), 'Address of a picture.'),
  url: optional(text(), 'Address of its page.'),
  stock: optional(integer(0, 1_000_000_000), 'How many there are.'),
  availability: optional(oneOf(...availabilities), 'Whether it can be had [as stock says, else in_stock].'),
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
        durationFrom(second, 24 * hour, 'from 1s to 24h'),
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
  segments: optional(
    mapOf('segments', segmentShape, playbookLimits.segments),
    'Kinds of visitors; conditions read them as segments.ID, and rules run when one is entered or left.',
  ),
  content: optional(mapOf('contents', contentShape, playbookLimits.content), 'What slots can show.'),
  slots: optional(mapOf('slots', slotShape, playbookLimits.slots), 'Named places on pages.'),
  destinations: optional(mapOf('destinations', destinationShape, playbookLimits.destinations), 'Where messages go.'),
  actions: optional(mapOf('actions', actionShape, playbookLimits.actions), 'Messages that rules send.'),
  rules: optional(mapOf('rules', ruleShape, playbookLimits.rules), 'What is shown when.'),
};
const laterSections = ['experiments', 'audiences', 'consent', 'models', 'campaigns'];
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
