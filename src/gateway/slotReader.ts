import type { Config } from '../config.ts';
import { isUsherError, UsherError } from '../errors.ts';
import type { EventLog } from '../log/eventLog.ts';
import { decodeSlots } from '../model/codec.ts';
import { nearest } from '../model/nearest.ts';
import { shardOf } from '../model/shard.ts';
import type { ShardMeta } from '../model/shardMeta.ts';
import type { SlotsView } from '../model/visitor.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { Bundles } from '../playbook/bundles.ts';
import type { Playbook, SlotDefinition } from '../playbook/playbook.ts';
import type { Hub } from '../push/hub.ts';
import type { SlotsRead } from '../state/stateStore.ts';
import type { AppendQueue } from './appendQueue.ts';
import type { RequestContext } from './context.ts';
import { badCursor, type Cursor, decodeCursor } from './cursor.ts';
import { limits } from './limits.ts';
import { answerSlot, loadBundles, type SlotAnswer } from './slotAnswers.ts';
import type { Scope } from './tokens.ts';
import { TouchedVisitors } from './touched.ts';
import { type VisitorRef, visitorFor } from './visitorRef.ts';

export interface SlotReaderOptions {
  readonly config: Pick<Config, 'slotsDeadlineMs' | 'visitorRetentionDays'>;
  readonly log: EventLog;
  readonly hub: Hub;
  readonly bundles: Bundles;
  readonly playbook: () => Playbook;
  readonly queue: AppendQueue;
  readonly metrics: Metrics;
  readonly now: () => number;
}

export interface SlotsQuery {
  readonly context: RequestContext;
  /** null: those of any page and of `page`. */
  readonly names: readonly string[] | null;
  readonly page: string | null;
  /** Without names: the slots of all pages. */
  readonly allPages?: boolean;
  readonly after: string | null;
  readonly waitMs: number;
}

/** A visitor's slots as read from the state, with what their cursors need. */
export interface SlotsState {
  readonly visitor: string;
  /** null: the visitor is not known, or has expired (semantics 4.5). */
  readonly view: SlotsView | null;
  readonly shard: { readonly lineage: string; readonly position: number; readonly appendTime: number };
}

const dayMs = 86_400_000;

/** Answers slots from the state; from the playbook's fallbacks when the state does not answer in time (guarantee 6). */
export class SlotReader {
  readonly #options: SlotReaderOptions;
  readonly #touched: TouchedVisitors;

  constructor(options: SlotReaderOptions) {
    this.#options = options;
    this.#touched = new TouchedVisitors(options);
  }

  /** @throws UsherError for a missing or insufficient token, limits, BAD_CURSOR */
  async read(
    query: SlotsQuery & { readonly ref: VisitorRef | null; readonly scope: Scope },
  ): Promise<(SlotAnswer | UsherError)[]> {
    return this.readOf(visitorFor(query.context.identity(), query.ref, query.scope), query);
  }

