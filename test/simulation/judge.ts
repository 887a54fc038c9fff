import { readRecord } from '../../src/fold/record.ts';
import type { FoldSettings } from '../../src/fold/work.ts';
import type { OutputEntry } from '../../src/log/outputs.ts';
import type { ForwardedRecord, LogRecord, MergedRecord } from '../../src/model/record.ts';
import { shardOf } from '../../src/model/shard.ts';
import type { SimulatedLog } from './log.ts';
import { outputTextOf, Reference, textOf } from './reference.ts';
import { compareOutboxIds, type ShardState, type SimulatedState } from './state.ts';

/** A promise that was broken. */
export class Violation extends Error {
  override readonly name = 'Violation';
}

/** Looks at every step of the state, as a reader would who never sleeps, and at all of it in the end. */
export class Judge {
  readonly #log: SimulatedLog;
  readonly #references: readonly Reference[];
  /** Ids of outputs that their topics have, and of copies, each the only one of its record. */
  readonly #told = new Set<string>();
  readonly #copies = new Set<string>();
  /** By shard and topic, what was new last. */
  readonly #newest = new Map<string, string>();

  /** By shard, below what offset a commit has said that all is copied. */
  readonly #copied: number[];
  readonly #copiedTypes: readonly string[];

  constructor(log: SimulatedLog, settings: FoldSettings, copiedTypes: readonly string[]) {
    this.#log = log;
    this.#copiedTypes = copiedTypes;
    this.#copied = log.partitions.map(() => 0);
    const { partitions } = log;
    this.#references = partitions.map((records, shard) => new Reference(shard, partitions.length, records, settings));
  }

  /** A topic has an entry: it is one of the fold's outputs, or a record of the log, and the new ones come in order. */
  told(topic: string, entry: OutputEntry): void {
    const isCopy = topic.startsWith('events.');
    const id = isCopy ? this.#checkCopy(topic, entry) : this.#checkOutput(topic, entry);
    const known = isCopy ? this.#copies : this.#told;
    if (known.has(id)) return;
    known.add(id);
    const lane = `${id.split(':')[0]} ${topic}`;
    const newest = this.#newest.get(lane);
    if (newest !== undefined && compareOutboxIds(newest, id) > 0) {
      throw new Violation(`${topic}: ${id} came after ${newest}`);
    }
    this.#newest.set(lane, id);
  }

  /** The log has a record that a shard sent to another's: it is one that the fold sends, there where its user is, and new ones come in order. */
  moved({ shard, value }: LogRecord): void {
    const { record } = readRecord({ shard, offset: 0, stamp: 0, key: null, value });
    if (record?.kind !== 'visitor_merged' && record?.kind !== 'forwarded') return;
    const id = this.#references[record.origin.shard]?.moves.get(value);
    if (id === undefined || shardOf(record.visitor, this.#references.length) !== shard) {
      throw new Violation(`the shard ${record.origin.shard} does not send to shard ${shard}: ${value}`);
    }
    if (this.#told.has(id)) return;
    this.#told.add(id);
    const lane = `${record.origin.shard} moves to ${shard}`;
    const newest = this.#newest.get(lane);
    if (newest !== undefined && compareOutboxIds(newest, id) > 0)
      throw new Violation(`${lane}: ${id} came after ${newest}`);
    this.#newest.set(lane, id);
  }

  #checkOutput(topic: string, { key, value }: OutputEntry): string {
    const { id, text } = outputTextOf(topic, key, value);
    if (this.#references[Number(id.split(':')[0])]?.outputs.get(id) !== text) {
      throw new Violation(`the output ${id} is none that the log folds to: ${text}`);
    }
    return id;
  }

  #checkCopy(topic: string, { key, value, headers }: OutputEntry): string {
    const position = headers?.['position'] ?? '';
    const [shard, offset] = position.split(':').map(Number) as [number, number];
    const record = this.#log.partitions[shard]?.[offset];
    if (record?.value !== value || this.#topicOf(record) !== topic || JSON.parse(value).visitor !== key) {
      throw new Violation(`${topic}: the record at ${position} is not ${value}`);
    }
    return `${position}-0`;
  }

