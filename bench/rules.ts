import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decide } from '../src/decide/decide.ts';
import { newVisitor } from '../src/fold/expiry.ts';
import type { EventRecord } from '../src/model/record.ts';
import type { Visitor } from '../src/model/visitor.ts';
import type { ActiveBundles } from '../src/playbook/playbook.ts';
import { readRightPlaybook } from '../src/playbook/read.ts';
import { median } from './measure.ts';
import { type Drools, runDrools } from './peer.ts';
import { JavaRandom } from './shop.ts';

/** What deciding one event costs with more and more rules: session, traits, finding the rules, their conditions and effects. */
export interface RulesResult {
  readonly ofPeersForm: readonly OfPeersForm[];
  /** Ten rules that run, alone and among 10,000; `without` is the same event with no rule at all. */
  readonly tenOfMany: readonly TenOfMany[];
}
interface OfPeersForm {
  readonly rules: number;
  readonly micros: number;
  readonly ran: number;
  /** null: the peer is not on this machine. */
  readonly drools: { readonly micros: number; readonly ran: number } | null;
}
interface TenOfMany {
  readonly found: string;
  readonly withoutMicros: number;
  readonly aloneMicros: number;
  readonly amongMicros: number;
}

const counts = [10, 100, 1_000, 10_000];
const categories = 50;
const carts = 250;
const views = 8;
const at = Date.UTC(2026, 10, 23, 12);

interface Happening {
  readonly visitor: Visitor;
  readonly record: EventRecord;
}

export async function rules(rounds: number): Promise<RulesResult> {
  const peers: (readonly Drools[])[] = [];
  const ours: (readonly { micros: number; ran: number }[])[] = [];
  const playbooks = [];
  for (const count of counts) playbooks.push(await playbookOf(Array.from({ length: count }, (_, i) => rule(i))));
  const events = happenings(playbooks[0]!, 1 << 13);
  for (let round = 0; round < rounds; round++) {
    const drools = await runDrools(counts.length);
    if (drools !== null) peers.push(drools);
    ours.push(playbooks.map((bundles) => perEvent(bundles, events)));
  }
  const ofPeersForm = counts.map((count, i) => ({
    rules: count,
    micros: median(ours.map((round) => round[i]!.micros)),
    ran: ours[0]![i]!.ran,
    drools:
      peers.length === 0
        ? null
        : { micros: median(peers.map((round) => round[i]!.micros)), ran: peers[0]![i]!.matched },
  }));
  const tenOfMany = [];
  for (const [found, condition] of Object.entries(oneOfMany)) tenOfMany.push(await tenAmong(found, condition));
  return { ofPeersForm, tenOfMany };
}

/** A rule of the peer's form: a kind of event, a category, from a value of the cart and a number of views on. */
function rule(i: number): string {
  const when = i % 2 === 0 ? 'product_viewed' : 'cart_item_added';
  const condition = `product.category == "c${i % categories}" && cart.value >= ${(i * 7) % 200} && traits.views >= ${i % 5}`;
  return ruleOf(i, when, condition);
}

function ruleOf(i: number, when: string, condition: string): string {
  return `  rule_${i}: { when: ${when}, if: '${condition}', then: [{ show: { slot: slot_${i % 4}, content: offer } }] }`;
}

/** The peer's events, by the same distribution, of visitors whose cart and views are those that the peer's events have. */
function happenings(bundles: ActiveBundles, count: number): readonly Happening[] {
  const random = new JavaRandom(1n);
  const visitors = new Map<number, Visitor>();
  return Array.from({ length: count }, (): Happening => {
    const type = random.below(2) === 1 ? 'product_viewed' : 'cart_item_added';
    const productId = `p${random.below(categories)}`;
    const value = random.below(carts);
    const viewed = random.below(views);
    const key = value * views + viewed;
    const visitor = visitors.get(key) ?? visitorWith(value, viewed, bundles);
    visitors.set(key, visitor);
    // What is added costs nothing, so the cart has the value that the peer's event has.
    return { visitor, record: event(type, type === 'product_viewed' ? { productId } : { productId, price: 0 }) };
  });
}

function visitorWith(value: number, viewed: number, bundles: ActiveBundles): Visitor {
  const before = Array.from({ length: viewed }, () => event('page_viewed', {}));
  if (value > 0) before.push(event('cart_item_added', { productId: 'p0', price: value }));
  return before.reduce<Visitor>((visitor, record) => decide(visitor, { record, at }, bundles).visitor, {
    ...newVisitor('v', 0, at),
    historic: false,
    now: at,
  });
}

function event(type: string, properties: EventRecord['properties']): EventRecord {
  return { v: 1, kind: 'event', id: 'e', visitor: 'v', type, properties, at };
}

