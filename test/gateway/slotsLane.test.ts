import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Config, loadConfig } from '../../src/config.ts';
import { UsherError } from '../../src/errors.ts';
import { defaultFoldSettings } from '../../src/fold/work.ts';
import { encodeCursor } from '../../src/gateway/cursor.ts';
import { type Gateway, startGateway } from '../../src/gateway/gateway.ts';
import { parseSecretKeys, Tokens } from '../../src/gateway/tokens.ts';
import { sqliteLog } from '../../src/log/sqliteLog.ts';
import { createLogger } from '../../src/observe/logger.ts';
import { createMetrics } from '../../src/observe/metrics.ts';
import { Bundles } from '../../src/playbook/bundles.ts';
import { readPlaybook } from '../../src/playbook/read.ts';
import { Hub } from '../../src/push/hub.ts';
import { localBroadcast } from '../../src/push/localBroadcast.ts';
import { openSqlite } from '../../src/sqlite/sqlite.ts';
import { sqliteStore } from '../../src/state/sqliteStore.ts';
import type { StateStore } from '../../src/state/stateStore.ts';
import { activate } from '../../src/worker/activate.ts';
import { thisMachine } from '../../src/worker/machine.ts';
import { workerLimits } from '../../src/worker/shard.ts';
import { Worker } from '../../src/worker/worker.ts';
import { temporaryFolder } from '../contract/sqliteSubjects.ts';
import { bound } from '../support/bound.ts';

const shards = 2;
const visitSecret = 'a secret of at least thirty-two characters';
const key = 'usk_read_only_0123456789=read';
/**
 * Slots of several content types, declared and not, some of whose fields are clashing, missing or beyond GraphQL; with texts that JSON must
 * escape, a loser, and facts of every kind.
 */
const playbookText = `format: 1
currency: USD
timezone: UTC
events:
  looked:
    name: Looked
    says: looked at \${event.what}
    properties: { type: object, required: [what], properties: { what: { type: string }, times: { type: number } } }
types:
  offer:
    name: An offer
    properties:
      properties:
        id: { type: string, description: What every content has already. }
        title: { type: string, maxLength: 40 }
        times: { type: number }
        price: { type: number }
        large: { type: integer }
        few: { type: integer }
        isNew: { type: boolean }
        tags: { type: array, items: { type: string } }
        percents: { type: array, items: { type: number } }
        nested: { type: object }
        with-hyphen: { type: string }
        constructor: { type: string }
  tile: { properties: { properties: { title: { type: string }, colour: { type: string } } } }
content:
  free: { type: free, title: 7, colour: [red] }
  tile: { type: tile, title: "A tile" }
  nothing: { type: offer, title: Nothing yet, id: not mine, large: 3000000000, few: 3, isNew: true }
  look: { type: offer, title: "You “looked” at \${event.what}, \${event.times} times", times: "\${event.times}" }
  offer: { type: offer, title: "Line one\\nline two", price: 3.5, tags: [a, "b\\"c"], nested: { deep: { er: true, no: null } } }
slots:
  hero: { accepts: offer, fallback: nothing }
  rail: { page: product, accepts: offer, fallback: nothing }
  empty: { accepts: offer, fallback: nothing }
  free: { fallback: free }
  tile: { fallback: tile }
rules:
  show_look: { name: Show the look, when: looked, if: event.times > 0, then: [{ show: { slot: hero, content: look, for: 1h } }] }
  show_offer: { name: Show an offer, when: looked, priority: 7, then: [{ show: { slot: hero, content: offer, only: { page: [product, home] } } }, { show: { slot: rail, content: look, for: 2h } }] }
`;

let fast: Gateway;
let yoga: Gateway;
let isAway = false;
let tokens: readonly (string | undefined)[];
let cursors: readonly string[];
const closers: (() => Promise<void>)[] = [];

