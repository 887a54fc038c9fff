import type { MessageParts } from '../../src/actions/prepare.ts';
import { type ActionEvent, type ActionLimits, ActionRunner, actionLimits } from '../../src/actions/runner.ts';
import type { ShardActions } from '../../src/actions/shardActions.ts';
import type { ActionOrder } from '../../src/model/action.ts';
import { shardOf } from '../../src/model/shard.ts';
import type { StoredAction } from '../../src/model/storedAction.ts';
import { Bundles } from '../../src/playbook/bundles.ts';
import type { StateStore } from '../../src/state/stateStore.ts';
import { until } from '../contract/contract.ts';
import { action } from '../contract/stateStore.actions.ts';
import { openHarness, shards } from '../worker/harness.ts';
import { HandClock } from './clock.ts';
import { openReceiver, type Receiver } from './receiver.ts';

/** The visitor of all orders, and its shard. */
export const visitor = 'u:anna';
export const shard = shardOf(visitor, shards);
export const hourMs = 3_600_000;

export interface Process {
  readonly runner: ActionRunner;
  readonly actions: ShardActions;
  readonly events: readonly ActionEvent[];
}

/** A state with one visitor, in a real file; processes that own its shard in turn; two receivers. */
export async function openRunners() {
  const harness = await openHarness();
  const worker = await harness.startWorker();
  await harness.activate();
  await harness.view(visitor, 'p_001');
  await worker.caughtUp(AbortSignal.timeout(30_000));
  await worker.stop();
  const { log, store } = harness;
  const playbook = (await store.readMeta(shard))!.active!.playbook;
  const clock = new HandClock();
  const crm = await openReceiver();
  const mail = await openReceiver();
  const receivers: Record<string, Receiver['once']> = { crm: crm.repeatable, shop_mail: mail.once };
  clock.isBusy = () => crm.isBusy || mail.isBusy;
  const processes: Process[] = [];
  let owners = 0;
  let parts: MessageParts = {
    stillWanted: () => ({ wanted: true }),
    renderMessage: (order) => ({ payload: { rule: order.rule }, mail: null }),
  };

  return {
    clock,
    store,
    log,
    crm,
    mail,
    processes,
    setParts(changes: Partial<MessageParts>) {
      parts = { ...parts, ...changes };
    },
    order(n: number, changes: Partial<ActionOrder> = {}): ActionOrder {
      const at = clock.now();
      return { ...action(n).order, visitor, playbook, destination: 'crm', at, orderedAt: at, ...changes };
    },
    /** Another process takes the shard. */
    async takeOver(
      options: {
        readonly isWhole?: boolean;
        readonly limits?: Partial<ActionLimits>;
        readonly wrap?: (store: StateStore) => StateStore;
        readonly perSecond?: number;
      } = {},
    ): Promise<Process> {
      const { owner } = await store.own(shard, `owner ${++owners}`, shards);
      const events: ActionEvent[] = [];
      const wrapped = options.wrap?.(store) ?? store;
      const runner = new ActionRunner({
        store: wrapped,
        log,
        bundles: new Bundles((hash) => store.readBundle(hash)),
        parts: {
          stillWanted: (...args) => parts.stillWanted(...args),
          renderMessage: (...args) => parts.renderMessage(...args),
        },
        destination: (name) => {
          const destination = receivers[name];
          const perSecond = options.perSecond ?? Number.POSITIVE_INFINITY;
          return destination === undefined ? null : { destination, perSecond, retryForMs: 12 * hourMs };
        },
        limits: { ...actionLimits, ...options.limits },
        machine: clock,
        report: (event) => events.push(event),
      });
      const actions = await runner.open(shard, owner, options.isWhole ?? true);
      const process = { runner, actions, events };
      processes.push(process);
      return process;
    },
    /** Lets time pass until it is so. */
    untilSo: (what: string, holds: () => boolean | Promise<boolean>, stepMs = 1_000) =>
      until(what, async () => {
        if (await holds()) return true;
        await clock.pass(stepMs, stepMs);
        return holds();
      }),
    /** Nothing waits, is under way or has to be told. */
    isQuiet: async () => (await store.actions.readPending(shard, null, 1)).length === 0,
    dead: (): Promise<readonly StoredAction[]> =>
      store.actions.readDead({ shard, destination: null, before: null, limit: 10_000 }),
    /** What the visitor's log was told of messages. */
    async told(): Promise<readonly { readonly id: string; readonly type: string; readonly properties: object }[]> {
      const { low, end } = await log.bounds(shard);
      const records = [];
      for (let offset = low; offset < end; offset++) {
        const read = await log.readAt(shard, offset);
        if (read !== null) records.push(JSON.parse(read.value));
      }
      return records.filter(({ type }) => typeof type === 'string' && type.startsWith('message_'));
    },
    async [Symbol.asyncDispose]() {
      for (const { actions, runner } of processes) {
        // What hangs is let go by its time being up.
        const ended = actions.end().then(() => runner.stop());
        let isEnded = false;
        void ended.then(() => {
          isEnded = true;
        });
        await until('the runner has ended', async () => {
          if (!isEnded) await clock.pass(1_000, 1_000);
          return isEnded;
        });
      }
      await crm.close();
      await mail.close();
      await harness[Symbol.asyncDispose]();
    },
  };
}
