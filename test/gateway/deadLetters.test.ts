import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runCli } from '../../src/cli/index.ts';
import type { ActionOrder } from '../../src/model/action.ts';
import { shardOf } from '../../src/model/shard.ts';
import type { StoredAction } from '../../src/model/storedAction.ts';
import type { StateStore } from '../../src/state/stateStore.ts';
import { action } from '../contract/stateStore.actions.ts';
import { recordedIo } from '../support/cliIo.ts';
import { startTestUsher, type TestUsher } from '../support/startUsher.ts';
import { withActions } from '../support/wrappedStore.ts';

let usher: TestUsher;
let store: StateStore;
const ended = Promise.withResolvers<never>();
// Nobody may wait for it.
ended.promise.catch(() => {});
beforeAll(async () => {
  usher = await startTestUsher(
    {},
    {
      wrapStore: (opened) => {
        store = opened;
        // Orders that are driven again wait in the outbox: so dead letters stand as long as a test looks at them.
        return withActions(opened, { accept: () => ended.promise });
      },
    },
  );
});
afterAll(async () => {
  ended.reject(new Error('the test has ended'));
  await usher[Symbol.asyncDispose]();
});

const bornAt = Date.UTC(2026, 10, 26);
/** One a second; the visitors are of many shards. */
const letters: readonly StoredAction[] = Array.from({ length: 12 }, (_, n) => letter(n));

function letter(n: number, order: Partial<ActionOrder> = {}): StoredAction {
  const whole = { destination: n % 3 === 0 ? 'crm' : 'shop_mail', orderedAt: bornAt, ...order };
  return action(
    n,
    {
      state: 'dead',
      reason: n % 4 === 1 ? 'OUTCOME_UNKNOWN' : 'REFUSED',
      detail: '550 no such mailbox',
      attempts: 1,
      told: true,
      changedAt: bornAt + n * 1_000,
    },
    whole,
  );
}
const shardFor = ({ order }: StoredAction) => shardOf(order.visitor, usher.config.shards);
const idOf = (one: StoredAction) => `${shardFor(one)}:${one.order.id}`;

beforeEach(async () => {
  for (const one of letters) {
    const { owner } = (await store.readMeta(shardFor(one)))!;
    await store.actions.write(shardFor(one), owner, [one]);
  }
});

async function run(...words: string[]): Promise<{ code: number; out: string; err: string }> {
  const io = recordedIo();
  const code = await runCli([...words, '--url', usher.url, '--data', usher.config.data], io);
  return { code, out: io.outLines.join('\n'), err: io.errLines.join('\n') };
}

interface Redriven {
  readonly id: string;
  readonly visitor: string;
  readonly order: ActionOrder;
}

/** What the logs of all shards were told to drive again. */
function redriven(): readonly Redriven[] {
  const db = new DatabaseSync(join(usher.config.data, 'usher.db'), { readOnly: true });
  try {
    const shards = [...Array(usher.config.shards).keys()];
    const values = shards.flatMap((shard) => db.prepare(`select value from log_${shard}`).all());
    return values.map(({ value }) => JSON.parse(String(value))).filter(({ kind }) => kind === 'redriven');
  } finally {
    db.close();
  }
}

const listQuery = `query($first: Int!, $after: ID, $destination: String) {
  deadLetters(first: $first, after: $after, destination: $destination) {
    deadLetters { id actionId destination action visitorId ruleId reason detail attempts redriven orderedAt diedAt order } end
  }
}`;
const redriveMutation = `mutation($input: RedriveDeadLettersInput!) {
  redriveDeadLetters(input: $input) { outcomes { id status error { code } } end }
}`;