beforeAll(async () => {
  const { folder } = await temporaryFolder();
  await writeFile(join(folder, 'playbook.yaml'), playbookText);
  const compiled = await readPlaybook(folder);
  expect(compiled.problems.filter(({ severity }) => severity === 'error')).toEqual([]);
  closers.push(() => rm(folder, { recursive: true, force: true }));
  const retention = { ageMs: 1e12, bytes: 1e12 };
  const file = await openSqlite({ folder, shards, appendDeadlineMs: 5_000, retention });
  closers.push(() => file.close());
  const log = sqliteLog(file);
  const broadcast = localBroadcast();
  const plain = sqliteStore(file, broadcast);
  const store: StateStore = {
    ...bound(plain),
    readSlots: (keys) => (isAway ? Promise.reject(new UsherError('STATE_UNAVAILABLE', 'away')) : plain.readSlots(keys)),
  };
  const bundles = new Bundles((hash) => plain.readBundle(hash));
  const worker = new Worker({
    log,
    store: plain,
    bundles,
    fold: defaultFoldSettings,
    limits: workerLimits,
    machine: thisMachine,
    report: () => {},
  });
  await worker.start();
  closers.push(() => worker.stop());
  const hub = new Hub({ broadcast, store: plain, shards });
  await hub.start();
  closers.push(() => hub.stop());
  await activate({ log, store: plain }, compiled, [0, 1]);
  const start = (config: Config) =>
    startGateway({
      config,
      log,
      store,
      hub,
      bundles,
      playbook: () => compiled.playbook!,
      playbookFolder: folder,
      assetsFolder: folder,
      logger: createLogger(config),
      metrics: createMetrics(),
      secrets: { visitSecret, keys: parseSecretKeys([key]), devKey: null },
      engineFaults: async () => [],
      rebuildShard: async () => {},
    });
  const config: Config = { ...loadConfig({}).config, port: 0, logLevel: 'silent', data: folder };
  fast = await start(config);
  yoga = await start({ ...config, fastLane: false });
  closers.push(async () => void (await Promise.all([fast.stop(), yoga.stop()])));

  const signer = (now: () => number) =>
    new Tokens({ visitSecret, keys: [], development: false, lifeMs: 3_600_000, now });
  const visit = await signer(Date.now).startVisit(null, 0);
  const expired = await signer(() => Date.now() - 1e9).startVisit(null, 0);
  tokens = [
    'dev:looked',
    visit.token,
    'dev:nobody',
    expired.token,
    `${visit.token}x`,
    'nonsense',
    undefined,
    key.split('=')[0],
  ];
  for (const token of ['dev:looked', visit.token]) {
    for (const times of [1, 2.5]) {
      const { body } = await send(fast, {
        query: 'mutation ($e: TrackEventInput!) { trackEvent(input: $e) { outcome { status } } }',
        variables: { e: { type: 'looked', properties: { what: 'shoes \u{1f45f} & "socks"', times } } },
        token,
      });
      expect(body).toContain('ACCEPTED');
    }
  }
  await worker.caughtUp(AbortSignal.timeout(10_000));
  const { body } = await send(fast, { query: '{ personalizedSlots { cursor } }', token: 'dev:looked' });
  const own = JSON.parse(body).data.personalizedSlots[0].cursor as string;
  const beyond = encodeCursor({ visitor: 'dev:looked', upTo: 1e9, slots: null });
  cursors = [own, beyond, encodeCursor({ visitor: 'dev:other', upTo: 1, slots: null }), 'nonsense', ''];
});
afterAll(async () => {
  for (const close of closers.reverse()) await close();
});

interface Sent {
  readonly query: string;
  readonly variables?: unknown;
  readonly token: string | undefined;
  readonly accept?: string | undefined;
}

async function send({ url }: Gateway, { query, variables, token, accept }: Sent) {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      origin: 'http://localhost:5173',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(accept === undefined ? {} : { accept }),
    },
    body: JSON.stringify({ query, variables }),
  });
  const kept = [
    'content-type',
    'cache-control',
    'access-control-allow-origin',
    'access-control-expose-headers',
    'vary',
  ];
  return {
    status: response.status,
    headers: kept.map((name) => `${name}: ${response.headers.get(name)}`),
    body: await response.text(),
  };
}

