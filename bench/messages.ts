import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo, Server as NetServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SMTPServer } from 'smtp-server';
import { median, ms, percentile, poster, type Server, startUsher } from './measure.ts';

/** Of what came, ms from its cause. */
interface Times {
  readonly messages: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface MessagesResult {
  /** From `trackEvent` until a mail server of this machine has said 250. */
  readonly mail: Times;
  /** From the end of a wait, 100,000 visitors waiting beside it. */
  readonly due: Times;
  /** 1,000 web hooks a second: by itself, and while another destination is dead that 200 a second go to. */
  readonly hooksCalm: Times;
  readonly hooksBesideDead: Times;
  /** From `identify` to the first answer with the slot that the other visitor brought; 200 events each. */
  readonly merge: Times;
}

type Post = (body: string) => Promise<string>;
type Sent = { readonly type: string; readonly properties: object; readonly visitor: string };
const key = 'usk_bench_0123456789abcdef';
const hookSecret = `whsec_${Buffer.from('a secret of this bench, of 24 bytes or more').toString('base64')}`;
const waiting = 100_000;
const waitMs = 5_000;

/** Messages of one embedded Usher, on a core of its own; mail server and receiver of web hooks are on the load's. */
export async function messages(quick: boolean): Promise<MessagesResult> {
  const receiver = await Receiver.start();
  const folder = mkdtempSync(join(tmpdir(), 'usher-bench-messages-'));
  writeFileSync(join(folder, 'playbook.yaml'), playbookFor(receiver));
  const server = await startUsher(folder, undefined, [
    ...['--secret-keys', `${key}=write+read+import`, '--smtp-url', `smtp://127.0.0.1:${receiver.mailPort}?tls=offered`],
    ...['--webhook-secrets', `BENCH=${hookSecret}`, '--webhook-allow-private', '127.0.0.1'],
  ]);
  try {
    const post = poster(server.port, '/graphql', 8, key);
    const seconds = quick ? 3 : 10;
    // The first second warms up.
    await hooks(post, receiver, 'page_viewed', 1);
    const hooksCalm = await hooks(post, receiver, 'page_viewed', seconds);
    const hooksBesideDead = await hooks(post, receiver, 'search_performed', seconds);
    const mail = await mails(post, receiver, quick ? 60 : 400);
    const merge = await merges(server, post, quick ? 5 : 30);
    const due = await dues(post, receiver, quick ? 5 : 20);
    return { mail, due, hooksCalm, hooksBesideDead, merge };
  } finally {
    await server.stop();
    await receiver.stop();
    rmSync(folder, { recursive: true });
  }
}

const playbookFor = ({ mailPort, hookPort, deadPort }: Receiver) => `# mail: ${mailPort}
format: 1
currency: USD
timezone: UTC
content: { plain: { type: a }, brought: { type: a } }
slots: { side: { accepts: a, fallback: plain } }
destinations:
  mail: { kind: smtp, from: shop@shop.example }
  hook: { kind: webhook, url: "http://127.0.0.1:${hookPort}/", secret: BENCH }
  dead: { kind: webhook, url: "http://127.0.0.1:${deadPort}/", secret: BENCH }
actions:
  mailed: { destination: mail, to: '"somebody@example.com"', with: { of: text }, subject: "\${with.of}", text: "\${with.of}" }
  hooked: { destination: hook, with: { of: text } }
  lost: { destination: dead, with: { of: text } }
rules:
  mails: { when: product_clicked, then: [{ send: { action: mailed, with: { of: event.productId } } }] }
  hooks: { when: product_viewed, then: [{ send: { action: hooked, with: { of: event.productId } } }] }
  loses: { when: search_performed, then: [{ send: { action: lost, with: { of: event.query } } }] }
  waits: { when: { absent: order_completed, since: cart_item_added, for: 10d }, then: [{ show: { slot: side, content: brought } }] }
  ends:
    when: { absent: order_completed, since: checkout_started, for: ${waitMs / 1_000}s }
    then: [{ send: { action: mailed, with: { of: visitor.id } } }]
  brings: { when: element_clicked, then: [{ show: { slot: side, content: brought } }] }
`;

/** A mail server and a receiver of web hooks, and when each message came, by what it is of. */
class Receiver {
  readonly came = new Map<string, number>();
  readonly #mail: SMTPServer;
  readonly #hooks: HttpServer;
  readonly mailPort: number;
  readonly hookPort: number;
  /** Nobody listens there. */
  readonly deadPort: number;

