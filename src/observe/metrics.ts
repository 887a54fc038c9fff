import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { ShardCounters, ShardMeta } from '../model/shardMeta.ts';

export interface Metrics {
  readonly eventAccepted: (type: string) => void;
  readonly eventRefused: (reason: string) => void;
  /** Records of an input topic that the log has. */
  readonly inputTaken: (topic: string, events: number, rejected: number) => void;
  readonly eventToUpdate: (seconds: number) => void;
  readonly slotResolved: (source: string, seconds: number) => void;
  /** A page was answered while the state was away: with what was last known of its visitor, or with fallbacks. */
  readonly answeredWithoutState: (from: 'last_known' | 'fallback') => void;
  readonly updateDropped: (reason: string) => void;
  readonly subscriptionOpened: (transport: Transport) => void;
  readonly subscriptionClosed: (transport: Transport) => void;
  readonly requestAnswered: (lane: 'slots' | 'fast' | 'yoga', seconds: number) => void;
  /** What the worker reports of a commit. */
  committed(event: {
    readonly meta: ShardMeta;
    readonly visitors: number;
    readonly foldMs: number;
    readonly commitMs: number;
  }): void;
  /** A shard came to this process, turned out to be another's, or is tried again after an error. */
  readonly shardHeld: (what: 'owned' | 'fenced' | 'retrying') => void;
  /** Entries that a topic for other systems has taken. */
  outputsWritten(topic: string, entries: number): void;
  /** Records between a shard's snapshot and where its log begins; 0: the state can be made anew. */
  snapshotMissing(shard: number, records: number): void;
  /** Entries of a shard that wait for their topics. */
  outputsWaiting(shard: number, queue: string, entries: number): void;
  /** What became of messages, by the playbook's name for their destination. */
  readonly actions: ActionMetrics;
  /** Asked for when the metrics are read: records of each shard that wait to be folded. */
  readLag(read: () => ReadonlyMap<number, number>): void;
  /** Asked for when the metrics are read: records that wait for the log. */
  readQueue(read: () => number): void;
  /** Asked for when the metrics are read: how much is kept for the time when the state is away. */
  readLastKnown(read: () => { readonly visitors: number; readonly bytes: number }): void;
  /** Asked for when the metrics are read: imported products, and when their newest snapshot was made, ms; 0: there is none. */
  readCatalog(read: () => { readonly products: number; readonly madeAt: number }): void;
  /** Prometheus text. */
  text(): Promise<string>;
  readonly contentType: string;
}
export type Transport = 'ws' | 'sse';

export interface ActionMetrics {
  accepted(destination: string, messages: number): void;
  attempted(destination: string, outcome: string, seconds: number): void;
  unwanted(destination: string): void;
  dead(destination: string, reason: string): void;
  /** Asked for when the metrics are read. */
  readLanes(read: () => ReadonlyMap<string, { readonly waiting: number; readonly isOpen: boolean }>): void;
}

/** Seconds; from half a millisecond, because that is where an embedded Usher is, to ten seconds. */
const latencyBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const counted = [
  'folded',
  'duplicate',
  'late',
  'held',
  'beyondWindow',
  'failed',
  'timersFired',
  'rulesFired',
  'slotChanges',
  'ordered',
  'delayedOrders',
  'withheld',
] as const;

/** Of the process, not of one Usher in it: its collectors watch the runtime and cannot be ended, so there is one set. */
let processRegistry: Registry | null = null;

