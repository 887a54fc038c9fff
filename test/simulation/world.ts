import { isUsherError } from '../../src/errors.ts';
import { shardOf } from '../../src/model/shard.ts';
import { Bundles } from '../../src/playbook/bundles.ts';
import { type ShardEvent, type WorkerLimits, workerLimits } from '../../src/worker/shard.ts';
import { Worker } from '../../src/worker/worker.ts';
import { activation, bundles, type GeneratedRecord, recordOf, smallSettings, visitors } from '../support/logs.ts';
import { seededRandom } from '../support/random.ts';
import type { Counts } from './counts.ts';
import { Judge, Violation } from './judge.ts';
import { type Membership, SimulatedLog } from './log.ts';
import { Network } from './network.ts';
import { SimulatedOutputs } from './outputs.ts';
import type { Plant } from './plants.ts';
import { SimulatedProcess } from './process.ts';
import type { Command, Happening, Schedule } from './schedule.ts';
import { SimulatedState, stateFor } from './state.ts';
import { Steps } from './steps.ts';

/** Compiled once for all worlds: content is named by its hash. */
const compiled = new Bundles(async (hash) => bundles.text(hash));

const limits: { readonly [name in Schedule['limits']]: WorkerLimits } = {
  small: {
    batchRecords: 4,
    batchBytes: 10_000,
    commitVisitors: 3,
    commitBytes: 4_000,
    cachedVisitors: 2,
    timers: 2,
    outputBatch: 2,
    outputBatchSize: 2_000,
    outboxEntries: 3,
    outboxSize: 10_000,
    copiedRecords: 3,
    copiedSize: 10_000,
    snapshotEveryMs: 100,
    snapshotVisitors: 2,
    snapshotReachEveryMs: 1_000,
  },
  production: workerLimits,
};
/** Known users, whom visitors turn out to be. */
const users = ['u:ada', 'u:bob'];
const countedByShards = [
  'folded',
  'duplicate',
  'held',
  'timersFired',
  'failed',
  'merged',
  'forwarded',
  'repeatedMoves',
] as const;
const copiedTypes = ['product_viewed', 'cart_item_added'];
const startedAt = 100_000_000;
/** How far the clocks of the three places are ahead of the world's, ms. */
const clocksAhead = [0, 30, -45];
/** A healed world must be at rest after so many steps. */
const healSteps = 5_000;

interface Place {
  readonly process: SimulatedProcess;
  readonly membership: Membership;
}

/** A cluster of real workers over a simulated log, state, network and clock. */
export class World {
  readonly #schedule: Schedule;
  readonly #plant: Plant | null;
  readonly #counts: Counts;
  readonly #steps = new Steps(startedAt);
  readonly #network: Network;
  readonly #log: SimulatedLog;
  readonly #state: SimulatedState;
  readonly #outputs: SimulatedOutputs;
  readonly #judge: Judge;
  readonly #places: Place[] = [];
  /** Those of the dead too. */
  readonly #memberships: Membership[] = [];
  readonly #processes = new Map<string, SimulatedProcess>();
  /** What the schedule appended, by shard, and the last number of each source: what a next record may refer to. */
  readonly #appended: GeneratedRecord[][];
  readonly #numbers = new Map<string, number>();
  /** Outputs that left the outbox, and are there again because that was lost. Nobody but the next owner knows of them. */
  readonly #undrained = new Set<string>();
  #records = 0;
  #violation: Error | null = null;

