import { describe, expect, it } from 'vitest';
import type { Destination } from '../../src/actions/destination.ts';
import { runCase } from '../contract/contract.ts';
import { type DestinationSubject, destinationCases } from './destination.contract.ts';
import { attempt } from './messages.ts';
import { openWebhook } from './webhookSubject.ts';

type Broken = (destination: Destination) => Partial<Destination>;

/** A web hook's adapter with some of its members replaced. */
const withBroken = (broken: Broken) => async (): Promise<DestinationSubject> => {
  const subject = await openWebhook();
  const { destination } = subject;
  const whole: Destination = {
    kind: destination.kind,
    repeatable: destination.repeatable,
    deliver: (message, one) => destination.deliver(message, one),
    close: () => destination.close(),
  };
  return {
    ...subject,
    destination: { ...whole, ...broken(destination) },
    async close() {
      await destination.close();
      await subject.close();
    },
  };
};

const cases: readonly [string, string, Broken, RegExp][] = [
  [
    'sends each message twice',
    'delivers each message once, under its id',
    (destination) => ({
      async deliver(message, one) {
        await destination.deliver(message, one);
        return destination.deliver(message, one);
      },
    }),
    /to deeply equal/,
  ],
  [
    'gives a message another id in each attempt',
    'delivers each message once, under its id',
    (destination) => ({
      deliver: (message, one) => destination.deliver({ ...message, id: crypto.randomUUID() }, one),
    }),
    /to deeply equal/,
  ],
  [
    'takes every answer for a yes',
    'answers `refused` when the receiver says that it never will, and delivers the next one',
    (destination) => ({
      deliver: async (message, one) => ({ ...(await destination.deliver(message, one)), kind: 'delivered' }),
    }),
    /to match object/,
  ],
  [
    'gives up what may be tried again',
    'answers `retry` when the receiver takes nothing now, and delivers when it does again',
    (destination) => ({
      async deliver(message, one) {
        const outcome = await destination.deliver(message, one);
        return outcome.kind === 'retry' ? { kind: 'refused', detail: outcome.detail } : outcome;
      },
    }),
    /to match object/,
  ],
  [
    'rejects',
    'says truly what became of a message when the receiver breaks off, and delivers the next one',
    (destination) => ({
      async deliver(message, one) {
        const outcome = await destination.deliver(message, one);
        if (outcome.kind !== 'delivered') throw new Error('as a fetch does');
        return outcome;
      },
    }),
    /as a fetch does/,
  ],
  [
    'looks at the signal too late',
    'sends nothing when the signal has aborted before',
    (destination) => ({ deliver: (message) => destination.deliver(message, attempt) }),
    /to match object/,
  ],
  [
    'does not close',
    'waits with `close` for attempts under way, leaves no connection, and takes no more',
    () => ({ close: async () => {} }),
    /to match object/,
  ],
  [
    'breaks off what is under way when it closes',
    'waits with `close` for attempts under way, leaves no connection, and takes no more',
    (destination) => {
      const closing = new AbortController();
      return {
        deliver: (message) => destination.deliver(message, { ...attempt, signal: closing.signal }),
        close() {
          closing.abort();
          return destination.close();
        },
      };
    },
    /to deeply equal/,
  ],
  [
    'tells the other side’s answer as it came',
    'says what went wrong, in one line of at most 500 characters',
    (destination) => ({
      deliver: async (message, one) => ({ ...(await destination.deliver(message, one)), detail: 'not\r\nnow' }),
    }),
    /to match/,
  ],
];

describe('the contract catches an adapter that', () => {
  it.each(cases)('%s', async (_name, caught, broken, how) => {
    const one = destinationCases.find(({ name }) => name === caught);
    if (one === undefined) throw new Error(`no case is called ${JSON.stringify(caught)}`);
    await expect(runCase(one, withBroken(broken))).rejects.toThrow(how);
  });
});
