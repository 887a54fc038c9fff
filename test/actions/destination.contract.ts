import { expect } from 'vitest';
import type { Destination } from '../../src/actions/destination.ts';
import { type ContractCase, until } from '../contract/contract.ts';
import { attempt, attemptWith, message } from './messages.ts';

/** What a real receiver does with what comes, from now on. */
export type Behaviour = 'takes' | 'later' | 'never' | 'hangs' | 'breaks off';

export interface DestinationSubject {
  readonly destination: Destination;
  /** Ids of what the receiver has taken, in its order; a repeat is there again. */
  taken(): Promise<readonly string[]>;
  /** How many attempts the receiver has seen begin. */
  begun(): Promise<number>;
  behave(behaviour: Behaviour): Promise<void>;
  /** Connections that are open at the receiver. */
  connections(): Promise<number>;
  close(): Promise<void>;
}

const ids = (from: number, count: number) => Array.from({ length: count }, (_, n) => message(from + n).id);
/** Not told as taken, and as `retry` only if it is sure that it was not. */
const notDelivered = ({ repeatable }: Destination) => (repeatable ? ['retry'] : ['retry', 'unknown']);

/** What a receiver cannot do is not asked of it: a topic never refuses for good. */
export interface DestinationCase extends ContractCase<DestinationSubject> {
  readonly needs?: readonly Behaviour[];
}

/** What each kind promises, held against a receiver that is really there. */
export const destinationCases: readonly DestinationCase[] = [
  {
    name: 'delivers each message once, under its id',
    async run({ destination, taken }) {
      for (let n = 1; n <= 5; n++) {
        expect(await destination.deliver(message(n), attempt)).toEqual({
          kind: 'delivered',
          detail: expect.any(String),
        });
        expect(await taken()).toEqual(ids(1, n));
      }
    },
  },
  {
    name: 'delivers many at the same time, each once',
    async run({ destination, taken }) {
      const outcomes = await Promise.all(
        Array.from({ length: 60 }, (_, n) => destination.deliver(message(n), attempt)),
      );
      expect(new Set(outcomes.map(({ kind }) => kind))).toEqual(new Set(['delivered']));
      expect([...(await taken())].sort()).toEqual(ids(0, 60));
    },
  },
  {
    name: 'answers `retry` when the receiver takes nothing now, and delivers when it does again',
    needs: ['later'],
    async run({ destination, taken, behave }) {
      await behave('later');
      expect(await destination.deliver(message(1), attempt)).toMatchObject({ kind: 'retry' });
      expect(await taken()).toEqual([]);
      await behave('takes');
      expect(await destination.deliver(message(1), attempt)).toMatchObject({ kind: 'delivered' });
      expect(await taken()).toEqual(ids(1, 1));
    },
  },
  {
    name: 'answers `refused` when the receiver says that it never will, and delivers the next one',
    needs: ['never'],
    async run({ destination, taken, behave }) {
      await behave('never');
      expect(await destination.deliver(message(1), attempt)).toMatchObject({ kind: 'refused' });
      await behave('takes');
      expect(await destination.deliver(message(2), attempt)).toMatchObject({ kind: 'delivered' });
      expect(await taken()).toEqual(ids(2, 1));
    },
  },
  {
    name: 'says truly what became of a message when the receiver breaks off, and delivers the next one',
    needs: ['breaks off'],
    async run({ destination, taken, behave }) {
      await behave('breaks off');
      const { kind } = await destination.deliver(message(1), attempt);
      expect(notDelivered(destination)).toContain(kind);
      await behave('takes');
      expect(await destination.deliver(message(2), attempt)).toMatchObject({ kind: 'delivered' });
      expect(await taken()).toEqual(ids(2, 1));
    },
  },
  {
    name: 'says what went wrong, in one line of at most 500 characters',
    needs: ['later', 'never', 'breaks off'],
    async run({ destination, behave }) {
      for (const behaviour of ['later', 'never', 'breaks off'] as const) {
        await behave(behaviour);
        const { detail } = await destination.deliver(message(1), attempt);
        // biome-ignore lint/suspicious/noControlCharactersInRegex: there must be none
        expect(detail).toMatch(/^[^\u0000-\u001f]{3,500}$/);
      }
    },
  },
  {
    name: 'gives up an attempt that hangs when the signal aborts, and delivers the next one',
    needs: ['hangs'],
    async run({ destination, begun, taken, behave }) {
      await behave('hangs');
      const ending = new AbortController();
      const hanging = destination.deliver(message(1), attemptWith({ signal: ending.signal }));
      await until('the receiver has it', async () => (await begun()) > 0);
      ending.abort();
      expect(notDelivered(destination)).toContain((await hanging).kind);
      await behave('takes');
      expect(await destination.deliver(message(2), attempt)).toMatchObject({ kind: 'delivered' });
      expect(await taken()).toEqual(ids(2, 1));
    },
  },
  {
    name: 'sends nothing when the signal has aborted before',
    async run({ destination, begun }) {
      expect(await destination.deliver(message(1), attemptWith({ signal: AbortSignal.abort() }))).toMatchObject({
        kind: 'retry',
      });
      expect(await destination.deliver(message(2), attempt)).toMatchObject({ kind: 'delivered' });
      expect(await begun()).toBe(1);
    },
  },
  {
    name: 'answers, and does not reject, whatever stands in a message',
    async run({ destination, taken }) {
      const odd = 'a\r\nbcc: x@example.com\r\n\r\n.\r\n\u0000\ud800';
      const { mail } = message(1);
      for (const changes of [
        { id: odd, payload: { odd } },
        { visitor: odd, action: odd, payload: { odd } },
        { to: odd, payload: { odd } },
        { to: '', payload: {} },
        { to: null, mail: { ...mail!, subject: odd, text: odd, html: odd, unsubscribeUrl: odd } },
        { mail: null },
      ]) {
        const { kind } = await destination.deliver(message(1, changes), attempt);
        expect(['delivered', 'refused', 'retry']).toContain(kind);
      }
      const before = (await taken()).length;
      expect(await destination.deliver(message(7), attempt)).toMatchObject({ kind: 'delivered' });
      expect((await taken()).slice(before)).toEqual(ids(7, 1));
    },
  },
  {
    name: 'waits with `close` for attempts under way, leaves no connection, and takes no more',
    async run({ destination, taken, connections }) {
      const underway = [1, 2, 3].map((n) => destination.deliver(message(n), attempt));
      await destination.close();
      expect((await Promise.all(underway)).map(({ kind }) => kind)).toEqual(['delivered', 'delivered', 'delivered']);
      expect([...(await taken())].sort()).toEqual(ids(1, 3));
      await until('no connection is open', async () => (await connections()) === 0);
      expect(await destination.deliver(message(4), attempt)).toMatchObject({ kind: 'retry' });
      expect((await taken()).length).toBe(3);
      await destination.close();
    },
  },
];
