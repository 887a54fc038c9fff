import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Snapshots } from '../../src/log/snapshots.ts';
import { canonicalVisitor, decodeVisitor } from '../../src/model/codec.ts';
import type { LogRecord } from '../../src/model/record.ts';
import { shardOf } from '../../src/model/shard.ts';
import { markerKey } from '../../src/model/snapshot.ts';
import type { StateStore } from '../../src/state/stateStore.ts';
import { thisMachine } from '../../src/worker/machine.ts';
import { rebuildShard } from '../../src/worker/rebuild.ts';
import { until } from '../contract/contract.ts';
import { asAdmin, type OwnBroker, ownBroker, whyNoKafka } from '../support/kafkaBroker.ts';
import { hasRedisServer, type RedisServer, startRedis } from '../support/redisServer.ts';
import { type Cluster, openCluster, shards, shopping, type TestWorker } from './cluster.ts';

const reason = (await whyNoKafka()) ?? (hasRedisServer ? null : 'redis-server is not installed');
const seconds = 1_000;
const limits = { snapshotReachEveryMs: 100, snapshotEveryMs: 50, snapshotVisitors: 5, commitVisitors: 4 };
const all = [...Array(shards).keys()];

describe.skipIf(reason !== null)(reason === null ? 'a state that is lost' : `skipped: ${reason}`, () => {
  let broker: OwnBroker;
  let server: RedisServer;
  beforeAll(async () => {
    [broker, server] = await Promise.all([ownBroker(), startRedis()]);
  }, 120 * seconds);
  afterAll(async () => {
    await server?.close();
    await broker?.close();
  });

  it(
    'is made anew from the snapshot and the tail of a log that begins later',
    async () => {
      await using cluster = await openCluster(server, broker.address);
      const gate = { isShut: false };
      const worker = await cluster.startWorker({ limits, snapshots: shutBy(gate) });
      await cluster.append(shopping(31, 200));
      await untilMarked(cluster);
      expect(of(worker, 'snapshotReach').every(({ missing }) => missing === 0)).toBe(true);
      gate.isShut = true;
      // Not in the snapshot: some of whom it has, and some that it never saw.
      await cluster.append(shopping(32, 60));
      await untilFolded(cluster);
      const before = await metasOf(cluster);
      const records = await logOf(cluster);
      await trim(cluster, broker.address);
      await loseState(cluster, server);
      gate.isShut = false;
      await untilWhole(cluster);
      await expectAsFolded(cluster, records);
      const after = await metasOf(cluster);
      for (const shard of all) {
        expect(after[shard]!.lineage).not.toBe(before[shard]!.lineage);
        expect(after[shard]!.counters.folded).toBe(before[shard]!.counters.folded);
      }
      expect(
        of(worker, 'rebuilding')
          .map(({ shard }) => shard)
          .sort(),
      ).toEqual(all);
      // It goes on as if nothing had been.
      await cluster.append(shopping(33, 60));
      await untilFolded(cluster);
      await expectAsFolded(cluster, records);
    },
    90 * seconds,
  );

  it(
    'holds visitors that the snapshot has from later than its marker, each record once',
    async () => {
      await using cluster = await openCluster(server, broker.address);
      // The markers of the second half never come; the visitors do.
      let isMarking = true;
      const unmarked = (snapshots: Snapshots): Snapshots => ({
        write: (shard, from, entries) => {
          if (!isMarking && entries[0]!.key === markerKey(shard)) throw new Error('planted: no marker');
          return snapshots.write(shard, from, entries);
        },
        read: (shard) => snapshots.read(shard),
        close: () => snapshots.close(),
      });
      const worker = await cluster.startWorker({ limits, snapshots: unmarked });
      await cluster.append(shopping(34, 150));
      await untilMarked(cluster);
      isMarking = false;
      await cluster.append(shopping(35, 150));
      await untilFolded(cluster);
      await until('newer visitors are written', async () => {
        const left = await Promise.all(all.map((shard) => cluster.store.snapshots!.readChanged(shard, 100)));
        return left.every(({ visitors }) => visitors.length === 0);
      });
      const records = await logOf(cluster);
      await worker.stop();
      isMarking = true;
      await loseState(cluster, server);
      await cluster.startWorker({ limits, snapshots: true });
      await untilWhole(cluster);
      await expectAsFolded(cluster, records);
    },
    90 * seconds,
  );

  it(
    'holds a visitor that changed again between the moment that a marker names and the look at who changed',
    async () => {
      await using cluster = await openCluster(server, broker.address);
      const visitor = 'shopper 1';
      const shard = shardOf(visitor, shards);
      const clicks = (from: number, count: number) =>
        cluster.append(
          Array.from({ length: count }, (_, n) => {
            const properties = { productId: 'p1' };
            const event = { v: 1, kind: 'event', id: `c${from + n}`, visitor, type: 'product_clicked', properties };
            return { shard, key: visitor, value: JSON.stringify(event) };
          }),
        );
      const gate = { isShut: true };
      // The first marker that promises something is the last one.
      const once = (snapshots: Snapshots): Snapshots => ({
        ...shutBy(gate)(snapshots),
        write: async (of, from, entries) => {
          const written = await shutBy(gate)(snapshots).write(of, from, entries);
          const isPromise = entries[0]!.key === markerKey(shard) && JSON.parse(entries[0]!.value).upTo > 1;
          if (isPromise) gate.isShut = true;
          return written;
        },
      });
      let looks = 0;
      const races = (store: StateStore) => {
        const snapshots = store.snapshots!;
        return proxied(store, 'snapshots', {
          readChanged: async (of: number, limit: number) => {
            if (of === shard && looks++ === 0) {
              await clicks(20, 1);
              await untilFolded(cluster);
            }
            return snapshots.readChanged(of, limit);
          },
          noteSnapshot: snapshots.noteSnapshot.bind(snapshots),
          readMarker: snapshots.readMarker.bind(snapshots),
        });
      };
      await cluster.startWorker({ limits, snapshots: once, store: races });
      await clicks(0, 20);
      await untilFolded(cluster);
      gate.isShut = false;
      await until('a marker is written', () => gate.isShut);
      const records = await logOf(cluster);
      await loseState(cluster, server);
      await untilWhole(cluster);
      await expectAsFolded(cluster, records);
    },
    90 * seconds,
  );

  it(
    'is folded from the beginning when there is no snapshot, and not at all when the log begins later',
    async () => {
      await using cluster = await openCluster(server, broker.address);
      const worker = await cluster.startWorker({ limits });
      await cluster.append(shopping(36, 100));
      await untilFolded(cluster);
      const records = await logOf(cluster);
      await loseState(cluster, server);
      await untilWhole(cluster);
      await expectAsFolded(cluster, records);
      await trim(cluster, broker.address);
      await loseState(cluster, server);
      await until('every shard stands still', () => of(worker, 'stopped').length === shards);
      expect(of(worker, 'stopped').map(({ error }) => error.code)).toEqual(all.map(() => 'LOG_NO_LONGER_REACHES'));
    },
    90 * seconds,
  );

  it(
    'is made anew on command, read by nobody meanwhile, and again from the start after a crash in the middle',
    async () => {
      await using cluster = await openCluster(server, broker.address);
      let commits = 0;
      const gate = { crashes: false };
      const dies = (store: StateStore) =>
        proxied(store, 'commit', (commit: Parameters<StateStore['commit']>[0]) => {
          if (gate.crashes && commit.meta.rebuilding && ++commits > 1)
            return Promise.reject(new Error('planted: it dies'));
          return store.commit(commit);
        });
      const first = await cluster.startWorker({ limits, snapshots: true, store: dies });
      await cluster.append(shopping(37, 200));
      await untilMarked(cluster);
      const records = await logOf(cluster);
      gate.crashes = true;
      const services = { log: cluster.log, store: cluster.store, machine: thisMachine };
      for (const shard of all) await rebuildShard(shard, services);
      const visitor = records.find(({ key }) => key !== null)!;
      const slots = { shard: visitor.shard, visitor: visitor.key! };
      await expect(cluster.store.readSlots([slots])).rejects.toMatchObject({ code: 'STATE_UNAVAILABLE' });
      await until('it died in the middle', () => commits > 1);
      await first.stop();
      await expect(cluster.store.readSlots([slots])).rejects.toMatchObject({ code: 'STATE_UNAVAILABLE' });
      await cluster.startWorker({ limits, snapshots: true });
      await untilWhole(cluster);
      await expectAsFolded(cluster, records);
      expect((await cluster.store.readSlots([slots]))[0]!.slots).not.toBeNull();
    },
    90 * seconds,
  );

  it(
    'is told to readers by another lineage when it only went back in time, and its snapshot stays true',
    async () => {
      await using cluster = await openCluster(server, broker.address);
      const worker = await cluster.startWorker({ limits, snapshots: true });
      await cluster.append(shopping(38, 120));
      await untilMarked(cluster);
      const saved = await save(server);
      await cluster.append(shopping(39, 120));
      await untilMarked(cluster);
      const before = await metasOf(cluster);
      await restore(server, saved);
      await until('the state has caught up', async () => {
        const now = await metasOf(cluster);
        return all.every(
          (shard) => now[shard]!.position >= before[shard]!.position && now[shard]!.lineage !== before[shard]!.lineage,
        );
      });
      expect(of(worker, 'rolledBack').length).toBeGreaterThan(0);
      const records = await logOf(cluster);
      await untilMarked(cluster);
      await loseState(cluster, server);
      await untilWhole(cluster);
      await expectAsFolded(cluster, records);
    },
    90 * seconds,
  );

  it(
    'has a snapshot whose late overwriting by a former owner is mended',
    async () => {
      await using cluster = await openCluster(server, broker.address);
      let part: Snapshots | null = null;
      const keep = (snapshots: Snapshots) => {
        part = snapshots;
        return snapshots;
      };
      await cluster.startWorker({ limits, snapshots: keep });
      await cluster.append(shopping(40, 100));
      await untilMarked(cluster);
      const ofFirst = (await visitorsIn(cluster)).get('shopper 1')!;
      await cluster.append(shopping(41, 100));
      await untilMarked(cluster);
      const newest = (await visitorsIn(cluster)).get('shopper 1')!;
      expect(newest).not.toBe(ofFirst);
      const { shard } = JSON.parse(ofFirst);
      await part!.write(shard, 0, [{ key: 'shopper 1', value: ofFirst }]);
      // What comes next shows that others have written.
      await cluster.append(shopping(42, 40));
      await untilMarked(cluster);
      const stored = await cluster.store.readProfile(shard, 'shopper 1');
      await until('the newest is on top again', async () => {
        const { profile, slots } = JSON.parse((await visitorsIn(cluster)).get('shopper 1')!);
        return profile === stored!.profile && slots === stored!.slots;
      });
    },
    90 * seconds,
  );

  it(
    'has a snapshot as its schema says, and these tests miss a visitor that it lacks',
    async () => {
      await using cluster = await openCluster(server, broker.address);
      let lost: string | null = null;
      const loses = (snapshots: Snapshots): Snapshots => ({
        write: (shard, from, entries) => {
          lost ??= entries.find(({ key }) => key.startsWith('shopper'))?.key ?? null;
          return snapshots.write(
            shard,
            from,
            entries.filter(({ key }) => key !== lost),
          );
        },
        read: (shard) => snapshots.read(shard),
        close: () => snapshots.close(),
      });
      await cluster.startWorker({ limits, snapshots: loses });
      await cluster.append(shopping(43, 100));
      await untilMarked(cluster);
      const path = new URL('../../schema/outputs/profiles.v1.json', import.meta.url);
      const check = new Ajv2020({ strict: true, strictRequired: false, allErrors: true }).compile(
        JSON.parse(readFileSync(path, 'utf8')),
      );
      for (const { key, value, partition } of await cluster.read('profiles')) {
        expect([check(JSON.parse(value)), check.errors, value]).toEqual([true, null, value]);
        expect([partition, key]).toEqual([JSON.parse(value).shard, key]);
      }
      const records = await logOf(cluster);
      await trim(cluster, broker.address);
      await loseState(cluster, server);
      await untilWhole(cluster);
      await expect(expectAsFolded(cluster, records)).rejects.toThrow(/expected/);
    },
    90 * seconds,
  );

  it(
    'is told to be out of reach before it is lost, when the log is trimmed past the snapshot',
    async () => {
      await using cluster = await openCluster(server, broker.address);
      const gate = { isShut: false };
      const worker = await cluster.startWorker({ limits, snapshots: shutBy(gate) });
      await cluster.append(shopping(44, 60));
      await untilMarked(cluster);
      gate.isShut = true;
      await cluster.append(shopping(45, 60));
      await untilFolded(cluster);
      const topic = `${cluster.namespace}.g1.events`;
      const ends = await Promise.all(all.map((shard) => cluster.log.bounds(shard)));
      const partitions = all.map((partition) => ({ partition, offset: String(ends[partition]!.end) }));
      await asAdmin(broker.address, async (admin) => {
        await admin.fetchTopicOffsets(topic);
        await admin.deleteTopicRecords({ topic, partitions });
      });
      await until('it is told', () => of(worker, 'snapshotReach').some(({ missing }) => missing > 0));
    },
    90 * seconds,
  );
});