/** Selections of a type, nested, with aliases, repeated fields, fragments and now and then a directive or an unknown field. */
const leaves: Record<string, readonly string[]> = {
  PersonalizedSlot: ['name', 'source', 'version', 'cursor', 'decidedAt', 'expiresAt', 'stale', '__typename'],
  Content: ['id', 'type', 'data', '__typename'],
  OfferContent: [
    ...['id', 'type', 'data', '__typename', 'title', 'times', 'price', 'large', 'few', 'isNew'],
    ...['tags', 'percents', 'nested', 'constructor'],
  ],
  TileContent: ['id', 'type', 'data', '__typename', 'title', 'colour'],
  JsonContent: ['id', 'type', 'data', '__typename'],
  Why: ['sentence', 'ruleId', 'playbookVersion', 'eventId', '__typename'],
  Fact: ['name', 'value', '__typename'],
  Loser: ['ruleId', 'contentId', 'reason', '__typename'],
};
const objects: Record<string, readonly (readonly [string, string])[]> = {
  PersonalizedSlot: [
    ['content', 'Content'],
    ['why', 'Why'],
  ],
  Content: [],
  OfferContent: [],
  TileContent: [],
  JsonContent: [],
  Why: [
    ['facts', 'Fact'],
    ['losers', 'Loser'],
  ],
  Fact: [],
  Loser: [],
};
const seldom = (text: string) =>
  fc.oneof({ weight: 40, arbitrary: fc.constant('') }, { weight: 1, arbitrary: fc.constant(text) });

function selectionOf(type: string, depth: number): fc.Arbitrary<string> {
  const aliased = (field: string) =>
    fc.oneof(
      { weight: 60, arbitrary: fc.constant(field) },
      { weight: 10, arbitrary: fc.constant(`my_${field}: ${field}`) },
      // Now and then two fields want the same name.
      { weight: 1, arbitrary: fc.constant(`name: ${field}`) },
    );
  const directive = fc.oneof(seldom(' @include(if: true)'), seldom(' @skip(if: true)'));
  const leaf = fc.tuple(fc.constantFrom(...leaves[type]!).chain(aliased), directive).map((parts) => parts.join(''));
  const nested = objects[type]!.map(([field, inner]) =>
    fc.tuple(aliased(field), selectionOf(inner, depth + 1)).map((parts) => parts.join(' ')),
  );
  const fragmentOn = (condition: string, on: string) =>
    selectionOf(on, depth + 1).map((selection) => `${condition} ${selection}`);
  const typed = ['OfferContent', 'TileContent', 'JsonContent'];
  const fragment =
    depth >= 3
      ? []
      : [
          fragmentOn('...', type),
          fragmentOn(`... on ${type}`, type),
          ...(type === 'Content' ? typed.flatMap((on) => Array(3).fill(fragmentOn(`... on ${on}`, on))) : []),
          // Content, from within one of its types.
          ...(typed.includes(type) ? [fragmentOn('... on Content', 'Content')] : []),
        ];
  const named =
    type === 'PersonalizedSlot'
      ? [fc.constant(`...${type}Parts`)]
      : type === 'Content'
        ? [fc.constant(`...${type}Parts`), fc.constant('...OfferParts')]
        : [];
  const one = fc.oneof(
    { weight: 8, arbitrary: leaf },
    ...nested.map((arbitrary) => ({ weight: 2, arbitrary })),
    ...fragment.map((arbitrary) => ({ weight: 1, arbitrary })),
    ...named.map((arbitrary) => ({ weight: 1, arbitrary })),
  );
  return fc
    .tuple(fc.array(one, { minLength: 1, maxLength: 5 }), seldom('nothing'))
    .map(([all, wrong]) => `{ ${all.join(' ')} ${wrong} }`);
}

/** An argument as a variable or a literal, with values that fit and others. */
function argument(name: string, type: string, fitting: fc.Arbitrary<unknown>, literal = true) {
  const value = fc.oneof(
    { weight: 30, arbitrary: fitting },
    { weight: 1, arbitrary: fc.constantFrom<unknown>(null, 1, 'text', true, [null], {}, ['hero', 1]) },
  );
  const types = fc.oneof(
    { weight: 30, arbitrary: fc.constant(type) },
    { weight: 1, arbitrary: fc.constantFrom(`${type}!`, 'Int', 'String') },
  );
  const asVariable = fc.tuple(types, value, fc.boolean()).map(([declared, given, isGiven]) => ({
    use: `${name}: $${name}`,
    declare: `$${name}: ${declared}`,
    variables: isGiven ? { [name]: given } : {},
  }));
  const asLiteral = value.map((given) => ({ use: `${name}: ${literalText(given)}`, declare: '', variables: {} }));
  const absent = fc.constant({ use: '', declare: '', variables: {} });
  return literal
    ? fc.oneof(
        { weight: 3, arbitrary: asVariable },
        { weight: 2, arbitrary: asLiteral },
        { weight: 3, arbitrary: absent },
      )
    : fc.oneof(asVariable, absent);
}
function literalText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(literalText).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  return `{ ${Object.entries(value)
    .map(([name, member]) => `${name}: ${literalText(member)}`)
    .join(', ')} }`;
}

