import { expect } from 'vitest';
import type { CommitMessage } from '../../src/model/commit.ts';
import type { Broadcast } from '../../src/push/broadcast.ts';
import { type ContractCase, until } from './contract.ts';

export interface BroadcastSubject {
  readonly broadcast: Broadcast;
  /** As a commit does it: an engine that publishes by itself does not go through `broadcast.publish`. */
  publish(message: CommitMessage): void | Promise<void>;
  close(): Promise<void>;
}

function message(shard: number, position: number): CommitMessage {
  const visitors = [{ visitor: 'u:👩‍🚀', version: position, slots: `{"n":${position}}` }];
  const ids = { commit: `c${position}`, lineage: 'l1' };
  return {
    shard,
    ...ids,
    position,
    appendTime: 1_000 + position,
    visitors,
    activity: [],
    takenAt: 1.25,
    foldedAt: 2.5,
  };
}

function listener() {
  const messages: CommitMessage[] = [];
  return { messages, onMessage: (one: CommitMessage) => void messages.push(one), onGap: () => {} };
}

const positions = (messages: readonly CommitMessage[]) => messages.map(({ position }) => position);

export const broadcastCases: readonly ContractCase<BroadcastSubject>[] = [
  {
    name: 'brings a message to every listener of its shard, whole and in the order of publishing',
    async run({ broadcast, publish }) {
      const listeners = [listener(), listener(), listener()];
      for (const one of listeners) await broadcast.subscribe(2, one);
      for (let n = 0; n < 100; n++) await publish(message(2, n));
      for (const { messages } of listeners) {
        await until('every message has come', () => messages.length === 100);
        expect(messages).toEqual(Array.from({ length: 100 }, (_, n) => message(2, n)));
      }
    },
  },
  {
    name: 'brings a message to no listener of another shard',
    async run({ broadcast, publish }) {
      const shards = [0, 1, 2, 3].map(() => listener());
      for (const [shard, one] of shards.entries()) await broadcast.subscribe(shard, one);
      for (let n = 0; n < 12; n++) await publish(message(n % 4, n));
      for (const [shard, { messages }] of shards.entries()) {
        await until('every message has come', () => messages.length >= 3);
        expect(positions(messages)).toEqual([shard, shard + 4, shard + 8]);
      }
    },
  },
  {
    name: 'brings nothing that was published before the subscription, everything after it',
    async run({ broadcast, publish }) {
      await publish(message(0, 1));
      const one = listener();
      await broadcast.subscribe(0, one);
      await publish(message(0, 2));
      await until('the message has come', () => one.messages.length > 0);
      expect(positions(one.messages)).toEqual([2]);
    },
  },
  {
    name: 'brings nothing after the subscription was given up, and keeps the others of the same listener',
    async run({ broadcast, publish }) {
      const one = listener();
      const other = listener();
      const leave = await broadcast.subscribe(1, one);
      await broadcast.subscribe(1, other);
      const leaveTwin = await broadcast.subscribe(1, other);
      await leave();
      await leaveTwin();
      await leaveTwin();
      await publish(message(1, 7));
      await until('the other has it', () => other.messages.length > 0);
      await publish(message(1, 8));
      await until('the other has the next', () => other.messages.length > 1);
      expect(positions(other.messages)).toEqual([7, 8]);
      expect(one.messages).toEqual([]);
    },
  },
  {
    name: 'lets a listener that throws disturb neither the publisher nor the others',
    async run({ broadcast, publish }) {
      await broadcast.subscribe(0, {
        onMessage: () => {
          throw new Error('this listener always fails');
        },
        onGap: () => {},
      });
      const one = listener();
      await broadcast.subscribe(0, one);
      await publish(message(0, 1));
      await publish(message(0, 2));
      await until('both have come', () => one.messages.length === 2);
      expect(positions(one.messages)).toEqual([1, 2]);
    },
  },
  {
    name: 'lets a listener leave, and another come, while a message is handed over',
    async run({ broadcast, publish }) {
      const late = listener();
      const seen: number[] = [];
      const leave = await broadcast.subscribe(0, {
        onMessage: ({ position }) => {
          seen.push(position);
          void leave();
          void broadcast.subscribe(0, late);
        },
        onGap: () => {},
      });
      await publish(message(0, 1));
      await until('the first has come', () => seen.length > 0);
      await until('the late listener hears', async () => {
        await publish(message(0, 2));
        return late.messages.length > 0;
      });
      expect(seen).toEqual([1]);
      expect(positions(late.messages)).not.toContain(1);
    },
  },
  {
    name: 'brings nothing to a listener whom another one made leave, the message under way included',
    async run({ broadcast, publish }) {
      const leaves: (() => Promise<void>)[] = [];
      const seen: string[] = [];
      for (const name of ['first', 'second']) {
        const onMessage = () => {
          seen.push(name);
          for (const leave of leaves) void leave();
        };
        leaves.push(await broadcast.subscribe(0, { onMessage, onGap: () => {} }));
      }
      const last = listener();
      await broadcast.subscribe(0, last);
      await publish(message(0, 1));
      await publish(message(0, 2));
      await until('both have come to the one that stayed', () => last.messages.length === 2);
      expect(seen).toEqual(['first']);
    },
  },
  {
    name: 'brings nothing after it was closed',
    async run({ broadcast, publish }) {
      const one = listener();
      await broadcast.subscribe(0, one);
      await publish(message(0, 1));
      await until('the first has come', () => one.messages.length > 0);
      await broadcast.close();
      await publish(message(0, 2));
      expect(positions(one.messages)).toEqual([1]);
    },
  },
];
