import { UsherError } from '../../src/errors.ts';
import type { AppendEntry, AppendOutcome, EventLog, LogMember, ShardFeed } from '../../src/log/eventLog.ts';
import type { LogRecord } from '../../src/model/record.ts';
import type { Network } from './network.ts';
import type { SimulatedProcess } from './process.ts';
import type { Steps } from './steps.ts';

/** The log's engine: its partitions, and the group of its members. */
export class SimulatedLog {
  readonly partitions: readonly LogRecord[][];
  /** How far its clock is from the world's, ms; a change can set stamps back. */
  clockMs = 0;
  readonly #steps: Steps;
  readonly #network: Network;
  readonly #appended: (record: LogRecord) => void;
  /** By shard: whose it is, by the group's word. Who it was may not have heard of it yet. */
  readonly #assigned: (Membership | null)[];

  /** @param appended is called for each record when the log has it */
  constructor(steps: Steps, network: Network, shards: number, appended: (record: LogRecord) => void) {
    this.#steps = steps;
    this.#network = network;
    this.#appended = appended;
    this.partitions = Array.from({ length: shards }, () => []);
    this.#assigned = Array.from({ length: shards }, () => null);
  }

  append({ shard, key, value }: AppendEntry): AppendOutcome {
    const partition = this.partitions[shard]!;
    const record = { shard, offset: partition.length, stamp: this.#steps.now + this.clockMs, key, value };
    partition.push(record);
    this.#appended(record);
    return { ok: true, offset: record.offset, stamp: record.stamp };
  }

  assignedTo(shard: number): SimulatedProcess | null {
    return this.#assigned[shard]?.process ?? null;
  }

  /** The group gives the shard to another member; both hear of it in steps of their own, in whatever order. */
  assign(shard: number, to: Membership): void {
    const from = this.#assigned[shard]!;
    if (from === to) return;
    this.#assigned[shard] = to;
    from?.tell({ what: 'revoked', shard });
    to.tell({ what: 'assigned', shard });
  }

  isAssigned(shard: number, member: Membership): boolean {
    return this.#assigned[shard] === member;
  }

  /** The log as a process sees it. */
  openFor(process: SimulatedProcess, joined: (membership: Membership) => void): EventLog {
    const call = <T>(name: string, execute: () => T) => this.#network.call(process, 'log', name, execute);
    const bounds = (shard: number) => ({ low: 0, end: this.partitions[shard]!.length });
    return {
      shards: this.partitions.length,
      append: (entries) =>
        call(`an append to shard ${entries[0]!.shard}`, () => entries.map((entry) => this.append(entry))).catch(
          ({ message }: Error) => entries.map(() => ({ ok: false, code: 'UNKNOWN', message })),
        ),
      join: async (member) => {
        const membership = new Membership(this, this.#steps, process, member, call);
        joined(membership);
        return { leave: () => Promise.reject(new Error('a simulated process dies, it never leaves')) };
      },
      bounds: (shard) => call(`bounds of shard ${shard}`, () => bounds(shard)),
      readAt: (shard, offset) => call(`record ${shard}:${offset}`, () => this.partitions[shard]![offset] ?? null),
      close: async () => {},
    };
  }
}

type News = { readonly what: 'assigned' | 'revoked'; readonly shard: number };
type Call = <T>(name: string, execute: () => T) => Promise<T>;

/** A process in the group. What the group decides it hears in order, but only when it is awake and the news has arrived. */
export class Membership {
  readonly process: SimulatedProcess;
  readonly #log: SimulatedLog;
  readonly #steps: Steps;
  readonly #member: LogMember;
  readonly #call: Call;
  readonly #news: News[] = [];
  readonly #feeds = new Map<number, SimulatedFeed>();

  constructor(log: SimulatedLog, steps: Steps, process: SimulatedProcess, member: LogMember, call: Call) {
    this.process = process;
    this.#log = log;
    this.#steps = steps;
    this.#member = member;
    this.#call = call;
  }

  tell(news: News): void {
    if (this.process.dead) return;
    this.#news.push(news);
    const label = `${this.process.name} hears that shard ${news.shard} is ${news.what}`;
    this.#steps.add({ kind: 'news', label, process: this.process, run: () => this.#hear(this.#news.shift()!) });
  }

  /** Every feed ends. */
  end(): void {
    for (const feed of this.#feeds.values()) feed.end();
  }

  #hear({ what, shard }: News): void {
    if (what === 'revoked') {
      this.#feeds.get(shard)?.end();
      this.#feeds.delete(shard);
      this.#member.revoked(shard);
    } else {
      const feed = new SimulatedFeed(shard, this.#log, this.#steps, this, this.#call);
      this.#feeds.set(shard, feed);
      this.#member.assigned(feed);
    }
  }
}

class SimulatedFeed implements ShardFeed {
  readonly shard: number;
  readonly #log: SimulatedLog;
  readonly #steps: Steps;
  readonly #member: Membership;
  readonly #call: Call;
  readonly #ended = new AbortController();
  #next = 0;
  #woken = false;

  constructor(shard: number, log: SimulatedLog, steps: Steps, member: Membership, call: Call) {
    this.shard = shard;
    this.#log = log;
    this.#steps = steps;
    this.#member = member;
    this.#call = call;
  }

  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  end(): void {
    this.#ended.abort();
  }

  async open(offset: number): Promise<void> {
    const { end } = await this.#call(`bounds of shard ${this.shard}`, () => ({ end: this.#partition.length }));
    if (offset > end) throw new UsherError('LOG_MISMATCH', `shard ${this.shard} ends at ${end}, before ${offset}`);
    this.#next = offset;
  }

  take(limit: { readonly records: number; readonly bytes: number }, waitMs: number): Promise<readonly LogRecord[]> {
    this.#woken = false;
    return new Promise((resolve) => {
      const { signal } = this;
      if (signal.aborted) return resolve([]);
      const onAbort = () => {
        this.#steps.remove(step);
        resolve([]);
      };
      const step = this.#steps.add({
        kind: 'wait',
        label: `${this.#member.process.name} takes from shard ${this.shard}`,
        process: this.#member.process,
        notBefore: this.#steps.now + waitMs,
        early: () => this.#woken || this.#partition.length > this.#next,
        run: () => {
          signal.removeEventListener('abort', onAbort);
          const records = this.#partition.slice(this.#next, this.#next + limit.records);
          this.#next += records.length;
          resolve(records);
        },
      });
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  wake(): void {
    this.#woken = true;
  }

  folded(): void {}

  /** The group is asked; who is not its member any more hears nothing until the news comes that ends the feed. */
  async confirmed(): Promise<void> {
    const { signal } = this;
    const ended = new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', () => resolve(), { once: true });
    });
    await Promise.race([ended, this.#heartbeats()]);
  }

  async #heartbeats(): Promise<void> {
    for (;;) {
      const isMember = await this.#call(`a heartbeat for shard ${this.shard}`, () =>
        this.#log.isAssigned(this.shard, this.#member),
      ).catch(() => false);
      if (isMember || this.signal.aborted) return;
      await this.#member.process.machine.sleep(1_000, this.signal).catch(() => {});
    }
  }

  get #partition(): readonly LogRecord[] {
    return this.#log.partitions[this.shard]!;
  }
}
