import { isUsherError } from '../errors.ts';
import type { EventLog } from '../log/eventLog.ts';
import type { AppendQueue } from './appendQueue.ts';
import { withDeadline } from './deadline.ts';
import { limits } from './limits.ts';

/** Tells cursors that lie beyond the end of their shard's log from those that are only not folded yet. */
export class LogEnds {
  readonly #options: { readonly log: EventLog; readonly queue: AppendQueue; readonly now: () => number };
  #askAgainAt = 0;

  constructor(options: { readonly log: EventLog; readonly queue: AppendQueue; readonly now: () => number }) {
    this.#options = options;
  }

  /**
   * What this process appended it knows the end of; for the rest the log is asked. A log that does not tell within `ms` is taken to have the
   * record, and is left alone for a while: each question would go on trying in the background.
   */
  async isBeyond(shard: number, upTo: number, ms: number): Promise<boolean> {
    const { log, queue, now } = this.#options;
    if (upTo <= queue.endOf(shard) || now() < this.#askAgainAt) return false;
    const bounds = await withDeadline(log.bounds(shard).catch(unlessAway), ms);
    if (bounds === null) {
      this.#askAgainAt = now() + limits.logAskPauseMs;
      return false;
    }
    queue.noteEnd(shard, bounds.end);
    return upTo > bounds.end;
  }
}

function unlessAway(error: unknown): null {
  if (isUsherError(error) && error.code === 'LOG_UNAVAILABLE') return null;
  throw error;
}