const names = fc.oneof(
  { weight: 8, arbitrary: fc.array(fc.constantFrom('hero', 'rail', 'empty', 'free', 'tile'), { maxLength: 4 }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      ['hero', 'herro', 'rail'],
      ['constructor'],
      Array(50).fill('hero'),
      Array(51).fill('hero'),
    ),
  },
);
const request = fc
  .record({
    selection: selectionOf('PersonalizedSlot', 0),
    parts: fc.tuple(selectionOf('Content', 3), fc.subarray([...leaves['PersonalizedSlot']!], { minLength: 1 })),
    key: fc.oneof(
      { weight: 8, arbitrary: fc.constant('') },
      { weight: 1, arbitrary: fc.constantFrom('slots: ', '__proto__: ') },
    ),
    around: fc.oneof(
      { weight: 10, arbitrary: fc.constant(['', '']) },
      {
        weight: 1,
        arbitrary: fc.constantFrom(['__typename ', ''], ['... { ', ' }'], ['', ' other: personalizedSlots { name }']),
      },
    ),
    names: argument('names', '[String!]', names),
    after: argument(
      'after',
      'Cursor',
      fc.nat(4).map((n) => cursors?.[n] ?? 'x'),
      false,
    ),
    waitMs: argument('waitMs', 'Int', fc.constantFrom<unknown>(0, 0, 5, -1, 10_001, 2 ** 31)),
    context: argument(
      'context',
      'PageContextInput',
      fc.constantFrom<unknown>(
        { page: 'product' },
        { page: null, url: 'x' },
        { page: 'home', timeZone: 'Asia/Tokyo' },
        { timeZone: 7 },
        { other: 1 },
      ),
    ),
    token: fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom(0, 1, 2) },
      { weight: 1, arbitrary: fc.constantFrom(3, 4, 5, 6, 7) },
    ),
    accept: fc.constantFrom(undefined, 'application/json', 'application/graphql-response+json', '*/*'),
    isAway: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
  })
  .map(({ selection, parts, key: alias, around, names: n, after, waitMs, context, token, accept, isAway: away }) => {
    const all = [n, after, waitMs, context];
    const used = all
      .map(({ use }) => use)
      .filter((use) => use !== '')
      .join(', ');
    const declared = all
      .map(({ declare }) => declare)
      .filter((declare) => declare !== '')
      .join(', ');
    let query = `query Q${declared === '' ? '' : `(${declared})`} { ${around[0]}${alias}personalizedSlots${used === '' ? '' : `(${used})`} ${selection}${around[1]} }`;
    if (selection.includes('...PersonalizedSlotParts'))
      query += ` fragment PersonalizedSlotParts on PersonalizedSlot { ${parts[1].join(' ')} }`;
    if (query.includes('...ContentParts'))
      query += ` fragment ContentParts on Content ${parts[0].replaceAll('...ContentParts', 'id')}`;
    if (query.includes('...OfferParts')) query += ' fragment OfferParts on OfferContent { title few __typename }';
    return { query, variables: Object.assign({}, ...all.map(({ variables }) => variables)), token, accept, away };
  });

describe('the short way of slot queries', () => {
  it('answers byte for byte as the long way does, whatever is asked', async () => {
    await fc.assert(
      fc.asyncProperty(request, async ({ token: n, away, ...rest }) => {
        const sent: Sent = { ...rest, token: tokens[n] };
        isAway = away;
        try {
          expect(await send(fast, sent)).toEqual(await send(yoga, sent));
        } finally {
          isAway = false;
        }
      }),
      { numRuns: 1_000 },
    );
    const text = await (await fetch(`${fast.url}/metrics`)).text();
    const counted = Number(/usher_request_seconds_count\{lane="slots"\} (\d+)/.exec(text)?.[1] ?? 0);
    // Else the two were compared with themselves.
    expect(counted).toBeGreaterThan(200);
    expect(await (await fetch(`${yoga.url}/metrics`)).text()).not.toMatch(/lane="(slots|fast)"/);
  }, 120_000);
});
