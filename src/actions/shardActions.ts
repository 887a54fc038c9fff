import type { ActionOrder } from '../model/action.ts';
import type { DeadReason, StoredAction } from '../model/storedAction.ts';
import type { ActionLane, LaneItem } from './actionLane.ts';
import { ActionWrites, NotOwner } from './actionWrites.ts';
import type { DeliveryOutcome, OutgoingMessage } from './destination.ts';
import { prepare } from './prepare.ts';
import { accepted, acceptedAgain, afterAttempt, attempting, dead, expired, takenOver, unwanted } from './progress.ts';
import { type ActionRunnerOptions, defaultRetryForMs, type OpenDestination } from './runner.ts';
import { fullJitterMs } from './runnerMachine.ts';
import { Teller } from './teller.ts';

export interface ShardActionsOptions extends ActionRunnerOptions {
  readonly shard: number;
  readonly owner: string;
  readonly isWhole: boolean;
  readonly laneOf: (destination: string) => ActionLane;
}

const readAtOnce = 500;
const prepareMs = { first: 200, most: 10_000 };
type Turn = Awaited<ReturnType<LaneItem['run']>>;
const nothing: Turn = { says: 'neither', next: null };

/**
 * One ownership of one shard's actions. What stands in the table is always ahead of what the world has seen: an order leaves the outbox
 * after the table has it, and what cannot be repeated leaves the process after the table says so.
 */
export class ShardActions {
  readonly #options: ShardActionsOptions;
  readonly #writes: ActionWrites;
  readonly #teller: Teller;
  /** Nothing new is begun. */
  readonly #ending = new AbortController();
  /** What is under way is given up. */
  readonly #ended = new AbortController();
  readonly #underWay = new Set<Promise<Turn>>();
  /** Of the destinations in whose lanes there may be something of this shard. */
  readonly #names = new Set<string>();
  #isFenced = false;

  static async open(options: ShardActionsOptions): Promise<ShardActions> {
    const opened = new ShardActions(options);
    if (!options.isWhole) return opened;
    try {
      await opened.#goOn();
      return opened;
    } catch (error) {
      await opened.end();
      throw error;
    }
  }

  private constructor(options: ShardActionsOptions) {
    this.#options = options;
    const { shard, owner, store, log, machine } = options;
    const failing = (error: Error, afterMs: number) =>
      options.report({ what: 'actionsFailing', destination: '', shard, error, afterMs });
    const common = { shard, machine, failing };
    this.#writes = new ActionWrites({ ...common, owner, table: store.actions, signal: this.#ended.signal });
    this.#teller = new Teller({ ...common, log, writes: this.#writes, signal: this.#ending.signal });
  }

  /** Another owns the shard: what is ordered would wait in its outbox for ever. */
  get isFenced(): boolean {
    return this.#isFenced || this.#writes.isFenced;
  }

  /**
   * Takes orders from the outbox; resolves when the table has them.
   * @param isAgain their records had been folded before, by a state that is lost
   * @throws NotOwner, UsherError when the state does not answer: then they come again
   */
  async accept(orders: readonly ActionOrder[], isAgain: boolean): Promise<void> {
    const { store, shard, owner, machine, limits, laneOf, report, isWhole } = this.#options;
    const now = machine.now();
    const coming = new Map<string, number>();
    const actions = orders.map((order): StoredAction => {
      const to = this.#options.destination(order.destination);
      const policy = { retryForMs: to?.retryForMs ?? defaultRetryForMs };
      const action = isAgain
        ? acceptedAgain(order, to?.destination.repeatable === true, policy, now)
        : accepted(order, now);
      if (action.state !== 'waiting') return action;
      const waiting = laneOf(order.destination).size + (coming.get(order.destination) ?? 0);
      if (waiting >= limits.laneMessages)
        return dead(action, 'LANE_FULL', `${waiting} messages waited for ${order.destination} already`, now);
      coming.set(order.destination, (coming.get(order.destination) ?? 0) + 1);
      return action;
    });
    const ids = await store.actions.accept(shard, owner, actions);
    if (ids === null) {
      this.#isFenced = true;
      throw new NotOwner(`another process has shard ${shard}`);
    }
    const put = new Set(ids);
    const news = actions.filter(({ order }) => put.delete(order.id));
    for (const [destination, of] of Map.groupBy(news, ({ order }) => order.destination))
      report({ what: 'accepted', destination, shard, messages: of.length });
    for (const action of news) {
      this.#reportEnd(action);
      if (isWhole) this.#continue(action);
    }
  }

