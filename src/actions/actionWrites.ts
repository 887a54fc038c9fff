import type { StoredAction } from '../model/storedAction.ts';
import type { ActionTable } from '../state/stateStore.ts';
import { fullJitterMs, type RunnerMachine } from './runnerMachine.ts';

/** Another process has the shard: what this one knows of its actions is worth nothing. */
export class NotOwner extends Error {}

const writeAtOnce = 200;
const retryMs = { first: 50, most: 5_000 };

export interface ActionWritesOptions {
  readonly shard: number;
  readonly owner: string;
  readonly table: Pick<ActionTable, 'write'>;
  readonly machine: RunnerMachine;
  /** When it aborts, what is not written is given up. */
  readonly signal: AbortSignal;
  readonly failing: (error: Error, afterMs: number) => void;
}

interface Waiting {
  readonly action: StoredAction;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** What becomes of a shard's actions, written in order: what comes while a write is under way travels with the next one. */
export class ActionWrites {
  readonly #options: ActionWritesOptions;
  #waiting: Waiting[] = [];
  #isWriting = false;
  #isFenced = false;

  constructor(options: ActionWritesOptions) {
    this.#options = options;
  }

  get isFenced(): boolean {
    return this.#isFenced;
  }

  /** Resolves when it stands; a store that fails is asked again. @throws NotOwner, also when the shard is given back */
  write(action: StoredAction): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ action, resolve, reject });
      if (!this.#isWriting) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#isWriting = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, writeAtOnce);
      const isWritten = await this.#untilAnswered(batch.map(({ action }) => action));
      for (const { resolve, reject } of batch) {
        if (isWritten) resolve();
        else reject(new NotOwner('another process has the shard, or it was given back'));
      }
    }
    this.#isWriting = false;
  }

  async #untilAnswered(actions: readonly StoredAction[]): Promise<boolean> {
    const { table, shard, owner, machine, signal, failing } = this.#options;
    for (let failures = 0; !this.#isFenced; failures++) {
      try {
        this.#isFenced = !(await table.write(shard, owner, actions));
        return !this.#isFenced;
      } catch (error) {
        if (signal.aborted) return false;
        const afterMs = fullJitterMs(failures, retryMs, machine);
        failing(error as Error, afterMs);
        await machine.sleep(afterMs, signal).catch(() => {});
        if (signal.aborted) return false;
      }
    }
    return false;
  }
}