export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const accepted = new Counter({
    name: 'usher_events_accepted_total',
    help: 'Events that the log has.',
    labelNames: ['type'],
    registers,
  });
  const refused = new Counter({
    name: 'usher_events_refused_total',
    help: 'Events refused or of unknown outcome, by error code.',
    labelNames: ['reason'],
    registers,
  });
  const toUpdate = new Histogram({
    name: 'usher_event_to_update_seconds',
    help: 'From the arrival of an event to handing its change to a subscriber.',
    buckets: latencyBuckets,
    registers,
  });
  const resolved = new Histogram({
    name: 'usher_slot_resolve_seconds',
    help: 'Time to answer personalizedSlots, waitMs included.',
    labelNames: ['source'],
    buckets: latencyBuckets,
    registers,
  });
  const request = new Histogram({
    name: 'usher_request_seconds',
    help: 'Time to answer a GraphQL request over HTTP.',
    labelNames: ['lane'],
    buckets: latencyBuckets,
    registers,
  });
  const withoutState = new Counter({
    name: 'usher_answers_without_state_total',
    help: 'Answers of slots while the state did not answer, by where they came from.',
    labelNames: ['from'],
    registers,
  });
  const inputs = new Counter({
    name: 'usher_input_records_total',
    help: 'Records of input topics that the log has, by topic and whether they are events or were rejected.',
    labelNames: ['topic', 'outcome'],
    registers,
  });
  const dropped = new Counter({
    name: 'usher_updates_dropped_total',
    help: 'Updates that slow subscribers did not get.',
    labelNames: ['reason'],
    registers,
  });
  const subscriptions = new Gauge({
    name: 'usher_subscriptions_active',
    help: 'Open subscriptions.',
    labelNames: ['transport'],
    registers,
  });
  const foldSeconds = new Histogram({
    name: 'usher_fold_seconds',
    help: 'From taking a batch to having folded it.',
    buckets: latencyBuckets,
    registers,
  });
  const commitSeconds = new Histogram({
    name: 'usher_commit_seconds',
    help: 'Time of a commit of the state.',
    buckets: latencyBuckets,
    registers,
  });
  const fold = new Counter({
    name: 'usher_fold_total',
    help: 'What the fold did, since the process started.',
    labelNames: ['what'],
    registers,
  });
  const visitors = new Gauge({
    name: 'usher_visitors',
    help: 'Visitors in the state of the shards served here.',
    labelNames: ['shard'],
    registers,
  });
  const held = new Counter({
    name: 'usher_shard_ownership_total',
    help: 'How often a shard was taken (owned), was found to be another process’s (fenced), or was tried again after an error (retrying).',
    labelNames: ['what'],
    registers,
  });
  const outputs = new Counter({
    name: 'usher_outputs_written_total',
    help: 'Entries that topics for other systems have taken.',
    labelNames: ['topic'],
    registers,
  });
  const missing = new Gauge({
    name: 'usher_snapshot_missing_records',
    help: 'Records that left the log before the snapshot had them; above 0 a lost state cannot be made anew.',
    labelNames: ['shard'],
    registers,
  });
  const waiting = new Gauge({
    name: 'usher_outputs_waiting',
    help: 'Entries that wait for topics for other systems; above a limit their shard folds no more.',
    labelNames: ['shard', 'queue'],
    registers,
  });
  let lag = (): ReadonlyMap<number, number> => new Map();
  let queue = () => 0;
  let lastKnown = () => ({ visitors: 0, bytes: 0 });
  let catalog = () => ({ products: 0, madeAt: 0 });
  new Gauge({
    name: 'usher_log_lag',
    help: 'Records in the log that are not folded yet.',
    labelNames: ['shard'],
    registers,
    collect() {
      for (const [shard, records] of lag()) this.set({ shard }, records);
    },
  });
  new Gauge({
    name: 'usher_append_queue_records',
    help: 'Records that wait for the log or are on their way.',
    registers,
    collect() {
      this.set(queue());
    },
  });
  new Gauge({
    name: 'usher_last_known_visitors',
    help: 'Visitors whose last slots are kept for the time when the state does not answer.',
    registers,
    collect() {
      this.set(lastKnown().visitors);
    },
  });
  new Gauge({
    name: 'usher_last_known_bytes',
    help: 'Memory that these slots take, about.',
    registers,
    collect() {
      this.set(lastKnown().bytes);
    },
  });
  new Gauge({
    name: 'usher_catalog_products',
    help: 'Products that were imported.',
    registers,
    collect() {
      this.set(catalog().products);
    },
  });
  new Gauge({
    name: 'usher_catalog_snapshot_age_seconds',
    help: 'Since the newest snapshot of the imported products was made, which rules see; 0: there is none.',
    registers,
    collect() {
      const { madeAt } = catalog();
      this.set(madeAt === 0 ? 0 : Math.max(0, Date.now() - madeAt) / 1000);
    },
  });
  const seen = new Map<number, ShardCounters>();

  return {
    eventAccepted: countBy(accepted, 'type'),
    eventRefused: countBy(refused, 'reason'),
    inputTaken(topic, events, rejected) {
      inputs.inc({ topic, outcome: 'event' }, events);
      inputs.inc({ topic, outcome: 'rejected' }, rejected);
    },
    eventToUpdate: (seconds) => toUpdate.observe(seconds),
    slotResolved: (source, seconds) => resolved.observe({ source }, seconds),
    answeredWithoutState: countBy(withoutState, 'from'),
    updateDropped: countBy(dropped, 'reason'),
    subscriptionOpened: (transport) => subscriptions.inc({ transport }),
    subscriptionClosed: (transport) => subscriptions.dec({ transport }),
    requestAnswered: (lane, seconds) => request.observe({ lane }, seconds),
    committed({ meta, foldMs, commitMs }) {
      foldSeconds.observe(foldMs / 1000);
      commitSeconds.observe(commitMs / 1000);
      visitors.set({ shard: meta.shard }, meta.counters.visitors);
      const before = seen.get(meta.shard);
      seen.set(meta.shard, meta.counters);
      // The shard's counters live as long as its state; a Prometheus counter begins with the process.
      if (before === undefined) return;
      for (const what of counted) fold.inc({ what }, Math.max(0, meta.counters[what] - before[what]));
    },
    shardHeld: countBy(held, 'what'),
    outputsWritten: (topic, entries) => outputs.inc({ topic }, entries),
    snapshotMissing: (shard, records) => missing.set({ shard }, records),
    actions: actionMetrics(registers),
    outputsWaiting: (shard, queue, entries) => waiting.set({ shard, queue }, entries),
    readLag(read) {
      lag = read;
    },
    readQueue(read) {
      queue = read;
    },
    readLastKnown(read) {
      lastKnown = read;
    },
    readCatalog(read) {
      catalog = read;
    },
    async text() {
      processRegistry ??= openProcessRegistry();
      return `${await registry.metrics()}\n${await processRegistry.metrics()}`;
    },
    contentType: registry.contentType,
  };
}