  /** Begins nothing more, and gives what is under way a while to end; what waits stands in the table for whoever owns next. */
  async end(): Promise<void> {
    const { machine, limits, laneOf } = this.#options;
    this.#ending.abort();
    for (const name of this.#names) laneOf(name).remove(this);
    const timer = new AbortController();
    const late = machine.sleep(limits.endMs, timer.signal).then(
      () => this.#ended.abort(),
      () => {},
    );
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
    timer.abort();
    await late;
    this.#ended.abort();
    await this.#teller.ended();
  }

  /** What former owners left: waiting, on its way, or ended and not told. */
  async #goOn(): Promise<void> {
    const { store, shard, machine } = this.#options;
    for (let after: string | null = null; ; ) {
      const page: readonly StoredAction[] = await store.actions.readPending(shard, after, readAtOnce);
      const taken = page.map((action) => takenOver(action, machine.now()));
      const changed = taken.filter((action, i) => action !== page[i]);
      await Promise.all(changed.map((action) => this.#writes.write(action)));
      for (const action of changed) this.#reportEnd(action);
      for (const action of taken) this.#continue(action);
      if (page.length < readAtOnce) return;
      after = page.at(-1)!.order.id;
    }
  }

  /** As it stands in the table, to whoever does the next thing about it. */
  #continue(action: StoredAction): void {
    if (this.#ending.signal.aborted) return;
    if (action.state === 'waiting') {
      this.#names.add(action.order.destination);
      this.#options.laneOf(action.order.destination).add(this.#itemOf(action, action.nextAt));
    } else if (!action.told) this.#teller.tell(action);
  }

  #itemOf(action: StoredAction, nextAt: number): LaneItem {
    return {
      nextAt,
      of: this,
      run: async () => {
        if (this.#ending.signal.aborted) return nothing;
        const turn = this.#turn(action);
        this.#underWay.add(turn);
        try {
          return await turn;
        } finally {
          this.#underWay.delete(turn);
        }
      },
      expired: (now) => {
        const late = expired(action, this.#policyOf(action), now);
        if (late !== null) this.#settle(late).catch(() => {});
        return late !== null;
      },
    };
  }

  /** One turn of an action in its lane. What it rejects with is that the shard is another's by now. */
  async #turn(action: StoredAction): Promise<Turn> {
    try {
      return await this.#try(action);
    } catch (error) {
      if (error instanceof NotOwner) return nothing;
      // The state does not answer, or lacks a bundle: nothing was sent.
      const { machine, shard, report } = this.#options;
      const afterMs = Math.max(prepareMs.first, fullJitterMs(action.attempts + 4, prepareMs, machine));
      report({ what: 'actionsFailing', destination: action.order.destination, shard, error: error as Error, afterMs });
      const next = this.#ending.signal.aborted ? null : this.#itemOf(action, machine.now() + afterMs);
      return { says: 'neither', next };
    }
  }

  async #try(action: StoredAction): Promise<Turn> {
    const { machine, shard, report } = this.#options;
    const { order } = action;
    const late = expired(action, this.#policyOf(action), machine.now());
    if (late !== null) return this.#settle(late);
    const to = this.#options.destination(order.destination);
    const give = (reason: DeadReason, detail: string) => this.#settle(dead(action, reason, detail, machine.now()));
    if (to === null) return give('DESTINATION_UNKNOWN', `this process has no destination ${order.destination}`);
    const prepared = await prepare(order, shard, { ...this.#options, now: machine.now() });
    if (prepared.what === 'invalid') return give('MESSAGE_INVALID', prepared.detail);
    if (prepared.what === 'unwanted') {
      report({ what: 'unwanted', destination: order.destination, shard, id: order.id, reason: prepared.reason });
      return this.#settle(unwanted(action, prepared.reason, machine.now()));
    }
    if (this.#ending.signal.aborted) return nothing;
    const begun = machine.now();
    const outcome = await this.#deliver(action, prepared.message, to);
    const ended = machine.now();
    report({ what: 'attempted', destination: order.destination, shard, outcome: outcome.kind, ms: ended - begun });
    const { repeatable } = to.destination;
    const next = afterAttempt(action, outcome, repeatable, to, ended, machine.random());
    // Whoever refuses one message is there; one that asks to wait, or does not answer, is not.
    const says = outcome.kind === 'retry' || outcome.kind === 'unknown' ? 'bad' : 'good';
    return { ...(await this.#settle(next)), says };
  }

  async #deliver(action: StoredAction, message: OutgoingMessage, to: OpenDestination): Promise<DeliveryOutcome> {
    const { machine, limits } = this.#options;
    const timer = new AbortController();
    const signal = AbortSignal.any([timer.signal, this.#ended.signal]);
    const done = new AbortController();
    machine.sleep(limits.attemptMs, done.signal).then(
      () => timer.abort(new Error(`no answer within ${limits.attemptMs} ms`)),
      () => {},
    );
    let isLeaving = false;
    try {
      return await to.destination.deliver(message, {
        signal,
        beforeFinal: async () => {
          // A store that does not answer must not hold the connection; what it writes late is followed by what came of the attempt.
          await Promise.race([this.#writes.write(attempting(action, machine.now())), rejectedBy(signal)]);
          signal.throwIfAborted();
          isLeaving = true;
        },
      });
    } catch (error) {
      // It broke its promise; what it had done by then decides.
      return { kind: isLeaving ? 'unknown' : 'retry', detail: (error as Error).message };
    } finally {
      done.abort(nothing);
    }
  }

  /** Writes what stands now; what waits again goes back to its lane. */
  async #settle(action: StoredAction): Promise<Turn> {
    await this.#writes.write(action);
    this.#reportEnd(action);
    if (action.state === 'waiting') {
      const next = this.#ending.signal.aborted ? null : this.#itemOf(action, action.nextAt);
      return { says: 'neither', next };
    }
    if (!action.told) this.#teller.tell(action);
    return nothing;
  }

  #reportEnd({ order, state, reason, detail }: StoredAction): void {
    if (state !== 'dead' || reason === null) return;
    const { shard, report } = this.#options;
    report({ what: 'dead', destination: order.destination, shard, id: order.id, reason, detail });
  }

  #policyOf({ order }: StoredAction): { readonly retryForMs: number } {
    return { retryForMs: this.#options.destination(order.destination)?.retryForMs ?? defaultRetryForMs };
  }
}

function rejectedBy(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason as Error);
    else signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}
