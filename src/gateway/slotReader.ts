import type { Config } from '../config.ts';
import { isUsherError, UsherError } from '../errors.ts';
import type { Viewer } from '../fold/present.ts';
import type { EventLog } from '../log/eventLog.ts';
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
import { withDeadline } from './deadline.ts';
import { LastKnownSlots } from './lastKnown.ts';
import { limits } from './limits.ts';
import { LogEnds } from './logEnds.ts';
import type { NewestProducts } from './newestProducts.ts';
import { answerSlot, loadShown, type SlotAnswer } from './slotAnswers.ts';
import type { SlotsLoader } from './slotReads.ts';
import type { Scope } from './tokens.ts';
import { TouchedVisitors } from './touched.ts';
import { type VisitorRef, visitorFor } from './visitorRef.ts';

export interface SlotReaderOptions {
  readonly config: Pick<Config, 'slotsDeadlineMs' | 'visitorRetentionDays'>;
  readonly log: EventLog;
  readonly hub: Hub;
  readonly bundles: Bundles;
  readonly products: NewestProducts;
  readonly playbook: () => Playbook;
  readonly queue: AppendQueue;
  readonly metrics: Metrics;
  readonly now: () => number;
}

export interface SlotsQuery {
  readonly loader: SlotsLoader;
  /** null: those of any page and of the viewer's. */
  readonly names: readonly string[] | null;
  readonly viewer: Viewer;
  /** Without names: the slots of all pages. */
  readonly allPages?: boolean;
  readonly after: string | null;
  readonly waitMs: number;
  /** Told when the visitor has become a known user: the answers are fallbacks then. */
  readonly onSuperseded?: (error: UsherError) => void;
}

/** A visitor's slots as read from the state, with what their cursors need. */
export interface SlotsState {
  readonly visitor: string;
  /** null: the visitor is not known, or has expired (semantics 4.5). */
  readonly view: SlotsView | null;
  /** The user that the visitor has become: a token of the visitor reads nothing more (semantics 8.3). null: none. */
  readonly alias: string | null;
  readonly shard: { readonly lineage: string; readonly position: number; readonly appendTime: number };
}

const dayMs = 86_400_000;

/**
 * Answers slots from the state. When it does not answer in time (guarantee 6): what it last told of the visitor, else the playbook's
 * fallbacks, marked stale.
 */
export class SlotReader {
  readonly #options: SlotReaderOptions;
  readonly #touched: TouchedVisitors;
  readonly #lastKnown = new LastKnownSlots();
  readonly #logEnds: LogEnds;
  readonly #stopListening: readonly (() => void)[];