type Events = TestWorker['events'][number];
const of = <What extends Events['what']>(worker: TestWorker, what: What) =>
  worker.events.filter((event) => event.what === what) as Extract<Events, { what: What }>[];

const shutBy =
  (gate: { readonly isShut: boolean }) =>
  (snapshots: Snapshots): Snapshots => ({
    write: (shard, from, entries) => {
      if (gate.isShut) return Promise.reject(new Error('planted: the topic takes nothing'));
      return snapshots.write(shard, from, entries);
    },
    read: (shard) => snapshots.read(shard),
    close: () => snapshots.close(),
  });

function proxied<Name extends keyof StateStore>(store: StateStore, name: Name, instead: unknown): StateStore {
  return new Proxy(store, {
    get: (target, asked) => {
      if (asked === name) return instead;
      const value = target[asked as keyof StateStore];
      return typeof value === 'function' ? (value as (...args: never[]) => unknown).bind(target) : value;
    },
  });
}

async function metasOf(cluster: Cluster) {
  return Promise.all(all.map(async (shard) => (await cluster.store.readMeta(shard))!));
}

async function logOf(cluster: Cluster): Promise<LogRecord[]> {
  return (await Promise.all(all.map((shard) => cluster.records(shard)))).flat();
}

/** All is folded, and no timer will append more soon. */
async function untilFolded(cluster: Cluster): Promise<void> {
  await until('all is folded', async () => {
    for (const shard of all) {
      const meta = await cluster.store.readMeta(shard);
      const wakeAt = await cluster.store.nextWakeup(shard);
      if (meta === null || meta.rebuilding || meta.position !== (await cluster.log.bounds(shard)).end) return false;
      if (wakeAt !== null && wakeAt <= Date.now() + 1_000) return false;
    }
    return true;
  });
}

