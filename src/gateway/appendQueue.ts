import type { AppendOutcome, EventLog } from '../log/eventLog.ts';
import { limits } from './limits.ts';

interface Waiting {
  readonly key: string | null;
  readonly value: string;
  readonly group: Group;
  readonly index: number;
}
/** One `append` call. */
interface Group {
  readonly outcomes: (AppendOutcome | undefined)[];
  left: number;
  timer: NodeJS.Timeout;
  isLate: boolean;
  readonly resolve: (outcomes: readonly AppendOutcome[]) => void;
}

/**
 * The way from requests to the log. Records that come in the same turn of the event loop, or while an append of their shard is under
 * way, travel as one append: that is how single calls share an fsync. **At most one append is in flight a shard**, so one
 * gateway never reorders a visitor (semantics 1.6). Bounded: see `isFull`. Nobody waits longer than the deadline, also not behind
 * appends that take that long themselves.
 */
export class AppendQueue {
  readonly #log: EventLog;
  readonly #deadlineMs: number;
  readonly #waiting: Waiting[][];
  readonly #inFlight: boolean[];
  /** Offset after the last record of each shard that this process appended. */
  readonly #ends: number[];
  #appends = 0;
  #records = 0;
  #chars = 0;
  #scheduled = false;
  readonly #idle = new Set<() => void>();

  constructor(log: EventLog, deadlineMs: number) {
    this.#log = log;
    this.#deadlineMs = deadlineMs;
    this.#waiting = Array.from({ length: log.shards }, () => []);
    this.#inFlight = new Array<boolean>(log.shards).fill(false);
    this.#ends = new Array<number>(log.shards).fill(0);
  }

  /** Whether more must be refused (OVERLOADED). Asked before a request's records are made, so one request may exceed it once. */
  get isFull(): boolean {
    return this.#records >= limits.queuedAppends || this.#chars >= limits.queuedChars;
  }
  get records(): number {
    return this.#records;
  }
  /** The smallest end the shard's log can have, as far as this process knows. */
  endOf(shard: number): number {
    return this.#ends[shard] ?? 0;
  }

  /** Tells of records that others appended, before this process started for instance. */
  noteEnd(shard: number, end: number): void {
    this.#ends[shard] = Math.max(this.endOf(shard), end);
  }

  /** One outcome an entry, in their order. Never rejects. */
  append(
    entries: readonly { readonly shard: number; readonly key: string | null; readonly value: string }[],
  ): Promise<readonly AppendOutcome[]> {
    if (entries.length === 0) return Promise.resolve([]);
    return new Promise((resolve) => {
      const group: Group = {
        outcomes: new Array<AppendOutcome | undefined>(entries.length),
        left: entries.length,
        timer: setTimeout(() => this.#late(group), this.#deadlineMs),
        isLate: false,
        resolve,
      };
      for (let index = 0; index < entries.length; index++) {
        const { shard, key, value } = entries[index]!;
        this.#waiting[shard]!.push({ key, value, group, index });
        this.#chars += value.length;
      }
      this.#records += entries.length;
      this.#schedule();
    });
  }

  /** Resolves when nothing waits and nothing is in flight. */
  async drained(): Promise<void> {
    while (this.#records > 0) await new Promise<void>((resolve) => this.#idle.add(resolve));
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#appends >= limits.appendsInFlight) return;
    const taken: { shard: number; waiting: Waiting }[] = [];
    for (let shard = 0; shard < this.#waiting.length && taken.length < limits.appendRecords; shard++) {
      const queue = this.#waiting[shard]!;
      if (this.#inFlight[shard] || queue.length === 0) continue;
      this.#inFlight[shard] = true;
      for (const waiting of queue.splice(0, limits.appendRecords - taken.length)) taken.push({ shard, waiting });
    }
    if (taken.length === 0) return;
    if (taken.length === limits.appendRecords) this.#schedule();
    this.#appends++;
    this.#log
      .append(taken.map(({ shard, waiting }) => ({ shard, key: waiting.key, value: waiting.value })))
      // The port says that it never rejects; an adapter that does must not lose the callers' answers.
      .catch((error: Error) => taken.map((): AppendOutcome => ({ ok: false, code: 'UNKNOWN', message: error.message })))
      .then((outcomes) => this.#settle(taken, outcomes));
  }

  #settle(taken: readonly { shard: number; waiting: Waiting }[], outcomes: readonly AppendOutcome[]): void {
    this.#appends--;
    for (let i = 0; i < taken.length; i++) {
      const { shard, waiting } = taken[i]!;
      const outcome = outcomes[i]!;
      this.#inFlight[shard] = false;
      if (outcome.ok && outcome.offset >= this.#ends[shard]!) this.#ends[shard] = outcome.offset + 1;
      this.#leave(waiting, outcome);
    }
    if (this.#waiting.some((queue) => queue.length > 0)) this.#schedule();
    this.#checkIdle();
  }

  /** The deadline. What still waits was surely not written; the log has a moment more to tell of what is on its way. */
  #late(group: Group): void {
    group.isLate = true;
    for (const queue of this.#waiting) {
      // All have the same time, so who is late stands in front.
      const late = queue.findIndex((waiting) => !waiting.group.isLate);
      for (const waiting of queue.splice(0, late === -1 ? queue.length : late)) {
        const message = `the log did not take the record within ${this.#deadlineMs} ms`;
        this.#leave(waiting, { ok: false, code: 'LOG_UNAVAILABLE', message });
      }
    }
    this.#checkIdle();
    if (group.left > 0) group.timer = setTimeout(() => this.#giveUp(group), limits.appendGraceMs);
  }

  #giveUp(group: Group): void {
    const message = `the log did not answer within ${this.#deadlineMs} ms; the record may still be written`;
    for (let index = 0; index < group.outcomes.length; index++) {
      if (group.outcomes[index] === undefined) answer(group, index, { ok: false, code: 'UNKNOWN', message });
    }
  }

  #leave({ value, group, index }: Waiting, outcome: AppendOutcome): void {
    this.#records--;
    this.#chars -= value.length;
    if (group.outcomes[index] === undefined) answer(group, index, outcome);
  }

  #checkIdle(): void {
    if (this.#records > 0) return;
    for (const resolve of this.#idle) resolve();
    this.#idle.clear();
  }
}

function answer(group: Group, index: number, outcome: AppendOutcome): void {
  group.outcomes[index] = outcome;
  if (--group.left > 0) return;
  clearTimeout(group.timer);
  group.resolve(group.outcomes as readonly AppendOutcome[]);
}
