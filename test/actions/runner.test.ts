import { describe, expect, it } from 'vitest';
import { deliveryEvent } from '../../src/actions/teller.ts';
import { shardOf } from '../../src/model/shard.ts';
import type { StateStore } from '../../src/state/stateStore.ts';
import { until } from '../contract/contract.ts';
import { action } from '../contract/stateStore.actions.ts';
import { withActions } from '../support/wrappedStore.ts';
import { shards } from '../worker/harness.ts';
import { hourMs, openRunners, shard, visitor } from './runnerHarness.ts';

const numbers = (n: number) => Array.from({ length: n }, (_, i) => i + 1);

describe('messages', () => {
  it('are delivered once each, and the visitor’s log is told, once each', async () => {
    await using world = await openRunners();
    const orders = numbers(50).map((n) => world.order(n));
    const { actions, events } = await world.takeOver();
    await actions.accept(orders, false);
    // As after a crash between taking them and removing them from the outbox.
    await actions.accept(orders, false);
    await world.untilSo('all are delivered and told', world.isQuiet);
    await actions.accept(orders, false);
    expect(world.crm.asked.toSorted()).toEqual(orders.map(({ id }) => id));
    const told = await world.told();
    expect(told.map(({ type }) => type)).toEqual(numbers(50).map(() => 'message_sent'));
    expect(new Set(told.map(({ id }) => id)).size).toBe(50);
    expect(told.find(({ properties }) => 'actionId' in properties && properties.actionId === orders[0]!.id)).toEqual({
      ...deliveryEvent({ ...action(1), order: orders[0]!, state: 'done', detail: '200' }),
      properties: { actionId: orders[0]!.id, action: 'cart_mail', destination: 'crm', detail: '200' },
    });
    expect(events.filter(({ what }) => what === 'accepted')).toMatchObject([{ messages: 50, destination: 'crm' }]);
  });

  it('are tried again while their destination is down, and all arrive when it is back', async () => {
    await using world = await openRunners();
    const orders = numbers(20).map((n) => world.order(n));
    world.crm.answer = () => ({ status: 503 });
    const { actions, runner } = await world.takeOver();
    await actions.accept(orders, false);
    await world.untilSo('the lane asks only now and then', () => runner.lanes().get('crm')!.isOpen);
    await world.clock.pass(2 * hourMs, 30_000);
    expect(world.crm.taken).toEqual([]);
    // Once a minute, and not each of twenty.
    expect(world.crm.asked.length).toBeLessThan(200);
    world.crm.answer = () => ({ status: 200 });
    await world.untilSo('all are delivered', world.isQuiet, 30_000);
    expect(world.crm.taken.toSorted()).toEqual(orders.map(({ id }) => id));
    expect(await world.dead()).toEqual([]);
  });

  it('are not tried again before the time that their destination tells', async () => {
    await using world = await openRunners();
    let first = true;
    world.crm.answer = () => {
      const answer = first ? { status: 429, retryAfterS: 600 } : { status: 200 };
      first = false;
      return answer;
    };
    const { actions } = await world.takeOver();
    await actions.accept([world.order(1)], false);
    const from = world.clock.now();
    await world.untilSo('it has been asked twice', () => world.crm.asked.length === 2, 10_000);
    expect(world.clock.now() - from).toBeGreaterThanOrEqual(600_000);
  });

  it('are dead letters when they were tried for twelve hours, or are refused; the log is told', async () => {
    await using world = await openRunners();
    const [down, refused] = [world.order(1), world.order(2)];
    world.crm.answer = (id) => ({ status: id === refused.id ? 422 : 500 });
    const { actions } = await world.takeOver();
    await actions.accept([down, refused], false);
    const from = world.clock.now();
    await world.untilSo('both are given up', world.isQuiet, 60_000);
    expect(world.clock.now() - from).toBeGreaterThanOrEqual(12 * hourMs);
    expect(await world.dead()).toMatchObject([
      { order: down, reason: 'RETRIES_EXHAUSTED' },
      { order: refused, reason: 'REFUSED', detail: '422', attempts: 1 },
    ]);
    const told = await world.told();
    expect(told.map(({ type, properties }) => [type, properties])).toEqual([
      ['message_failed', { actionId: refused.id, action: 'cart_mail', destination: 'crm', detail: 'REFUSED: 422' }],
      ['message_failed', expect.objectContaining({ actionId: down.id })],
    ]);
  });

  it('that are dead are driven again by a later order of the same id, and arrive once', async () => {
    await using world = await openRunners();
    world.crm.answer = () => ({ status: 400 });
    const { actions } = await world.takeOver();
    await actions.accept([world.order(1), world.order(2)], false);
    await world.untilSo('both are dead', world.isQuiet);
    world.crm.answer = () => ({ status: 200 });
    const again = (await world.dead()).map(({ order }) => ({ ...order, redriven: order.redriven + 1 }));
    expect(again).toHaveLength(2);
    await actions.accept(again, false);
    await actions.accept(again, false);
    await world.untilSo('both are delivered', world.isQuiet);
    expect(world.crm.taken.toSorted()).toEqual(again.map(({ id }) => id).toSorted());
    expect(await world.dead()).toEqual([]);
    // Failed and sent are two things to tell, of each.
    expect(new Set((await world.told()).map(({ id }) => id)).size).toBe(4);
  });

  it('whose reason is gone are not sent: they are looked at with the visitor as it is, just before each attempt', async () => {
    await using world = await openRunners();
    const seen: unknown[] = [];
    let isWanted = true;
    world.setParts({
      stillWanted: (known, order, bundles, now) => {
        seen.push([known.id, known.counts.folded, order.id, bundles.playbook.version, now]);
        return isWanted ? { wanted: true } : { wanted: false, reason: 'the order came' };
      },
    });
    world.crm.answer = () => {
      isWanted = false;
      return { status: 503 };
    };
    const { actions, events } = await world.takeOver();
    await actions.accept([world.order(1)], false);
    await world.untilSo('it has ended', world.isQuiet);
    expect(world.crm.asked).toHaveLength(1);
    expect(seen).toHaveLength(2);
    expect(seen[0]).toEqual([visitor, 1, world.order(1).id, expect.any(String), expect.any(Number)]);
    expect(events.find(({ what }) => what === 'unwanted')).toMatchObject({ reason: 'the order came' });
    expect([await world.dead(), await world.told()]).toEqual([[], []]);
  });

  it('of a visitor that is gone are not sent', async () => {
    await using world = await openRunners();
    const { actions, events } = await world.takeOver();
    await actions.accept([world.order(1, { visitor: 'u:nobody' })], false);
    await world.untilSo('it has ended', world.isQuiet);
    expect(world.crm.asked).toEqual([]);
    expect(events.find(({ what }) => what === 'unwanted')).toMatchObject({ reason: 'its visitor is gone' });
  });

  it('without a destination, or without a text, are dead letters that say so', async () => {
    await using world = await openRunners();
    world.setParts({
      renderMessage: (order) => {
        if (order.action === 'broken') throw new Error('cart.value is no number');
        return order.action === 'gone' ? null : { payload: {}, mail: null };
      },
    });
    const { actions } = await world.takeOver();
    const orders = [{ destination: 'nowhere' }, { action: 'broken' }, { action: 'gone' }];
    await actions.accept(
      orders.map((changes, i) => world.order(i + 1, changes)),
      false,
    );
    await world.untilSo('all are dead', world.isQuiet);
    const dead = (await world.dead()).toSorted((a, b) => (a.order.id < b.order.id ? -1 : 1));
    expect(dead).toMatchObject([
      { reason: 'DESTINATION_UNKNOWN', detail: 'this process has no destination nowhere' },
      { reason: 'MESSAGE_INVALID', detail: 'cart.value is no number' },
      { reason: 'MESSAGE_INVALID', detail: 'the playbook that asked for it has no action gone' },
    ]);
  });

  it('beyond what may wait for a destination are dead letters, LANE_FULL, of that destination alone', async () => {
    await using world = await openRunners();
    world.crm.answer = () => 'hang';
    const { actions } = await world.takeOver({ limits: { laneMessages: 10, laneConcurrency: 2 } });
    await actions.accept(
      numbers(8).map((n) => world.order(n)),
      false,
    );
    await actions.accept(
      numbers(14).map((n) => world.order(n + 8)),
      false,
    );
    await actions.accept([world.order(50, { destination: 'shop_mail' })], false);
    await until('the mail has arrived', () => world.mail.taken.length === 1);
    const dead = await world.dead();
    expect(dead.map(({ reason }) => reason)).toEqual(numbers(12).map(() => 'LANE_FULL'));
    expect(dead[0]!.detail).toBe('10 messages waited for crm already');
  });

  it('for a healthy destination are not held up by one that answers nobody, or late, in the same shard', async () => {
    await using world = await openRunners();
    world.crm.answer = () => 'hang';
    const { actions } = await world.takeOver();
    await actions.accept(
      numbers(300).map((n) => world.order(n, { destination: n % 2 === 0 ? 'crm' : 'shop_mail' })),
      false,
    );
    await until('all mails have arrived, though no time passes', () => world.mail.taken.length === 150);
    expect(world.crm.taken).toEqual([]);
    // What hangs is given up after a while, and tried again.
    const hanging = world.crm.asked.length;
    await world.untilSo('others of the slow one had their turn', () => world.crm.asked.length > hanging);
    world.crm.answer = () => ({ status: 200 });
    await world.untilSo('all have arrived', world.isQuiet);
    expect(new Set(world.crm.taken).size).toBe(150);
  });

  it('start no faster than their destination’s rate', async () => {
    await using world = await openRunners();
    const { actions } = await world.takeOver({ perSecond: 10 });
    await actions.accept(
      numbers(60).map((n) => world.order(n)),
      false,
    );
    const from = world.clock.now();
    await world.untilSo('all are delivered', world.isQuiet, 100);
    expect(world.clock.now() - from).toBeGreaterThanOrEqual(5_500);
  });
});

