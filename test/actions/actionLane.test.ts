import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ActionLane, type LaneItem, type LaneSettings } from '../../src/actions/actionLane.ts';
import { HandClock, settled } from './clock.ts';

let clock: HandClock;
let end: AbortController;
const lanes: ActionLane[] = [];
beforeEach(() => {
  clock = new HandClock();
  end = new AbortController();
});
afterEach(async () => {
  end.abort();
  await Promise.all(lanes.splice(0).map((lane) => lane.ended()));
});

function laneOf(settings: Partial<LaneSettings> = {}): ActionLane {
  const all = { concurrency: 4, perSecond: Number.POSITIVE_INFINITY, ...settings };
  const lane = new ActionLane(() => all, clock, end.signal);
  lanes.push(lane);
  return lane;
}

/** What was started, when, and how each is brought to its end. */
class Destination {
  readonly started: { readonly name: string; readonly at: number }[] = [];
  readonly #ends = new Map<string, (says: 'good' | 'bad' | 'neither') => void>();
  isUp = true;
  /** Does not answer until told. */
  hangs = false;
  isExpired = false;

  item(name: string, afterMs = 0, of: unknown = null): LaneItem {
    return {
      nextAt: clock.now() + afterMs,
      of,
      run: async () => {
        this.started.push({ name, at: clock.now() });
        const says = this.hangs
          ? await new Promise<'good' | 'bad' | 'neither'>((resolve) => this.#ends.set(name, resolve))
          : this.isUp
            ? 'good'
            : 'bad';
        return { says, next: says === 'bad' ? this.item(name, 100, of) : null };
      },
      expired: () => this.isExpired,
    };
  }

  get names(): readonly string[] {
    return this.started.map(({ name }) => name);
  }

  end(name: string, says: 'good' | 'bad' | 'neither' = 'good'): void {
    this.#ends.get(name)!(says);
  }
}

describe('a lane', () => {
  it('tries messages when they are due, and of one moment in the order in which they came', async () => {
    const to = new Destination();
    const lane = laneOf();
    for (const [name, afterMs] of [
      ['late', 300],
      ['first', 0],
      ['soon', 100],
      ['second', 0],
    ] as const)
      lane.add(to.item(name, afterMs));
    await settled();
    expect(to.names).toEqual(['first', 'second']);
    await clock.pass(1_000);
    expect(to.names).toEqual(['first', 'second', 'soon', 'late']);
    expect(lane.size).toBe(0);
  });

  it('has so many under way and no more; the next begins when one ends', async () => {
    const to = new Destination();
    to.hangs = true;
    const lane = laneOf({ concurrency: 2 });
    for (const name of ['a', 'b', 'c', 'd']) lane.add(to.item(name));
    await clock.pass(60_000, 1_000);
    expect(to.names).toEqual(['a', 'b']);
    expect(lane.size).toBe(4);
    to.end('b');
    await settled();
    expect(to.names).toEqual(['a', 'b', 'c']);
    for (const name of ['a', 'c']) to.end(name);
    await settled();
    to.end('d');
    await settled();
    expect(lane.size).toBe(0);
  });

  it('starts so many a second, evenly', async () => {
    const to = new Destination();
    const lane = laneOf({ perSecond: 20 });
    for (let n = 0; n < 100; n++) lane.add(to.item(`${n}`));
    await clock.pass(2_000, 10);
    // The first come at once, as many as a tenth of a second has.
    expect(to.started.length).toBeGreaterThanOrEqual(40);
    expect(to.started.length).toBeLessThanOrEqual(44);
    for (let second = 0; second < 10; second++) {
      const from = to.started[0]!.at + second * 200;
      expect(to.started.filter(({ at }) => at >= from && at < from + 200).length).toBeLessThanOrEqual(8);
    }
  });

  it('asks a destination that is down less and less often, once a minute at last, and goes on when it answers', async () => {
    const to = new Destination();
    to.isUp = false;
    const lane = laneOf({ concurrency: 1 });
    for (let n = 0; n < 8; n++) lane.add(to.item(`${n}`));
    await clock.pass(900);
    expect(to.started).toHaveLength(5);
    expect(lane.isOpen).toBe(true);
    await clock.pass(10 * 60_000);
    const waits = to.started.slice(5).map(({ at }, i) => at - to.started[i + 4]!.at);
    expect(waits.slice(0, 7).map((ms) => Math.round(ms / 1_000))).toEqual([1, 2, 4, 8, 16, 32, 60]);
    expect(Math.max(...waits)).toBeLessThan(61_000);
    to.isUp = true;
    await clock.pass(61_000);
    expect(lane.isOpen).toBe(false);
    expect(lane.size).toBe(0);
  });

  it('lets one message try, not all, when a destination was down', async () => {
    const to = new Destination();
    to.isUp = false;
    const lane = laneOf({ concurrency: 1 });
    for (let n = 0; n < 8; n++) lane.add(to.item(`${n}`));
    await clock.pass(900);
    to.hangs = true;
    await clock.pass(30_000);
    expect(to.started).toHaveLength(6);
    to.end(to.names.at(-1)!, 'good');
    await settled();
    expect(to.started.length).toBeGreaterThan(6);
  });

  it('lets go those whose time is up while nothing is let through', async () => {
    const to = new Destination();
    to.isUp = false;
    const lane = laneOf({ concurrency: 1 });
    for (let n = 0; n < 8; n++) lane.add(to.item(`${n}`));
    await clock.pass(2_000);
    to.isExpired = true;
    await clock.pass(2_000);
    expect(lane.size).toBe(0);
  });

  it('loses the messages of a shard that is given back, and no others', async () => {
    const to = new Destination();
    const [mine, others] = [{}, {}];
    const lane = laneOf();
    lane.add(to.item('mine', 100, mine));
    lane.add(to.item('theirs', 100, others));
    lane.remove(mine);
    await clock.pass(200);
    expect(to.names).toEqual(['theirs']);
  });

  it('is not held up by another whose destination answers nobody', async () => {
    const [dead, alive] = [new Destination(), new Destination()];
    dead.hangs = true;
    const [stuck, free] = [laneOf(), laneOf()];
    for (let n = 0; n < 100; n++) {
      stuck.add(dead.item(`${n}`));
      free.add(alive.item(`${n}`));
    }
    await settled();
    await settled();
    expect(alive.started).toHaveLength(100);
    expect(new Set(alive.started.map(({ at }) => at)).size).toBe(1);
    expect(dead.started).toHaveLength(4);
    for (const { name } of dead.started) dead.end(name);
  });
});
