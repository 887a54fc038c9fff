import type { CommitMessage } from '../model/commit.ts';
import type { Broadcast, BroadcastListener } from './broadcast.ts';

/**
 * A broadcast within one process: a call of each listener, in the order in which they subscribed. Nothing is ever missed, so
 * `onGap` is never called.
 * @param report gets what a listener threw: a fault of that listener, which neither the publisher nor the others can mend
 */
export function localBroadcast(
  report: (error: unknown) => void = (error) => console.error('a listener of commits failed:', error),
): Broadcast {
  const subscriptions = new Map<number, Set<{ readonly listener: BroadcastListener }>>();
  return {
    publish(message: CommitMessage) {
      const ofShard = subscriptions.get(message.shard);
      if (ofShard === undefined) return;
      // Over a copy: whoever subscribes during the call was not there when the message was published.
      for (const subscription of [...ofShard]) {
        if (!ofShard.has(subscription)) continue;
        try {
          subscription.listener.onMessage(message);
        } catch (error) {
          report(error);
        }
      }
    },
    async subscribe(shard, listener) {
      // An entry of its own: the same listener may subscribe twice and leave once.
      const subscription = { listener };
      const ofShard = subscriptions.get(shard) ?? new Set();
      subscriptions.set(shard, ofShard);
      ofShard.add(subscription);
      return async () => {
        ofShard.delete(subscription);
      };
    },
    async close() {
      for (const ofShard of subscriptions.values()) ofShard.clear();
    },
  };
}
