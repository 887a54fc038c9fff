import { type GraphQLResult, operations, post, requestBody, toError } from './graphql.ts';
import { randomUuid } from './ids.ts';
import { Live } from './live.ts';
import { pageContext, watchTimeSpent } from './page.ts';
import { asClientError, Tracker } from './tracker.ts';
import {
  type Activity,
  type ContentUpdate,
  type Json,
  type PageContext,
  type Properties,
  type Slot,
  type SlotsOptions,
  type SubscribeOptions,
  type TrackCounts,
  type TrackOptions,
  type TrackOutcome,
  tokenCodes,
  UsherClientError,
  type UsherOptions,
  type VisitorFacts,
} from './types.ts';
import { tokenSource } from './visit.ts';

/** Over `waitMs`: how long an answer may take before the page goes on without it, ms. */
const queryTimeoutMs = 5_000;

/** One visitor's line to Usher. */
export interface Usher {
  readonly url: string;
  /** Says what the visitor did. Never rejects, and need not be waited for; the outcome says whether it was accepted. */
  track(type: string, properties?: Properties, options?: TrackOptions): Promise<TrackOutcome>;
  /**
   * A page, or a view of an application, is being looked at: `page_viewed` now, `time_spent` while it is visible. Ends the view before.
   * @param page its name, which from now on is the context of every event
   */
  pageViewed(page?: string, properties?: Properties): Promise<TrackOutcome>;
  /**
   * What the visitor's slots show, in the order asked; null for a name that the playbook does not know. Without names: those of this page.
   * @throws UsherClientError when there is no answer; the page then keeps its own content
   */
  slots(names?: readonly string[] | null, options?: SlotsOptions): Promise<(Slot | null)[]>;
  /**
   * The slots now, and then every change, until the function that it answers is called. Comes back by itself after a lost connection, and
   * brings all of them again when `pageViewed` names another page.
   */
  subscribe(
    names: readonly string[] | null,
    onChange: (update: ContentUpdate) => void,
    options?: SubscribeOptions & { readonly context?: PageContext },
  ): () => void;
  /** What Usher knows of the visitor; null before the first event. */
  visitor(): Promise<VisitorFacts | null>;
  /** Each of the visitor's events as it is folded. */
  activity(onEvent: (activity: Activity) => void, options?: SubscribeOptions): () => void;
  /**
   * The visitor has logged in: from now on this browser is the user whom the token names, and what was done before becomes theirs.
   * @param token made by the site's backend (docs/identity.md)
   * @throws UsherClientError IDENTITY_… when the token is not taken, or why there is no answer; the visitor is as before then
   */
  identify(token: string): Promise<void>;
  /**
   * The user has logged out, on a device that others use too: the next one is a new visitor. Nothing of the user is shown from now on; what
   * they did and was not sent yet is sent as theirs, first.
   */
  reset(): void;
  /** What the visitor agrees to, or not, for one purpose. */
  setConsent(purpose: 'analytics' | 'personalization' | 'marketing', granted: boolean): Promise<TrackOutcome>;
  /** Resolves when everything tracked so far is accepted or refused. */
  flush(): Promise<void>;
  counts(): TrackCounts;
  /** Ends subscriptions; events that still wait are refused with CLOSED (`await flush()` first to keep them). */
  close(): void;
}

