import { UsherError } from '../errors.ts';
import type { EventLog } from '../log/eventLog.ts';
import type { EventRecord } from '../model/record.ts';
import type { StoredAction } from '../model/storedAction.ts';
import { namedEventId } from '../playbook/eventIds.ts';
import { type ActionWrites, NotOwner } from './actionWrites.ts';
import { fullJitterMs, type RunnerMachine } from './runnerMachine.ts';

const tellAtOnce = 200;
const retryMs = { first: 100, most: 10_000 };

export interface TellerOptions {
  readonly shard: number;
  readonly log: Pick<EventLog, 'append'>;
  readonly writes: ActionWrites;
  readonly machine: RunnerMachine;
  readonly signal: AbortSignal;
  readonly failing: (error: Error, afterMs: number) => void;
}

/**
 * Tells the visitor's log how a message ended, then notes that it was told. A crash between the two tells it again under the same id,
 * which the fold knows (semantics 2.4).
 */
export class Teller {
  readonly #options: TellerOptions;
  #waiting: StoredAction[] = [];
  #running: Promise<void> | null = null;

  constructor(options: TellerOptions) {
    this.#options = options;
  }

  /** @param ended done or dead, as it was written */
  tell(ended: StoredAction): void {
    this.#waiting.push(ended);
    this.#running ??= this.#run().finally(() => {
      this.#running = null;
    });
  }

  /** Resolves after what is under way, once the signal has aborted. */
  async ended(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal, machine, failing } = this.#options;
    for (let failures = 0; this.#waiting.length > 0 && !signal.aborted; ) {
      const batch = this.#waiting.slice(0, tellAtOnce);
      try {
        await this.#tellAll(batch);
        this.#waiting.splice(0, batch.length);
        failures = 0;
      } catch (error) {
        // The next owner finds it untold.
        if (error instanceof NotOwner) return;
        const afterMs = fullJitterMs(failures++, retryMs, machine);
        failing(error as Error, afterMs);
        await machine.sleep(afterMs, signal).catch(() => {});
      }
    }
  }

  async #tellAll(batch: readonly StoredAction[]): Promise<void> {
    const { shard, log, writes } = this.#options;
    const entries = batch.map((ended) => {
      const record = deliveryEvent(ended);
      return { shard, key: record.visitor, value: JSON.stringify(record) };
    });
    const outcomes = await log.append(entries);
    const refused = outcomes.find((outcome) => !outcome.ok);
    if (refused !== undefined && !refused.ok) throw new UsherError(refused.code, refused.message);
    await Promise.all(batch.map((ended) => writes.write({ ...ended, told: true })));
  }
}

/** `message_sent` or `message_failed`, as the visitor's log has it. */
export function deliveryEvent({ order, state, reason, detail }: StoredAction): EventRecord {
  const type = state === 'done' ? 'message_sent' : 'message_failed';
  const { id, visitor, action, destination, redriven } = order;
  // As long as the tracking plan takes.
  const said = (reason === null ? detail : `${reason}: ${detail}`).slice(0, 500);
  return {
    v: 1,
    kind: 'event',
    // One driven again may fail again, which is another thing to tell.
    id: namedEventId(`usher ${type} ${id} ${redriven}`),
    visitor,
    type,
    properties: { actionId: id, action, destination, ...(said !== '' && { detail: said }) },
  };
}
