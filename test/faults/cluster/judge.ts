import { createReadStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { defaultFoldSettings } from '../../../src/fold/work.ts';
import { kafkaClient } from '../../../src/kafka/client.ts';
import { Link } from '../../../src/kafka/link.ts';
import { decodeSlots } from '../../../src/model/codec.ts';
import type { LogRecord } from '../../../src/model/record.ts';
import { shardOf } from '../../../src/model/shard.ts';
import type { Candidate } from '../../../src/model/visitor.ts';
import { Bundles } from '../../../src/playbook/bundles.ts';
import type { StateStore } from '../../../src/state/stateStore.ts';
import { FoldShard } from '../../support/foldShard.ts';
import { compareWithOracle } from '../../support/oracle.ts';
import { dumpTopic } from '../../support/topicDump.ts';
import { appendDeadlineMs, type Cluster, lateMs, shards, topicOf } from './cluster.ts';

const caughtUpMs = 30_000;
const toldMs = 15_000;

export interface Verdict {
  /** What must never be, in words. */
  readonly problems: readonly string[];
  /** Visitors, failed events of a shard and shards that the state does not tell as the oracle does. */
  readonly mismatches: number;
  readonly figures: Readonly<Record<string, number>>;
}

/**
 * After the last fault: all is started, the log is folded to its end in time (I5), then everything that was promised is compared with the
 * log itself: what senders were told (I1), the state with the fold of an oracle that shares no code with Usher (I2), what pages saw, what
 * other systems were told, and how long anybody waited (I6).
 */
export async function judge(cluster: Cluster, options: { readonly isRebuilt?: boolean } = {}): Promise<Verdict> {
  const { isRebuilt = false } = options;
  const healedAt = performance.now();
  await cluster.heal();
  const { store } = cluster;
  const folder = await mkdtemp(join(tmpdir(), 'usher-judge-'));
  try {
    const unfolded = await caughtUp(cluster, store);
    const caughtUpAfterMs = Math.round(performance.now() - healedAt);
    const untold = await pagesTold(cluster, store);
    // From here on nothing is folded any more.
    await Promise.all(cluster.workers.map((worker) => worker.stop()));
    const dump = join(folder, 'events');
    await dumpTopic(cluster.engines.broker.address, topicOf(cluster, 'g1.events'), dump);
    const records = await readDump(dump);
    const oracle = await compareWithOracle(store, { dump, shards }, { visitorsOnly: isRebuilt });
    const outputs = await judgeOutputs(cluster, records, folder, isRebuilt);
    const problems = [
      ...cluster.problems,
      ...judgeJournal(cluster, records),
      ...(oracle.first === null ? [] : [`${oracle.mismatches} mismatches, the first: ${oracle.first}`]),
      ...(oracle.behind === 0 ? [] : [`${oracle.behind} records are not folded`]),
      ...unfolded,
      ...untold,
      ...cluster.subscribers.flatMap(({ problems }) => problems),
      ...outputs.problems,
      ...judgePages(cluster, outputs.versions),
      ...judgeTimes(cluster),
    ];
    return {
      problems: problems.slice(0, 20),
      mismatches: oracle.mismatches,
      figures: {
        ...figuresOf(cluster),
        caughtUpAfterMs,
        records: records.length,
        visitors: oracle.visitors,
        ...outputs.figures,
      },
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** I5: waits until the state is where the log ends; a held event waits for a tick, after which the log is longer. */
async function caughtUp(cluster: Cluster, store: StateStore): Promise<readonly string[]> {
  const client = kafkaClient({ brokers: [cluster.engines.broker.address], clientId: 'judge' });
  const link = new Link(client, topicOf(cluster, 'g1.events'), shards);
  const all = Array.from({ length: shards }, (_, shard) => shard);
  const end = performance.now() + caughtUpMs;
  try {
    for (;;) {
      const bounds = await link.bounds(all, 10_000);
      const behind = await Promise.all(
        all.map(async (shard) => {
          const [meta, wakeAt, waiting] = await Promise.all([
            store.readMeta(shard),
            store.nextWakeup(shard),
            store.readOutbox(shard, null, 1),
          ]);
          const isDue = wakeAt !== null && wakeAt <= Date.now();
          return meta?.position !== bounds.get(shard)!.end || isDue || waiting.length > 0;
        }),
      );
      if (!behind.includes(true)) return [];
      if (performance.now() > end) {
        const late = all.filter((shard) => behind[shard]);
        const errors = cluster.nodes.flatMap(({ lines }) => lines.filter(({ level }) => Number(level) >= 50));
        return [
          `shards ${late} are not folded ${caughtUpMs} ms after the last fault; ${JSON.stringify(errors.slice(-3))}`,
        ];
      }
      await sleep(50);
    }
  } finally {
    await link.close();
    client.cut();
  }
}

/** The rules by which a page may show the slot: the first candidate, and where it asks for an hour or a page, whoever comes next. */
function winnersOf(candidates: readonly Candidate[], bundles: Bundles): readonly (string | null)[] {
  const may: (string | null)[] = [];
  for (const { rule, entry, playbook } of candidates) {
    may.push(rule);
    const show = bundles.playbook(playbook)?.rules.get(rule)?.entries[entry];
    if (show?.do !== 'show' || show.only === null) return may;
  }
  return [...may, null];
}

/** Every page shows in the end what the state holds; one that missed a message is told within 5 s (semantics 7.2). */
async function pagesTold(cluster: Cluster, store: StateStore): Promise<readonly string[]> {
  const end = performance.now() + toldMs;
  const bundles = new Bundles((hash) => store.readBundle(hash));
  const { active } = (await store.readMeta(0))!;
  await bundles.load(active!.playbook, active!.catalog);
  for (;;) {
    const now = Date.now();
    const reads = await store.readSlots(
      cluster.subscribers.map(({ visitor }) => ({ visitor, shard: shardOf(visitor, shards) })),
    );
    const problems = cluster.subscribers.flatMap(({ visitor, slots }, i) => {
      const text = reads[i]!.slots;
      if (text === null) return [`${visitor} is not in the state`];
      return Object.entries(decodeSlots(text).slots).flatMap(([name, { version, candidates }]) => {
        const seen = slots.get(name);
        if (seen?.version !== version) return [`${visitor} sees ${name} of version ${seen?.version}, it is ${version}`];
        const [winner] = candidates;
        const isEnding = winner !== undefined && winner.expiresAt !== null && winner.expiresAt < now + 1_000;
        const may = winnersOf(candidates, bundles);
        return isEnding || may.includes(seen.why.ruleId)
          ? []
          : [`${visitor} sees ${name} by ${seen.why.ruleId}, it is by ${may.join(' or ')}`];
      });
    });
    if (problems.length === 0 || performance.now() > end) return problems;
    await sleep(100);
  }
}

async function readDump(path: string): Promise<LogRecord[]> {
  const records: LogRecord[] = [];
  for await (const line of createInterface({ input: createReadStream(path, 'utf8') })) records.push(JSON.parse(line));
  return records;
}

/** I1: what was accepted is in the log where its sender was told, what was refused is not, and nothing is there more often than it was sent. */
function judgeJournal(cluster: Cluster, records: readonly LogRecord[]): string[] {
  const copies = new Map<string, string[]>();
  for (const { shard, offset, value } of records) {
    const id = idOf(value);
    if (id === null) continue;
    const places = copies.get(id);
    if (places === undefined) copies.set(id, [`${shard}:${offset}`]);
    else places.push(`${shard}:${offset}`);
  }
  return cluster.load.journal.flatMap(({ event, unknown, offset }) => {
    const places = copies.get(event.id) ?? [];
    const place = `${shardOf(event.visitor.visitorId, shards)}:${offset}`;
    if (offset !== null && !places.includes(place))
      return [`${event.id} was accepted at ${place}, it is at [${places}]`];
    if (places.length > unknown + (offset === null ? 0 : 1))
      return [
        `${event.id} is at [${places}], its sender knows of ${unknown} unknown outcomes and ${offset === null ? 'no' : 'one'} acceptance`,
      ];
    return [];
  });
}

function idOf(value: string): string | null {
  try {
    return (JSON.parse(value) as { id?: string } | null)?.id ?? null;
  } catch {
    return null;
  }
}

interface Output {
  readonly id: string;
  readonly lineage: string;
  readonly visitor: string;
  readonly version: number;
  readonly slots: readonly { readonly slot: string }[];
}

/** What other systems were told is what folding the log tells, each at least once, and a repeat says the same. */
async function judgeOutputs(cluster: Cluster, records: readonly LogRecord[], folder: string, isRebuilt: boolean) {
  const { store } = cluster;
  const problems: string[] = [];
  const figures: Record<string, number> = {};
  // Of what a rebuild tells again the numbers within a record may be others (semantics 4.7).
  const textOf = ({ id, ...output }: Output) =>
    JSON.stringify({ ...output, lineage: '', id: isRebuilt ? id.replace(/-\d+$/, '') : id });
  const expected = await foldAnew(store, records);
  for (const [topic, outputs] of expected) {
    const wanted = new Set(outputs.map(textOf));
    const dump = join(folder, topic);
    await dumpTopic(cluster.engines.broker.address, topicOf(cluster, topic), dump);
    const written = (await readDump(dump)).map(({ value }) => textOf(JSON.parse(value)));
    const told = new Set(written);
    const wrong = [...told].find((text) => !wanted.has(text));
    const missing = [...wanted].find((text) => !told.has(text));
    if (wrong !== undefined) problems.push(`${topic} tells what the fold does not: ${wrong}`);
    if (missing !== undefined) problems.push(`${topic} does not tell ${missing}`);
    figures[topic] = told.size;
    figures[`${topic}Repeated`] = written.length - told.size;
  }
  const versions = new Set(
    expected
      .get('decisions')!
      .flatMap(({ visitor, version, slots }) => slots.map(({ slot }) => `${visitor} ${slot} ${version}`)),
  );
  return { problems, figures, versions };
}

async function foldAnew(store: StateStore, records: readonly LogRecord[]): Promise<ReadonlyMap<string, Output[]>> {
  const bundles = new Bundles((hash) => store.readBundle(hash));
  const settings = { ...defaultFoldSettings, outputs: ['decisions', 'failed'] } as const;
  const outputs = new Map<string, Output[]>([
    ['decisions', []],
    ['failed', []],
  ]);
  for (let shard = 0; shard < shards; shard++) {
    const { active } = (await store.readMeta(shard))!;
    await bundles.load(active!.playbook, active!.catalog);
    const alone = new FoldShard(bundles, { shard, shards, settings });
    alone.log.push(...records.filter((record) => record.shard === shard));
    // What rules append has no topic of its own; it is in the log that is folded here.
    for (const { topic, value } of alone.fold().outbox) outputs.get(topic)?.push(JSON.parse(value) as Output);
  }
  return outputs;
}

/** Every version of a slot that a page ever saw is one that the fold made. */
function judgePages(cluster: Cluster, versions: ReadonlySet<string>): string[] {
  return cluster.subscribers.flatMap(({ visitor, seen }) =>
    seen
      .filter(({ name, version }) => version > 0 && !versions.has(`${visitor} ${name} ${version}`))
      .map(({ name, version }) => `${visitor} saw ${name} of version ${version}, which never was`),
  );
}

/** I6: nobody waits longer than the deadline. */
function judgeTimes({ load, reads }: Cluster): string[] {
  const most = appendDeadlineMs + lateMs;
  return [
    ...(load.slowestMs > most ? [`events were answered after ${Math.round(load.slowestMs)} ms`] : []),
    ...(reads.slowestMs > lateMs ? [`slots were answered after ${Math.round(reads.slowestMs)} ms`] : []),
  ];
}

function figuresOf(cluster: Cluster) {
  const { journal, slowestMs } = cluster.load;
  const sum = (of: (entry: (typeof journal)[number]) => number) => journal.reduce((all, entry) => all + of(entry), 0);
  return {
    events: journal.length,
    accepted: sum(({ offset }) => (offset === null ? 0 : 1)),
    refusals: sum(({ refused }) => refused),
    unknowns: sum(({ unknown }) => unknown),
    slowestMs: Math.round(slowestMs),
    reads: cluster.reads.answered,
    staleReads: cluster.reads.stale,
    slowestReadMs: Math.round(cluster.reads.slowestMs),
    updates: cluster.subscribers.reduce((all, { seen }) => all + seen.length, 0),
    connections: cluster.subscribers.reduce((all, { connections }) => all + connections, 0),
    handovers: cluster.handovers,
    fenced: cluster.count('another process took the shard'),
    retried: cluster.count('shard tries again'),
  };
}
