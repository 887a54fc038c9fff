import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { defaultFoldSettings } from '../../src/fold/settings.ts';
import type { AppendEntry } from '../../src/log/eventLog.ts';
import { sqliteLog } from '../../src/log/sqliteLog.ts';
import { canonicalJson } from '../../src/model/json.ts';
import type { LogRecord } from '../../src/model/record.ts';
import { shardOf } from '../../src/model/shard.ts';
import { noCounts } from '../../src/model/shardMeta.ts';
import { Bundles } from '../../src/playbook/bundles.ts';
import { compilePlaybook } from '../../src/playbook/compile.ts';
import { readPlaybook } from '../../src/playbook/read.ts';
import { localBroadcast } from '../../src/push/localBroadcast.ts';
import { openSqlite, type SqliteFile } from '../../src/sqlite/sqlite.ts';
import { sqliteStore } from '../../src/state/sqliteStore.ts';
import type { StateStore } from '../../src/state/stateStore.ts';
import { activate } from '../../src/worker/activate.ts';
import { thisMachine } from '../../src/worker/machine.ts';
import { workerLimits } from '../../src/worker/shard.ts';
import { Worker } from '../../src/worker/worker.ts';
import { type CanonicalOptions, canonicalState } from '../support/canonical.ts';
import { type Comparison, compareWithOracle, foldOracle, type PlainBundles, plainBundle } from '../support/oracle.ts';
import { shopHistory } from '../support/shopHistory.ts';
import { dumpFolder, dumpRecords } from '../support/topicDump.ts';

/**
 * The demo store's playbook, with a file of rules that decide by time and append events, and one that it might become: rules paused,
 * moved up and down, with other words.
 */
async function demoStores(): Promise<readonly { readonly playbookText: string; readonly catalogText: string }[]> {
  const { playbookText: alone, catalogText } = await readPlaybook('playbooks/demo-store');
  const { files } = JSON.parse(alone) as { readonly files: Readonly<Record<string, string>> };
  const deciding = await readFile('test/vectors/playbooks/shopDeciding.yaml', 'utf8');
  const playbookText = canonicalJson({ files: { ...files, 'deciding.yaml': deciding } });
  const changed = playbookText
    .replace('priority: 20', 'priority: 95')
    .replace('while: cart.value > 100', 'while: cart.value > 150')
    .replace('name: Help with a search', 'status: paused')
    .replace('for: 2h', 'for: 30m')
    .replace('over: 6h', 'over: 12h')
    .replace('traits.w_interest > 2', 'traits.w_interest > 3')
    .replace('times: 2, same: product.category, as: seen', 'as: seen');
  for (const text of [playbookText, changed]) {
    const { playbook, problems } = compilePlaybook(text);
    if (playbook === null) throw new Error(problems.map(({ file, message }) => `${file}: ${message}`).join('\n'));
  }
  return [
    { playbookText, catalogText },
    { playbookText: changed, catalogText },
  ];
}

