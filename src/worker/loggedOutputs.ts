import type { ShardActions } from '../actions/shardActions.ts';
import { UsherError } from '../errors.ts';
import type { EventLog } from '../log/eventLog.ts';
import type { Outputs } from '../log/outputs.ts';
import { type ActionOrder, actionsTopic } from '../model/action.ts';
import { logTopic } from '../model/commit.ts';
import { actionsAgainTopic } from '../model/storedAction.ts';

/** One shard's outputs: what rules append goes to the shard's own log, messages to its actions, the rest to its topics. */
export function withLog(
  shard: number,
  log: EventLog,
  topics: Outputs | undefined,
  actions: Pick<ShardActions, 'accept'> | null,
): Outputs {
  return {
    async write(topic, entries) {
      if (topic === actionsTopic || topic === actionsAgainTopic) {
        if (actions === null) throw new UsherError('OUTPUT_UNAVAILABLE', 'nobody here delivers messages');
        const orders = entries.map(({ value }) => JSON.parse(value) as ActionOrder);
        return actions.accept(orders, topic === actionsAgainTopic);
      }
      if (topic !== logTopic) {
        if (topics === undefined) throw new UsherError('OUTPUT_UNAVAILABLE', `there is no topic ${topic} here`);
        return topics.write(topic, entries);
      }
      const outcomes = await log.append(entries.map(({ key, value }) => ({ shard, key, value })));
      const refused = outcomes.find((outcome) => !outcome.ok);
      // Whichever were written are written again then: the fold knows them by their ids (semantics 2.4).
      if (refused !== undefined && !refused.ok)
        throw new UsherError('OUTPUT_UNAVAILABLE', `the log did not take what rules append: ${refused.message}`);
    },
    async close() {},
  };
}
