import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../../src/cli/index.ts';
import { type RecordedIo, recordedIo } from '../support/cliIo.ts';
import { startTestUsher, type TestUsher } from '../support/startUsher.ts';

let usher: TestUsher;
beforeAll(async () => {
  usher = await startTestUsher();
});
afterAll(() => usher[Symbol.asyncDispose]());

const here = () => ['--url', usher.url, '--data', usher.config.data];

async function run(...words: string[]): Promise<{ code: number; out: string; err: string }> {
  const io = recordedIo();
  const code = await runCli([...words, ...here()], io);
  return { code, out: io.outLines.join('\n'), err: io.errLines.join('\n') };
}

describe('usher try', () => {
  it('sends an event as a development visitor, and tells which slots changed and why', async () => {
    await run('try', 'cart_item_added productId=p_001 quantity=1 price=150', '--as', 'trial');
    const { code, out, err } = await run('try', 'product_viewed', 'productId=p_017', '--as', 'trial');
    expect([code, err]).toEqual([0, '']);
    expect(out).toMatch(/^ACCEPTED [0-9a-f-]{36} [\d.]+ ms/);
    expect(out).toMatch(/product_upsell → \w+ \(RULE\)\n {4}Shown because you viewed p_017/);
    const { data } = await usher.query('{ visitor { visitor counts { folded } } }', {}, 'dev:trial');
    expect(data.visitor.counts.folded).toBe(2);
  });

  it('says what is wrong with an event that is refused', async () => {
    const { code, err } = await run('try', 'product_viewd productId=p_017');
    expect(code).toBe(1);
    expect(err).toContain('REFUSED EVENT_TYPE_UNKNOWN');
    expect(err).toContain('product_viewed');
  });
});

describe('usher explain --action', () => {
  it('tells of each rule what keeps it from sending a message', async () => {
    await run('try', 'cart_item_added productId=p_001 quantity=1', '--as', 'unknown_to_mail');
    const { code, out, err } = await run('explain', 'dev:unknown_to_mail', 'cart_mail', '--action');
    expect([code, err]).toEqual([0, '']);
    expect(out).toMatch(/out {4}cart_reminder {2}Come back to your cart {2}→ cart_mail/);
    expect(out).toContain('\n       there is no consent to marketing\n       cart_mail has no address to go to\n');
    const { out: json } = await run('explain', 'dev:unknown_to_mail', 'cart_mail', '--action', '--json');
    expect(JSON.parse(json)).toMatchObject([{ ruleId: 'cart_reminder', outcome: 'out' }]);
  });

  it('says that nothing is known of somebody, and which action was meant', async () => {
    expect((await run('explain', 'dev:never_came', 'cart_mail', '--action')).out).toBe(
      'Nothing is known of dev:never_came: nothing is sent.',
    );
    const { code, err } = await run('explain', 'dev:never_came', 'cart_mial', '--action');
    expect(code).toBe(1);
    expect(err).toContain('did you mean "cart_mail"?');
  });
});

