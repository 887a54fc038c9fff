import type { FoldSettings } from '../../src/fold/work.ts';
import type { SimulatedLog } from './log.ts';
import { Reference, textOf } from './reference.ts';
import type { ShardState, SimulatedState } from './state.ts';

/** A promise that was broken. */
export class Violation extends Error {
  override readonly name = 'Violation';
}

/** Looks at every step of the state, as a reader would who never sleeps, and at all of it in the end. */
export class Judge {
  readonly #log: SimulatedLog;
  readonly #references: readonly Reference[];

  constructor(log: SimulatedLog, settings: FoldSettings) {
    this.#log = log;
    const { partitions } = log;
    this.#references = partitions.map((records, shard) => new Reference(shard, partitions.length, records, settings));
  }

  wrote(before: ShardState | null, after: ShardState): void {
    const { meta, message } = after;
    const where = `shard ${meta.shard}, commit ${meta.commit}`;
    if (message === null) return;
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
      const folded = new Set<number>();
      for (const { message } of history) {
        for (const { what, offset } of message?.activity ?? []) {
          if (what !== 'folded') continue;
          if (folded.has(offset)) throw new Violation(`the event ${shard}:${offset} was folded twice`);
          folded.add(offset);
        }
      }
    });
  }
}