  constructor(options: SlotReaderOptions) {
    const { hub, metrics } = options;
    this.#options = options;
    this.#touched = new TouchedVisitors(options);
    this.#logEnds = new LogEnds(options);
    this.#stopListening = [
      hub.onRead((visitor, read) => this.#noticeRead(visitor, read)),
      hub.onCommit((visitor, slots, shard) => this.#lastKnown.pushed(visitor, slots, shard)),
    ];
    metrics.readLastKnown(() => this.#lastKnown);
  }

  /** Hears of commits no more. */
  close(): void {
    for (const stop of this.#stopListening) stop();
  }

  /** @throws UsherError for a missing or insufficient token, limits, BAD_CURSOR */
  async read(
    context: RequestContext,
    query: Omit<SlotsQuery, 'loader'> & { readonly ref: VisitorRef | null; readonly scope: Scope },
  ): Promise<(SlotAnswer | UsherError)[]> {
    const visitor = visitorFor(context.identity(), query.ref, query.scope);
    return this.readOf(visitor, { ...query, loader: context.loader, onSuperseded: context.tellBeside });
  }

  /** One answer a name, in their order; an unknown name's is the error to be told at its place. */
  async readOf(visitor: string, query: SlotsQuery): Promise<(SlotAnswer | UsherError)[]> {
    const { config, metrics, now } = this.#options;
    const startedAt = now();
    const waitMs = query.waitMs;
    if (waitMs < 0 || waitMs > limits.waitMs)
      throw new UsherError('BAD_REQUEST', `waitMs: expected 0 to ${limits.waitMs}, came ${waitMs}`);
    const wanted = this.definitions(query.names, query.viewer.page, query.allPages === true);
    const cursor = query.after === null ? null : decodeCursor(query.after, visitor);
    const known = wanted.filter((definition): definition is SlotDefinition => !(definition instanceof UsherError));
    const found = await withDeadline(
      this.#find(visitor, cursor, known, query.loader, startedAt + waitMs),
      config.slotsDeadlineMs + waitMs,
    );
    const state = found?.state ?? this.stateWithout(visitor);
    if (state.alias !== null) query.onSuperseded?.(superseded());
    const shown = { ...this.#options, viewer: query.viewer, stale: found === null || found.stale };
    const answers = wanted.map((definition) =>
      definition instanceof UsherError ? definition : answerSlot(definition, state, shown),
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
  async stateOf(visitor: string, loader: SlotsLoader): Promise<SlotsState> {
    let read: SlotsRead;
    try {
      read = await loader.load(visitor);
    } catch (error) {
      throw isUsherError(error)
        ? error
        : new UsherError('STATE_UNAVAILABLE', 'the state did not answer', { cause: error });
    }
    const shard = shardViewOf(read.meta);
    const state = this.stateOfView(visitor, this.#lastKnown.read(visitor, read.slots, shard).view(), shard);
    this.#touched.check(visitor, state.view, read.meta?.active?.playbook ?? null);
    return state;
  }

  /** The best that can be told of the visitor's slots without the state. */
  stateWithout(visitor: string): SlotsState {
    const { hub, log, metrics } = this.#options;
    const shard = hub.view(shardOf(visitor, log.shards)) ?? shardViewOf(null);
    const known = this.#lastKnown.of(visitor);
    // Of another lineage: from before the shard was made anew, or rolled back.
    const isUsable = known !== null && known.slots !== null && known.shard.lineage === shard.lineage;
    metrics.answeredWithoutState(isUsable ? 'last_known' : 'fallback');
    if (!isUsable) return this.stateOfView(visitor, null, shard);
    // Where the shard stood then, so that the cursor does not promise more than these slots have.
    return { ...this.stateOfView(visitor, known.view(), shard), shard: known.shard };
  }

  /** What the hub read to compare: visitors that only listen are decided anew under another playbook, too. */
  #noticeRead(visitor: string, { meta, slots }: SlotsRead): void {
    const view = this.#lastKnown.read(visitor, slots, shardViewOf(meta)).view();
    this.#touched.check(visitor, view, meta?.active?.playbook ?? null);
  }

  /** What there is to show: nothing of a visitor who has expired by the shard's time (semantics 4.5), or has become a user (8.3). */
  stateOfView(visitor: string, view: SlotsView | null, shard: SlotsState['shard']): SlotsState {
    const alias = view?.alias ?? null;
    const isShown = view !== null && alias === null && !this.isExpired(view, shard.appendTime);
    return { visitor, view: isShown ? view : null, alias, shard };
  }

  isExpired({ lastAppend }: Pick<SlotsView, 'lastAppend'>, appendTime: number): boolean {
    return appendTime > lastAppend + this.#options.config.visitorRetentionDays * dayMs;
  }

  async #find(
    visitor: string,
    cursor: Cursor | null,
    definitions: readonly SlotDefinition[],
    loader: SlotsLoader,
    waitUntil: number,
  ): Promise<{ state: SlotsState; stale: boolean } | null> {
    const stale = cursor !== null && !(await this.#folded(visitor, cursor, waitUntil));
    try {
      let state = await this.stateOf(visitor, loader);
      let held = isHeld(cursor, state);
      if (held && !stale) {
        state = await this.#untilReleased(cursor!, state, loader, waitUntil);
        held = isHeld(cursor, state);
      }
      const loading = state.view === null ? null : loadShown(state.view, definitions, this.#options);
      if (loading !== null) await loading;
      return { state, stale: stale || held };
    } catch (error) {
      return unlessAway(error);
    }
  }

  /** Whether all below the cursor is folded, waiting for it until then. @throws UsherError BAD_CURSOR beyond the log's end */
  async #folded(visitor: string, cursor: Cursor, waitUntil: number): Promise<boolean> {
    const { hub, log, now, config } = this.#options;
    const shard = shardOf(visitor, log.shards);
    if ((hub.view(shard)?.position ?? 0) >= cursor.upTo) return true;
    // Half of the time: the other half is for the state.
    if (await this.#logEnds.isBeyond(shard, cursor.upTo, config.slotsDeadlineMs / 2)) {
      throw badCursor(`it is beyond the end of the log of shard ${shard}`);
    }
    return hub.waitFor(shard, cursor.upTo - 1, waitUntil - now());
  }

  /** A held event is folded when its gap closes or its hold ends; the visitor's next commits tell. */
  async #untilReleased(cursor: Cursor, first: SlotsState, loader: SlotsLoader, waitUntil: number): Promise<SlotsState> {
    const { hub, now } = this.#options;
    let state = first;
    let wake = () => {};
    const stop = hub.listen(state.visitor, () => wake());
    try {
      while (true) {
        const changed = new Promise<void>((resolve) => {
          wake = resolve;
        });
        loader.clear(state.visitor);
        state = await this.stateOf(state.visitor, loader);
        const leftMs = waitUntil - now();
        if (!isHeld(cursor, state) || leftMs <= 0) return state;
        await withDeadline(changed, leftMs);
      }
    } finally {
      stop();
    }
  }
}

export function superseded(): UsherError {
  return new UsherError(
    'TOKEN_SUPERSEDED',
    'this visitor has become a known user; what the user sees needs the user’s token',
  );
}

function isHeld(cursor: Cursor | null, { view }: SlotsState): boolean {
  return cursor?.slots === null && view?.held.includes(cursor.upTo - 1) === true;
}

export function shardViewOf(meta: ShardMeta | null): SlotsState['shard'] {
  return meta === null ? { lineage: '', position: 0, appendTime: 0 } : meta;
}

/** null: the state does not answer. */
export function unlessAway(error: unknown): null {
  if (isUsherError(error) && error.code === 'STATE_UNAVAILABLE') return null;
  throw error;
}

export function unknownSlot(name: string, known: Iterable<string>): UsherError {
  const near = nearest(name.slice(0, 100), known);
  const shown = JSON.stringify(name.slice(0, 80));
  return new UsherError(
    'SLOT_UNKNOWN',
    `${shown} is not a slot of the playbook${near === null ? '' : `; did you mean "${near}"?`}`,
  );
}
