import type { UsherError } from '../errors.ts';
import type { LogMembership, ShardFeed } from '../log/eventLog.ts';
import type { ShardMeta } from '../model/shardMeta.ts';
import { type ShardEvent, type ShardServices, serveShard } from './shard.ts';

/** What this process knows of a shard it was given. */
export interface ShardState {
  readonly meta: ShardMeta | null;
  /** Why the shard stands still until someone acts. */
  readonly stopped: UsherError | null;
}

/** Serves every shard that the log assigns to this process. */
export class Worker {
  readonly #services: ShardServices;
  /** Those that were given back too, until their loop has ended: the same shard may come back before. */
  readonly #shards = new Map<number, { state: ShardState; readonly done: Promise<void>; isHeld: boolean }>();
  readonly #waiting = new Set<() => void>();
  #membership: LogMembership | null = null;

  constructor(services: ShardServices) {
    this.#services = {
      ...services,
      report: (shard, event) => {
        this.#note(shard, event);
        services.report(shard, event);
      },
    };
  }

  async start(): Promise<void> {
    this.#membership = await this.#services.log.join({
      assigned: (feed) => this.#serve(feed),
      // The feed's signal ends the loop.
      revoked: (shard) => this.#giveBack(shard),
    });
  }

  #serve(feed: ShardFeed): void {
    const before = this.#shards.get(feed.shard)?.done ?? Promise.resolve();
    // A shard that comes back waits for its former loop, so that two loops of one process never fence each other.
    const done = before.then(() => serveShard(feed, this.#services));
    this.#shards.set(feed.shard, { state: { meta: null, stopped: null }, done, isHeld: true });
  }

  #giveBack(shard: number): void {
    const served = this.#shards.get(shard);
    if (served !== undefined) served.isHeld = false;
    for (const check of this.#waiting) check();
  }

  #note(shard: number, event: ShardEvent): void {
    const served = this.#shards.get(shard);
    if (served === undefined || !served.isHeld) return;
    if (event.what === 'owned' || event.what === 'committed') served.state = { meta: event.meta, stopped: null };
    if (event.what === 'stopped') served.state = { ...served.state, stopped: event.error };
    for (const check of this.#waiting) check();
  }

  /** The shards that this process has. */
  states(): ReadonlyMap<number, ShardState> {
    const held = [...this.#shards].filter(([, { isHeld }]) => isHeld);
    return new Map(held.map(([shard, { state }]) => [shard, state]));
  }

  /** What keeps its shards from being served, as reasons. */
  faults(): readonly string[] {
    return [...this.states()].flatMap(([shard, { meta, stopped }]) => {
      if (stopped !== null) return [`shard ${shard} stopped: ${stopped.code}: ${stopped.message}`];
      if (meta === null) return [`shard ${shard} is not owned yet`];
      return meta.active === null ? [`shard ${shard} has no active playbook yet`] : [];
    });
  }

  /** Records of each of its shards that wait to be folded. */
  async lag(): Promise<ReadonlyMap<number, number>> {
    const held = [...this.states()];
    const bounds = await Promise.all(held.map(([shard]) => this.#services.log.bounds(shard)));
    return new Map(held.map(([shard, { meta }], i) => [shard, Math.max(0, bounds[i]!.end - (meta?.position ?? 0))]));
  }

  /** Resolves when every shard of this process satisfies the condition, is stopped, or the signal aborts (then it rejects). */
  async until(condition: (meta: ShardMeta) => boolean, signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const finish = (end: () => void) => {
        this.#waiting.delete(check);
        signal.removeEventListener('abort', onAbort);
        end();
      };
      const onAbort = () => finish(() => reject(signal.reason));
      const check = () => {
        for (const state of this.states().values()) {
          if (state.stopped === null && (state.meta === null || !condition(state.meta))) return;
        }
        finish(resolve);
      };
      this.#waiting.add(check);
      signal.addEventListener('abort', onAbort);
      if (signal.aborted) onAbort();
      else check();
    });
  }

  /** Resolves when all that was in the log at the call is folded and committed. */
  async caughtUp(signal: AbortSignal): Promise<void> {
    const ends = new Map<number, number>();
    for (const shard of this.states().keys()) ends.set(shard, (await this.#services.log.bounds(shard)).end);
    await this.until((meta) => meta.position >= (ends.get(meta.shard) ?? 0), signal);
  }

  /** Finishes the commits in flight, then gives the shards back. */
  async stop(): Promise<void> {
    await this.#membership?.leave();
    await Promise.all([...this.#shards.values()].map(({ done }) => done));
  }
}