describe('the next owner of a shard', () => {
  it('goes on with what waits, when it is due, with the attempts that there were', async () => {
    await using world = await openRunners();
    world.crm.answer = () => ({ status: 429, retryAfterS: 3_600 });
    const first = await world.takeOver();
    await first.actions.accept([world.order(1)], false);
    await until('it is to wait for an hour', async () => {
      const [pending] = await world.store.actions.readPending(shard, null, 1);
      return pending?.attempts === 1;
    });
    await first.actions.end();
    world.crm.answer = () => ({ status: 200 });
    await world.takeOver();
    await world.clock.pass(hourMs - 60_000, 60_000);
    expect(world.crm.asked).toHaveLength(1);
    await world.untilSo('it is delivered', world.isQuiet, 10_000);
    expect(world.crm.taken).toHaveLength(1);
  });

  it('sends nothing that may have left: it is a dead letter that can be driven again', async () => {
    await using world = await openRunners();
    world.mail.answer = () => 'hang';
    const first = await world.takeOver();
    const orders = numbers(3).map((n) => world.order(n, { destination: 'shop_mail' }));
    await first.actions.accept(orders, false);
    await until('all are on their way', () => world.mail.asked.length === 3);
    world.mail.answer = () => ({ status: 200 });
    const second = await world.takeOver();
    await world.untilSo('the log is told', world.isQuiet);
    expect(world.mail.asked).toHaveLength(3);
    const dead = await world.dead();
    expect(dead.map(({ reason }) => reason)).toEqual(numbers(3).map(() => 'OUTCOME_UNKNOWN'));
    expect((await world.told()).map(({ type }) => type)).toEqual(numbers(3).map(() => 'message_failed'));
    await second.actions.accept(
      dead.map(({ order }) => ({ ...order, redriven: 1 })),
      false,
    );
    await world.untilSo('they are delivered', world.isQuiet);
    expect(world.mail.taken.toSorted()).toEqual(orders.map(({ id }) => id));
  });

  it('is the only one that sends what must not be repeated, though the one before still runs', async () => {
    await using world = await openRunners();
    const stuck = new AbortController();
    const old = await world.takeOver({
      wrap: (store) =>
        withActions(store, {
          // It sleeps right before it says that the mail leaves.
          write: async (...args) => {
            if (args[2].some(({ state }) => state === 'attempting') && !stuck.signal.aborted)
              await new Promise((resolve) => stuck.signal.addEventListener('abort', resolve));
            return store.actions.write(...args);
          },
        }),
    });
    await old.actions.accept([world.order(1, { destination: 'shop_mail' })], false);
    await world.takeOver();
    await world.untilSo('the new one has sent it', () => world.mail.taken.length === 1);
    stuck.abort();
    await world.untilSo('the old one knows', () => old.actions.isFenced);
    await world.untilSo('all is told', world.isQuiet);
    expect(world.mail.asked).toHaveLength(1);
    expect(await world.dead()).toEqual([]);
  });

  it('tells what the one before it had no time to tell', async () => {
    await using world = await openRunners();
    const { owner } = await world.store.own(shard, 'dies', shards);
    const sent = { ...action(1), order: world.order(1), state: 'done' as const };
    const failed = { ...action(2), order: world.order(2), state: 'dead' as const, reason: 'REFUSED' as const };
    await world.store.actions.accept(shard, owner, [sent, failed]);
    await world.takeOver();
    await world.untilSo('both are told', world.isQuiet);
    expect((await world.told()).map(({ type }) => type)).toEqual(['message_sent', 'message_failed']);
    expect(world.crm.asked).toEqual([]);
  });

  it('sends nothing as long as the state is not whole, and repeats of orders from before only where that does no harm', async () => {
    await using world = await openRunners();
    const { owner } = await world.store.own(shard, 'dies', shards);
    const left = { ...action(9), order: world.order(9), nextAt: world.clock.now() };
    await world.store.actions.accept(shard, owner, [left]);
    const rebuilding = await world.takeOver({ isWhole: false });
    const old = { orderedAt: world.clock.now() - 13 * hourMs };
    await rebuilding.actions.accept(
      [
        world.order(1),
        world.order(2, { destination: 'shop_mail' }),
        world.order(3, old),
        world.order(4, { ...old, destination: 'shop_mail' }),
      ],
      true,
    );
    await world.clock.pass(10 * 60_000, 1_000);
    await rebuilding.actions.end();
    expect([world.crm.asked, world.mail.asked]).toEqual([[], []]);
    await world.takeOver();
    await world.untilSo('all have ended', world.isQuiet);
    expect(world.crm.taken.toSorted()).toEqual([world.order(1).id, left.order.id]);
    expect(world.mail.asked).toEqual([]);
    expect(await world.dead()).toMatchObject([{ order: { id: world.order(2).id }, reason: 'OUTCOME_UNKNOWN' }]);
  });
});