describe('a log of the demo store, folded by the embedded Usher', () => {
  const shards = 4;
  let folder: string;
  let file: SqliteFile;
  let store: StateStore;
  let dump: string;
  /** What was compared while the history went on: slots come and go. */
  const compared: Comparison[] = [];
  let hashes: readonly string[];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'usher-oracle-test-'));
    dump = join(folder, 'log.jsonl');
    // So that the end of the demo store's spring campaign comes when nobody is remembered.
    let now = Date.UTC(2030, 2, 1);
    file = await openSqlite({
      folder,
      shards,
      appendDeadlineMs: 5_000,
      retention: { ageMs: 1e12, bytes: 1e12 },
      now: () => now,
    });
    store = sqliteStore(file, localBroadcast());
    const log = sqliteLog(file);
    const worker = new Worker({
      log,
      store,
      bundles: new Bundles((hash) => store.readBundle(hash)),
      fold: defaultFoldSettings,
      limits: { ...workerLimits, batchRecords: 50, cachedVisitors: 40 },
      // Asks for no tick: the history has its own.
      machine: { ...thisMachine, now: () => 0 },
      report: (_shard, event) => {
        if (event.what === 'stopped' || event.what === 'retrying') throw event.error;
      },
    });
    await worker.start();
    const playbooks = [];
    for (const each of await demoStores()) playbooks.push(await activate({ log, store }, each, []));
    hashes = playbooks.flatMap(({ playbook, catalog }) => [playbook, catalog]);
    let entries: AppendEntry[] = [];
    let steps = 0;
    const append = async () => {
      for (const outcome of await log.append(entries)) expect(outcome.ok).toBe(true);
      entries = [];
    };
    /** Rules append what they have to say after the commit that says so. */
    const saysNoMore = async () => {
      for (;;) {
        await worker.caughtUp(AbortSignal.timeout(60_000));
        const all = [...Array(shards).keys()];
        const waiting = await Promise.all(all.map((shard) => store.readOutbox(shard, null, 1)));
        const metas = await Promise.all(all.map((shard) => store.readMeta(shard)));
        const ends = await Promise.all(all.map(async (shard) => (await log.bounds(shard)).end));
        if (waiting.flat().length === 0 && metas.every((meta, shard) => meta?.position === ends[shard])) return;
        await sleep(5);
      }
    };
    const compare = async () => {
      await append();
      await saysNoMore();
      await dumpFolder(folder, shards, dump);
      compared.push(await compareWithOracle(store, { dump, shards }));
    };
    const history = { seed: 5, records: 3_000, visitors: 60, startMs: now, playbooks };
    for (const { afterMs, visitor, value } of shopHistory(history)) {
      // Entries of one append have one stamp.
      if (afterMs > 0 && entries.length > 0) await append();
      now += afterMs;
      const of = visitor === null ? [...Array(shards).keys()] : [shardOf(visitor, shards)];
      entries.push(...of.map((shard) => ({ shard, key: visitor, value })));
      if (++steps % 1_000 === 0) await compare();
    }
    await compare();
    await worker.stop();
    await log.close();
  }, 240_000);
  afterAll(async () => {
    await file?.close();
    await rm(folder, { recursive: true });
  });

  it('is what the oracle says, to the last timer, all along', async () => {
    expect(compared.length).toBeGreaterThan(3);
    for (const { visitors, behind, first, mismatches } of compared) {
      expect([first, mismatches, behind]).toEqual([null, 0, 0]);
      expect(visitors).toBeGreaterThan(50);
    }
  });

  it('has some of everything', async () => {
    const metas = await Promise.all([...Array(shards).keys()].map(async (shard) => (await store.readMeta(shard))!));
    // Nobody logs in here or has told an address; test/identity and test/oracle/fold.test.ts have that.
    const absent = ['identified', 'refusedIdentities', 'forwarded', 'merged', 'repeatedMoves'];
    absent.push('refusedTimers', 'ordered', 'delayedOrders', 'withheld');
    const counted = Object.keys(noCounts) as (keyof typeof noCounts)[];
    for (const name of counted.filter((each) => !absent.includes(each))) {
      expect(
        metas.reduce((sum, { counters }) => sum + counters[name], 0),
        name,
      ).toBeGreaterThan(0);
    }
  });

  it.each<[string, string, (record: LogRecord) => readonly LogRecord[]]>([
    [
      'has another price',
      'order_completed',
      (record) => [{ ...record, value: record.value.replace(/"price":[0-9.]+/, '"price":123.45') }],
    ],
    ['is not there', 'product_viewed', () => []],
    ['is there twice', 'search_performed', (record) => [record, record]],
  ])('is not what the oracle says of a log in which one record %s', async (_what, type, plant) => {
    const records = await recordsOfDump(dump);
    const place = records.findLastIndex(
      ({ value }) => value.includes(`"type":"${type}"`) && /"price":|_viewed|search/.test(value),
    );
    const planted = join(folder, 'planted.jsonl');
    await dumpRecords(records.toSpliced(place, 1, ...plant(records[place]!)), planted);
    const { mismatches, first } = await compareWithOracle(store, { dump: planted, shards });
    expect(mismatches).toBeGreaterThan(0);
    expect(first).toMatch(/usher .*, oracle /);
  });

  it('is the same without its places when it stood elsewhere in the log', async () => {
    const moved = join(folder, 'moved.jsonl');
    const byMore = 7;
    const records = (await recordsOfDump(dump)).map(({ offset, value, ...record }) => ({
      ...record,
      offset: offset + byMore,
      value: value.replace(/("retryOf":"\d:)(\d+)/, (_, shard, of) => `${shard}${Number(of) + byMore}`),
    }));
    await dumpRecords(records, moved);
    const log = { dump: moved, bundles: await storedBundles(store, hashes), shards };
    const isSame = async (options: CanonicalOptions) =>
      (await foldOracle(log, options)).join() === (await canonicalState(store, shards, options)).join();
    expect([await isSame({ placeless: true }), await isSame({})]).toEqual([true, false]);
  });
});

async function recordsOfDump(path: string): Promise<LogRecord[]> {
  const text = await readFile(path, 'utf8');
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as LogRecord);
}

async function storedBundles(store: StateStore, hashes: readonly string[]): Promise<PlainBundles> {
  return Object.fromEntries(
    await Promise.all(hashes.map(async (hash) => [hash, plainBundle((await store.readBundle(hash))!)] as const)),
  );
}
