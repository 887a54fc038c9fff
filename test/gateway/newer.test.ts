import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config.ts';
import { UsherError } from '../../src/errors.ts';
import { AppendQueue } from '../../src/gateway/appendQueue.ts';
import { RequestContext } from '../../src/gateway/context.ts';
import { limits } from '../../src/gateway/limits.ts';
import { NewestProducts } from '../../src/gateway/newestProducts.ts';
import type { Services } from '../../src/gateway/services.ts';
import { SlotReader } from '../../src/gateway/slotReader.ts';
import { SlotReads } from '../../src/gateway/slotReads.ts';
import { activities, contentUpdates } from '../../src/gateway/updates.ts';
import { sqliteLog } from '../../src/log/sqliteLog.ts';
import { encodeSlots } from '../../src/model/codec.ts';
import type { Activity, CommitMessage } from '../../src/model/commit.ts';
import { shardOf } from '../../src/model/shard.ts';
import type { ShardMeta } from '../../src/model/shardMeta.ts';
import type { Candidate, Visitor } from '../../src/model/visitor.ts';
import { createMetrics } from '../../src/observe/metrics.ts';
import { Bundles } from '../../src/playbook/bundles.ts';
import type { Playbook } from '../../src/playbook/playbook.ts';
import { Hub } from '../../src/push/hub.ts';
import { localBroadcast } from '../../src/push/localBroadcast.ts';
import { openSqlite, type SqliteFile } from '../../src/sqlite/sqlite.ts';
import { sqliteStore } from '../../src/state/sqliteStore.ts';
import type { StateStore } from '../../src/state/stateStore.ts';
import { commitAfter } from '../contract/commits.ts';
import { temporaryFolder } from '../contract/sqliteSubjects.ts';
import { playbookOf } from '../support/playbooks.ts';

/** Updates over a real store and hub, with a broadcast whose messages come when the test says so. */
const visitor = 'u:1';
const shards = 4;
const shard = shardOf(visitor, shards);
let file: SqliteFile;
let remove: () => Promise<void>;
let store: StateStore;
let hub: Hub;
let meta: ShardMeta;
let playbook: Playbook;
let context: RequestContext;
let clock: () => number;
const late: CommitMessage[] = [];
const broadcast = localBroadcast();

beforeEach(async () => {
  late.length = 0;
  clock = Date.now;
  playbook = playbookOf(`events: { pinged: { name: Pinged, says: pinged } }
content: { plain: { type: text, title: Plain }, shown: { type: text, title: Shown } }
slots: { a: { accepts: text, fallback: plain }, b: { accepts: text, fallback: plain } }
rules: { r: { name: R, when: pinged, then: [{ show: { slot: a, content: shown } }] } }`);
  const temporary = await temporaryFolder();
  remove = temporary.remove;
  file = await openSqlite({
    folder: temporary.folder,
    shards,
    appendDeadlineMs: 5_000,
    retention: { ageMs: 1e12, bytes: 1e12 },
  });
  store = sqliteStore(file, { ...broadcast, publish: (message) => void late.push(message) });
  const log = sqliteLog(file);
  meta = await store.own(shard, 'owner', shards);
  hub = new Hub({ broadcast, store, shards, recheckMs: 1e9 });
  await hub.start();
  const { config } = loadConfig({});
  const shared = {
    config,
    log,
    hub,
    store,
    playbook: () => playbook,
    queue: new AppendQueue(log, 5_000),
    metrics: createMetrics(),
    now: () => clock(),
  };
  const bundles = new Bundles(() => Promise.resolve(null));
  const products = new NewestProducts(store, () => null);
  const services = {
    ...shared,
    bundles,
    products,
    slots: new SlotReader({ ...shared, bundles, products }),
    reads: new SlotReads(store, shards),
    closing: () => () => {},
  } as unknown as Services;
  context = new RequestContext({ services, identity: null, headers: {}, receivedAt: 0, transport: 'sse' });
});
afterEach(async () => {
  await hub.stop();
  await file.close();
  await remove();
});

/** Commits the visitor at this version, at which slot `a` changed; its message waits in `late`. */
async function commit(version: number, more: Partial<Activity> = {}, expiresAt: number | null = null): Promise<void> {
  const candidate: Candidate = {
    rule: 'r',
    entry: 0,
    content: 'shown',
    priority: version,
    playbook: playbook.version,
    cause: { offset: version, eventId: `e${version}`, eventType: 'pinged', at: version, says: 'pinged' },
    facts: [],
    expiresAt,
  };
  const state = {
    id: visitor,
    born: 0,
    historic: false,
    now: 0,
    lastAppend: meta.appendTime,
    version,
    sources: [],
    alias: null,
    slots: { a: { version, candidates: [candidate] } },
  };
  const slots = encodeSlots(state as unknown as Visitor);
  const made = commitAfter(meta, { visitors: [{ visitor, profile: '[]', slots, wakeAt: null, historicDue: null }] });
  const line: Activity = {
    visitor,
    offset: version,
    what: 'folded',
    eventId: `e${version}`,
    type: 'pinged',
    at: version,
    appendTime: 0,
    receivedAt: 0,
    rules: ['r'],
    slots: ['a'],
    segments: [],
    detail: null,
    properties: null,
    ...more,
  };
  await store.commit({ ...made, message: { ...made.message, activity: [line] } });
  meta = made.meta;
}
const deliver = () => broadcast.publish(late.shift()!);
const open = () => contentUpdates(context, visitor, [...playbook.slots.values()], null, context.viewer(null));
const causes = (updates: readonly IteratorResult<{ cause: { eventId: string | null } | null }>[]) =>
  updates.map(({ value }) => value?.cause?.eventId ?? null);

