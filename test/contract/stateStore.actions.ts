import { expect } from 'vitest';
import type { ActionOrder } from '../../src/model/action.ts';
import type { StoredAction } from '../../src/model/storedAction.ts';
import type { ActionTable, StateStore } from '../../src/state/stateStore.ts';
import { commitAfter, outboxEntry, write } from './commits.ts';
import type { ContractCase } from './contract.ts';
import type { StateStoreSubject } from './stateStore.contract.ts';

const shards = 4;
const shard = 1;
const now = 1_700_000_000_000;

/** A waiting action; its id is made of the number. */
export function action(n: number, changes: Partial<StoredAction> = {}, order: Partial<ActionOrder> = {}): StoredAction {
  const whole: ActionOrder = {
    v: 1,
    id: n.toString(16).padStart(32, '0'),
    visitor: `u:${n}`,
    action: 'cart_mail',
    destination: 'shop_mail',
    rule: 'cart_reminder',
    entry: 0,
    playbook: 'hash',
    purpose: null,
    to: 'someone@example.com',
    with: { code: 'A {brace} and "quotes"' },
    facts: [['cart.value', 12.5]],
    at: now,
    orderedAt: now,
    redriven: 0,
    ...order,
  };
  return {
    order: whole,
    state: 'waiting',
    attempts: 0,
    acceptedAt: now,
    nextAt: now,
    changedAt: now,
    reason: null,
    detail: '',
    told: false,
    ...changes,
  };
}
const dead = (n: number, changes: Partial<StoredAction> = {}, order: Partial<ActionOrder> = {}) =>
  action(n, { state: 'dead', reason: 'REFUSED', detail: 'no such mailbox', told: true, ...changes }, order);
const done = (n: number, told = true) => action(n, { state: 'done', told });

const idsOf = (actions: readonly StoredAction[]) => actions.map(({ order }) => order.id);
const pending = (store: StateStore) => store.actions.readPending(shard, null, 1_000);
const deadOf = (table: ActionTable, destination: string | null = null) =>
  table.readDead({ shard, destination, before: null, limit: 1_000 });
const anyOf = async ({ actions }: StateStore) => [await actions.readPending(shard, null, 1_000), await deadOf(actions)];

async function owned({ store }: StateStoreSubject): Promise<ActionTable> {
  await store.own(shard, 'owner a', shards);
  return store.actions;
}

