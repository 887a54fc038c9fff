import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runRules } from '../src/decide/rules.ts';
import { EventScope } from '../src/decide/scope.ts';
import { newVisitor } from '../src/fold/expiry.ts';
import type { EventRecord } from '../src/model/record.ts';
import type { ActiveBundles } from '../src/playbook/playbook.ts';
import { readRightPlaybook } from '../src/playbook/read.ts';
import { median } from './measure.ts';
import { type Drools, runDrools } from './peer.ts';
import { JavaRandom } from './shop.ts';

/** What one event costs with more and more rules: to find those that it may concern, to try their conditions, to gather what they ask for. */
export interface RulesResult {
  readonly ofPeersForm: readonly OfPeersForm[];
  /** Ten rules that run, alone and among 10,000. */
  readonly tenOfMany: readonly TenOfMany[];
}
interface OfPeersForm extends PerEvent {
  readonly rules: number;
  /** null: the peer is not on this machine. */
  readonly drools: PerEvent | null;
}
interface PerEvent {
  readonly micros: number;
  /** How many rules ran. */
  readonly ran: number;
}
interface TenOfMany {
  readonly found: string;
  readonly aloneMicros: number;
  readonly amongMicros: number;
}

const counts = [10, 100, 1_000, 10_000];
const categories = 50;
const at = Date.UTC(2026, 10, 23, 12);
const visitor = { ...newVisitor('v', 0, at), now: at };

export async function rules(rounds: number): Promise<RulesResult> {
  const playbooks: ActiveBundles[] = [];
  for (const count of counts) playbooks.push(await playbookOf(Array.from({ length: count }, (_, i) => peersRule(i))));
  const events = peersEvents(1 << 14);
  const ours: PerEvent[][] = [];
  const peers: (readonly Drools[])[] = [];
  for (let round = 0; round < rounds; round++) {
    const drools = await runDrools(counts.length);
    if (drools !== null) peers.push(drools);
    ours.push(playbooks.map((bundles) => perEvent(bundles, events)));
  }
  const medians = (all: readonly (readonly PerEvent[])[], i: number): PerEvent => ({
    micros: median(all.map((round) => round[i]!.micros)),
    ran: median(all.map((round) => round[i]!.ran)),
  });
  const ofPeersForm = counts.map((count, i) => ({
    rules: count,
    ...medians(ours, i),
    drools: peers.length === 0 ? null : medians(peers, i),
  }));
  const tenOfMany: TenOfMany[] = [];
  for (const [found, condition] of Object.entries(oneInThousand)) tenOfMany.push(await tenAmong(found, condition));
  return { ofPeersForm, tenOfMany };
}

/** The peer's: on a kind of event, for a category, from a value of the cart and a number of views on. */
function peersRule(i: number): string {
  const when = i % 2 === 0 ? 'viewed' : 'added';
  return ruleOf(
    i,
    when,
    `event.category == "c${i % categories}" && event.cartValue >= ${(i * 7) % 200} && event.views >= ${i % 5}`,
  );
}

function ruleOf(i: number, when: string, condition: string): string {
  return `  rule_${i}: { when: ${when}, if: '${condition}', then: [{ show: { slot: slot_${i % 4}, content: offer } }] }`;
}

/** By the same distribution as the peer's. */
function peersEvents(count: number): readonly EventRecord[] {
  const random = new JavaRandom(1n);
  return Array.from({ length: count }, () => {
    const type = random.below(2) === 1 ? 'viewed' : 'added';
    return event(type, `c${random.below(categories)}`, random.below(250), random.below(8));
  });
}

function event(type: string, category: string, cartValue: number, views: number): EventRecord {
  return { v: 1, kind: 'event', id: 'e', visitor: 'v', type, properties: { category, cartValue, views }, at };
}

/** The third of three rounds, as the peer measures, of as many events as there. */
function perEvent(bundles: ActiveBundles, events: readonly EventRecord[]): PerEvent {
  const each = bundles.playbook.rules.size >= 10_000 ? 20_000 : 60_000;
  let measured: PerEvent = { micros: 0, ran: 0 };
  for (let round = 0; round < 3; round++) {
    let ran = 0;
    const from = performance.now();
    for (let i = 0; i < each; i++) ran += runOf(bundles, events[i % events.length]!).length;
    measured = { micros: ((performance.now() - from) * 1_000) / each, ran: ran / each };
  }
  return measured;
}

