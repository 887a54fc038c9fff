import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ActionRunner, actionLimits } from '../../src/actions/runner.ts';
import { renderMessage } from '../../src/decide/message.ts';
import { stillWanted } from '../../src/decide/wanted.ts';
import { defaultFoldSettings } from '../../src/fold/work.ts';
import { sqliteLog } from '../../src/log/sqliteLog.ts';
import { decodeVisitor } from '../../src/model/codec.ts';
import { shardOf } from '../../src/model/shard.ts';
import { Bundles } from '../../src/playbook/bundles.ts';
import { readPlaybook } from '../../src/playbook/read.ts';
import { localBroadcast } from '../../src/push/localBroadcast.ts';
import { openSqlite } from '../../src/sqlite/sqlite.ts';
import { sqliteStore } from '../../src/state/sqliteStore.ts';
import { activate } from '../../src/worker/activate.ts';
import { thisMachine } from '../../src/worker/machine.ts';
import { rebuildShard } from '../../src/worker/rebuild.ts';
import { workerLimits } from '../../src/worker/shard.ts';
import { Worker } from '../../src/worker/worker.ts';
import { until } from '../contract/contract.ts';
import { sqliteOptions, temporaryFolder } from '../contract/sqliteSubjects.ts';
import { openReceiver, type Receiver } from './receiver.ts';

const playbook = `
format: 1
currency: USD
timezone: UTC
destinations:
  shop_mail: { name: Mail, kind: smtp, from: Shop <shop@example.com> }
  crm: { name: Customers, kind: webhook, url: "https://crm.example/hooks", secret: CRM_SECRET }
actions:
  mail: { name: Hello, destination: shop_mail, to: '"anna@example.com"', with: { product: text }, subject: Hello, text: "You saw \${with.product}" }
  call: { name: Call, destination: crm }
rules:
  tell:
    name: Tell
    when: product_viewed
    then:
      - send: { action: mail, with: { product: event.productId } }
      - send: { action: call }
`;
const shards = 4;
const hourMs = 3_600_000;

let world: Awaited<ReturnType<typeof openWorld>>;
beforeEach(async () => {
  world = await openWorld();
});
afterEach(() => world.close());

async function openWorld() {
  const { folder, remove } = await temporaryFolder();
  await writeFile(join(folder, 'playbook.yaml'), playbook);
  const file = await openSqlite(sqliteOptions(join(folder, 'data'), { shards }));
  const log = sqliteLog(file);
  const store = sqliteStore(file, localBroadcast());
  const [mail, crm] = [await openReceiver(), await openReceiver()];
  const destinations: Record<string, Receiver['once']> = { shop_mail: mail.once, crm: crm.repeatable };
  const bundles = new Bundles((hash) => store.readBundle(hash));
  let running: { readonly worker: Worker; readonly runner: ActionRunner } | null = null;
  const stop = async () => {
    await running?.worker.stop();
    await running?.runner.stop();
    running = null;
  };
  const opened = {
    file,
    log,
    store,
    mail,
    crm,
    stop,
    async start() {
      const runner = new ActionRunner({
        store,
        log,
        bundles,
        parts: { stillWanted, renderMessage: (...args) => withoutLink(renderMessage(...args)) },
        destination: (name) => ({
          destination: destinations[name]!,
          perSecond: 1_000,
          retryForMs: 12 * hourMs,
        }),
        limits: actionLimits,
        machine: thisMachine,
        report: () => {},
      });
      const worker = new Worker({
        log,
        store,
        actions: runner,
        bundles,
        fold: defaultFoldSettings,
        limits: workerLimits,
        machine: thisMachine,
        report: () => {},
      });
      running = { worker, runner };
      await worker.start();
    },
    async append(visitor: string, record: object) {
      await log.append([
        { shard: shardOf(visitor, shards), key: visitor, value: JSON.stringify({ v: 1, visitor, ...record }) },
      ]);
    },
    /** All is folded, and nothing waits in an outbox or a table. */
    async isQuiet() {
      for (let shard = 0; shard < shards; shard++) {
        const meta = await store.readMeta(shard);
        if (meta === null || meta.rebuilding || meta.position < (await log.bounds(shard)).end) return false;
        if ((await store.readOutbox(shard, null, 1)).length > 0) return false;
        if ((await store.actions.readPending(shard, null, 1)).length > 0) return false;
      }
      return true;
    },
    async dead() {
      const all = Array.from({ length: shards }, (_, shard) =>
        store.actions.readDead({ shard, destination: null, before: null, limit: 100 }),
      );
      return (await Promise.all(all)).flat();
    },
    async close() {
      await stop();
      await mail.close();
      await crm.close();
      await log.close();
      await file.close();
      await remove();
    },
  };
  await opened.start();
  await activate({ log, store }, await readPlaybook(folder), [0, 1, 2, 3]);
  return opened;
}