describe('dead letters', () => {
  it('are listed over all shards, the last given up first, in pages and by destination', async () => {
    for (const destination of [null, 'crm', 'shop_mail', 'nobody']) {
      const expected = letters
        .toReversed()
        .filter(({ order }) => destination === null || order.destination === destination);
      for (const first of [1, 5, 100]) {
        const found: string[] = [];
        let after: string | null = null;
        do {
          const { data } = await usher.query(listQuery, { first, after, destination }, usher.devKey!);
          found.push(...data.deadLetters.deadLetters.map(({ id }: { id: string }) => id));
          after = data.deadLetters.end;
        } while (after !== null);
        expect(found).toEqual(expected.map(idOf));
      }
    }
    const { data } = await usher.query(listQuery, { first: 1 }, usher.devKey!);
    const last = letters.at(-1)!;
    expect(data.deadLetters.deadLetters).toEqual([
      {
        id: idOf(last),
        actionId: last.order.id,
        destination: 'shop_mail',
        action: 'cart_mail',
        visitorId: last.order.visitor,
        ruleId: 'cart_reminder',
        reason: 'REFUSED',
        detail: '550 no such mailbox',
        attempts: 1,
        redriven: 0,
        orderedAt: '2026-11-26T00:00:00.000Z',
        diedAt: '2026-11-26T00:00:11.000Z',
        order: last.order,
      },
    ]);
  });

  it('are shown to, and driven again by, nobody without the scope operate', async () => {
    const input = { ids: [idOf(letters[0]!)] };
    for (const [document, variables] of [
      [listQuery, { first: 1 }],
      ['query($id: ID!) { deadLetter(id: $id) { id } }', { id: input.ids[0] }],
      [redriveMutation, { input }],
    ] as const) {
      const { errors } = await usher.query(document, variables, 'dev:alice');
      expect(errors?.[0]?.extensions?.code).toBe('FORBIDDEN');
    }
  });

  it('driven again are appended to their visitor’s log under one id, however often they are asked for', async () => {
    const [first, second] = [letters[0]!, letters[7]!];
    const ids = [idOf(first), `0:${'f'.repeat(32)}`, 'no id', idOf(second)];
    const ask = () => usher.query(redriveMutation, { input: { ids } }, usher.devKey!);
    for (const { data } of await Promise.all([ask(), ask()])) {
      expect(data.redriveDeadLetters).toEqual({
        outcomes: ids.map((id, i) =>
          i === 0 || i === 3
            ? { id, status: 'ACCEPTED', error: null }
            : { id, status: 'REFUSED', error: { code: 'DEAD_LETTER_UNKNOWN' } },
        ),
        end: null,
      });
    }
    const told = redriven().filter(({ order }) => [first, second].some((one) => one.order.id === order.id));
    expect(told).toHaveLength(4);
    expect(new Set(told.map(({ id }) => id)).size).toBe(2);
    for (const { visitor, order } of told) {
      const one = [first, second].find((each) => each.order.id === order.id)!;
      expect([visitor, order]).toEqual([one.order.visitor, one.order]);
    }
  });

  it('of a destination are driven again all at once, page after page', async () => {
    const { data } = await usher.query(redriveMutation, { input: { destination: 'crm' } }, usher.devKey!);
    const { outcomes, end } = data.redriveDeadLetters;
    const expected = letters.filter(({ order }) => order.destination === 'crm').toReversed();
    expect(outcomes.map(({ id }: { id: string }) => id)).toEqual(expected.map(idOf));
    expect(end).toBeNull();
  });

  it('are refused to be driven again with neither ids nor a destination, or with both, or too many', async () => {
    for (const [input, code] of [
      [{}, 'BAD_REQUEST'],
      [{ ids: [], destination: 'crm' }, 'BAD_REQUEST'],
      [{ destination: 'crm', after: 'nonsense' }, 'BAD_REQUEST'],
      [{ ids: Array.from({ length: 501 }, (_, n) => `0:${n}`) }, 'BATCH_TOO_LARGE'],
    ] as const) {
      const { errors } = await usher.query(redriveMutation, { input }, usher.devKey!);
      expect(errors?.[0]?.extensions?.code).toBe(code);
    }
  });
});

describe('usher actions', () => {
  it('lists the last given up first, as many as asked, by destination and reason', async () => {
    const all = await run('actions', 'list');
    expect([all.code, all.err]).toEqual([0, '']);
    const lines = all.out.split('\n');
    expect(lines).toHaveLength(12);
    const last = letters.at(-1)!;
    expect(lines[0]).toBe(
      `2026-11-26T00:00:11.000Z  ${idOf(last)}  REFUSED  shop_mail cart_mail ${last.order.visitor}  550 no such mailbox`,
    );
    expect((await run('actions', 'list', '--limit', '2')).out.split('\n')).toEqual(lines.slice(0, 2));
    const unknown = await run('actions', 'list', '--destination', 'crm', '--reason', 'OUTCOME_UNKNOWN', '--json');
    expect(unknown.out.split('\n').map((line) => JSON.parse(line).id)).toEqual([idOf(letters[9]!)]);
    expect((await run('actions', 'list', '--destination', 'nobody')).out).toBe('no message was given up');
  });

  it('shows one with its order, and says when there is none', async () => {
    const { code, out } = await run('actions', 'show', idOf(letters[5]!));
    expect(code).toBe(0);
    expect(out).toContain('reason       OUTCOME_UNKNOWN: 550 no such mailbox');
    expect(out).toContain('to           someone@example.com');
    expect(out).toContain('"cart.value"');
    expect(await run('actions', 'show', '0:abc')).toMatchObject({
      code: 1,
      err: 'no dead letter 0:abc: it was driven again, or never was; `usher actions list` lists them',
    });
  });

  it('drives all again but those that may have arrived, and these when they are named', async () => {
    const safe = letters.filter(({ reason }) => reason !== 'OUTCOME_UNKNOWN').length;
    const all = await run('actions', 'redrive', '--all');
    expect(all.code).toBe(0);
    expect(all.out.split('\n').at(-1)).toBe(
      `${safe} of ${safe} are tried again; ${letters.length - safe} that may have arrived stay`,
    );
    expect((await run('actions', 'redrive', '--all', '--reason', 'OUTCOME_UNKNOWN')).out).toContain('3 of 3 are');
    expect(await run('actions', 'redrive', idOf(letters[1]!))).toMatchObject({
      code: 0,
      out: `${idOf(letters[1]!)}  ACCEPTED`,
    });
    expect(await run('actions', 'redrive', '0:abc')).toMatchObject({ code: 1 });
  });

  it('says what it expects', async () => {
    for (const words of [['redrive'], ['redrive', '0:abc', '--all'], ['show'], ['list', '0:abc'], ['delete', '0:abc']])
      expect(await run('actions', ...words)).toMatchObject({
        code: 1,
        err: expect.stringContaining('expected `usher actions list`'),
      });
  });
});