describe('a shard that is given back', () => {
  it('waits for the messages that are on their way, and begins no others', async () => {
    await using world = await openRunners();
    let answer: (() => void) | null = null;
    world.mail.answer = async () => {
      await new Promise<void>((resolve) => {
        answer = resolve;
      });
      return { status: 200 };
    };
    const { actions } = await world.takeOver({ limits: { laneConcurrency: 1 } });
    await actions.accept(
      numbers(3).map((n) => world.order(n, { destination: 'shop_mail' })),
      false,
    );
    await until('one is on its way', () => answer !== null);
    const ended = actions.end();
    answer!();
    await ended;
    expect(world.mail.taken).toHaveLength(1);
    expect(
      (await world.store.actions.readPending(shard, null, 10)).map(({ state, attempts }) => [state, attempts]),
    ).toEqual([
      ['done', 1],
      ['waiting', 0],
      ['waiting', 0],
    ]);
  });

  it('waits no longer than it must: what does not end is not known to its next owner', async () => {
    await using world = await openRunners();
    world.mail.answer = () => 'hang';
    const { actions } = await world.takeOver();
    await actions.accept([world.order(1, { destination: 'shop_mail' })], false);
    await until('it is on its way', () => world.mail.asked.length === 1);
    const ended = actions.end();
    await world.clock.pass(6_000, 1_000);
    await ended;
    expect(await world.dead()).toMatchObject([{ reason: 'OUTCOME_UNKNOWN' }]);
  });
});