/** As long as the peer measures; the first two rounds warm up, as the peer's do. */
function perEvent(bundles: ActiveBundles, events: readonly Happening[]): { micros: number; ran: number } {
  let ran = 0;
  let micros = 0;
  const each = 60_000;
  for (let round = 0; round < 3; round++) {
    ran = 0;
    const from = performance.now();
    for (let i = 0; i < each; i++) {
      const { visitor, record } = events[i % events.length]!;
      ran += decide(visitor, { record, at }, bundles).effects.fired.length;
    }
    micros = ((performance.now() - from) * 1_000) / each;
  }
  return { micros, ran: ran / each };
}

/** Conditions of 10,000 rules of which ten hold for a cart of 5,005 and a product of category c500. */
const oneOfMany: Readonly<Record<string, (i: number) => string>> = {
  'by a text': (i) => `product.category == "c${i % 1_000}"`,
  'by a threshold': (i) => `cart.value >= ${4_996 + i}`,
  'by a range': (i) => `cart.value >= ${i} && cart.value < ${i + 10}`,
};

async function tenAmong(found: string, condition: (i: number) => string): Promise<TenOfMany> {
  const all = Array.from({ length: 10_000 }, (_, i) => ruleOf(i, 'product_viewed', condition(i)));
  const many = await playbookOf(all, ['c500']);
  const visitor = visitorWith(5_005, 0, many);
  const happening = { visitor, record: event('product_viewed', { productId: 'p0' }) };
  const { fired } = decide(visitor, { record: happening.record, at }, many).effects;
  if (fired.length !== 10) throw new Error(`${found}: expected ten of 10,000 rules to run; ${fired.length} did`);
  const ten = await playbookOf(
    fired.map((id) => all[Number(id.slice('rule_'.length))]!),
    ['c500'],
  );
  const none = await playbookOf([], ['c500']);
  const rounds = Array.from({ length: 5 }, () => [none, ten, many].map((each) => perEvent(each, [happening]).micros));
  const [withoutMicros, aloneMicros, amongMicros] = [0, 1, 2].map((i) => median(rounds.map((round) => round[i]!)));
  return { found, withoutMicros: withoutMicros!, aloneMicros: aloneMicros!, amongMicros: amongMicros! };
}

async function playbookOf(ruleLines: readonly string[], of: readonly string[] = []): Promise<ActiveBundles> {
  const folder = mkdtempSync(join(tmpdir(), 'usher-bench-'));
  const names = of.length > 0 ? of : Array.from({ length: categories }, (_, i) => `c${i}`);
  const products = names.map((category, i) => `  p${i}: { name: Product ${i}, category: ${category}, price: 5 }`);
  const sections = [
    ['format: 1', 'content: { nothing_yet: { type: text, title: Nothing }, offer: { type: text, title: Offer } }'],
    ['slots:', ...[0, 1, 2, 3].map((i) => `  slot_${i}: { fallback: nothing_yet }`)],
    ['traits: { views: { count: page_viewed } }'],
    ruleLines.length > 0 ? ['rules:', ...ruleLines] : [],
  ];
  try {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'playbook.yaml'), sections.flat().join('\n'));
    writeFileSync(join(folder, 'products.yaml'), ['catalog:', ...products].join('\n'));
    return await readRightPlaybook(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export function printRules({ ofPeersForm, tenOfMany }: RulesResult): void {
  const us = (value: number) => `${value.toFixed(2)} µs`;
  console.log(
    `one event against rules of the peer's form${ofPeersForm[0]?.drools ? '' : ' (Drools is left out: USHER_SAMPLES has no peers/rules)'}`,
  );
  for (const { rules: count, micros, ran, drools } of ofPeersForm) {
    const peer =
      drools === null
        ? ''
        : `; Drools ${us(drools.micros)}, ${drools.ran.toFixed(2)} run; ratio ${(micros / drools.micros).toFixed(3)}${count >= 1_000 ? ' (aim: 0.1)' : ''}`;
    console.log(
      `  ${count.toLocaleString('en').padStart(6)} rules  ${us(micros)} an event, ${ran.toFixed(2)} rules run${peer}`,
    );
  }
  for (const { found, withoutMicros, aloneMicros, amongMicros } of tenOfMany) {
    const ratio = (amongMicros - withoutMicros) / (aloneMicros - withoutMicros);
    console.log(
      `  ten rules found ${found}: alone ${us(aloneMicros)} an event, among 10,000 ${us(amongMicros)}, without any ${us(withoutMicros)}; the rules alone ${ratio.toFixed(2)} × (aim: 2)`,
    );
  }
}