function actionMetrics(registers: Registry[]): ActionMetrics {
  const messages = new Counter({
    name: 'usher_messages_total',
    help: 'Messages taken (accepted), looked at again and not sent (unwanted), or given up (dead).',
    labelNames: ['destination', 'what'],
    registers,
  });
  const letters = new Counter({
    name: 'usher_dead_letters_total',
    help: 'Messages given up, by reason; they can be driven again.',
    labelNames: ['destination', 'reason'],
    registers,
  });
  const attempts = new Histogram({
    name: 'usher_delivery_seconds',
    help: 'Attempts to deliver a message, by outcome.',
    labelNames: ['destination', 'outcome'],
    buckets: latencyBuckets,
    registers,
  });
  let lanes = (): ReadonlyMap<string, { readonly waiting: number; readonly isOpen: boolean }> => new Map();
  new Gauge({
    name: 'usher_messages_waiting',
    help: 'Messages of the shards served here that wait for their destination or are under way.',
    labelNames: ['destination'],
    registers,
    collect() {
      for (const [destination, { waiting }] of lanes()) this.set({ destination }, waiting);
    },
  });
  new Gauge({
    name: 'usher_destination_down',
    help: '1 while a destination fails and only one message now and then is tried.',
    labelNames: ['destination'],
    registers,
    collect() {
      for (const [destination, { isOpen }] of lanes()) this.set({ destination }, isOpen ? 1 : 0);
    },
  });
  return {
    accepted: (destination, count) => messages.inc({ destination, what: 'accepted' }, count),
    attempted: (destination, outcome, seconds) => attempts.observe({ destination, outcome }, seconds),
    unwanted: (destination) => messages.inc({ destination, what: 'unwanted' }),
    dead(destination, reason) {
      messages.inc({ destination, what: 'dead' });
      letters.inc({ destination, reason });
    },
    readLanes(read) {
      lanes = read;
    },
  };
}

function openProcessRegistry(): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  return registry;
}

/** Looks a label's child up once: an event then costs a map entry, not the hashing of labels. */
function countBy<L extends string>(counter: Counter<L>, label: L): (value: string) => void {
  const children = new Map<string, { inc(): void }>();
  return (value) => {
    let child = children.get(value);
    if (child === undefined) {
      child = counter.labels({ [label]: value } as Record<L, string>);
      children.set(value, child);
    }
    child.inc();
  };
}
