import { setTimeout as sleep } from 'node:timers/promises';
import type { EventLog } from '../log/eventLog.ts';
import type { Catalog, Playbook } from '../playbook/playbook.ts';
import { isRight, type Problem, type RightPlaybook, readPlaybook } from '../playbook/read.ts';
import type { StateStore } from '../state/stateStore.ts';
import { activate, shardsBehind } from './activate.ts';
import type { Worker } from './worker.ts';

export interface PublisherOptions {
  readonly folder: string;
  readonly log: EventLog;
  readonly store: StateStore;
  readonly worker: Worker;
  /** Ends what still waits. */
  readonly signal: AbortSignal;
  readonly report: (event: PublishEvent) => void;
}

export type PublishEvent =
  /** Requests from now on are checked by this one; the shards follow. */
  | { readonly what: 'changed'; readonly playbook: Playbook }
  /** The shards of this process run it; `activated` of all shards were told to. */
  | { readonly what: 'published'; readonly playbook: Playbook; readonly activated: number }
  | { readonly what: 'broken'; readonly problems: readonly Problem[] }
  | { readonly what: 'retrying'; readonly error: Error };

/** Between two attempts, doubled up to the most. */
const retryMs = { first: 200, most: 5_000 };

/** Has all shards run the playbook of a folder: at the start, and whenever it changes. */
export class Publisher {
  readonly #options: PublisherOptions;
  #current: RightPlaybook;

  constructor(first: RightPlaybook, options: PublisherOptions) {
    this.#options = options;
    this.#current = first;
  }

  /** The newest that was right, whether the shards run it yet or not. */
  get playbook(): Playbook {
    return this.#current.playbook;
  }
  get catalog(): Catalog {
    return this.#current.catalog;
  }

  /**
   * Resolves when the shards that this process has run the newest one. Tries until it succeeds: without an active playbook events
   * decide nothing.
   */
  async publish(): Promise<void> {
    const { signal, report, worker } = this.#options;
    for (let failures = 0; ; failures++) {
      try {
        // What is already on its way is not sent again.
        await worker.caughtUp(signal);
        const { playbook } = this;
        const behind = await shardsBehind(this.#options, this.#current);
        if (behind.length > 0) await activate(this.#options, this.#current, behind);
        await worker.caughtUp(signal);
        report({ what: 'published', playbook, activated: behind.length });
        return;
      } catch (error) {
        if (signal.aborted) throw signal.reason;
        report({ what: 'retrying', error: error as Error });
        await sleep(Math.min(retryMs.most, retryMs.first * 2 ** failures), undefined, { signal });
      }
    }
  }

  /** Reads the folder again. A broken playbook is reported, and the last good one stays. */
  async reload(): Promise<readonly Problem[]> {
    const { folder, report } = this.#options;
    const read = await readPlaybook(folder);
    if (!isRight(read)) {
      report({ what: 'broken', problems: read.problems });
      return read.problems;
    }
    const { playbook, catalog } = this.#current;
    if (read.playbook.version === playbook.version && read.catalog.version === catalog.version) return read.problems;
    this.#current = read;
    report({ what: 'changed', playbook: read.playbook });
    await this.publish();
    return read.problems;
  }
}