describe('usher tail', () => {
  async function tailing(
    words: string[],
    until: (io: RecordedIo) => boolean,
    act: (attempt: number) => Promise<unknown>,
  ): Promise<RecordedIo> {
    const stop = new AbortController();
    const io = recordedIo({ signal: stop.signal });
    const ended = runCli([...words, ...here()], io);
    // Nothing tells when the subscription stands, so events are sent until one is seen.
    for (let attempt = 0; attempt < 100 && !until(io); attempt++) {
      await act(attempt);
      await usher.caughtUp();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    stop.abort('SIGINT');
    expect(await ended).toBe(0);
    return io;
  }
  const view = (name: string, productId: string) =>
    usher.query(
      'mutation($input: TrackEventInput!) { trackEvent(input: $input) { outcome { status } } }',
      { input: { type: 'product_viewed', properties: { productId } } },
      `dev:${name}`,
    );

  it('shows the events of all visitors, or of one, as they are folded', async () => {
    const act = async (attempt: number) => {
      await view('noise', `p_${attempt}`);
      await view('watched', `p_${attempt}`);
    };
    const seen = (name: string) => (io: RecordedIo) => io.outLines.some((line) => line.includes(name));
    const all = await tailing(['tail'], (io) => seen('dev:noise')(io) && seen('dev:watched')(io), act);
    expect(all.outLines.find(seenLine('dev:watched'))).toMatch(/dev:watched +product_viewed {2}productId=p_\d+/);
    const one = await tailing(['tail', 'dev:watched', '--json'], seen('dev:watched'), act);
    expect(one.outLines.map((line) => JSON.parse(line).visitorId).filter((name) => name !== 'dev:watched')).toEqual([]);
    expect(JSON.parse(one.outLines[0]!)).toMatchObject({ what: 'FOLDED', type: 'product_viewed' });
  });
  const seenLine = (text: string) => (line: string) => line.includes(text);

  it('ends with what to do when nobody answers, or the key is not one', async () => {
    const io = recordedIo();
    expect(await runCli(['tail', '--url', usher.url, '--key', 'usk_nobodys'], io)).toBe(1);
    expect(io.errLines.join('\n')).toContain('TOKEN_INVALID');
    const keyless = recordedIo({ cwd: '/nowhere' });
    expect(await runCli(['tail', '--url', usher.url], keyless)).toBe(1);
    expect(keyless.errLines.join('\n')).toContain('--key usk_…');
  });
});

describe('usher failed', () => {
  it('lists what was accepted and could not be folded, newest first, and shows one with its record', async () => {
    const none = await run('failed', 'list');
    expect(none).toMatchObject({ code: 0, out: 'no event failed' });
    for (const productId of ['unknown_1', 'unknown_2']) {
      const events = [
        {
          id: randomUUID(),
          type: 'cart_item_added',
          properties: { productId, quantity: 1 },
          visitor: { userId: 'unlucky' },
        },
      ];
      const mutation = 'mutation($input: TrackEventsInput!) { trackEvents(input: $input) { accepted } }';
      expect((await usher.query(mutation, { input: { events } }, usher.devKey!)).data.trackEvents.accepted).toBe(1);
      await usher.caughtUp();
    }
    const { code, out } = await run('failed', 'list');
    expect(code).toBe(0);
    const lines = out.split('\n');
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatch(/PRICE_UNKNOWN {2}u:unlucky cart_item_added {2}unknown_2/);
    expect((await run('failed', 'list', '--limit', '1')).out).toBe(lines[0]);
    const position = /\d+:\d+/.exec(lines[1]!.replace(/^\S+/, ''))![0];
    const shown = await run('failed', 'show', position);
    expect(shown.code).toBe(0);
    expect(shown.out).toContain('"productId": "unknown_1"');
    expect(await run('failed', 'show', '0:999999')).toMatchObject({
      code: 1,
      err: expect.stringContaining('no failed event at 0:999999'),
    });
    expect(await run('failed', 'mend')).toMatchObject({ code: 1, err: expect.stringContaining('usher failed list') });
  });
});

describe('usher failed retry', () => {
  const unpriced = (productId: string) => ({ type: 'cart_item_added', properties: { productId, quantity: 1 } });
  async function fail(user: string, ...events: object[]): Promise<string[]> {
    const mutation = 'mutation($input: TrackEventsInput!) { trackEvents(input: $input) { accepted } }';
    const sent = events.map((event) => ({ id: randomUUID(), visitor: { userId: user }, ...event }));
    const { data } = await usher.query(mutation, { input: { events: sent } }, usher.devKey!);
    expect(data.trackEvents.accepted).toBe(events.length);
    return positionsOf(user);
  }
  /** Oldest first. */
  async function positionsOf(user: string): Promise<string[]> {
    await usher.caughtUp();
    const { out } = await run('failed', 'list', '--json', '--limit', '1000');
    const events = out === '' ? [] : out.split('\n').map((line) => JSON.parse(line));
    return events
      .filter(({ visitorId }) => visitorId === `u:${user}`)
      .map(({ position }) => position)
      .reverse();
  }
  async function cartOf(user: string) {
    await usher.caughtUp();
    const query = `{ visitor(ref: { userId: "${user}" }) { cart { lines { productId price } } } }`;
    return (await usher.query(query, {}, usher.devKey!)).data.visitor.cart.lines;
  }

  it('retries one, corrected by --set, and says that it is none any more when asked again', async () => {
    const [position] = await fail('set', unpriced('odd_1'));
    const again = await run('failed', 'retry', position!);
    expect(again).toMatchObject({ code: 0, out: expect.stringMatching(/^\d+:\d+ +ACCEPTED$/) });
    const [second] = await positionsOf('set');
    expect(second).not.toBe(position);
    const { code, out } = await run('failed', 'retry', second!, '--set', 'properties.price=12.5', '--json');
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ position: second, status: 'ACCEPTED', error: null });
    expect(await cartOf('set')).toEqual([{ productId: 'odd_1', price: 12.5 }]);
    expect(await run('failed', 'retry', second!)).toMatchObject({
      code: 1,
      err: expect.stringContaining('retried already'),
    });
  });

  it('retries one with the record of a file', async () => {
    const [position] = await fail('filed', unpriced('odd_2'));
    const { record } = JSON.parse((await run('failed', 'show', position!, '--json')).out);
    const file = join(usher.config.data, 'record.json');
    const mended = JSON.parse(record);
    writeFileSync(file, JSON.stringify({ ...mended, properties: { ...mended.properties, price: 3 } }));
    const { code } = await run('failed', 'retry', position!, '--record', file, '--set', 'properties.quantity=2');
    expect(code).toBe(0);
    expect(await cartOf('filed')).toEqual([{ productId: 'odd_2', price: 3 }]);
  });

  it('says why a correction is refused, and exits with 1', async () => {
    const [position] = await fail('refused', unpriced('odd_3'));
    const { code, out } = await run('failed', 'retry', position!, '--set', 'properties.price=much');
    expect(code).toBe(1);
    expect(out).toMatch(/REFUSED {2}EVENT_INVALID: properties\.price: must be number/);
    expect(await positionsOf('refused')).toEqual([position]);
    await run('failed', 'retry', position!, '--set', 'properties.price=1');
  });

  it('retries all of a reason and type in the order in which they failed, those that may be copies excepted', async () => {
    const late = (sequence: number) => ({ type: 'page_viewed', source: 'cli', sequence });
    const failed = await fail('many', unpriced('odd_4'), late(40), late(2), unpriced('odd_5'));
    expect(failed).toHaveLength(3);
    const none = await run('failed', 'retry', '--all', '--type', 'page_viewed');
    expect(none).toMatchObject({ code: 0, out: expect.stringMatching(/^0 accepted, 0 refused; 1 passed over/) });
    const all = await run('failed', 'retry', '--all', '--reason', 'PRICE_UNKNOWN', '--set', 'properties.price=7');
    expect(all).toMatchObject({ code: 0, out: expect.stringMatching(/^\d accepted, 0 refused$/m) });
    const [left] = await positionsOf('many');
    expect(await cartOf('many')).toEqual([
      { productId: 'odd_4', price: 7 },
      { productId: 'odd_5', price: 7 },
    ]);
    expect((await run('failed', 'retry', left!)).out).toContain('RETRY_REFUSED');
    expect((await run('failed', 'retry', left!, '--beyond-window')).code).toBe(0);
    expect(await positionsOf('many')).toEqual([]);
  });

  it.each([
    [['retry'], 'expected a POSITION to retry, or --all'],
    [['retry', '0:1', '--all'], 'expected a POSITION to retry, or --all'],
    [['retry', '0:1', '--reason', 'FOLD_ERROR'], '--reason chooses among --all'],
    [['retry', '--all', '--beyond-window'], '--beyond-window is for one POSITION'],
    [['retry', '--all', '--set', 'price=1'], 'expected properties.NAME=VALUE'],
    [['retry', '--all', '--set', 'properties.__proto__.x=1'], 'expected properties.NAME=VALUE'],
    [['retry', 'first'], 'a position is like 3:17'],
  ])('refuses %j', async (words, message) => {
    expect(await run('failed', ...words)).toMatchObject({ code: 1, err: expect.stringContaining(message) });
  });
});