  static async start(): Promise<Receiver> {
    const came = new Map<string, number>();
    const mail = new SMTPServer({
      disabledCommands: ['STARTTLS', 'AUTH'],
      authOptional: true,
      disableReverseLookup: true,
      logger: false,
      onData(stream, _session, callback) {
        let text = '';
        stream.on('data', (part) => (text += part));
        stream.on('end', () => {
          came.set(/^Subject: (.*?)\r?$/m.exec(text)?.[1] ?? '', performance.now());
          callback(null);
        });
      },
    });
    const hooks = createServer((request, response) => {
      let text = '';
      request.setEncoding('utf8').on('data', (part) => (text += part));
      request.on('end', () => {
        came.set((JSON.parse(text) as { data: { with: { of: string } } }).data.with.of, performance.now());
        response.end();
      });
    });
    const dead = createServer();
    const portOf = async (server: SMTPServer | HttpServer) => {
      const listening: NetServer = server.listen(0, '127.0.0.1');
      await once(listening, 'listening');
      return (listening.address() as AddressInfo).port;
    };
    const ports = [await portOf(mail), await portOf(hooks), await portOf(dead)] as const;
    await new Promise((resolve) => dead.close(resolve));
    return new Receiver(came, mail, hooks, ports);
  }

  private constructor(
    came: Map<string, number>,
    mail: SMTPServer,
    hooks: HttpServer,
    [mailPort, hookPort, deadPort]: readonly [number, number, number],
  ) {
    this.came = came;
    this.#mail = mail;
    this.#hooks = hooks;
    this.mailPort = mailPort;
    this.hookPort = hookPort;
    this.deadPort = deadPort;
  }

  /** When each of these came, ms from its cause. */
  async until(causes: ReadonlyMap<string, number>): Promise<Times> {
    for (const of of causes.keys()) while (!this.came.has(of)) await sleep(5);
    const late = [...causes].map(([of, at]) => this.came.get(of)! - at);
    return timesOf(late);
  }