const withoutLink = (rendered: ReturnType<typeof renderMessage>) =>
  rendered === null
    ? null
    : { ...rendered, mail: rendered.mail === null ? null : { ...rendered.mail, unsubscribeUrl: null } };

const visitors = ['u:anna', 'u:ben', 'u:cleo', 'u:dora', 'u:emil'];
async function viewAll(): Promise<void> {
  for (const [n, visitor] of visitors.entries()) {
    const id = `00000000-0000-4000-8000-00000000000${n}`;
    await world.append(visitor, { kind: 'event', id, type: 'product_viewed', properties: { productId: 'p_1' } });
  }
  await until('all has ended', world.isQuiet);
}

describe('what a rule sends', () => {
  it('is delivered once by each destination, and its visitor knows', async () => {
    await viewAll();
    expect([world.mail.taken.length, world.crm.taken.length]).toEqual([5, 5]);
    expect(new Set([...world.mail.taken, ...world.crm.taken]).size).toBe(10);
    for (const visitor of visitors) {
      const stored = (await world.store.readProfile(shardOf(visitor, shards), visitor))!;
      // The view, and two messages that were sent.
      expect(decodeVisitor(stored.profile, stored.slots).counts).toMatchObject({ folded: 3, failed: 0 });
    }
  });

  it('and was given up is driven again by a record, once', async () => {
    world.crm.answer = () => ({ status: 410 });
    await viewAll();
    world.crm.answer = () => ({ status: 200 });
    const dead = await world.dead();
    expect(dead.map(({ reason }) => reason)).toEqual(visitors.map(() => 'REFUSED'));
    for (const { order } of [...dead, ...dead])
      await world.append(order.visitor, { kind: 'redriven', id: `again ${order.id}`, order });
    await until('all has ended', world.isQuiet);
    expect(world.crm.taken.toSorted()).toEqual(dead.map(({ order }) => order.id).toSorted());
    expect(await world.dead()).toEqual([]);
  });

  it('is not sent again by a state that is made anew: its table knows the ids', async () => {
    await viewAll();
    await rebuild();
    expect([world.mail.asked.length, world.crm.asked.length]).toEqual([5, 5]);
    expect(await world.dead()).toEqual([]);
  });

  it('is sent again by a state that lost its table too only where that does no harm; the rest are dead letters', async () => {
    await viewAll();
    const sent = [...world.mail.taken];
    await rebuild(() => {
      const db = new DatabaseSync(world.file.path);
      db.exec('delete from actions');
      db.close();
    });
    expect(world.mail.asked).toHaveLength(5);
    expect(world.crm.taken).toHaveLength(10);
    expect(new Set(world.crm.taken).size).toBe(5);
    const dead = await world.dead();
    expect(dead.map(({ order, reason }) => [order.id, reason]).toSorted()).toEqual(
      sent.map((id) => [id, 'OUTCOME_UNKNOWN']).toSorted(),
    );
    // What is ordered from now on is sent as ever.
    await world.append('u:anna', {
      kind: 'event',
      id: '00000000-0000-4000-8000-0000000000ff',
      type: 'product_viewed',
      properties: { productId: 'p_2' },
    });
    await until('all has ended', world.isQuiet);
    expect([world.mail.asked.length, world.crm.taken.length]).toEqual([6, 11]);
  });
});

async function rebuild(meanwhile = () => {}): Promise<void> {
  await world.stop();
  meanwhile();
  const { log, store } = world;
  for (let shard = 0; shard < shards; shard++) await rebuildShard(shard, { log, store, machine: thisMachine });
  await world.start();
  await until('all has ended', world.isQuiet);
}
