import { UsherError } from '../errors.ts';
import type { AppendEntry, EventLog } from '../log/eventLog.ts';
import type { OutputEntry, Outputs } from '../log/outputs.ts';
import { logTopic, movesTopic } from '../model/commit.ts';
import { shardOf } from '../model/shard.ts';

/**
 * One shard's outputs: what it appends goes to the log, each record to the shard of its key, the rest to its topics. Whichever of a
 * write that fails were written are written again: the fold knows them, events by their ids (semantics 2.4), moves by their origin.
 */
export function withLog(log: EventLog, topics: Outputs | undefined): Outputs {
  return {
    async write(topic, entries) {
      if (topic === logTopic) return append(log, entries.map(toShard));
      if (topic === movesTopic) return appendInOrder(log, entries.map(toShard));
      if (topics === undefined) throw new UsherError('OUTPUT_UNAVAILABLE', `there is no topic ${topic} here`);
      return topics.write(topic, entries);
    },
    async close() {},
  };

  function toShard({ key, value }: OutputEntry): AppendEntry {
    return { shard: shardOf(key, log.shards), key, value };
  }
}

async function append(log: EventLog, entries: readonly AppendEntry[]): Promise<void> {
  const outcomes = await log.append(entries);
  const refused = outcomes.find((outcome) => !outcome.ok);
  if (refused !== undefined && !refused.ok)
    throw new UsherError('OUTPUT_UNAVAILABLE', `the log did not take what the fold appends: ${refused.message}`);
}

/**
 * To each shard one after the other: a user takes a shard's moves in their order (semantics 8.2), so none may come into the log while
 * one before it has not, and of an append of several the log may refuse the first alone.
 */
async function appendInOrder(log: EventLog, entries: readonly AppendEntry[]): Promise<void> {
  const lanes = Map.groupBy(entries, ({ shard }) => shard);
  const written = await Promise.allSettled(
    [...lanes.values()].map(async (lane) => {
      for (const entry of lane) await append(log, [entry]);
    }),
  );
  const failed = written.find((each) => each.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
