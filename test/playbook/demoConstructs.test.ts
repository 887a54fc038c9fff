import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { describe as describeCommand } from '../../src/cli/describe.ts';
import type { Json, JsonObject } from '../../src/model/json.ts';
import { playbookSchema } from '../../src/playbook/format.ts';
import type { Rule, Segment, Show, Trait } from '../../src/playbook/playbook.ts';
import { readPlaybook } from '../../src/playbook/read.ts';
import type { ActionDefinition } from '../../src/playbook/sending.ts';
import { recordedIo } from '../support/cliIo.ts';
import { demoStoreFiles, demoStoreFolder } from '../support/demoStore.ts';

const { playbook } = await readPlaybook(demoStoreFolder);
const { rules, segments, traits, actions, destinations } = playbook!;

type Of<T> = readonly (readonly [construct: string, id: string, says: (it: T) => boolean])[];
const shows = (rule: Rule) => rule.entries.filter((entry): entry is Show => entry.do === 'show');
const shown = (says: (show: Show) => boolean) => (rule: Rule) => shows(rule).some(says);
const kind = (wanted: Trait['kind']) => (trait: Trait) => trait.kind === wanted;

/** What the format has for each, and where the demo store uses it. */
const traitConstructs: Of<Trait> = [
  ['count', 'tents_viewed', kind('count')],
  ['sum', 'bought_in_90_days', kind('sum')],
  ['min', 'cheapest_seen', kind('min')],
  ['max', 'dearest_order', kind('max')],
  ['average', 'price_level', kind('average')],
  ['last', 'dearest_interest', kind('last')],
  ['first', 'first_campaign', kind('first')],
  ['recent', 'taken_out', kind('recent')],
  ['distinct', 'brands_seen', kind('distinct')],
  ['rate', 'search_rate', (trait) => trait.kind === 'rate' && trait.perMs === 60_000],
  ['score', 'interest', (trait) => trait.kind === 'score' && trait.halfLifeMs > 0 && trait.of !== null],
  ['set: text', 'favourite', (trait) => trait.kind === 'set' && trait.initial === ''],
  ['set: time', 'reminded_at', (trait) => trait.kind === 'set' && trait.initial === null],
  ['over all', 'tents_viewed', ({ over, window }) => over === 'all' && window === null],
  ['over the session', 'kitchen_clicks', ({ over }) => over === 'session'],
  ['over a window', 'orders_in_a_year', ({ window }) => window !== null],
  ['by, over a window', 'views_by_category', ({ by, window }) => by !== null && window !== null],
  ['a score by groups', 'interest', (trait) => trait.by !== null && trait.groups === 10],
  ['if', 'tents_viewed', (trait) => trait.if !== null],
  ['several events', 'interest', ({ events }) => events!.length === 3],
  ['money', 'bought_in_90_days', ({ money }) => money],
  ['limit', 'taken_out', ({ limit }) => limit === 10],
  ['says', 'tents_viewed', ({ says }) => says !== null],
];
const changes = (what: string) => (segment: Segment) => segment.changes.some((change) => change.kind === what);
const segmentConstructs: Of<Segment> = [
  ['over facts', 'bargain_hunter', ({ condition }) => condition.reads.includes('visitor.orders')],
  ['of another segment', 'best_customer', ({ condition }) => condition.reads.includes('segments.regular')],
  ['changed by events alone', 'bargain_hunter', (segment) => segment.changes.length === 0],
  ['left when a window moves on', 'best_customer', changes('window')],
  ['left an instant after a fact', 'active_customer', changes('instant')],
  ['entered by silence', 'gone_quiet', ({ condition }) => condition.reads.includes('visitor.idle')],
  ['left when a score has faded', 'tent_shopper', changes('score')],
];
const ruleConstructs: Of<Rule> = [
  ['when: an event', 'upsell_over_100', ({ trigger, when }) => trigger.kind === 'event' && when.length === 1],
  ['when: a list of events', 'app_on_the_phone', ({ trigger, when }) => trigger.kind === 'event' && when.length > 1],
  ['when: sequence', 'browsed_then_searched', ({ trigger }) => trigger.kind === 'sequence' && trigger.withinMs > 0],
  ['times, same and as', 'browsed_then_searched', ({ trigger }) => elementsOf(trigger).some(({ as }) => as === 'seen')],
  [
    'an element with if',
    'browsed_then_searched',
    ({ trigger }) => elementsOf(trigger).some((each) => each.if !== null),
  ],
  ['without', 'browsed_then_searched', ({ trigger }) => trigger.kind === 'sequence' && trigger.without.length > 0],
  [
    'a sequence of one kind',
    'still_interested',
    ({ trigger, when }) => elementsOf(trigger).length === 2 && when.length === 2,
  ],
  ['when: absent', 'cart_reminder', ({ trigger }) => trigger.kind === 'absence' && trigger.since.length === 2],
  ['key', 'cart_reminder', ({ trigger }) => trigger.kind === 'absence' && trigger.key?.source === 'cart.id'],
  [
    'when: entered',
    'welcome_bargain_hunters',
    ({ trigger }) => trigger.kind === 'segment' && trigger.left.length === 0,
  ],
  ['when: left', 'win_back', ({ trigger }) => trigger.kind === 'segment' && trigger.entered.length === 0],
  [
    'when: entered or left',
    'customer_level',
    ({ trigger }) => trigger.kind === 'segment' && trigger.entered.length + trigger.left.length === 2,
  ],
  ['when: spent', 'long_read', ({ trigger }) => trigger.kind === 'spent' && trigger.seconds === 120],
  ['when: an event that a rule appends', 'desk_hears_of_interest', ({ when }) => when.includes('interest_found')],
  ['if', 'upsell_over_100', (rule) => rule.if !== null],
  ['unless', 'still_interested', ({ unless }) => unless !== null],
  ['from and to', 'weekend_course', ({ from, to }) => from !== null && to !== null],
  ['hours and days', 'weekend_course', ({ hours }) => hours?.from === 17 * 60 && hours.days?.length === 3],
  ['limit per visitor', 'win_back', ({ limit }) => limit?.per === 'visitor'],
  ['limit per session', 'welcome_back', ({ limit }) => limit?.per === 'session'],
  ['limit per day', 'comparing', ({ limit }) => limit?.per === 'day'],
  ['limit per key', 'cart_reminder', ({ limit }) => limit?.per === 'key'],
  ['a group of limits', 'app_on_the_phone', ({ limit }) => limit!.group === rules.get('comparing')!.limit!.group],
  ['cooldown', 'stuck_in_search', ({ cooldownMs }) => cooldownMs === 3_600_000],
  ['then', 'thank_you', ({ mode, entries }) => mode === 'then' && entries.some((entry) => entry.if !== null)],
  ['choose', 'search_help', ({ mode }) => mode === 'choose'],
  ['for', 'tent_repair_kit', shown(({ forMs }) => forMs !== null)],
  ['until', 'spring_campaign', shown(({ until }) => until !== null)],
  ['while', 'free_shipping', shown((show) => show.while !== null)],
  [
    'while a visitor is in a segment',
    'best_customer_line',
    shown((show) => show.while?.reads.join() === 'segments.best_customer'),
  ],
  ['while, of the event that decided', 'changed_mind', shown((show) => show.while!.reads.includes('product.id'))],
  ['pinned', 'calm_at_the_checkout', shown(({ pinned }) => pinned)],
  ['exclude: bought', 'still_interested', shown(({ exclude }) => exclude?.bought === 'product.id')],
  ['exclude: shown', 'outlet_for_the_quiet', shown(({ exclude }) => exclude?.shown === 3)],
  ['only: page', 'tent_advice', shown(({ only }) => only?.pages != null)],
  ['only: device', 'tent_advice', shown(({ only }) => only?.devices != null)],
  ['only: hours and days', 'long_read', shown(({ only }) => only?.hours?.from === 9 * 60 && only.hours.days !== null)],
  ['set', 'favourite_found', ({ entries }) => entries.some((entry) => entry.do === 'set')],
  ['emit', 'favourite_found', ({ entries }) => entries.some((entry) => entry.do === 'emit')],
  ['send', 'cart_reminder', ({ entries }) => entries.some((entry) => entry.do === 'send' && entry.with.length === 1)],
  ['purpose of an entry', 'cart_reminder', ({ entries }) => entries.map(({ purpose }) => purpose)[1] === 'marketing'],
  ['purpose of a rule', 'customer_file_told', ({ entries }) => entries.every(({ purpose }) => purpose === 'analytics')],
  ['when: what became of a message', 'mail_came_back', ({ when }) => when.includes('message_bounced')],
  ['draft', 'gift_wrap', ({ status }) => status === 'draft'],
  ['paused', 'parcels_are_late', ({ status }) => status === 'paused'],
  ['priority', 'upsell_over_100', ({ priority }) => priority === 50],
];
const kindOf = ({ destination }: ActionDefinition) => destinations.get(destination)!.kind;
const actionConstructs: Of<ActionDefinition> = [
  ['a mail', 'cart_mail', (action) => kindOf(action) === 'smtp' && action.mail?.html !== null],
  ['lines of the cart', 'cart_mail', ({ mail }) => mail!.lines?.html !== null && mail!.lines !== null],
  ['a link', 'cart_mail', ({ link }) => link?.startsWith('/') === true],
  ['a purpose', 'cart_mail', ({ purpose }) => purpose === 'marketing'],
  ['what rules give', 'cart_mail', ({ takes }) => takes.get('discountPercent') === 'number'],
  ['a web hook', 'level_reached', (action) => kindOf(action) === 'webhook' && action.takes.size === 2],
  ['a topic', 'cart_left', (action) => kindOf(action) === 'topic'],
  ['the cart', 'cart_left', ({ hasCart }) => hasCart],
  ['quiet hours', 'cart_left', ({ quiet }) => quiet?.from === 22 * 60 && quiet.to === 8 * 60],
];
function elementsOf(trigger: Rule['trigger']) {
  return trigger.kind === 'sequence' ? trigger.elements : [];
}

