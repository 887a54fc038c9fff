import { readRecord } from '../../src/fold/record.ts';
import type { FoldSettings } from '../../src/fold/work.ts';
import { type FailedEvent, movesTopic } from '../../src/model/commit.ts';
import type { LogRecord } from '../../src/model/record.ts';
import { compareUtf8 } from '../../src/model/shard.ts';
import type { ShardMeta } from '../../src/model/shardMeta.ts';
import { FoldShard } from '../support/foldShard.ts';
import { bundles } from '../support/logs.ts';
import type { ShardState, StoredTexts } from './state.ts';

/**
 * What a shard's log folds to from nothing, in one pass and without any fault, record by record and timer by timer: every state that
 * is right at some position. Commits may be cut anywhere between two timers, nowhere else (semantics 3.5).
 */
export class Reference {
  readonly #log: readonly LogRecord[];
  readonly #shard: FoldShard;
  readonly #right = new Map<number, Set<string>>();
  readonly #outputs = new Map<string, string>();
  readonly #moves = new Map<string, string>();

  constructor(shard: number, shards: number, log: readonly LogRecord[], settings: FoldSettings) {
    this.#log = log;
    this.#shard = new FoldShard(bundles, {
      cut: { batch: 1, timers: 1, page: 1, keep: null },
      shard,
      shards,
      settings,
      committed: () => this.#note(),
    });
    this.#note();
  }

  /** Whether the state is what the log up to its position folds to. */
  isRight({ meta, visitors, failed }: Pick<ShardState, 'meta' | 'visitors' | 'failed'>): boolean {
    this.#fold();
    if (this.#right.get(meta.position)?.has(textOf(meta, visitors, failed)) === true) return true;
    // An advance may be done for a part of the visitors at a time (semantics 3.6).
    const next = this.#log[meta.position];
    return next !== undefined && readRecord(next).record?.kind === 'advance';
  }

  /** The outputs of all that was folded, by id, each as one text. */
  get outputs(): ReadonlyMap<string, string> {
    this.#fold();
    const { outbox } = this.#shard;
    for (const entry of outbox.slice(this.#outputs.size)) {
      const { topic, key, value } = entry;
      // A move has an id of its own, and is the same in every lineage.
      if (topic === movesTopic) {
        const id = `${this.#shard.meta.shard}:${entry.id}`;
        this.#outputs.set(id, value);
        this.#moves.set(value, id);
      } else {
        const { id, text } = outputTextOf(topic, key, value);
        this.#outputs.set(id, text);
      }
    }
    return this.#outputs;
  }

  /** The id of what the shard sends to another's, by its text. */
  get moves(): ReadonlyMap<string, string> {
    void this.outputs;
    return this.#moves;
  }

  /** All that was folded, for the comparison at the end. */
  get end(): string {
    this.#fold();
    const { meta, stored } = this.#shard;
    return `${textOf(meta, stored, this.#failed)}\n${meta.appendTime}`;
  }

  #fold(): void {
    const { log } = this.#shard;
    if (log.length === this.#log.length) return;
    log.push(...this.#log.slice(log.length));
    this.#shard.fold();
  }

  #note(): void {
    const { meta, stored } = this.#shard;
    const texts = this.#right.get(meta.position) ?? new Set();
    this.#right.set(meta.position, texts.add(textOf(meta, stored, this.#failed)));
  }

  get #failed(): ReadonlyMap<string, FailedEvent> {
    const failed = new Map<string, FailedEvent>();
    for (const event of this.#shard.failed) {
      failed.delete(event.position);
      failed.set(event.position, event);
    }
    return failed;
  }
}

/** A state as one text, without what names the run and without T, which a cut may raise before its record is folded. */
export function textOf(
  meta: ShardMeta,
  visitors: ReadonlyMap<string, StoredTexts>,
  failed: ReadonlyMap<string, FailedEvent>,
): string {
  const { position, outputs, active, lastId, counters } = meta;
  const ids = [...visitors.keys()].sort(compareUtf8);
  return [
    JSON.stringify([position, outputs, active, lastId, counters]),
    ...ids.map((id) => {
      const { profile, slots, wakeAt, historicDue } = visitors.get(id)!;
      return `${id} ${profile} ${slots} ${wakeAt} ${historicDue}`;
    }),
    ...[...failed.values()].map((event) => JSON.stringify(event)),
  ].join('\n');
}

/** An output as one text, without the lineage, which names the run. */
export function outputTextOf(
  topic: string,
  key: string,
  value: string,
): { readonly id: string; readonly text: string } {
  const { lineage: _lineage, ...told } = JSON.parse(value) as { readonly id: string; readonly lineage: string };
  return { id: told.id, text: `${topic} ${key} ${JSON.stringify(told)}` };
}
