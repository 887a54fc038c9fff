import type { AppendEntry, EventLog } from '../log/eventLog.ts';
import type { InputBatch, Inputs } from '../log/inputs.ts';
import type { InputMapping } from '../model/inputs.ts';
import { shardOf } from '../model/shard.ts';
import type { Playbook } from '../playbook/playbook.ts';
import { inputEvent } from './inputEvent.ts';
import { backoffMs, type Machine } from './machine.ts';

export type InputReport =
  | { readonly what: 'taken'; readonly topic: string; readonly events: number; readonly rejected: number }
  | { readonly what: 'retrying'; readonly topic: string; readonly error: string; readonly afterMs: number };

export interface InputIntakeOptions {
  readonly inputs: Inputs;
  readonly log: EventLog;
  readonly mappings: readonly InputMapping[];
  /** The newest published one: its tracking plan. */
  readonly playbook: () => Playbook;
  readonly maxEventAgeMs: number;
  readonly machine: Machine;
  readonly report: (event: InputReport) => void;
}

const retryMs = { first: 50, most: 5_000 };

/**
 * Takes the records of input topics into the log: events, and what is none as `rejected`, so that everything that changes state is in
 * the log, and nothing is lost (semantics 1.4).
 */
export class InputIntake {
  readonly #options: InputIntakeOptions;
  readonly #mappings: ReadonlyMap<string, InputMapping>;

  constructor(options: InputIntakeOptions) {
    this.#options = options;
    this.#mappings = new Map(options.mappings.map((mapping) => [mapping.topic, mapping]));
  }

  start(): void {
    this.#options.inputs.start({ take: (batch) => this.#take(batch) });
  }

  async stop(): Promise<void> {
    await this.#options.inputs.stop();
  }

  async #take(batch: InputBatch): Promise<void> {
    const { log, maxEventAgeMs, machine, report } = this.#options;
    const { topic, partition, records } = batch;
    const mapping = this.#mappings.get(topic)!;
    const rules = { playbook: this.#options.playbook(), maxEventAgeMs, now: machine.now() };
    const events = records.map((record) => inputEvent(record, mapping, partition, rules));
    await this.#append(
      batch,
      events.map(({ visitor, value }) => ({
        shard: shardOf(visitor ?? `${topic}:${partition}`, log.shards),
        key: visitor,
        value,
      })),
    );
    const rejected = events.filter((event) => event.rejected).length;
    report({ what: 'taken', topic, events: events.length - rejected, rejected });
  }

  /** Until the log has all of them. What it may have already is appended again: the fold knows the ids. */
  async #append({ topic, signal }: InputBatch, entries: readonly AppendEntry[]): Promise<void> {
    const { log, machine, report } = this.#options;
    let left = entries;
    for (let failures = 0; ; failures++) {
      signal.throwIfAborted();
      const outcomes = await log.append(left);
      const failed = outcomes.find((outcome) => !outcome.ok);
      if (failed === undefined) return;
      left = left.filter((_, i) => !outcomes[i]!.ok);
      const afterMs = backoffMs(failures, retryMs, machine);
      report({ what: 'retrying', topic, error: failed.ok ? '' : failed.message, afterMs });
      await machine.sleep(afterMs, signal);
    }
  }
}