async function untilWhole(cluster: Cluster): Promise<void> {
  await untilFolded(cluster);
}

async function untilMarked(cluster: Cluster): Promise<void> {
  await untilFolded(cluster);
  await until('the snapshot is complete', async () => {
    const metas = await metasOf(cluster);
    const markers = await Promise.all(all.map((shard) => cluster.store.snapshots!.readMarker(shard)));
    return metas.every(({ position }, shard) => JSON.parse(markers[shard] ?? 'null')?.marker.upTo === position);
  });
}

/** All but the bundles, which other hands keep. */
async function loseState(cluster: Cluster, server: RedisServer): Promise<void> {
  const keys = await server.admin.keys('*{*');
  await server.admin.del(...keys);
  void cluster;
}

/** The log begins where the newest markers are. */
async function trim(cluster: Cluster, address: string): Promise<void> {
  const partitions = await Promise.all(
    all.map(async (partition) => {
      const marker = JSON.parse((await cluster.store.snapshots!.readMarker(partition)) ?? 'null');
      return { partition, offset: String(marker?.marker.upTo ?? 1) };
    }),
  );
  const topic = `${cluster.namespace}.g1.events`;
  await asAdmin(address, async (admin) => {
    // kafkajs knows a topic only after it was asked for something of it.
    await admin.fetchTopicOffsets(topic);
    await admin.deleteTopicRecords({ topic, partitions });
  });
  await until('the log is trimmed', async () => {
    const lows = await Promise.all(all.map(async (shard) => (await cluster.log.bounds(shard)).low));
    return lows.every((low, shard) => String(low) === partitions[shard]!.offset);
  });
}