describe('the demo store uses each construct', () => {
  it.each(traitConstructs)('of traits: %s, in %s', (_construct, id, says) => {
    expect(says(traits.get(id)!)).toBe(true);
  });
  it.each(segmentConstructs)('of segments: %s, in %s', (_construct, id, says) => {
    expect(says(segments.get(id)!)).toBe(true);
  });
  it.each(ruleConstructs)('of rules: %s, in %s', (_construct, id, says) => {
    expect(says(rules.get(id)!)).toBe(true);
  });

  it.each(actionConstructs)('of messages: %s, in %s', (_construct, id, says) => {
    expect(says(actions.get(id)!)).toBe(true);
  });

  it('has every key that the format has, so that a new one is shown here too', () => {
    const used = new Set<string>();
    for (const [, text] of demoStoreFiles) addKeys(parse(text) as Json, playbookSchema(), '', used);
    const known = new Set<string>();
    addKnown(playbookSchema(), '', known);
    expect(known.size).toBeGreaterThan(80);
    // What `choose` chooses among is written like what `then` does; products are not the playbook's matter.
    const isOther = (key: string) => /^\.rules\.\*\.choose\.|^\.catalog\./.test(key);
    expect([...known].filter((key) => !used.has(key) && !isOther(key)).sort()).toEqual([]);
  });

  it('has no trait, segment or content of which nothing is made', () => {
    const texts = demoStoreFiles.filter(([path]) => path !== 'products.yaml').map(([, text]) => text);
    const all = texts.join('\n').replace(/#.*$/gm, '');
    const ofShop = [...traits.values()].flatMap(({ path }) => (path[0] === 'traits' ? [path.join('.')] : []));
    const named = [...ofShop, ...[...segments.keys()].map((id) => `segments.${id}`)];
    const inUse = (name: string) => new RegExp(`\\b${name.replace('.', '\\.')}\\b`).test(all);
    const triggers = [...rules.values()].flatMap(({ trigger }) =>
      trigger.kind === 'segment' ? [...trigger.entered, ...trigger.left].map((id) => `segments.${id}`) : [],
    );
    expect(named.filter((name) => !inUse(name) && !triggers.includes(name))).toEqual([]);
    const contents = new Set([...rules.values()].flatMap(shows).map(({ content }) => content));
    for (const { fallback } of playbook!.slots.values()) contents.add(fallback);
    expect([...playbook!.contents.keys()].filter((id) => !contents.has(id))).toEqual([]);
  });
});

/** `{a: {b: 1}}` under a schema that has `a.b` says `a.b`; what people name themselves is `*`. */
function addKeys(value: Json, schema: JsonObject, at: string, keys: Set<string>): void {
  if (value === null || typeof value !== 'object') return;
  for (const alternative of alternativesOf(schema)) {
    if (Array.isArray(value)) {
      for (const each of value) addKeys(each, (alternative['items'] ?? {}) as JsonObject, at, keys);
      continue;
    }
    for (const [key, each] of Object.entries(value)) {
      const own = (alternative['properties'] as JsonObject | undefined)?.[key];
      if (own !== undefined) {
        keys.add(`${at}.${key}`);
        addKeys(each, own as JsonObject, `${at}.${key}`, keys);
      } else if (typeof alternative['additionalProperties'] === 'object')
        addKeys(each, alternative['additionalProperties'] as JsonObject, `${at}.*`, keys);
    }
  }
}
function addKnown(schema: JsonObject, at: string, keys: Set<string>): void {
  for (const alternative of alternativesOf(schema)) {
    for (const [key, each] of Object.entries((alternative['properties'] ?? {}) as JsonObject)) {
      keys.add(`${at}.${key}`);
      addKnown(each as JsonObject, `${at}.${key}`, keys);
    }
    for (const [key, below] of [
      ['items', at],
      ['additionalProperties', `${at}.*`],
    ] as const)
      if (typeof alternative[key] === 'object') addKnown(alternative[key] as JsonObject, below, keys);
  }
}
function alternativesOf(schema: JsonObject): readonly JsonObject[] {
  const { anyOf } = schema;
  const ways = Array.isArray(anyOf) ? (anyOf as JsonObject[]).flatMap(alternativesOf) : [];
  return [schema, ...ways];
}

describe('docs/demo-store.txt', () => {
  it('is what `usher describe` says of the demo store; write it anew with `usher describe > docs/demo-store.txt`, and read it', async () => {
    const io = recordedIo({ cwd: join(import.meta.dirname, '../..') });
    await describeCommand.run({ positionals: ['playbooks/demo-store'], options: {} }, io);
    expect(`${io.outLines.join('\n')}\n`).toBe(readFileSync(join(io.cwd, 'docs/demo-store.txt'), 'utf8'));
  });
});
