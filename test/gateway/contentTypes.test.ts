import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { takenContentNames } from '../../src/playbook/contentTypes.ts';
import { startTestUsher, type TestUsher } from '../support/startUsher.ts';
import { subscribe } from './client.ts';
import { editPlaybook } from './editPlaybook.ts';

const playbook = `format: 1
types:
  offer:
    name: Something to buy
    properties:
      required: [title]
      properties:
        title: { type: string, maxLength: 10 }
        price: { type: number, money: true, description: In major units. }
        times: { type: integer }
        isNew: { type: boolean }
        tags: { type: array, items: { type: string } }
        maker: { type: object, properties: { name: { type: string } } }
        data: { type: string }
        not-a-name: { type: string }
content:
  nothing: { type: offer, title: Nothing }
  tents: { type: offer, title: "All \${product.name} tents", price: "\${cart.value}", times: 2, isNew: true, tags: [a, b], maker: { name: N }, not-a-name: x }
  free: { type: free, title: 7 }
slots:
  hero: { accepts: offer, fallback: nothing }
  rail: { fallback: free }
rules:
  r: { when: product_viewed, then: [{ show: { slot: hero, content: tents } }] }
`;

let folder: string;
let usher: TestUsher;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'usher-playbook-'));
  writeFileSync(join(folder, 'playbook.yaml'), playbook);
  usher = await startTestUsher({ playbook: folder });
});
afterEach(async () => {
  await usher[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});
async function edit(from: string, to: string) {
  expect((await editPlaybook(usher, folder, from, to)).filter(({ severity }) => severity === 'error')).toEqual([]);
}

const content = `content { __typename id type ... on OfferContent { title price times isNew tags maker } ... on JsonContent { data } }`;
const view =
  'mutation { trackEvent(input: { type: "product_viewed", properties: { productId: "p" } }) { outcome { status } } }';
const ask = `{ personalizedSlots(waitMs: 2000) { ${content} } }`;
const shown = async (query = ask) =>
  (await usher.query(query)).data.personalizedSlots.map((slot: { content: object }) => slot.content);
const free = { __typename: 'JsonContent', id: 'free', type: 'free', data: { title: 7 } };
const offer = {
  __typename: 'OfferContent',
  type: 'offer',
  price: null,
  times: null,
  isNew: null,
  tags: null,
  maker: null,
};
const tents = {
  ...offer,
  id: 'tents',
  title: 'All  tents',
  price: 0,
  times: 2,
  isNew: true,
  tags: ['a', 'b'],
  maker: { name: 'N' },
};

describe('a type of content that the playbook declares', () => {
  it('is a type in GraphQL, with a field for each property that GraphQL can name', async () => {
    const { data } = await usher.query(`{ __type(name: "OfferContent") { description interfaces { name }
      fields { name description type { kind name ofType { kind name ofType { name } } } } } }`);
    const { description, interfaces, fields } = data.__type;
    expect([description, interfaces]).toEqual(['Something to buy', [{ name: 'Content' }]]);
    type Shown = { kind: string; name: string | null; ofType: Shown | null };
    const typeOf = ({ kind, name, ofType }: Shown): string =>
      kind === 'NON_NULL' ? `${typeOf(ofType!)}!` : kind === 'LIST' ? `[${ofType!.ofType!.name}!]` : name!;
    const types = fields.map((field: { name: string; type: Shown }) => [field.name, typeOf(field.type)]);
    expect(Object.fromEntries(types)).toEqual({
      id: 'ID!',
      type: 'String!',
      data: 'JSON!',
      title: 'String',
      price: 'Float',
      times: 'Int',
      isNew: 'Boolean',
      tags: '[String!]',
      maker: 'JSON',
    });
    expect(fields.find(({ name }: { name: string }) => name === 'price').description).toBe('In major units.');
  });

  it('is what its contents are, decided and as fallbacks, in queries, after events and in updates', async () => {
    expect(await shown()).toEqual([{ ...offer, id: 'nothing', title: 'Nothing' }, free]);
    await using feed = subscribe(usher, `subscription { contentUpdates { slots { ${content} } } }`, 'dev:alice');
    const contents = async () =>
      (await feed.next()).data.contentUpdates.slots.map((slot: { content: object }) => slot.content);
    expect(await contents()).toEqual([{ ...offer, id: 'nothing', title: 'Nothing' }, free]);
    const tracked = await usher.query(view.replace('outcome { status }', `slots(waitMs: 5000) { ${content} }`));
    expect(tracked.data.trackEvent.slots[0].content).toEqual(tents);
    expect(await contents()).toEqual([tents]);
    expect(await shown()).toEqual([tents, free]);
    // Executed by graphql-js: the directive sees to that.
    expect(await shown(ask.replace('__typename', '__typename @include(if: true)'))).toEqual([tents, free]);
  });

  it('may be declared otherwise while a slot still shows what was decided before: what does not fit is null', async () => {
    await usher.query(view);
    await edit('price: { type: number', 'price: { type: string');
    // The first read is still by the playbook before, and asks for the slot to be decided anew.
    expect(await shown()).toEqual([{ ...tents, price: null }, free]);
    await expect.poll(() => shown()).toEqual([{ ...tents, price: '0.00' }, free]);
  });

  it('comes and goes with the playbook', async () => {
    const typed = '{ personalizedSlots(names: ["rail"]) { content { __typename ... on FreeContent { title } } } }';
    expect((await usher.query(typed)).errors?.[0]?.message).toContain('Unknown type "FreeContent"');
    await edit('types:\n', 'types:\n  free: { properties: { properties: { title: { type: number } } } }\n');
    expect(await shown(typed)).toEqual([{ __typename: 'FreeContent', title: 7 }]);
    await edit('  free: { properties: { properties: { title: { type: number } } } }\n', '');
    expect((await usher.query(typed)).errors?.[0]?.message).toContain('Unknown type "FreeContent"');
  });

  it('cannot be called as a type that every Usher has', () => {
    const schema = readFileSync(join(import.meta.dirname, '../../schema/schema.graphql'), 'utf8');
    const names = [...schema.matchAll(/^\w+ (\w+Content)\b/gm)].map(([, name]) => name);
    expect(names).toEqual([...takenContentNames]);
  });
});
