import type { ActionEvent } from '../actions/runner.ts';
import type { Logger } from '../observe/logger.ts';
import type { Metrics } from '../observe/metrics.ts';
import { formatProblem } from '../playbook/read.ts';
import type { CatalogEvent } from '../worker/catalogKeeper.ts';
import type { InputReport } from '../worker/inputIntake.ts';
import type { OutputEvent } from '../worker/lanes.ts';
import type { CopiesLost } from '../worker/outputWriters.ts';
import type { PublishEvent } from '../worker/publisher.ts';
import type { ShardEvent } from '../worker/shard.ts';
import type { SnapshotEvent } from '../worker/snapshotWriter.ts';

/** What the parts of a worker tell, as figures and as lines for whoever reads the log at night. */
export function reportShard(logger: Logger, metrics: Metrics, shard: number, event: ShardEvent): void {
  if (event.what === 'owned' || event.what === 'fenced' || event.what === 'retrying') metrics.shardHeld(event.what);
  if (event.what === 'committed') metrics.committed(event);
  else if (event.what === 'owned')
    logger.debug({ shard, position: event.meta.position, epoch: event.meta.epoch }, 'shard owned');
  else if (event.what === 'fenced') logger.warn({ shard }, 'another process took the shard');
  else if (event.what === 'retrying')
    logger.warn({ shard, err: event.error, afterMs: Math.round(event.afterMs) }, 'shard tries again');
  else if (event.what === 'stopped')
    logger.error({ shard, code: event.error.code, help: event.error.help }, event.error.message);
  else if (event.what === 'rolledBack')
    logger.error({ shard, from: event.from, to: event.to }, 'the state went back in time; it is folded on from there');
  else if (event.what === 'rebuilding')
    logger.warn(
      { shard, from: event.from, to: event.to },
      'the state is made anew; nobody reads it before it is whole',
    );
  else reportOutputs(logger, metrics, shard, event);
}

function reportOutputs(
  logger: Logger,
  metrics: Metrics,
  shard: number,
  event: OutputEvent | SnapshotEvent | CopiesLost,
): void {
  if (event.what === 'copiesLost') {
    logger.error(
      { shard, from: event.from, to: event.to },
      'records left the log before they were copied to their topics',
    );
    return;
  }
  if (event.what === 'snapshotWritten') {
    metrics.outputsWritten('profiles', event.visitors);
    return;
  }
  if (event.what === 'snapshotReach') {
    metrics.snapshotMissing(shard, event.missing);
    if (event.missing > 0)
      logger.error(
        { shard, snapshotUpTo: event.upTo, logFrom: event.low },
        'the log no longer reaches back to the snapshot: a state that is lost now is lost for good',
      );
    return;
  }
  if (event.what === 'snapshotFailing') {
    logger.warn({ shard, err: event.error, afterMs: Math.round(event.afterMs) }, 'the snapshot is written again');
    return;
  }
  metrics.outputsWaiting(shard, event.queue, event.waiting);
  if (event.what === 'outputsWritten') metrics.outputsWritten(event.topic, event.entries);
  else if (event.what === 'outputsFull')
    logger.warn({ shard, waiting: event.waiting }, 'the shard waits for topics to take its outputs');
  else
    logger.warn(
      { shard, topic: event.topic, err: event.error, afterMs: Math.round(event.afterMs) },
      'an output is written again',
    );
}

export function reportPublishing(logger: Logger, event: PublishEvent): void {
  if (event.what === 'broken') {
    const problems = event.problems.map(formatProblem);
    logger.error({ problems }, 'the playbook has mistakes; the last good one stays');
  } else if (event.what === 'retrying') {
    logger.warn({ err: event.error }, 'the playbook could not be activated; it is tried again');
  } else if (event.what === 'published') {
    const { version, rules } = event.playbook;
    logger.info({ playbook: version, rules: rules.size }, 'playbook published');
  }
}

export function reportCatalog(logger: Logger, { what, ...event }: CatalogEvent): void {
  if (what === 'snapshot') logger.info(event, 'a snapshot of the imported products was made');
  else if ('error' in event) logger.warn({ err: event.error }, 'the imported products are looked at again');
}

export function reportInput(logger: Logger, metrics: Metrics, event: InputReport): void {
  if (event.what === 'taken') metrics.inputTaken(event.topic, event.events, event.rejected);
  else
    logger.warn({ ...event, afterMs: Math.round(event.afterMs) }, 'the log does not take input records; tried again');
}

export function reportAction(logger: Logger, metrics: Metrics, event: ActionEvent): void {
  const { destination, shard } = event;
  if (event.what === 'accepted') metrics.actions.accepted(destination, event.messages);
  else if (event.what === 'attempted') metrics.actions.attempted(destination, event.outcome, event.ms / 1_000);
  else if (event.what === 'unwanted') {
    metrics.actions.unwanted(destination);
    logger.debug({ shard, destination, action: event.id, reason: event.reason }, 'a message is not wanted any more');
  } else if (event.what === 'dead') {
    metrics.actions.dead(destination, event.reason);
    const { id: action, reason, detail } = event;
    logger.warn(
      { shard, destination, action, reason, detail },
      'a message is given up; usher actions redrive tries it again',
    );
  } else {
    const { error: err, afterMs } = event;
    logger.warn(
      { shard, destination, err, afterMs: Math.round(afterMs) },
      'what becomes of messages cannot be noted; tried again',
    );
  }
}