  /** One answer a name, in their order; an unknown name's is the error to be told at its place. */
  async readOf(visitor: string, query: SlotsQuery): Promise<(SlotAnswer | UsherError)[]> {
    const { config, metrics, now } = this.#options;
    const startedAt = now();
    const waitMs = query.waitMs;
    if (waitMs < 0 || waitMs > limits.waitMs)
      throw new UsherError('BAD_REQUEST', `waitMs: expected 0 to ${limits.waitMs}, came ${waitMs}`);
    const wanted = this.definitions(query.names, query.page, query.allPages === true);
    const cursor = query.after === null ? null : decodeCursor(query.after, visitor);
    const known = wanted.filter((definition): definition is SlotDefinition => !(definition instanceof UsherError));
    const found = await withDeadline(
      this.#find(visitor, cursor, known, query.context, startedAt + waitMs),
      config.slotsDeadlineMs + waitMs,
    );
    const answers = wanted.map((definition) =>
      definition instanceof UsherError
        ? definition
        : answerSlot(definition, found?.state ?? this.#nothingRead(visitor), {
            ...this.#options,
            stale: found === null || found.stale,
          }),
    );
    const seconds = (now() - startedAt) / 1000;
    for (const answer of answers) if (!(answer instanceof UsherError)) metrics.slotResolved(answer.source, seconds);
    return answers;
  }

  /** @throws UsherError TOO_MANY_NAMES */
  definitions(
    names: readonly string[] | null,
    page: string | null,
    allPages: boolean,
  ): (SlotDefinition | UsherError)[] {
    const { slots } = this.#options.playbook();
    if (names === null) {
      return [...slots.values()].filter((slot) => allPages || slot.page === null || slot.page === page);
    }
    if (names.length > limits.names)
      throw new UsherError('TOO_MANY_NAMES', `${names.length} names came; at most ${limits.names} are taken`);
    return names.map((name) => slots.get(name) ?? unknownSlot(name, slots.keys()));
  }

  /** Reads the visitor's slots now, from the state itself. Rejects with STATE_UNAVAILABLE. */
  async stateOf(visitor: string, context: RequestContext): Promise<SlotsState> {
    let read: SlotsRead;
    try {
      read = await context.loader.load(visitor);
    } catch (error) {
      throw isUsherError(error)
        ? error
        : new UsherError('STATE_UNAVAILABLE', 'the state did not answer', { cause: error });
    }
    const view = this.live(read.slots === null ? null : decodeSlots(read.slots), read.meta?.appendTime ?? 0);
    this.#touched.check(visitor, view, read.meta?.active?.playbook ?? null);
    return { visitor, view, shard: shardViewOf(read.meta) };
  }

  /** What the hub read to compare: visitors that only listen are decided anew under another playbook, too. */
  noticeRead(visitor: string, { meta, slots }: SlotsRead): void {
    if (slots !== null) this.#touched.check(visitor, decodeSlots(slots), meta?.active?.playbook ?? null);
  }

  /** The view, unless its visitor has expired by the shard's time (semantics 4.5). */
  live(view: SlotsView | null, appendTime: number): SlotsView | null {
    return view === null || appendTime > view.lastAppend + this.#options.config.visitorRetentionDays * dayMs
      ? null
      : view;
  }

  async #find(
    visitor: string,
    cursor: Cursor | null,
    definitions: readonly SlotDefinition[],
    context: RequestContext,
    waitUntil: number,
  ): Promise<{ state: SlotsState; stale: boolean } | null> {
    const stale = cursor !== null && !(await this.#folded(visitor, cursor, waitUntil));
    try {
      let state = await this.stateOf(visitor, context);
      let held = isHeld(cursor, state);
      if (held && !stale) {
        state = await this.#untilReleased(cursor!, state, context, waitUntil);
        held = isHeld(cursor, state);
      }
      if (state.view !== null) await loadBundles(state.view, definitions, this.#options.bundles);
      return { state, stale: stale || held };
    } catch (error) {
      if (isUsherError(error) && error.code === 'STATE_UNAVAILABLE') return null;
      throw error;
    }
  }

  /** Whether all below the cursor is folded, waiting for it until then. @throws UsherError BAD_CURSOR beyond the log's end */
  async #folded(visitor: string, cursor: Cursor, waitUntil: number): Promise<boolean> {
    const { hub, queue, log, now } = this.#options;
    const shard = shardOf(visitor, log.shards);
    if ((hub.view(shard)?.position ?? 0) >= cursor.upTo) return true;
    // What this process appended it knows the end of; for the rest the log is asked, once.
    if (cursor.upTo > queue.endOf(shard) && cursor.upTo > (await log.bounds(shard)).end) {
      throw badCursor(`it is beyond the end of the log of shard ${shard}`);
    }
    return hub.waitFor(shard, cursor.upTo - 1, waitUntil - now());
  }

  /** A held event is folded when its gap closes or its hold ends; the visitor's next commits tell. */
  async #untilReleased(
    cursor: Cursor,
    first: SlotsState,
    context: RequestContext,
    waitUntil: number,
  ): Promise<SlotsState> {
    const { hub, now } = this.#options;
    let state = first;
    let wake = () => {};
    const stop = hub.listen(state.visitor, () => wake());
    try {
      while (true) {
        const changed = new Promise<void>((resolve) => {
          wake = resolve;
        });
        context.loader.clear(state.visitor);
        state = await this.stateOf(state.visitor, context);
        const leftMs = waitUntil - now();
        if (!isHeld(cursor, state) || leftMs <= 0) return state;
        await withDeadline(changed, leftMs);
      }
    } finally {
      stop();
    }
  }

  #nothingRead(visitor: string): SlotsState {
    const { hub, log } = this.#options;
    const view = hub.view(shardOf(visitor, log.shards));
    return { visitor, view: null, shard: view ?? { lineage: '', position: 0, appendTime: 0 } };
  }
}

function isHeld(cursor: Cursor | null, { view }: SlotsState): boolean {
  return cursor?.slots === null && view?.held.includes(cursor.upTo - 1) === true;
}

export function shardViewOf(meta: ShardMeta | null): SlotsState['shard'] {
  return meta === null ? { lineage: '', position: 0, appendTime: 0 } : meta;
}

function unknownSlot(name: string, known: Iterable<string>): UsherError {
  const near = nearest(name.slice(0, 100), known);
  const shown = JSON.stringify(name.slice(0, 80));
  return new UsherError(
    'SLOT_UNKNOWN',
    `${shown} is not a slot of the playbook${near === null ? '' : `; did you mean "${near}"?`}`,
  );
}

/** What the promise gives within so many milliseconds; null after that. A rejection stays one, also when it comes too late to matter. */
async function withDeadline<T>(promise: Promise<T>, ms: number): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(resolve, ms, null);
  });
  promise.catch(() => {});
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
