import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DeliveryOutcome } from '../../src/actions/destination.ts';
import {
  accepted,
  acceptedAgain,
  afterAttempt,
  attempting,
  expired,
  retryMs,
  takenOver,
} from '../../src/actions/progress.ts';
import { action } from '../contract/stateStore.actions.ts';

const hourMs = 3_600_000;
const policy = { retryForMs: 12 * hourMs };
const now = 1_700_000_000_000;
const waiting = accepted(action(1).order, now);
const retry: DeliveryOutcome = { kind: 'retry', detail: '503' };
const unknown: DeliveryOutcome = { kind: 'unknown', detail: 'the connection broke after the final dot' };

describe('an action', () => {
  it('is done when it is delivered, and dead when its destination refuses it for good; both have to be told', () => {
    const delivered = { kind: 'delivered', detail: '250 2.0.0 queued' } as const;
    expect(afterAttempt(waiting, delivered, false, policy, now + 5, 0)).toEqual({
      ...waiting,
      state: 'done',
      attempts: 1,
      detail: '250 2.0.0 queued',
      changedAt: now + 5,
    });
    const refused = { kind: 'refused', detail: '550 no such mailbox' } as const;
    const dead = afterAttempt(waiting, refused, true, policy, now + 5, 0);
    expect(dead).toMatchObject({ state: 'dead', reason: 'REFUSED', detail: '550 no such mailbox', told: false });
  });

  it('that may have been delivered is tried again only where that does no harm', () => {
    const leaving = attempting(waiting, now);
    expect(leaving).toMatchObject({ state: 'attempting', attempts: 1 });
    expect(afterAttempt(waiting, unknown, false, policy, now, 0)).toMatchObject({
      state: 'dead',
      reason: 'OUTCOME_UNKNOWN',
      attempts: 1,
    });
    expect(afterAttempt(waiting, unknown, true, policy, now, 0)).toMatchObject({ state: 'waiting', attempts: 1 });
  });

  it('left on its way by its owner is a dead letter of the next; what waited goes on waiting', () => {
    expect(takenOver(attempting(waiting, now), now + 9)).toMatchObject({ state: 'dead', reason: 'OUTCOME_UNKNOWN' });
    for (const other of [waiting, action(1, { state: 'done' }), action(1, { state: 'dead', reason: 'REFUSED' })])
      expect(takenOver(other, now + 9)).toBe(other);
  });

  it('waits anything from nothing to a bound that doubles, up to half an hour', () => {
    for (const [attempts, most] of [
      [0, 2_000],
      [1, 4_000],
      [5, 64_000],
      [30, 1_800_000],
      [5_000, 1_800_000],
    ] as const) {
      const at = (random: number) =>
        afterAttempt({ ...waiting, attempts }, retry, true, policy, now, random).nextAt - now;
      expect([at(0), at(0.5), at(0.999_999_9)]).toEqual([0, most / 2, most]);
    }
    expect(retryMs.most).toBe(hourMs / 2);
  });

  it('does not come before the destination wants it, and is given up when that is after its time', () => {
    const toldToWait = (afterMs: number) => afterAttempt(waiting, { ...retry, afterMs }, true, policy, now, 0);
    expect(toldToWait(90_000).nextAt).toBe(now + 90_000);
    expect(toldToWait(policy.retryForMs)).toMatchObject({ state: 'waiting', nextAt: now + policy.retryForMs });
    expect(toldToWait(policy.retryForMs + 1)).toMatchObject({ state: 'dead', reason: 'RETRIES_EXHAUSTED' });
  });

  it('is tried a last time when its time is up, and then given up, however many attempts it takes', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 0.999_999, noNaN: true }), { minLength: 1 }), (chances) => {
        let state = waiting;
        let at = now;
        for (let tries = 0; state.state === 'waiting'; tries++) {
          if (tries > 100_000) throw new Error('it never ends');
          at = Math.max(state.nextAt, at + 50);
          const late = expired(state, policy, at);
          const chance = chances[tries % chances.length]!;
          state = late ?? afterAttempt(state, retry, true, policy, at, Math.max(0.03, chance));
          if (state.state === 'waiting') expect(state.nextAt).toBeLessThanOrEqual(now + policy.retryForMs);
        }
        expect(state).toMatchObject({ state: 'dead', reason: 'RETRIES_EXHAUSTED' });
        expect(state.detail).toMatch(/^\d+ attempts in 12 h; the last: 503$/);
        expect(at).toBeGreaterThanOrEqual(now + policy.retryForMs);
      }),
      { numRuns: 30 },
    );
  });

  it('whose time was up while nobody could try it is given up untried', () => {
    expect(expired(waiting, policy, now + policy.retryForMs)).toBeNull();
    expect(expired(waiting, policy, now + policy.retryForMs + 1)).toMatchObject({
      state: 'dead',
      reason: 'RETRIES_EXHAUSTED',
      detail: '0 attempts in 12 h',
    });
  });

  it('ordered by a record that was folded before runs again where that does no harm, unless it is too old for anybody', () => {
    const order = { ...action(1).order, orderedAt: now - hourMs };
    expect(acceptedAgain(order, true, policy, now)).toEqual(accepted(order, now));
    expect(acceptedAgain(order, false, policy, now)).toMatchObject({ state: 'dead', reason: 'OUTCOME_UNKNOWN' });
    for (const isRepeatable of [true, false]) {
      const old = { ...order, orderedAt: now - policy.retryForMs - 1 };
      expect(acceptedAgain(old, isRepeatable, policy, now)).toMatchObject({ state: 'done', told: true });
    }
  });
});