  constructor(schedule: Schedule, plant: Plant | null, counts: Counts) {
    const { shards } = schedule;
    this.#schedule = schedule;
    this.#plant = plant;
    this.#counts = counts;
    this.#network = new Network(this.#steps, (fault) => counts[fault]++);
    this.#log = new SimulatedLog(this.#steps, this.#network, shards, (record) => {
      if (record.key === null) return;
      counts.moves++;
      this.#judge.moved(record);
    });
    this.#judge = new Judge(this.#log, smallSettings, copiedTypes);
    this.#outputs = new SimulatedOutputs(this.#network, (topic, entry) => {
      counts[topic.startsWith('events.') ? 'copies' : 'outputs']++;
      this.#judge.told(topic, entry);
    });
    const State = plant?.State ?? SimulatedState;
    this.#state = new State(shards, {
      wrote: (earlier, after) => {
        if (after.message !== null) counts.commits++;
        this.#judge.wrote(earlier, after);
      },
      refused: ({ meta }) => {
        counts.refused++;
        if (this.#processOf(meta.owner)?.hasSlept === true) counts['refused zombies']++;
      },
    });
    this.#appended = Array.from({ length: shards }, () => []);
  }

  /** Runs the schedule, then ends all faults, lets the cluster come to rest, and compares. @throws Violation */
  async run(trace: string[] | null = null): Promise<void> {
    this.#steps.trace = trace;
    this.#counts.schedules++;
    try {
      await this.#run();
    } finally {
      // Node keeps signals that still may abort, and with them all that listens.
      for (const membership of this.#memberships) membership.end();
    }
  }

  async #run(): Promise<void> {
    const { shards, processes, commands } = this.#schedule;
    for (let shard = 0; shard < shards; shard++) this.#append(shard, activation(`a${shard}`, 0));
    for (let place = 0; place < processes; place++) this.#start(place, 1);
    for (let shard = 0; shard < shards; shard++) this.#log.assign(shard, this.#places[shard % processes]!.membership);
    for (const command of commands) await this.#command(command);
    await this.#heal();
    this.#judge.ended(this.#state);
    this.#counts.steps += this.#steps.taken;
    for (const history of this.#state.history) {
      const { counters } = history.at(-1)!.meta;
      for (const name of countedByShards) this.#counts[name] += counters[name];
    }
  }

  async #command({ happening, steps, order }: Command): Promise<void> {
    const happened = this.#happen(happening);
    this.#steps.trace?.push(happened ?? `(${happening.what}: nothing to do)`);
    const random = order === 0 ? () => 0 : seededRandom(order);
    for (let i = 0; i < steps; i++) {
      if (!(await this.#step((count) => Math.floor(random() * count)))) return;
    }
  }

  async #step(choose: (count: number) => number): Promise<boolean> {
    const taken = await this.#steps.take(choose);
    if (this.#violation !== null) throw this.#violation;
    return taken;
  }

  /** @returns what was done, for people; null: it did not apply */
  #happen(happening: Happening): string | null {
    const { shards, processes } = this.#schedule;
    const counts = this.#counts;
    switch (happening.what) {
      case 'append': {
        const { line } = happening;
        const shard = line.what === 'event' ? shardOf(visitors[line.of]!, shards) : happening.shard % shards;
        const stamp = this.#steps.now;
        const value = recordOf(line, `r${this.#records++}`, stamp, this.#appended[shard]!, this.#numbers);
        return this.#append(shard, value);
      }
      case 'retry': {
        const shard = happening.shard % shards;
        const failed = [...(this.#state.standing(shard)?.failed.values() ?? [])];
        const { position, visitor } = failed[happening.failed % failed.length] ?? { visitor: null };
        if (visitor === null) return null;
        counts.retries++;
        const id = `r${this.#records++}`;
        const properties = { productId: 'p1' };
        return this.#append(shard, {
          v: 1,
          kind: 'event',
          id,
          visitor,
          type: 'product_viewed',
          properties,
          retryOf: position,
        });
      }
      case 'identify': {
        const visitor = visitors[happening.of]!;
        const user = users[happening.user]!;
        const id = `r${this.#records++}`;
        return this.#append(shardOf(visitor, shards), { v: 1, kind: 'identified', id, visitor, user });
      }
      case 'user': {
        const { line } = happening;
        if (line.what !== 'event') return null;
        const visitor = users[happening.user]!;
        const { type, properties } = line.happening;
        const id = `r${this.#records++}`;
        return this.#append(shardOf(visitor, shards), { v: 1, kind: 'event', id, visitor, type, properties });
      }
      case 'pass':
        this.#steps.now += happening.ms;
        return `${happening.ms} ms pass`;
      case 'log clock':
        this.#log.clockMs = happening.ms;
        return `the log's clock is ${happening.ms} ms ahead`;
      case 'crash': {
        const place = happening.process % processes;
        const { process } = this.#places[place]!;
        process.dead = true;
        this.#steps.forget(process);
        counts.crashes++;
        this.#start(place, Number(process.name.slice(1)) + 1);
        this.#giveAll(process, happening.to);
        return `${process.name} dies, ${this.#nameOf(happening.to)} gets its shards`;
      }
      case 'sleep': {
        const { process } = this.#places[happening.process % processes]!;
        if (process.asleep) return null;
        process.asleep = true;
        process.hasSlept = true;
        counts.sleeps++;
        if (happening.to === null) return `${process.name} falls asleep`;
        this.#giveAll(process, happening.to);
        return `${process.name} falls asleep, ${this.#nameOf(happening.to)} gets its shards`;
      }
      case 'wake': {
        const { process } = this.#places[happening.process % processes]!;
        if (!process.asleep) return null;
        process.asleep = false;
        return `${process.name} wakes up`;
      }
      case 'rebalance': {
        const shard = happening.shard % shards;
        const { membership } = this.#places[happening.to % processes]!;
        if (this.#log.isAssigned(shard, membership)) return null;
        this.#log.assign(shard, membership);
        counts.rebalances++;
        return `shard ${shard} is given to ${this.#nameOf(happening.to)}`;
      }
      case 'fail over': {
        const shard = happening.shard % shards;
        const before = this.#state.standing(shard);
        const lost = this.#state.failOver(shard, happening.steps);
        if (lost === 0) return null;
        for (const id of this.#state.standing(shard)?.outbox.keys() ?? []) {
          if (!before!.outbox.has(id)) this.#undrained.add(`${shard}:${id}`);
        }
        counts.rollbacks++;
        return `the state of shard ${shard} fails over and loses its last ${lost} steps`;
      }
      case 'fail':
        this.#network.fail(happening.kind, happening.fault);
        return `the next ${happening.kind} call: ${happening.fault}`;
      case 'delay': {
        const calls = this.#steps.underWay;
        const call = calls[happening.call % calls.length];
        if (call === undefined) return null;
        call.notBefore = this.#steps.now + happening.ms;
        counts.delays++;
        return `${call.label}: ${happening.ms} ms later`;
      }
    }
  }

  /** All faults end: who sleeps wakes, what is under way arrives, and the cluster folds what the log has. */
  async #heal(): Promise<void> {
    this.#steps.trace?.push('all faults end');
    this.#network.heal();
    for (const { process } of this.#places) process.asleep = false;
    for (let steps = 0; !this.#isAtRest(); steps++) {
      if (steps > healSteps) throw new Violation(`the cluster is not at rest after ${healSteps} steps without faults`);
      if (!(await this.#step(() => 0)) && !this.#steps.passToNext()) throw new Violation('nothing happens any more');
    }
  }

  #isAtRest(): boolean {
    return (
      this.#log.partitions.every(({ length }, shard) => {
        const stands = this.#state.standing(shard);
        if (stands?.meta.position !== length || stands.meta.copied !== length) return false;
        return [...stands.outbox.keys()].every((id) => this.#undrained.has(`${shard}:${id}`));
      }) && !this.#steps.underWay.some(({ kind }) => kind === 'write' || kind === 'news')
    );
  }

  #start(place: number, run: number): void {
    const process = new SimulatedProcess(`${'abc'[place]}${run}`, this.#steps, clocksAhead[place]!);
    this.#processes.set(process.name, process);
    const log = this.#log.openFor(process, (membership) => {
      this.#places[place] = { process, membership };
      this.#memberships.push(membership);
    });
    const store = stateFor(process, this.#state, this.#network);
    const worker = new Worker({
      log: this.#plant?.log?.(log) ?? log,
      store: this.#plant?.store?.(store) ?? store,
      outputs: { outputs: this.#outputs.openFor(process), copiedTypes },
      bundles: compiled,
      fold: { ...smallSettings, ...this.#plant?.fold },
      limits: limits[this.#schedule.limits],
      machine: process.machine,
      report: (shard, event) => this.#report(process, shard, event),
    });
    void worker.start();
  }

  #report(process: SimulatedProcess, shard: number, event: ShardEvent): void {
    if (event.what !== 'stopped' && event.what !== 'retrying') return;
    const { error } = event;
    if (isUsherError(error) && error.retryable && error.code !== 'INTERNAL') return;
    this.#violation ??= new Violation(`${process.name} cannot serve shard ${shard}: ${error.message}`, {
      cause: error,
    });
  }

  /** An owner's token begins with its process's name. */
  #processOf(owner: string): SimulatedProcess | null {
    return this.#processes.get(owner.split('/')[0]!) ?? null;
  }

  #giveAll(from: SimulatedProcess, to: number): void {
    const { membership } = this.#places[to % this.#schedule.processes]!;
    for (let shard = 0; shard < this.#schedule.shards; shard++) {
      if (this.#log.assignedTo(shard) === from) this.#log.assign(shard, membership);
    }
  }

  #append(shard: number, record: object | string): string {
    const value = typeof record === 'string' ? record : JSON.stringify(record);
    this.#appended[shard]!.push({ stamp: this.#steps.now, value: record });
    this.#log.append({ shard, key: null, value });
    return `append to shard ${shard}: ${value}`;
  }

  #nameOf(place: number): string {
    return this.#places[place % this.#schedule.processes]!.process.name;
  }
}
