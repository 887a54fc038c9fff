import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from 'graphql-ws';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { localTime } from '../../src/model/localTime.ts';
import { startTestUsher, type TestUsher } from '../support/startUsher.ts';
import { Received, type Result, stream } from './client.ts';

const playbook = `format: 1
content:
  nothing: { type: text, title: Nothing }
  here: { type: text, title: Only here }
slots:
  by_page: { accepts: text, fallback: nothing }
  by_device: { accepts: text, fallback: nothing }
  by_hour: { accepts: text, fallback: nothing }
rules:
  r:
    when: page_viewed
    then:
      - show: { slot: by_page, content: here, only: { page: [product, cart] } }
      - show: { slot: by_device, content: here, only: { device: mobile } }
      - show: { slot: by_hour, content: here, only: { hours: "09:00-18:00" } }
`;
const phone =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Mobile/15E148 Safari/604.1';
const desk = 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0';
/** Whose clocks show noon or a little later now, and midnight or a little later. */
const zoneAt = (hour: number) =>
  Array.from({ length: 24 }, (_, i) => `Etc/GMT${i < 12 ? '-' : '+'}${i < 12 ? i : i - 11}`).find(
    (zone) => Math.floor(localTime(Date.now(), zone)!.minutes / 60) === hour,
  )!;

let folder: string;
let usher: TestUsher;
let slow: TestUsher;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'usher-playbook-'));
  writeFileSync(join(folder, 'playbook.yaml'), playbook);
  usher = await startTestUsher({ playbook: folder });
  slow = await startTestUsher({ playbook: folder, fastLane: false });
  for (const each of [usher, slow]) {
    const viewed = 'mutation { trackEvent(input: { type: "page_viewed" }) { slots(waitMs: 5000) { stale } } }';
    expect((await each.query(viewed)).data.trackEvent.slots[0].stale).toBe(false);
  }
});
afterAll(async () => {
  await usher[Symbol.asyncDispose]();
  await slow[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

type Shown = readonly { name: string; source: string; why: { losers: readonly { reason: string }[] } }[];
/** `RULE`, or why the rule's content is not shown. */
const told = (slots: Shown) =>
  Object.fromEntries(slots.map(({ name, source, why }) => [name, why.losers[0]?.reason ?? source]));
const fields = '{ name source why { losers { reason } } }';

async function asked(at: TestUsher, context: object | null, userAgent: string, wrap = (query: string) => query) {
  const response = await fetch(`${at.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: 'Bearer dev:alice', 'user-agent': userAgent },
    body: JSON.stringify({
      query: wrap(`query ($context: PageContextInput) { personalizedSlots(context: $context) ${fields} }`),
      variables: { context },
    }),
  });
  return told(((await response.json()) as Result).data.personalizedSlots);
}

const noon = { timeZone: zoneAt(12) };
const midnight = { timeZone: zoneAt(0) };
const cases: readonly [string, object | null, string, object][] = [
  [
    'on its page, its device, at its hour',
    { page: 'cart', ...noon },
    phone,
    { by_page: 'RULE', by_device: 'RULE', by_hour: 'RULE' },
  ],
  [
    'elsewhere',
    { page: 'home', ...midnight },
    desk,
    { by_page: 'not on this page', by_device: 'not on this device', by_hour: 'not at this hour' },
  ],
];

describe('a content that is shown on some pages, devices or hours only', () => {
  it.each(cases)('is there or not for a query %s, by either way', async (_, context, userAgent, expected) => {
    expect(await asked(usher, context, userAgent)).toEqual(expected);
    expect(await asked(slow, context, userAgent)).toEqual(expected);
  });

  it.each(cases)('is there or not for subscribers %s, by either way', async (_, context, userAgent, expected) => {
    const query = `subscription ($context: PageContextInput) { contentUpdates(context: $context) { slots ${fields} } }`;
    const client = createClient({
      url: `${usher.url.replace('http', 'ws')}/graphql`,
      webSocketImpl: class extends WebSocket {
        constructor(url: string, protocols: string[]) {
          super(url, protocols, { headers: { 'user-agent': userAgent } });
        }
      },
      connectionParams: { authorization: 'Bearer dev:alice' },
      retryAttempts: 0,
      lazyCloseTimeout: 0,
    });
    const bySocket = new Received<Result>();
    const sink = { next: (value: object) => bySocket.push(value as Result), error: bySocket.end, complete: () => {} };
    client.subscribe({ query, variables: { context } }, sink as never);
    expect(told((await bySocket.next()).data.contentUpdates.slots)).toEqual(expected);
    await client.dispose();
    // Node's fetch tells no device that Usher knows.
    await using byEvents = stream(usher, query, 'dev:alice', { context });
    const { by_device: _device, ...rest } = told((await byEvents.next()).data.contentUpdates.slots);
    expect({ by_device: 'not on this device', ...rest }).toEqual({ ...expected, by_device: 'not on this device' });
  });

  it('is on no page and no device where none is told, and at the hour of the playbook’s time zone', async () => {
    const nowhere = await asked(usher, null, 'nothing known');
    const { minutes } = localTime(Date.now(), 'UTC')!;
    expect(nowhere).toEqual({
      by_page: 'not on this page',
      by_device: 'not on this device',
      by_hour: minutes >= 9 * 60 && minutes < 18 * 60 ? 'RULE' : 'not at this hour',
    });
    expect(await asked(usher, { timeZone: 'Not/AZone' }, 'nothing known')).toEqual(nowhere);
  });

  it('is answered after an event for the page that the event is from', async () => {
    const track = async (page: string) => {
      const { data } = await usher.query(
        `mutation { trackEvent(input: { type: "page_viewed", context: { page: "${page}" } }) { slots(waitMs: 5000) ${fields} } }`,
      );
      return told(data.trackEvent.slots)['by_page'];
    };
    expect(await track('product')).toBe('RULE');
    expect(await track('home')).toBe('not on this page');
  });
});