  /** Where the record is copied to; null: nowhere. */
  #topicOf(log: LogRecord): string | null {
    const { record } = readRecord(log);
    if (record?.kind !== 'event' || shardOf(record.visitor, this.#references.length) !== log.shard) return null;
    return this.#copiedTypes.includes(record.type) ? `events.${record.type}` : null;
  }

  /** @param earlier what stood before, the first first */
  wrote(earlier: readonly ShardState[], after: ShardState): void {
    const before = earlier.at(-1);
    const { meta, message } = after;
    const where = `shard ${meta.shard}, commit ${meta.commit}`;
    for (const id of before?.outbox.keys() ?? []) {
      if (!after.outbox.has(id) && !this.#told.has(`${meta.shard}:${id}`)) {
        throw new Violation(`${where}: the output ${id} left the outbox before its topic had it`);
      }
    }
    for (const id of after.outbox.keys()) {
      if (before?.outbox.has(id) !== true && earlier.some(({ outbox }) => outbox.has(id))) {
        throw new Violation(`${where}: the output ${id} is in the outbox again`);
      }
    }
    if (message === null) return;
    const partition = this.#log.partitions[meta.shard]!;
    for (const record of partition.slice(this.#copied[meta.shard], meta.copied)) {
      if (this.#topicOf(record) !== null && !this.#isCopied(record)) {
        throw new Violation(`${where}: all below ${meta.copied} is said to be copied, and ${record.offset} is not`);
      }
    }
    this.#copied[meta.shard] = Math.max(this.#copied[meta.shard]!, meta.copied);
    if (before?.meta.owner !== meta.owner) {
      throw new Violation(`${where}: ${meta.owner} committed, and ${before?.meta.owner} is the owner`);
    }
    if (meta.position > this.#log.partitions[meta.shard]!.length) {
      throw new Violation(`${where}: the position ${meta.position} is beyond the log's end`);
    }
    if (!this.#references[meta.shard]!.isRight(after)) {
      throw new Violation(`${where}: the state is not what the log up to its position ${meta.position} folds to`);
    }
    for (const [visitor, texts] of after.visitors) {
      if (texts.slots === before.visitors.get(visitor)?.slots) continue;
      const told = message.visitors.find((each) => each.visitor === visitor);
      if (told?.slots !== texts.slots) throw new Violation(`${where}: nobody was told of the slots of ${visitor}`);
    }
    if (message.commit !== meta.commit || message.position !== meta.position) {
      throw new Violation(`${where}: the message is that of ${message.commit} at ${message.position}`);
    }
  }

  /** After all faults have ended and all is folded. */
  ended(state: SimulatedState): void {
    state.history.forEach((history, shard) => {
      const { meta, visitors, failed } = history.at(-1)!;
      const is = `${textOf(meta, visitors, failed)}\n${meta.appendTime}`;
      const should = this.#references[shard]!.end;
      if (is !== should) {
        throw new Violation(`shard ${shard} is\n${is}\nand its log folds to\n${should}`);
      }
      for (const id of this.#references[shard]!.outputs.keys()) {
        if (!this.#told.has(id)) throw new Violation(`the output ${id} never came to its topic`);
      }
      const missing = this.#log.partitions[shard]!.find(
        (each) => this.#topicOf(each) !== null && !this.#isCopied(each),
      );
      if (missing !== undefined) throw new Violation(`the record ${shard}:${missing.offset} was never copied`);
      const folded = new Set<number>();
      for (const { message } of history) {
        for (const { what, offset } of message?.activity ?? []) {
          if (what !== 'folded') continue;
          if (folded.has(offset)) throw new Violation(`the event ${shard}:${offset} was folded twice`);
          folded.add(offset);
        }
      }
      this.#checkMoves(shard, history);
    });
  }

  /** Whatever came again was taken once. */
  #checkMoves(shard: number, history: readonly ShardState[]): void {
    const taken = new Set<string>();
    for (const { message } of history) {
      for (const { what, offset } of message?.activity ?? []) {
        const { record } = readRecord(this.#log.partitions[shard]![offset]!);
        if (record?.kind !== (what === 'merged' ? 'visitor_merged' : what === 'folded' ? 'forwarded' : null)) continue;
        const { from, origin } = record as MergedRecord | ForwardedRecord;
        const name = `${from} ${origin.shard}:${origin.output}`;
        if (taken.has(name)) throw new Violation(`shard ${shard} has taken ${name} twice`);
        taken.add(name);
      }
    }
  }

  #isCopied({ shard, offset }: LogRecord): boolean {
    return this.#copies.has(`${shard}:${offset}-0`);
  }
}