/** The ids of the rules that run, as `decide` runs them. */
function runOf(bundles: ActiveBundles, record: EventRecord): readonly string[] {
  const { playbook } = bundles;
  const scope = new EventScope(bundles, visitor, at, record, at);
  const found = playbook.candidateRules(record.type, scope);
  const triggered = found.map(({ of, holds }) => ({ rule: of, holds, names: null, says: null }));
  return runRules(triggered, visitor.rules, playbook, scope).fired;
}

/** Conditions of which ten in 10,000 hold for a category of c500 and a cart of 5,005. */
const oneInThousand: Readonly<Record<string, (i: number) => string>> = {
  'a text': (i) => `event.category == "c${i % 1_000}"`,
  'a threshold': (i) => `event.cartValue >= ${4_996 + i}`,
  'a range': (i) => `event.cartValue >= ${i} && event.cartValue < ${i + 10}`,
};

async function tenAmong(found: string, condition: (i: number) => string): Promise<TenOfMany> {
  const all = Array.from({ length: 10_000 }, (_, i) => ruleOf(i, 'viewed', condition(i)));
  const many = await playbookOf(all);
  const record = event('viewed', 'c500', 5_005, 0);
  const ids = runOf(many, record);
  if (ids.length !== 10) throw new Error(`${found}: expected ten of 10,000 rules to run; ${ids.length} did`);
  const ten = await playbookOf(ids.map((id) => all[Number(id.slice('rule_'.length))]!));
  const rounds = Array.from({ length: 7 }, () => [ten, many].map((each) => perEvent(each, [record]).micros));
  const [aloneMicros, amongMicros] = [0, 1].map((i) => median(rounds.map((round) => round[i]!)));
  return { found, aloneMicros: aloneMicros!, amongMicros: amongMicros! };
}

async function playbookOf(ruleLines: readonly string[]): Promise<ActiveBundles> {
  const folder = mkdtempSync(join(tmpdir(), 'usher-bench-'));
  const properties = '{ category: { type: string }, cartValue: { type: number }, views: { type: number } }';
  const events = ['viewed', 'added'].map(
    (type) => `  ${type}: { name: ${type}, properties: { properties: ${properties} } }`,
  );
  const slots = [0, 1, 2, 3].map((i) => `  slot_${i}: { fallback: nothing_yet }`);
  const contents = ['nothing_yet', 'offer'].map((id) => `  ${id}: { type: text, title: ${id} }`);
  const sections = [
    ['format: 1'],
    ['events:', ...events],
    ['content:', ...contents],
    ['slots:', ...slots],
    ['rules:', ...ruleLines],
  ];
  try {
    writeFileSync(join(folder, 'playbook.yaml'), sections.flat().join('\n'));
    return await readRightPlaybook(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export function printRules({ ofPeersForm, tenOfMany }: RulesResult): void {
  const us = (value: number) => `${value.toFixed(2)} µs`;
  const leftOut = ofPeersForm[0]!.drools === null ? ' (Drools is left out: USHER_SAMPLES has no peers/rules)' : '';
  console.log(`one event against rules of the peer's form${leftOut}`);
  for (const { rules: count, micros, ran, drools } of ofPeersForm) {
    const ours = `${us(micros)} an event, ${ran.toFixed(2)} rules run`;
    const aim = count >= 1_000 ? ' (aim: 0.1)' : '';
    const theirs =
      drools === null
        ? ''
        : `; Drools ${us(drools.micros)}, ${drools.ran.toFixed(2)}; ratio ${(micros / drools.micros).toFixed(3)}${aim}`;
    console.log(`  ${count.toLocaleString('en').padStart(6)} rules  ${ours}${theirs}`);
  }
  for (const { found, aloneMicros, amongMicros } of tenOfMany) {
    const both = `alone ${us(aloneMicros)} an event, among 10,000 ${us(amongMicros)}`;
    console.log(`  ten rules found by ${found}: ${both}; ratio ${(amongMicros / aloneMicros).toFixed(2)} (aim: 2)`);
  }
}
