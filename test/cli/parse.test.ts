import { describe, expect, it } from 'vitest';
import { serverSentEvents } from '../../src/cli/client.ts';
import { runCli } from '../../src/cli/index.ts';
import { parseEvent } from '../../src/cli/try.ts';
import { recordedIo } from '../support/cliIo.ts';

describe('an event on the command line', () => {
  it.each([
    ['product_viewed productId=p_017', { productId: 'p_017' }],
    ['product_viewed', {}],
    ['x quantity=2 price=12.50 gift=true note=null', { quantity: 2, price: 12.5, gift: true, note: null }],
    ['x query="red shoes" text=12a', { query: 'red shoes', text: '12a' }],
    [
      'x id="017"  tags=["a b", "c"] line={"productId": "p", "n": {"deep": [1]}}',
      { id: '017', tags: ['a b', 'c'], line: { productId: 'p', n: { deep: [1] } } },
    ],
    ['x url=https://shop.example/?a=b quote="a \\" b"', { url: 'https://shop.example/?a=b', quote: 'a " b' }],
    ['x empty=', { empty: '' }],
  ])('%s', (text, properties) => {
    expect(parseEvent(text)).toEqual({ type: text.split(' ')[0], properties });
  });

  it.each([
    ['', 'expected an event type'],
    ['productId=p', 'expected an event type'],
    ['x productId', 'expected name=value, got productId'],
    ['x =1', 'expected name=value, got =1'],
    ['x a="b', 'a quote is not closed'],
  ])('that is none says so: %s', (text, message) => {
    expect(() => parseEvent(text)).toThrow(
      expect.objectContaining({ code: 'COMMAND_FAILED', message: expect.stringContaining(message) }),
    );
  });
});

describe('a stream of server-sent events', () => {
  it('is read however the bytes are cut, comments left out', async () => {
    const text =
      ': hello\n\nevent: next\ndata: {"a":"é"}\n\nevent: next\r\ndata: 1\r\ndata: 2\r\n\r\ndata:plain\n\nevent: complete\n\n';
    const bytes = Buffer.from(text);
    for (const size of [1, 2, 3, 7, 1_000]) {
      async function* parts() {
        for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
      }
      const events: object[] = [];
      for await (const event of serverSentEvents(parts())) events.push(event);
      expect(events).toEqual([
        { name: 'next', data: '{"a":"é"}' },
        { name: 'next', data: '1\n2' },
        { name: 'message', data: 'plain' },
        { name: 'complete', data: '' },
      ]);
    }
  });
});

describe('the words of usher replay', () => {
  it.each([
    [['replay'], 2, 'expected FILE'],
    [['replay', 'a.csv', 'b.csv'], 2, 'takes at most 1'],
    [['replay', 'a.csv', '--sped', 'max'], 2, 'did you mean --speed?'],
    [['replay', 'log.txt'], 1, '--format rees46, --format otto or --format ndjson'],
    [['replay', 'a.csv', '--format', 'xml'], 1, '--format is xml'],
    [['replay', 'a.csv', '--speed', '0'], 1, '--speed is 0; expected max or a number above 0'],
    [['replay', 'a.csv', '--batch', '501'], 1, '--batch is 501; expected a whole number from 1 to 500'],
    [['replay', '--finish', 'a.csv', '--patience', 'long'], 1, '--patience is long; expected a duration'],
    [['replay', '--finish', '30m', '/nowhere/a.csv'], 1, 'cannot be read'],
  ])('%j → %i: %s', async (words, code, message) => {
    const io = recordedIo();
    expect(await runCli(words, io)).toBe(code);
    expect(io.errLines.join('\n')).toContain(message);
  });
});