describe('a state that does not answer for a while', () => {
  it('holds messages up, and loses and repeats none', async () => {
    await using world = await openRunners();
    let isDown = false;
    let refused = 0;
    const down = (store: StateStore): StateStore =>
      withActions(store, {
        write: async (...args) => {
          if (isDown) {
            refused++;
            throw new Error('planted: the state does not answer');
          }
          return store.actions.write(...args);
        },
      });
    const { actions, events } = await world.takeOver({ wrap: down });
    world.mail.answer = () => {
      // After the mail has left, nothing can be noted.
      isDown = true;
      return { status: 200 };
    };
    await actions.accept(
      numbers(5).map((n) => world.order(n, { destination: 'shop_mail' })),
      false,
    );
    await world.untilSo('it was asked more than once', () => refused > 3);
    const asked = world.mail.asked.length;
    world.mail.answer = () => ({ status: 200 });
    isDown = false;
    await world.untilSo('all are delivered', world.isQuiet);
    expect(asked).toBeGreaterThan(0);
    expect(world.mail.taken.toSorted()).toEqual(numbers(5).map((n) => world.order(n).id));
    expect(events.some(({ what }) => what === 'actionsFailing')).toBe(true);
    expect(await world.dead()).toEqual([]);
  });
});

it('all orders of these tests are of the shard that is owned', () => {
  expect(shardOf(visitor, shards)).toBe(shard);
});