/** The state is what folding these records gives, and those that came since (a tick, when a held event was due), visitor by visitor. */
async function expectAsFolded(cluster: Cluster, kept: readonly LogRecord[]): Promise<void> {
  await untilFolded(cluster);
  const last = new Map(kept.map(({ shard, offset }) => [shard, offset]));
  const later = (await logOf(cluster)).filter(({ shard, offset }) => offset > (last.get(shard) ?? -1));
  const records = [...kept, ...later];
  for (const alone of cluster.fold(records)) {
    const { shard, position, appendTime, active } = alone.meta;
    expect(await cluster.store.readMeta(shard)).toMatchObject({ position, appendTime, active, rebuilding: false });
    const expected = Object.fromEntries(
      [...alone.stored.keys()].map((id) => [id, canonicalVisitor(alone.visitor(id)!)]),
    );
    const names = await cluster.store.listVisitors(shard, null, 1_000);
    const { profiles } = await cluster.store.load(shard, names);
    const came = Object.fromEntries(
      names.map((id, i) => [id, canonicalVisitor(decodeVisitor(profiles[i]!.profile, profiles[i]!.slots))]),
    );
    expect(came).toEqual(expected);
    const timers = { by: 'wall', upTo: Number.MAX_SAFE_INTEGER, after: null, limit: 1_000 } as const;
    const wakeups = [...alone.stored]
      .filter(([, { wakeAt }]) => wakeAt !== null)
      .map(([visitor, { wakeAt }]) => [visitor, wakeAt]);
    const stood = (await cluster.store.wakeups(shard, timers)).map(({ visitor, at }) => [visitor, at]);
    expect(stood.sort()).toEqual(wakeups.sort());
  }
}

async function visitorsIn(cluster: Cluster): Promise<ReadonlyMap<string, string>> {
  return new Map((await cluster.read('profiles')).map(({ key, value }) => [key, value]));
}

type Saved = readonly (readonly [key: string, dump: Buffer])[];

async function save({ admin }: RedisServer): Promise<Saved> {
  const keys = await admin.keys('*');
  return Promise.all(keys.map(async (key) => [key, (await admin.dumpBuffer(key))!] as const));
}

/** As after a failover to a replica that was behind, or a copy from yesterday. */
async function restore({ admin }: RedisServer, saved: Saved): Promise<void> {
  const all = admin.multi().flushall();
  for (const [key, dump] of saved) all.restore(key, 0, dump);
  await all.exec();
}
