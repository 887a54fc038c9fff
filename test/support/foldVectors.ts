import { readFileSync } from 'node:fs';
import { type CartState, cartView } from '../../src/decide/cart.ts';
import { EventScope } from '../../src/decide/scope.ts';
import { jsonOf } from '../../src/decide/views.ts';
import { logTopic, movesTopic } from '../../src/model/commit.ts';
import type { Product } from '../../src/playbook/playbook.ts';
import { TestBundles } from './bundles.ts';
import { type Cut, FoldShard } from './foldShard.ts';

/** One case of test/vectors/fold; its README says what the members mean. */
export interface FoldCase {
  readonly semantics: string;
  readonly name: string;
  readonly given?: {
    readonly playbooks?: readonly string[];
    readonly catalog?: readonly (Partial<Product> & { readonly id: string; readonly price: number })[];
    readonly settings?: object;
    readonly shards?: number;
  };
  readonly records: readonly CaseRecord[];
  readonly expect?: Expected;
}
interface CaseRecord {
  readonly stamp: number;
  readonly then?: Expected;
  readonly [member: string]: unknown;
}
export type Expected = { readonly [subject: string]: unknown };

const folder = new URL('../vectors/', import.meta.url);

export function readVectors<T>(file: string): T {
  return JSON.parse(readFileSync(new URL(file, folder), 'utf8')) as T;
}

/** A case's log as it would be appended, and what it is folded with. */
export function logOf(given: FoldCase): {
  readonly bundles: TestBundles;
  readonly lines: readonly (object | string)[];
  readonly settings: object;
  readonly shards: number;
} {
  const bundles = new TestBundles();
  const { playbooks = [], catalog = [], settings = {}, shards = 1 } = given.given ?? {};
  const hashes = new Map(playbooks.map((name) => [name, bundles.addPlaybook(readText(`playbooks/${name}.yaml`))]));
  const catalogHash = bundles.addCatalog(catalog);
  const lines = given.records.map((record, offset) => lineOf(record, offset, hashes, catalogHash));
  return { bundles, lines, settings, shards };
}

/** Folds a case, cut as asked, and hands over what is expected and what came, after each record that says so and at the end. */
export function runCase(
  given: FoldCase,
  cut: Cut,
  compare: (expected: Expected, came: object, where: string) => void,
): void {
  const { bundles, lines, settings, shards } = logOf(given);
  const shard = new FoldShard(bundles, { cut, shards, settings });
  given.records.forEach((record, offset) => {
    shard.append(lines[offset]!, record.stamp);
    // Without something to look at in between, the records fold together, as the cut says.
    if (record.then !== undefined) compare(record.then, seen(shard.fold(), record.then), `after record ${offset}`);
  });
  shard.fold();
  if (given.expect !== undefined) compare(given.expect, seen(shard, given.expect), 'at the end');
}

function readText(path: string): string {
  return readFileSync(new URL(path, folder), 'utf8');
}

function lineOf(
  record: CaseRecord,
  offset: number,
  playbooks: ReadonlyMap<string, string>,
  catalog: string,
): object | string {
  const {
    stamp: _stamp,
    then: _then,
    raw,
    activate,
    touched,
    advance,
    tick,
    rejected,
    identified,
    move,
    ...event
  } = record;
  const base = { v: 1, id: `e${offset}` };
  if (raw !== undefined) return raw as string;
  if (activate !== undefined) {
    return { ...base, kind: 'activate', playbook: playbooks.get(activate as string), catalog, foldVersion: 1 };
  }
  if (rejected !== undefined) return { ...base, kind: 'rejected', ...(rejected as object) };
  if (identified !== undefined) return { ...base, kind: 'identified', visitor: 'v', ...event, user: identified };
  if (move !== undefined) return { ...base, ...(move as object) };
  if (touched !== undefined) return { ...base, kind: 'touched', visitor: touched };
  if (advance !== undefined) return { ...base, kind: 'advance', to: advance };
  if (tick !== undefined) return { ...base, kind: 'tick' };
  return { ...base, kind: 'event', visitor: 'v', properties: {}, ...event };
}

/** The shard, as far as the expectation names it. */
function seen(shard: FoldShard, expected: Expected): object {
  const all: Record<string, unknown> = {
    $folded: shard.activity.filter(({ what }) => what === 'folded').map(({ eventId }) => eventId),
    $fired: shard.activity.filter(({ what }) => what === 'timer').map(({ type }) => type),
    $failed: shard.failed.map(({ position, reason }) => [position, reason]).sort(),
    $outputs: shard.outbox.map(({ topic, value }) => outputSeen(topic, JSON.parse(value))),
    $appended: shard.outbox.filter(({ topic }) => topic === logTopic).map(({ value }) => JSON.parse(value)),
    $sent: shard.outbox.filter(({ topic }) => topic === movesTopic).map(({ value }) => JSON.parse(value)),
    $counters: shard.meta.counters,
    $appendTime: shard.meta.appendTime,
  };
  return Object.fromEntries(
    Object.keys(expected).map((subject) => [
      subject,
      subject.startsWith('$') ? all[subject] : visitorSeen(shard, subject),
    ]),
  );
}

function outputSeen(
  topic: string,
  output: { id: string; visitor: string | null; [member: string]: unknown },
): unknown[] {
  const slots = output['slots'] as readonly { content: string | null }[] | undefined;
  return [topic, output.id, output.visitor, slots?.map(({ content }) => content) ?? output['reason']];
}

function visitorSeen(shard: FoldShard, id: string): object | null {
  const visitor = shard.visitor(id);
  if (visitor === null) return null;
  const slots = Object.fromEntries(Object.entries(visitor.slots).map(([name, { candidates }]) => [name, candidates]));
  const { active } = shard;
  const state = { ...visitor, slots, traits: visitor.traits.toJSON(), rules: visitor.rules.toJSON() };
  if (active === null) return state;
  const scope = new EventScope(active, visitor, visitor.now, null, visitor.now);
  const facts = {
    visitor: jsonOf(scope.visitor),
    session: jsonOf(scope.session),
    traits: scope.traits,
    consent: jsonOf(scope.consent),
    cart: scope.cart ?? cartView([1, [], null] as CartState, active.playbook.minorDigits),
  };
  return { ...state, facts };
}
