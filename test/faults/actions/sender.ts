import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Destination } from '../../../src/actions/destination.ts';
import { ActionRunner, actionLimits } from '../../../src/actions/runner.ts';
import { defaultFoldSettings } from '../../../src/fold/work.ts';
import type { EventLog } from '../../../src/log/eventLog.ts';
import { sqliteLog } from '../../../src/log/sqliteLog.ts';
import { actionsTopic } from '../../../src/model/action.ts';
import { shardOf } from '../../../src/model/shard.ts';
import { Bundles } from '../../../src/playbook/bundles.ts';
import { readPlaybook } from '../../../src/playbook/read.ts';
import { localBroadcast } from '../../../src/push/localBroadcast.ts';
import { openSqlite } from '../../../src/sqlite/sqlite.ts';
import { sqliteStore } from '../../../src/state/sqliteStore.ts';
import type { StateStore } from '../../../src/state/stateStore.ts';
import { activate } from '../../../src/worker/activate.ts';
import { thisMachine } from '../../../src/worker/machine.ts';
import { workerLimits } from '../../../src/worker/shard.ts';
import { Worker } from '../../../src/worker/worker.ts';
import { commitAfter } from '../../contract/commits.ts';
import { action } from '../../contract/stateStore.actions.ts';
import { type MailStage, plainSmtp } from './plainSmtp.ts';

/** Where the process kills itself. `accepted`: its outbox still has the order; `hooked`: the hook was answered; `done`, `told`: each before the next thing. */
export type Stage = 'accepted' | 'hooked' | MailStage | 'done' | 'told';

export interface SenderTask {
  readonly folder: string;
  readonly mailPort: number;
  readonly hookUrl: string;
  /** `order`: makes visitors, and orders in the outbox. `redrive`: has all dead letters driven again. Then it ends. */
  readonly prepare?: 'order' | 'redrive';
  readonly mails: number;
  readonly hooks: number;
  /** At the so manyth time that it comes there. */
  readonly kill?: { readonly at: Stage; readonly times: number };
  /** A fault to be found: what leaves is not committed before. */
  readonly plant?: 'leavesUncommitted';
}

const shards = 4;
const task = JSON.parse(process.argv[2]!) as SenderTask;
let left = task.kill?.times ?? 0;
const at = (stage: Stage) => {
  if (stage === task.kill?.at && --left === 0) process.kill(process.pid, 'SIGKILL');
};

const file = await openSqlite({
  folder: task.folder,
  shards,
  appendDeadlineMs: 10_000,
  retention: { ageMs: 1e12, bytes: 1e12 },
});
const log = sqliteLog(file);
const store = sqliteStore(file, localBroadcast());
if (task.prepare === 'order') await order();
else if (task.prepare === 'redrive') await redrive();
else await run();
await log.close();
await file.close();
process.exit(0);

async function run(): Promise<void> {
  const destinations: Record<string, Destination> = {
    shop_mail: plainSmtp(task.mailPort, at),
    crm: hook(task.hookUrl),
  };
  const wrapped = withStages(store);
  const runner = new ActionRunner({
    store: wrapped,
    log: withTold(log),
    bundles: new Bundles((hash) => store.readBundle(hash)),
    parts: {
      stillWanted: () => ({ wanted: true }),
      renderMessage: (order) => ({ payload: { id: order.id }, mail: null }),
    },
    destination: (name) => {
      const destination = destinations[name];
      return destination === undefined ? null : { destination, perSecond: 1_000, retryForMs: 3_600_000 };
    },
    // Few at once, so that a kill finds few under way, and the next finds some to do.
    limits: { ...actionLimits, laneConcurrency: 3 },
    machine: thisMachine,
    report: () => {},
  });
  const worker = workerOf(wrapped, runner);
  await worker.start();
  while (!(await isQuiet())) await sleep(5);
  await worker.stop();
  await runner.stop();
}

async function isQuiet(): Promise<boolean> {
  for (let shard = 0; shard < shards; shard++) {
    if ((await store.readOutbox(shard, null, 1)).length > 0) return false;
    if ((await store.actions.readPending(shard, null, 1)).length > 0) return false;
  }
  return true;
}

