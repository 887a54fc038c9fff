import { setTimeout as sleep } from 'node:timers/promises';
import { UsherError } from '../../errors.ts';
import type { GraphqlClient } from '../client.ts';
import type { DerivedCatalog } from './derivedCatalog.ts';
import { readRows } from './file.ts';
import { difference, readStatus, waitUntilFolded } from './folded.ts';
import { type ReplayReport, reportOf } from './report.ts';
import type { FileFacts, RowFormat } from './row.ts';
import { Sender, type SenderLimits } from './sender.ts';
import type { Tally } from './tally.ts';

export interface ReplayJob {
  readonly path: string;
  readonly format: RowFormat;
  readonly facts: FileFacts;
  /** Rows of the file, as `countRows` has it. */
  readonly rows: number;
  /** Times real time; null: as fast as it is taken. */
  readonly speed: number | null;
  /** How far beyond the last row visitors' time is moved at the end, ms; null: it is not. */
  readonly finishMs: number | null;
  readonly limits: SenderLimits;
  readonly catalog: DerivedCatalog | null;
}

/**
 * Sends a file through the public API and waits until all of it is folded. Counts into `tally` on the way.
 * @throws UsherError when it cannot go on; running the same again continues, what was accepted counts once
 */
export async function runReplay(
  client: GraphqlClient,
  job: ReplayJob,
  tally: Tally,
  signal: AbortSignal,
): Promise<ReplayReport> {
  const { limits } = job;
  const before = await readStatus(client, limits.patienceMs, signal);
  const startedAt = performance.now();
  const visitors = new Set<string>();
  let lastAt = Number.NEGATIVE_INFINITY;
  const sender = new Sender(client, limits, tally, signal);
  try {
    let firstAt: number | null = null;
    for await (const row of readRows(job.path, job.format, job.facts)) {
      if (row.kind === 'bad') {
        tally.refuse(row.number, 'ROW_UNREADABLE', row.message);
        continue;
      }
      visitors.add(row.visitor);
      lastAt = Math.max(lastAt, row.at);
      for (const product of row.products ?? []) job.catalog?.add(product);
      firstAt ??= row.at;
      if (job.speed !== null) {
        const waitMs = startedAt + (row.at - firstAt) / job.speed - performance.now();
        if (waitMs > 0) await sleep(waitMs, undefined, { signal });
      }
      await sender.offer(row);
    }
    await sender.end();
  } catch (error) {
    await sender.abort(error);
    throw error;
  }
  const sentAt = performance.now();
  let after = await waitUntilFolded(client, limits.patienceMs, signal);
  const foldedAt = performance.now();
  let finishedTo: string | null = null;
  if (job.finishMs !== null && lastAt > Number.NEGATIVE_INFINITY) {
    finishedTo = new Date(lastAt + job.finishMs).toISOString();
    await advance(client, finishedTo, limits.patienceMs, signal);
    after = await waitUntilFolded(client, limits.patienceMs, signal);
  }
  return reportOf(tally, {
    file: job.path,
    rows: job.rows,
    fold: difference(after, before),
    visitors: visitors.size,
    seconds: { sending: (sentAt - startedAt) / 1000, untilFolded: (foldedAt - sentAt) / 1000 },
    finishedTo,
  });
}

/** Moves historic visitors' time forward. Asked again after a lost answer: an advance to where time already is does nothing. */
async function advance(client: GraphqlClient, to: string, patienceMs: number, signal: AbortSignal): Promise<void> {
  const startedAt = performance.now();
  for (;;) {
    const answer = await client.ask(
      'mutation Finish($input: AdvanceInput!) { advance(input: $input) { cursors } }',
      { input: { to } },
      signal,
    );
    if (answer.kind === 'data') return;
    if (answer.kind === 'errors' && !answer.retryable) throw client.errorOf(answer);
    if (performance.now() - startedAt > patienceMs) {
      throw new UsherError(
        'COMMAND_FAILED',
        `the file is sent and folded, but time could not be moved to ${to}: ${answer.message}`,
      );
    }
    await sleep(200, undefined, { signal });
  }
}