export const actionCases: readonly ContractCase<StateStoreSubject>[] = [
  {
    name: 'takes an order once, however often it comes, whatever has become of it',
    async run(subject) {
      const table = await owned(subject);
      const all = [action(1), action(2), action(3), action(4)];
      expect(await table.accept(shard, 'owner a', all)).toEqual(idsOf(all));
      expect(await table.accept(shard, 'owner a', all)).toEqual([]);
      expect(await pending(subject.store)).toEqual(all);
      const later = [action(1, { attempts: 3 }), action(2, { state: 'attempting' }), done(3), dead(4)];
      expect(await table.write(shard, 'owner a', later)).toBe(true);
      expect(await table.accept(shard, 'owner a', [...all, action(5)])).toEqual(idsOf([action(5)]));
      expect(await pending(subject.store)).toEqual([later[0], later[1], action(5)]);
      expect(await deadOf(table)).toEqual([later[3]]);
    },
  },
  {
    name: 'takes of one call the first of an id',
    async run(subject) {
      const table = await owned(subject);
      expect(await table.accept(shard, 'owner a', [action(1), action(1, { attempts: 7 })])).toEqual(idsOf([action(1)]));
      expect(await pending(subject.store)).toEqual([action(1)]);
    },
  },
  {
    name: 'lets a dead letter go when its order is driven again, once',
    async run(subject) {
      const table = await owned(subject);
      await table.accept(shard, 'owner a', [dead(1), dead(2)]);
      const again = action(1, {}, { redriven: 1 });
      expect(await table.accept(shard, 'owner a', [again])).toEqual(idsOf([again]));
      expect(await table.accept(shard, 'owner a', [again])).toEqual([]);
      expect(await deadOf(table)).toEqual([dead(2)]);
      expect(await table.readDeadOf(shard, again.order.id)).toBeNull();
      expect(await pending(subject.store)).toEqual([again]);
      // It dies again, and the same command comes late: it was obeyed.
      const twice = dead(1, {}, { redriven: 1 });
      await table.write(shard, 'owner a', [twice]);
      expect(await table.accept(shard, 'owner a', [again])).toEqual([]);
      expect(await table.readDeadOf(shard, again.order.id)).toEqual(twice);
      expect(await table.accept(shard, 'owner a', [action(1, {}, { redriven: 2 })])).toEqual(idsOf([again]));
    },
  },
  {
    name: 'drives nothing again that is not dead',
    async run(subject) {
      const table = await owned(subject);
      const all = [action(1), action(2, { state: 'attempting' }), done(3), done(4, false)];
      await table.accept(shard, 'owner a', all);
      const again = [1, 2, 3, 4].map((n) => action(n, {}, { redriven: 1 }));
      expect(await table.accept(shard, 'owner a', again)).toEqual([]);
      expect(await pending(subject.store)).toEqual([all[0], all[1], all[3]]);
    },
  },
  {
    name: 'fences actions of a process that is not the owner any more: nothing changes',
    async run(subject) {
      const { store } = subject;
      const table = await owned(subject);
      await table.accept(shard, 'owner a', [action(1), dead(2)]);
      await store.own(shard, 'owner b', shards);
      const before = await anyOf(store);
      expect(await table.accept(shard, 'owner a', [action(3)])).toBeNull();
      expect(await table.write(shard, 'owner a', [action(1, { state: 'attempting' })])).toBe(false);
      expect(await table.write(shard, 'owner a', [done(2)])).toBe(false);
      expect(await anyOf(store)).toEqual(before);
      expect(await table.write(shard, 'owner b', [action(1, { state: 'attempting' })])).toBe(true);
      expect(await pending(store)).toEqual([action(1, { state: 'attempting' })]);
    },
  },
  {
    name: 'fences actions of a shard that nobody owned',
    async run({ store }) {
      expect(await store.actions.accept(shard, 'owner a', [action(1)])).toBeNull();
      expect(await store.actions.write(shard, 'owner a', [action(1)])).toBe(false);
      expect(await anyOf(store)).toEqual([[], []]);
    },
  },
  {
    name: 'keeps actions of each shard apart',
    async run(subject) {
      const table = await owned(subject);
      await subject.store.own(2, 'owner a', shards);
      await table.accept(shard, 'owner a', [action(1)]);
      expect(await table.accept(2, 'owner a', [dead(1)])).toEqual(idsOf([action(1)]));
      expect(await anyOf(subject.store)).toEqual([[action(1)], []]);
      expect(await table.readDeadOf(2, action(1).order.id)).toEqual(dead(1));
    },
  },
  {
    name: 'hands over what waits, is attempted or was not told, by id, in pages',
    async run(subject) {
      const table = await owned(subject);
      const all = [
        action(1),
        action(2, { state: 'attempting' }),
        done(3, false),
        done(4),
        dead(5, { told: false }),
        dead(6),
        ...[7, 8, 9, 10].map((n) => action(n)),
      ];
      await table.accept(shard, 'owner a', all.toReversed());
      const expected = all.filter(({ state, told }) => !told || state === 'waiting' || state === 'attempting');
      for (const limit of [1, 3, 8, 100]) {
        const found: StoredAction[] = [];
        for (let page: readonly StoredAction[]; ; ) {
          page = await table.readPending(shard, found.at(-1)?.order.id ?? null, limit);
          found.push(...page);
          if (page.length < limit) break;
        }
        expect(found).toEqual(expected);
      }
    },
  },
  {
    name: 'lists dead letters by when they died, the last first, in pages and by destination',
    async run(subject) {
      const table = await owned(subject);
      const letters = Array.from({ length: 9 }, (_, n) =>
        dead(n, { changedAt: now + Math.floor(n / 3) }, { destination: n % 2 === 0 ? 'shop_mail' : 'crm' }),
      );
      await table.accept(shard, 'owner a', [...letters, action(20), done(21)]);
      const newest = letters.toReversed();
      for (const destination of [null, 'shop_mail', 'crm', 'nobody']) {
        const expected = newest.filter(({ order }) => destination === null || order.destination === destination);
        for (const limit of [1, 2, 4, 100]) {
          const found: StoredAction[] = [];
          for (let page: readonly StoredAction[]; ; ) {
            const last = found.at(-1);
            const before = last === undefined ? null : { changedAt: last.changedAt, id: last.order.id };
            page = await table.readDead({ shard, destination, before, limit });
            found.push(...page);
            if (page.length < limit) break;
          }
          expect(found).toEqual(expected);
        }
      }
    },
  },
  {
    name: 'keeps actions through a restart, and through a shard that is made anew',
    async run(subject) {
      const table = await owned(subject);
      const all = [action(1), action(2, { state: 'attempting' }), dead(3), done(4)];
      await table.accept(shard, 'owner a', [action(1), dead(3), done(4)]);
      await table.write(shard, 'owner a', [action(2, { state: 'attempting' })]);
      const store = await subject.reopen();
      const meta = await store.own(shard, 'owner b', shards);
      const marked = commitAfter(meta, {
        visitors: [write('u:1', 'first')],
        outbox: [outboxEntry('0-0')],
        meta: { rebuilding: true },
      });
      expect(await store.commit(marked)).toBe('DONE');
      expect(await store.clear(shard, 'owner b')).toBe(true);
      expect(await store.readOutbox(shard, null, 10)).toEqual([]);
      expect(await anyOf(store)).toEqual([[all[0], all[1]], [all[2]]]);
      expect(await store.actions.accept(shard, 'owner b', [action(4)])).toEqual([]);
    },
  },
];