describe('a subscriber', () => {
  it('is not told again what its snapshot had already, whenever the messages come', async () => {
    await commit(1);
    await commit(2);
    const feed = open();
    // Read at version 2; the messages of 1 and 2 come after that.
    expect((await feed.next()).value).toMatchObject({ kind: 'SNAPSHOT' });
    deliver();
    const next = feed.next();
    await new Promise((resolve) => setImmediate(resolve));
    deliver();
    await commit(3);
    deliver();
    expect(causes([await next])).toEqual(['e3']);
    await feed.return?.();
  });

  it('gets the newest state when it reads slowly, not every one', async () => {
    const feed = open();
    await feed.next();
    for (const version of [1, 2, 3]) {
      await commit(version);
      deliver();
    }
    const update = await feed.next();
    expect(update.value).toMatchObject({ kind: 'CHANGE', slots: [{ name: 'a', version: 3 }] });
    expect(causes([update])).toEqual(['e3']);
    expect(await context.services.metrics.text()).toContain('usher_updates_dropped_total{reason="newer_state"} 2');
    await feed.return?.();
  });

  it('ends at once when it is closed while it waits', async () => {
    const feed = open();
    await feed.next();
    const waiting = feed.next();
    // Let it find that there is nothing, and wait.
    await new Promise((resolve) => setImmediate(resolve));
    await feed.return?.();
    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(hub.connectedVisitors).toBe(0);
  });
});

describe('a visitor without an event for longer than the retention', () => {
  it('is shown fallbacks, as one that nobody knows', async () => {
    const read = async () => {
      const query = { loader: context.loader, names: ['a'], viewer: context.viewer(null), after: null, waitMs: 1_000 };
      context.loader.clear(visitor);
      const [answer] = await context.services.slots.readOf(visitor, query);
      return 'source' in answer! ? [answer.source, answer.version] : answer;
    };
    await commit(1);
    const wait = async (ms: number) => {
      const made = commitAfter(meta, { meta: { appendTime: meta.appendTime + ms } });
      await store.commit(made);
      meta = made.meta;
    };
    const retentionMs = loadConfig({}).config.visitorRetentionDays * 86_400_000;
    await wait(retentionMs - 10);
    expect(await read()).toEqual(['RULE', 1]);
    await wait(10);
    expect(await read()).toEqual(['FALLBACK', 0]);
  });
});

describe('what was last known, while the state is away', () => {
  const away = () => Promise.reject(new UsherError('STATE_UNAVAILABLE', 'away'));
  async function read(of = visitor) {
    context.loader.clear(of);
    const query = { loader: context.loader, names: ['a'], viewer: context.viewer(null), after: null, waitMs: 0 };
    const [answer] = await context.services.slots.readOf(of, query);
    return 'source' in answer! ? [answer.source, answer.version, answer.stale] : answer;
  }
  const cursorNow = async () => (await store.readMeta(shard))!.position;

  it('is shown to that visitor alone, and not past its end', async () => {
    const expiresAt = Date.now() + 1_000;
    await commit(1, {}, expiresAt);
    deliver();
    expect(await read()).toEqual(['RULE', 1, false]);
    Object.assign(store, { readSlots: away });
    expect(await read()).toEqual(['RULE', 1, true]);
    expect(await read('u:2')).toEqual(['FALLBACK', 0, true]);
    clock = () => expiresAt - 1;
    expect(await read()).toEqual(['RULE', 1, true]);
    clock = () => expiresAt;
    expect(await read()).toEqual(['FALLBACK', 1, true]);
  });

  it('has a cursor of its own place, so that waiting for it does not skip what came since', async () => {
    await commit(1);
    deliver();
    await read();
    const position = await cursorNow();
    const made = commitAfter(meta, {});
    await store.commit(made);
    meta = made.meta;
    broadcast.publish(late.shift()!);
    expect(hub.view(shard)!.position).toBeGreaterThan(position);
    Object.assign(store, { readSlots: away });
    const state = context.services.slots.stateWithout(visitor);
    expect(state.shard.position).toBe(position);
  });

  it('is not shown any more when the shard was made anew', async () => {
    await commit(1);
    deliver();
    expect(await read()).toEqual(['RULE', 1, false]);
    Object.assign(store, { readSlots: away });
    const made = commitAfter(meta, {});
    broadcast.publish({ ...made.message, lineage: 'made anew' });
    expect(await read()).toEqual(['FALLBACK', 0, true]);
  });
});

describe('a watcher that reads slowly', () => {
  it('loses the oldest lines, counted, and nothing grows without bound', async () => {
    const feed = activities(context, visitor);
    const extra = 5;
    await commit(1);
    const [message] = late.splice(0);
    for (let n = 0; n < limits.queuedActivities + extra; n++) {
      broadcast.publish({ ...message!, activity: [{ ...message!.activity[0]!, offset: n, slots: [] }] });
    }
    expect((await feed.next()).value).toMatchObject({ position: `${shard}:${extra}` });
    expect(await context.services.metrics.text()).toContain(
      `usher_updates_dropped_total{reason="slow_reader"} ${extra}`,
    );
    await feed.return?.();
  });
});
