import { operations, post, requestBody } from './graphql.ts';
import { UsherClientError, type UsherOptions } from './types.ts';

/** A stored token is renewed when less than this is left of it, ms: a day, so that a tab left open over night still has one. */
const renewBeforeMs = 24 * 3_600_000;
const requestTimeoutMs = 10_000;

export interface Visit {
  readonly token: string;
  /** ms since the epoch, by this browser's clock as far as it goes: expiry is decided by the server, this only renews early. */
  readonly expiresAt: number;
  readonly visitorId: string;
}

/** Where the token comes from. */
export interface TokenSource {
  /** @throws UsherClientError NETWORK and the like, when there is none to be had now */
  get(): Promise<string>;
  /** The token in hand, for a page that is leaving and cannot wait; null when none is known yet. */
  current(): string | null;
  /** This token was answered with a code of `tokenCodes`. False: there is no other one. */
  reject(token: string, code: string): boolean;
  /** The visit from now on: of the user whom this browser has turned out to be. False: it was that one's already. */
  use(visit: Visit): boolean;
  /** The user has gone: the visit ends here. */
  forget(): void;
}

/**
 * Another visitor is here, found out by asking for a token.
 * @param sendAs as in Tracker.newVisitor
 */
type OnNewVisitor = (sendAs: string | null) => void;

export function tokenSource(
  url: string,
  options: Pick<UsherOptions, 'token' | 'storage'>,
  onNewVisitor: OnNewVisitor,
): TokenSource {
  const { token } = options;
  if (typeof token === 'string') return fixedToken(token);
  return typeof token === 'function'
    ? askedToken(token)
    : keptVisit(url, options.storage ?? safeStorage(), onNewVisitor);
}

function fixedToken(given: string): TokenSource {
  let token = given;
  let user: string | null = null;
  return {
    get: async () => token,
    current: () => token,
    reject: () => false,
    use(visit) {
      const isAnother = visit.visitorId !== user;
      user = visit.visitorId;
      token = visit.token;
      return isAnother;
    },
    forget() {
      token = given;
      user = null;
    },
  };
}

function askedToken(ask: () => string | Promise<string>): TokenSource {
  let asked: Promise<string> | null = null;
  let known: string | null = null;
  let user: string | null = null;
  return {
    get: () =>
      (asked ??= (async () => {
        try {
          known = await ask();
          return known;
        } catch (error) {
          asked = null;
          throw new UsherClientError('VISIT_REQUIRED', `the token function failed: ${(error as Error).message}`, {
            retryable: true,
          });
        }
      })()),
    current: () => known,
    reject(token) {
      if (token === known) {
        asked = null;
        known = null;
      }
      return true;
    },
    use(visit) {
      const isAnother = visit.visitorId !== user;
      user = visit.visitorId;
      known = visit.token;
      asked = Promise.resolve(known);
      return isAnother;
    },
    forget() {
      asked = null;
      known = null;
      user = null;
    },
  };
}

