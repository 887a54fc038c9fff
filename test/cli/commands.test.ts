import { randomUUID } from 'node:crypto';
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
