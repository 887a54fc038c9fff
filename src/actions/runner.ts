import type { EventLog } from '../log/eventLog.ts';
import type { DeadReason } from '../model/storedAction.ts';
import type { Bundles } from '../playbook/bundles.ts';
import type { StateStore } from '../state/stateStore.ts';
import { ActionLane } from './actionLane.ts';
import type { Destination } from './destination.ts';
import type { MessageParts } from './prepare.ts';
import type { RunnerMachine } from './runnerMachine.ts';
import { ShardActions } from './shardActions.ts';

/** A destination as this process has it, with what its playbook sets. */
export interface OpenDestination {
  readonly destination: Destination;
  /** Starts of attempts a second, over all shards of this process. */
  readonly perSecond: number;
  readonly retryForMs: number;
}

export interface ActionLimits {
  /** Messages that wait for one destination in one process; what comes beyond is a dead letter, LANE_FULL. */
  readonly laneMessages: number;
  /** Attempts under way at once, of one destination. */
  readonly laneConcurrency: number;
  /** An attempt that takes longer is given up, ms. Adapters end theirs before: a mail server may take five minutes to answer (RFC 5321). */
  readonly attemptMs: number;
  /** A shard that is given back waits so long for attempts under way before it aborts them, ms. */
  readonly endMs: number;
}

export const actionLimits: ActionLimits = {
  laneMessages: 10_000,
  laneConcurrency: 16,
  attemptMs: 330_000,
  endMs: 5_000,
};

/** Of a destination that this process does not have. */
export const defaultRetryForMs = 12 * 3_600_000;

export interface ActionRunnerOptions {
  readonly store: Pick<StateStore, 'actions' | 'readMeta' | 'readProfile'>;
  readonly log: Pick<EventLog, 'append'>;
  readonly bundles: Bundles;
  readonly parts: MessageParts;
  /** By the playbook's name for it; null: this process has none of that name. Asked before each attempt, so that it may change. */
  readonly destination: (name: string) => OpenDestination | null;
  readonly limits: ActionLimits;
  readonly machine: RunnerMachine;
  readonly report: (event: ActionEvent) => void;
}

/** What became of messages; `destination` is the playbook's name for it. */
export type ActionEvent = { readonly destination: string; readonly shard: number } & (
  | { readonly what: 'accepted'; readonly messages: number }
  | { readonly what: 'attempted'; readonly outcome: 'delivered' | 'retry' | 'refused' | 'unknown'; readonly ms: number }
  | { readonly what: 'unwanted'; readonly id: string; readonly reason: string }
  | { readonly what: 'dead'; readonly id: string; readonly reason: DeadReason; readonly detail: string }
  /** The state, or the log, takes nothing of what became of them; it is tried again. */
  | { readonly what: 'actionsFailing'; readonly error: Error; readonly afterMs: number }
);

/**
 * The messages of all shards that this process owns: a lane for each destination, and for each shard what stands in its table. Whoever
 * owns a shard runs its actions; the next owner goes on from the table (semantics 9.3).
 */
export class ActionRunner {
  readonly #options: ActionRunnerOptions;
  readonly #lanes = new Map<string, ActionLane>();
  readonly #stopping = new AbortController();

  constructor(options: ActionRunnerOptions) {
    this.#options = options;
  }

  /**
   * Begins with what former owners left.
   * @param isWhole while it is not, orders are taken and nothing is sent: there is no visitor to look at again
   * @throws NotOwner, UsherError when the state does not answer
   */
  open(shard: number, owner: string, isWhole: boolean): Promise<ShardActions> {
    return ShardActions.open({ ...this.#options, shard, owner, isWhole, laneOf: (name) => this.#laneOf(name) });
  }

  /** Messages that wait or are under way, and whether all are let through, by destination. */
  lanes(): ReadonlyMap<string, { readonly waiting: number; readonly isOpen: boolean }> {
    return new Map([...this.#lanes].map(([name, lane]) => [name, { waiting: lane.size, isOpen: lane.isOpen }]));
  }

  /** Ends the lanes; the shards were given back before. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all([...this.#lanes.values()].map((lane) => lane.ended()));
  }

  #laneOf(name: string): ActionLane {
    let lane = this.#lanes.get(name);
    if (lane === undefined) {
      const { destination, limits, machine } = this.#options;
      const settings = () => ({
        concurrency: limits.laneConcurrency,
        perSecond: destination(name)?.perSecond ?? Number.POSITIVE_INFINITY,
      });
      lane = new ActionLane(settings, machine, this.#stopping.signal);
      this.#lanes.set(name, lane);
    }
    return lane;
  }
}