function keptVisit(
  url: string,
  storage: NonNullable<UsherOptions['storage']>,
  onNewVisitor: OnNewVisitor,
): TokenSource {
  const key = `usher:visit:${url}`;
  let visit: Visit | null = null;
  /** Why the token in hand is of no use any more. */
  let rejected: string | null = null;
  let starting: Promise<string> | null = null;

  const start = async (): Promise<string> => {
    // Two tabs that open together must become one visitor: the second waits for the first and takes what it stored.
    const stored = read(storage, key);
    if (stored !== null && stored.token !== visit?.token && isFresh(stored)) return use(stored);
    // A superseded visitor is a user's now, and a new token of it would be, too.
    const known = rejected === 'TOKEN_SUPERSEDED' ? null : (stored ?? visit);
    let next: Visit;
    try {
      next = await ask(known?.token ?? null);
    } catch (error) {
      const code = error instanceof UsherClientError ? error.code : '';
      if (known === null || (code !== 'TOKEN_INVALID' && code !== 'TOKEN_EXPIRED')) throw error;
      // The token is of no use any more (another secret, or past renewing): better a new visitor than none.
      next = await ask(null);
    }
    write(storage, key, next);
    return use(next);
  };
  const ask = async (token: string | null): Promise<Visit> => {
    const result = await post<{ startVisit: { token: string; expiresAt: string; visitorId: string } }>(
      url,
      requestBody(operations.startVisit, { input: token === null ? null : { token } }),
      { token: null, timeoutMs: requestTimeoutMs },
    );
    const made = result.data!.startVisit;
    return { token: made.token, expiresAt: Date.parse(made.expiresAt), visitorId: made.visitorId };
  };
  const use = (next: Visit): string => {
    const before = visit;
    // Whoever is superseded may still write.
    const sendAs = rejected === null || rejected === 'TOKEN_SUPERSEDED' ? (before?.token ?? null) : null;
    visit = next;
    rejected = null;
    if (before !== null && before.visitorId !== next.visitorId) onNewVisitor(sendAs);
    return next.token;
  };
  /** What another tab did: somebody has logged in or out there, so it is not the visitor of before in this one either. */
  const follow = () => {
    const stored = read(storage, key);
    if (visit === null) visit = stored;
    else if (stored !== null && stored.visitorId !== visit.visitorId) use(stored);
  };
  return {
    async get() {
      follow();
      if (visit !== null && rejected === null && isFresh(visit)) return visit.token;
      starting ??= oneTabAtATime(key, start).finally(() => {
        starting = null;
      });
      try {
        return await starting;
      } catch (error) {
        // Renewing early may fail without harm while the old token still works.
        if (visit !== null && rejected === null && visit.expiresAt > Date.now()) return visit.token;
        throw error;
      }
    },
    current: () => visit?.token ?? null,
    reject(token, code) {
      if (token === visit?.token) rejected = code;
      return true;
    },
    use(next) {
      const isAnother = visit?.visitorId !== next.visitorId;
      visit = next;
      rejected = null;
      write(storage, key, next);
      return isAnother;
    },
    forget() {
      visit = null;
      rejected = null;
      try {
        storage.removeItem(key);
      } catch {
        // As in `write`: then nothing was kept.
      }
    },
  };
}

function isFresh(visit: Visit): boolean {
  return visit.expiresAt - Date.now() > renewBeforeMs;
}

async function oneTabAtATime<T>(name: string, run: () => Promise<T>): Promise<T> {
  const locks = typeof navigator === 'undefined' ? undefined : navigator.locks;
  return locks === undefined ? run() : ((await locks.request(name, run)) as T);
}

function read(storage: NonNullable<UsherOptions['storage']>, key: string): Visit | null {
  try {
    const value: unknown = JSON.parse(storage.getItem(key) ?? 'null');
    const visit = value as Visit;
    return typeof visit?.token === 'string' &&
      typeof visit.expiresAt === 'number' &&
      typeof visit.visitorId === 'string'
      ? visit
      : null;
  } catch {
    return null;
  }
}

function write(storage: NonNullable<UsherOptions['storage']>, key: string, visit: Visit): void {
  try {
    storage.setItem(key, JSON.stringify(visit));
  } catch {
    // Full, or forbidden: this page still has the token, and the next page becomes a new visitor.
  }
}

/** localStorage, or memory: merely naming localStorage throws in a sandboxed frame. */
function safeStorage(): NonNullable<UsherOptions['storage']> {
  try {
    const storage = globalThis.localStorage;
    storage.getItem('usher');
    return storage;
  } catch {
    const values = new Map<string, string>();
    return {
      getItem: (key) => values.get(key) ?? null,
      setItem: (key, value) => void values.set(key, value),
      removeItem: (key) => void values.delete(key),
    };
  }
}
