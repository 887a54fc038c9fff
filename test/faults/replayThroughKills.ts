import { setTimeout as sleep } from 'node:timers/promises';
import { GraphqlClient } from '../../src/cli/client.ts';
import { countRows, readFacts } from '../../src/cli/replay/file.ts';
import { rees46 } from '../../src/cli/replay/rees46.ts';
import type { ReplayReport } from '../../src/cli/replay/report.ts';
import { runReplay } from '../../src/cli/replay/run.ts';
import { senderLimits } from '../../src/cli/replay/sender.ts';
import { Tally } from '../../src/cli/replay/tally.ts';
import { seededRandom } from '../support/random.ts';
import type { UsherProcess } from './usherProcess.ts';

export interface Kill {
  /** Rows that were settled when the process was killed. */
  readonly atRow: number;
  /** Calls whose connection the kill broke: sent, and never answered. */
  readonly brokenCalls: number;
  /** Records in the log that no commit had folded yet. */
  readonly unfolded: number;
}

/** Small calls, many of them under way: at any moment some append is in flight, as with a shop full of browsers. */
const limits = { ...senderLimits, batchRows: 8, inFlight: 8, waitingRows: 500 };

/**
 * Replays the file while the process is killed at random moments, each time started again, and finishes.
 * Which moments follows from the seed; what each kill hits does not, so callers assert what `Kill` tells.
 */
export async function replayThroughKills(
  usher: UsherProcess,
  file: string,
  options: { readonly kills: number; readonly seed: number },
): Promise<{
  report: ReplayReport;
  kills: Kill[];
  /** Rows settled until the last kill, by the time in which there was a process to settle them. */
  eventsPerSecondUp: number;
}> {
  const client = new GraphqlClient(usher.url, usher.key, limits.inFlight + 1);
  const tally = new Tally();
  const facts = await readFacts(file);
  const rows = await countRows(file, rees46, facts);
  const job = { path: file, format: rees46, facts, rows, speed: null, finishMs: 1_800_000, limits, catalog: null };
  const stop = new AbortController();
  const random = seededRandom(options.seed);
  // Not in the last rows: every kill must find rows that are still to be sent.
  const moments = Array.from({ length: options.kills }, () => Math.floor((0.02 + 0.9 * random()) * rows)).sort(
    (a, b) => a - b,
  );
  const kills: Kill[] = [];
  let upMs = 0;
  try {
    const replay = runReplay(client, job, tally, stop.signal);
    const ended = replay.then(
      () => true,
      () => true,
    );
    let upSince = performance.now();
    let answered = 0;
    for (const moment of moments) {
      // Some rows after the last start, too, so that each kill finds a server that works.
      const target = Math.max(moment, answered + 100);
      while (tally.settled < target) if (await Promise.race([ended, sleep(1, false)])) break;
      await sleep(random() * 20);
      // Right after a start the lanes come back one by one; a kill that finds none of them under way would show nothing.
      await until(() => callsUnderWay(tally) >= 4, 5_000);
      const before = tally.brokenCalls;
      const atRow = tally.settled;
      await usher.kill();
      upMs += performance.now() - upSince;
      await until(() => tally.brokenCalls > before, 5_000);
      kills.push({
        atRow,
        brokenCalls: tally.brokenCalls - before,
        unfolded: usher.unfolded().reduce((sum, n) => sum + n, 0),
      });
      await usher.restart();
      upSince = performance.now();
      answered = tally.settled;
    }
    return { report: await replay, kills, eventsPerSecondUp: (kills.at(-1)?.atRow ?? 0) / (upMs / 1000) };
  } finally {
    stop.abort(new Error('the test is over'));
    client.close();
  }
}

function callsUnderWay(tally: Tally): number {
  return tally.calls - tally.latency.count - tally.brokenCalls - tally.unreachedCalls;
}

/** Waits for the condition, or that long: the caller asserts it. */
async function until(condition: () => boolean, deadlineMs: number): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!condition() && performance.now() < end) await sleep(1);
}