export function createUsher(options: UsherOptions = {}): Usher {
  const url = (options.url ?? (typeof location === 'undefined' ? '' : location.origin)).replace(/\/+$/, '');
  if (!/^https?:\/\/./.test(url)) throw new TypeError(`createUsher: url is "${url}", expected http://… or https://…`);
  const onError =
    options.onError ?? ((error: UsherClientError) => console.warn(`usher: ${error.code}: ${error.message}`));
  const newVisitorListeners = new Set<() => void>();
  const newPageListeners = new Set<() => void>();
  const newVisitor = (sendAs: string | null) => {
    tracker.newVisitor(sendAs);
    for (const listener of newVisitorListeners) listener();
    live.restart();
  };
  const tokens = tokenSource(url, options, newVisitor);
  const tracker = new Tracker(url, tokens, onError);
  const live = new Live(url, tokens);
  let page = options.page;
  let endPageView = () => {};
  let closed = false;

  const ask = async <T>(
    query: string,
    variables: { [name: string]: Json | undefined },
    timeoutMs: number,
  ): Promise<GraphQLResult<T>> => {
    for (let attempt = 0; ; attempt++) {
      const token = await tokens.get();
      try {
        const result = await post<T>(url, requestBody(query, variables), { token, timeoutMs });
        const superseded = result.errors
          ?.map((error) => toError(error))
          .find(({ code }) => code === 'TOKEN_SUPERSEDED');
        if (superseded === undefined || attempt > 0 || !tokens.reject(token, superseded.code)) return result;
      } catch (error) {
        const problem = asClientError(error);
        if (attempt > 0 || !tokenCodes.has(problem.code) || !tokens.reject(token, problem.code)) throw problem;
      }
    }
  };

  const run = <T>(
    query: string,
    variables: () => object,
    field: string,
    onValue: (value: T) => void,
    given: SubscribeOptions,
  ) =>
    live.run({
      query,
      variables: variables as () => { [name: string]: unknown },
      onResult(result) {
        const value = (result.data as { [field: string]: T } | null | undefined)?.[field];
        if (value !== undefined && value !== null) onValue(value);
        else if (result.errors?.[0] !== undefined) (given.onError ?? onError)(toError(result.errors[0]));
      },
      onError: given.onError ?? onError,
      onConnected: given.onConnected ?? (() => {}),
    });

  const track: Usher['track'] = (type, properties = {}, { id, occurredAt, context } = {}) =>
    tracker.add({
      id: id ?? randomUuid(),
      type,
      properties,
      occurredAt: (occurredAt ?? new Date()).toISOString(),
      context: asJson({ ...pageContext(page), ...context }),
    });

  const leave = () => tracker.leave();
  const online = () => {
    tracker.retryNow();
    live.retryNow();
  };
  // Another tab has kept another visit: asking for the token finds out whose.
  const kept = ({ key }: StorageEvent) => {
    if (key?.startsWith('usher:visit:')) void tokens.get().catch(() => {});
  };
  if (typeof document !== 'undefined') {
    addEventListener('pagehide', leave);
    addEventListener('online', online);
    addEventListener('storage', kept);
  }

  return {
    url,
    track,
    pageViewed(name, properties = {}) {
      endPageView();
      if (name !== undefined && name !== page) {
        page = name;
        for (const listener of newPageListeners) listener();
      }
      const viewed = track('page_viewed', properties);
      if (typeof document !== 'undefined') {
        const pageViewId = randomUuid();
        // Told when the view is over as well: then under the page that it was about, not the next one.
        const context = pageContext(page);
        endPageView = watchTimeSpent((seconds) => void track('time_spent', { pageViewId, seconds }, { context }));
      }
      return viewed;
    },
    async slots(names = null, { after = null, waitMs = after === null ? 0 : 200, context } = {}) {
      const variables = { names, after, waitMs, context: asJson({ ...pageContext(page), ...context }) };
      const result = await ask<{ personalizedSlots: (Slot | null)[] }>(
        operations.slots,
        variables,
        waitMs + queryTimeoutMs,
      );
      for (const error of result.errors ?? []) onError(toError(error));
      return result.data!.personalizedSlots;
    },
    subscribe(names, onChange, given = {}) {
      let after: string | null = null;
      const forget = () => {
        after = null;
      };
      newVisitorListeners.add(forget);
      let stop = () => {};
      let stopped = false;
      const start = () => {
        stop = run<ContentUpdate>(
          operations.contentUpdates,
          () => ({ names, after, context: asJson({ ...pageContext(page), ...given.context }) }),
          'contentUpdates',
          (update) => {
            after = update.cursor;
            onChange(update);
          },
          {
            ...given,
            onError(error) {
              // The server's log began anew, say. Without the cursor the current slots come, which is all a page needs.
              if (error.code === 'BAD_CURSOR' && after !== null && !stopped) {
                after = null;
                start();
              } else {
                (given.onError ?? onError)(error);
              }
            },
          },
        );
      };
      // What is shown may depend on the page: all of it comes anew, for the page that it is now.
      const startAnew = () => {
        const stopBefore = stop;
        after = null;
        start();
        stopBefore();
      };
      newPageListeners.add(startAnew);
      start();
      return () => {
        stopped = true;
        newVisitorListeners.delete(forget);
        newPageListeners.delete(startAnew);
        stop();
      };
    },
    async visitor() {
      const result = await ask<{ visitor: VisitorFacts | null }>(operations.visitor, {}, queryTimeoutMs);
      return result.data?.visitor ?? null;
    },
    activity: (onEvent, given = {}) => run<Activity>(operations.activity, () => ({}), 'activity', onEvent, given),
    async identify(token) {
      const asked = await ask<{ identify: Identified }>(operations.identify, { input: { token } }, queryTimeoutMs);
      const { visit, error } = asked.data!.identify;
      if (error !== null) throw new UsherClientError(error.code, error.message, error);
      const before = tokens.current();
      if (tokens.use({ ...visit, expiresAt: Date.parse(visit.expiresAt) })) newVisitor(before);
    },
    reset() {
      const before = tokens.current();
      tokens.forget();
      newVisitor(before);
      // Asked for at once, so that other tabs hear of it too.
      void tokens.get().catch(() => {});
    },
    setConsent: (purpose, granted) => track('consent_changed', { purpose, granted }),
    flush: () => tracker.flush(),
    counts: () => tracker.counts(),
    close() {
      if (closed) return;
      closed = true;
      endPageView();
      if (typeof document !== 'undefined') {
        removeEventListener('pagehide', leave);
        removeEventListener('online', online);
        removeEventListener('storage', kept);
      }
      live.close();
      tracker.close();
    },
  };
}

type Identified =
  | {
      readonly visit: { readonly token: string; readonly expiresAt: string; readonly visitorId: string };
      readonly error: null;
    }
  | {
      readonly visit: null;
      readonly error: ConstructorParameters<typeof UsherClientError>[2] & { code: string; message: string };
    };

/** Undefined members are left out, as JSON.stringify would. */
function asJson(context: PageContext): { [name: string]: Json } {
  return Object.fromEntries(Object.entries(context).filter((entry) => entry[1] !== undefined)) as {
    [name: string]: Json;
  };
}
