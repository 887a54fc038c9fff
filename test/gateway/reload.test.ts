import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startTestUsher, type TestUsher } from '../support/startUsher.ts';
import { subscribe } from './client.ts';
import { editPlaybook } from './editPlaybook.ts';

let folder: string;
let usher: TestUsher;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'usher-playbook-'));
  cpSync(join(import.meta.dirname, 'playbook'), folder, { recursive: true });
  usher = await startTestUsher({ playbook: folder });
});
afterEach(async () => {
  await usher[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

const edit = (from: string, to: string) => editPlaybook(usher, folder, from, to);
const typed = 'mutation { trackEvent(input: { event: { cartShared: { cartId: "c" } } }) { outcome { status } } }';
const view =
  'mutation { trackEvent(input: { type: "product_viewed", properties: { productId: "p_1" } }) { outcome { status } slots(waitMs: 5000) { source } } }';
const look = '{ personalizedSlots(names: ["last_look"]) { source content { id data } why { playbookVersion } } }';
const slot = async () => (await usher.query(look)).data.personalizedSlots[0];

describe('a playbook that changes while Usher runs', () => {
  it('brings its new event types into the schema, for every way in', async () => {
    expect((await usher.query(typed)).errors?.[0]?.extensions?.code).toBe('BAD_REQUEST');
    await edit(
      '  anything:',
      '  cart_shared:\n    name: Cart shared\n    says: shared a cart\n    properties: { properties: { cartId: { type: string } } }\n  anything:',
    );
    expect((await usher.query(typed)).data.trackEvent.outcome.status).toBe('ACCEPTED');
    const get = await fetch(
      `${usher.url}/graphql?query=${encodeURIComponent('{ __type(name: "CartSharedInput") { inputFields { name } } }')}`,
    );
    expect(await get.json()).toEqual({ data: { __type: { inputFields: [{ name: 'cartId' }] } } });
  });

  it('keeps the last good one when it has a mistake', async () => {
    const problems = await edit('fallback: nothing_yet', 'fallback: nothing_ye');
    expect(problems.some(({ severity }) => severity === 'error')).toBe(true);
    expect((await usher.query(view)).data.trackEvent.slots[0].source).toBe('RULE');
  });

  it('decides a visitor’s slots anew at the next read, without an event', async () => {
    await usher.query(view);
    const before = await slot();
    expect(before).toMatchObject({ source: 'RULE', content: { data: { title: 'You looked at p_1' } } });
    await edit('content: last_look', 'content: plain');
    // The first read still shows what was decided, by the playbook it was decided under, and asks for it to be decided anew.
    expect(await slot()).toEqual(before);
    await expect.poll(slot).toMatchObject({ source: 'RULE', content: { id: 'plain' } });
    const after = await slot();
    expect(after.why.playbookVersion).not.toBe(before.why.playbookVersion);
  });

  it('reaches a visitor who only listens', async () => {
    await usher.query(view);
    await using feed = subscribe(
      usher,
      'subscription { contentUpdates { kind slots { name content { id } } } }',
      'dev:alice',
    );
    await feed.next();
    await edit('content: last_look', 'content: plain');
    expect((await feed.next()).data.contentUpdates).toEqual({
      kind: 'CHANGE',
      slots: [{ name: 'last_look', content: { id: 'plain' } }],
    });
  });

  it('shows the fallback when the rule has gone', async () => {
    await usher.query(view);
    await edit('    when: product_viewed', '    status: paused\n    when: product_viewed');
    await expect.poll(async () => (await slot()).source).toBe('FALLBACK');
  });
});
