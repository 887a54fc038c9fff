import type { CommitMessage } from '../model/commit.ts';

/**
 * Tells every gateway what a commit changed. One channel a shard.
 *
 * To whoever writes an adapter, promise this: a message published reaches every listener that was subscribed before it,
 * in the order of publishing within a shard, or not at all, and after anything may have been missed `onGap` is called (the
 * listener then reads the state again, semantics 7.2). A listener that throws disturbs neither the publisher nor the others.
 * Not your job: storing messages, or telling who needs which.
 */
export interface Broadcast {
  /** For stores whose commit cannot publish by itself; called after the commit is written. Never throws. */
  publish(message: CommitMessage): void;
  /** Resolves when messages published from now on will arrive. */
  subscribe(shard: number, listener: BroadcastListener): Promise<() => Promise<void>>;
  close(): Promise<void>;
}

export interface BroadcastListener {
  onMessage(message: CommitMessage): void;
  /** Messages may be missing before the next one. */
  onGap(): void;
}