function workerOf(over: StateStore, actions?: ActionRunner): Worker {
  return new Worker({
    log,
    store: over,
    ...(actions && { actions }),
    bundles: new Bundles((hash) => store.readBundle(hash)),
    fold: defaultFoldSettings,
    // Several to a shard's outbox, so that a kill between taking and removing them finds others still there.
    limits: { ...workerLimits, outputBatch: 20 },
    machine: thisMachine,
    report: () => {},
  });
}

/** A visitor for each order, folded; then the orders, as a commit puts them into the outbox. */
async function order(): Promise<void> {
  const worker = workerOf(store);
  await worker.start();
  const playbook = await readPlaybook(join(import.meta.dirname, '../../../bench/playbook'));
  await activate({ log, store }, playbook, [...Array(shards).keys()]);
  const orders = Array.from({ length: task.mails + task.hooks }, (_, n) => ({
    ...action(n).order,
    destination: n < task.mails ? 'shop_mail' : 'crm',
    to: n < task.mails ? `u${n}@example.com` : null,
    orderedAt: Date.now(),
  }));
  await log.append(
    orders.map(({ id, visitor }) => {
      const properties = { productId: 'p_001' };
      const record = { v: 1, kind: 'event', id, visitor, type: 'product_viewed', properties };
      return { shard: shardOf(visitor, shards), key: visitor, value: JSON.stringify(record) };
    }),
  );
  await worker.caughtUp(AbortSignal.timeout(60_000));
  await worker.stop();
  const { playbook: hash } = (await store.readMeta(0))!.active!;
  for (const [shard, of] of Map.groupBy(orders, ({ visitor }) => shardOf(visitor, shards)))
    await putIntoOutbox(
      shard,
      of.map((one) => ({ ...one, playbook: hash })),
    );
}

async function redrive(): Promise<void> {
  for (let shard = 0; shard < shards; shard++) {
    const dead = await store.actions.readDead({ shard, destination: null, before: null, limit: 10_000 });
    await putIntoOutbox(
      shard,
      dead.map(({ order }) => ({ ...order, redriven: order.redriven + 1 })),
    );
  }
}

async function putIntoOutbox(shard: number, orders: readonly object[]): Promise<void> {
  const meta = await store.own(shard, 'the fold', shards);
  const outbox = orders.map((one, n) => {
    const { visitor } = one as { visitor: string };
    return { id: `${meta.position}-${n}`, topic: actionsTopic, key: visitor, value: JSON.stringify(one) };
  });
  const { position, appendTime, commits } = meta;
  await store.commit(commitAfter(meta, { outbox, meta: { position, appendTime, commits: commits + 1 } }));
  await file.writer.synced();
}

function withStages(over: StateStore): StateStore {
  const { actions } = over;
  const staged: StateStore['actions'] = {
    async accept(shard, owner, orders) {
      const ids = await actions.accept(shard, owner, orders);
      for (const _ of ids ?? []) at('accepted');
      return ids;
    },
    async write(shard, owner, changed) {
      const isPlanted = task.plant === 'leavesUncommitted';
      const written = isPlanted ? changed.filter(({ state }) => state !== 'attempting') : changed;
      const isOwner = await actions.write(shard, owner, written);
      for (const { state, told } of changed) if (state === 'done' && !told) at('done');
      return isOwner;
    },
    readPending: (...args) => actions.readPending(...args),
    readDead: (query) => actions.readDead(query),
    readDeadOf: (...args) => actions.readDeadOf(...args),
  };
  return new Proxy(over, {
    get: (target, name) => {
      if (name === 'actions') return staged;
      const value = target[name as keyof StateStore];
      return typeof value === 'function' ? (value as (...args: never[]) => unknown).bind(target) : value;
    },
  });
}

function withTold(over: EventLog): Pick<EventLog, 'append'> {
  return {
    async append(entries) {
      const outcomes = await over.append(entries);
      for (const _ of entries) at('told');
      return outcomes;
    },
  };
}

function hook(url: string): Destination {
  return {
    kind: 'webhook',
    repeatable: true,
    async deliver({ id }, { signal }) {
      try {
        const response = await fetch(`${url}/${id}`, { method: 'POST', signal });
        await response.arrayBuffer();
        at('hooked');
        return { kind: response.ok ? 'delivered' : 'retry', detail: String(response.status) };
      } catch (error) {
        return { kind: 'retry', detail: (error as Error).message };
      }
    },
    async close() {},
  };
}