  async stop(): Promise<void> {
    this.#hooks.closeAllConnections();
    await Promise.all([
      new Promise<void>((resolve) => this.#mail.close(() => resolve())),
      new Promise((resolve) => this.#hooks.close(resolve)),
    ]);
  }
}

function timesOf(late: readonly number[]): Times {
  return { messages: late.length, p50Ms: median(late), p99Ms: percentile(late, 0.99) };
}

let made = 0;
const mutation = 'mutation ($input: TrackEventsInput!) { trackEvents(input: $input) { accepted } }';
async function track(post: Post, sent: readonly Sent[]): Promise<void> {
  const events = sent.map(({ type, properties, visitor }) => ({
    id: crypto.randomUUID(),
    type,
    properties,
    visitor: { visitorId: visitor },
  }));
  const { data } = JSON.parse(await post(JSON.stringify({ query: mutation, variables: { input: { events } } })));
  if (data?.trackEvents?.accepted !== sent.length) throw new Error(`${sent.length} events were not all accepted`);
}

/** 1,000 events a second that are hooked, and 200 of another type beside them, a batch every 10 ms. */
async function hooks(post: Post, receiver: Receiver, beside: string, seconds: number): Promise<Times> {
  const causes = new Map<string, number>();
  const posts: Promise<void>[] = [];
  const from = performance.now();
  for (let batch = 0; batch < seconds * 100; batch++) {
    await sleep(Math.max(0, from + batch * 10 - performance.now()));
    const at = performance.now();
    const sent = Array.from({ length: 10 }, (): Sent => {
      const of = `h${made++}`;
      causes.set(of, at);
      return { type: 'product_viewed', properties: { productId: of }, visitor: `h:${of}` };
    });
    const other = beside === 'page_viewed' ? {} : { query: `q${batch}` };
    const others = [0, 1].map((n): Sent => ({ type: beside, properties: other, visitor: `b:${batch}-${n}` }));
    posts.push(track(post, [...sent, ...others]));
  }
  await Promise.all(posts);
  return receiver.until(causes);
}

/** One at a time: what is measured is the way, not a queue. */
async function mails(post: Post, receiver: Receiver, count: number): Promise<Times> {
  const causes = new Map<string, number>();
  for (let n = 0; n < count; n++) {
    const of = `m${made++}`;
    causes.set(of, performance.now());
    await track(post, [{ type: 'product_clicked', properties: { productId: of }, visitor: `m:${of}` }]);
    while (!receiver.came.has(of)) await sleep(1);
  }
  return receiver.until(causes);
}

/** Waits that end while 100,000 other visitors wait. */
async function dues(post: Post, receiver: Receiver, count: number): Promise<Times> {
  for (let n = 0; n < waiting; n += 500) {
    const many = Array.from({ length: 500 }, (_, i): Sent => {
      const properties = { productId: 'p', quantity: 1, price: 1 };
      return { type: 'cart_item_added', properties, visitor: `w:${n + i}` };
    });
    await track(post, many);
  }
  const causes = new Map<string, number>();
  for (let n = 0; n < count; n++) {
    const visitor = `d:${made++}`;
    await track(post, [{ type: 'checkout_started', properties: {}, visitor }]);
    // The wait counts from when the log has the event, which is now at the latest.
    causes.set(visitor, performance.now() + waitMs);
    await sleep(100);
  }
  return receiver.until(causes);
}

async function merges({ port }: Server, post: Post, count: number): Promise<Times> {
  const took: number[] = [];
  const views = (visitor: string) =>
    Array.from({ length: 199 }, (_, i): Sent => {
      return { type: 'time_spent', properties: { pageViewId: `v${i}`, seconds: 10 }, visitor };
    });
  const click = (visitor: string): Sent => ({ type: 'element_clicked', properties: { element: 'x' }, visitor });
  for (let n = 0; n < count; n++) {
    const name = `merged${made++}`;
    await track(post, [...views(`u:${name}`), { ...views(`u:${name}`)[0]!, type: 'page_viewed', properties: {} }]);
    await track(post, [...views(`dev:${name}`), click(`dev:${name}`)]);
    const anonymous = poster(port, '/graphql', 1, `dev:${name}`);
    const slots = '{ personalizedSlots(names: ["side"]) { content { id } } }';
    while (!(await anonymous(JSON.stringify({ query: slots }))).includes('brought')) await sleep(5);
    const identify = 'mutation ($t: String!) { identify(input: { token: $t }) { visit { token } error { code } } }';
    const at = performance.now();
    const answer = JSON.parse(await anonymous(JSON.stringify({ query: identify, variables: { t: `dev:${name}` } })));
    const user = poster(port, '/graphql', 1, answer.data.identify.visit.token);
    while (!(await user(JSON.stringify({ query: slots }))).includes('brought'));
    took.push(performance.now() - at);
  }
  return timesOf(took);
}

export function printMessages({ mail, due, hooksCalm, hooksBesideDead, merge }: MessagesResult): void {
  const line = (what: string, { messages, p50Ms, p99Ms }: Times, aim = '') =>
    console.log(`${what} (${messages}): p50 ${ms(p50Ms)}, p99 ${ms(p99Ms)}${aim}`);
  line('event → mail accepted', mail);
  line(`end of a wait → mail accepted, ${waiting.toLocaleString('en')} waiting`, due, ' (aim: within 1 s)');
  line('1,000 web hooks a second, calm', hooksCalm);
  const ratio = (hooksBesideDead.p99Ms / hooksCalm.p99Ms).toFixed(2);
  line('the same while another destination is dead', hooksBesideDead, `, p99 ${ratio} × calm (aim: ≤ 1.2)`);
  line('identify → first answer with what the other visitor brought, 200 events each', merge, ' (aim: < 50 ms)');
}
