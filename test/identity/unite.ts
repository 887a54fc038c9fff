import { endStep, fadedAt, type Line, latelyAt, oldest, type Self, segmentsAt, type Timer } from './self.ts';

/** A user with all that an anonymous visitor was, field by field (semantics 8.2); a model, which shares no code with Usher. */
export function unite(user: Self, other: Self, appendTime: number): Self {
  const [first, last] = user.now >= other.now ? [other, user] : [user, other];
  const now = Math.max(user.now, other.now);
  const sessions = user.sessions + other.sessions;
  const session = unitedSession(user, other, sessions);
  const cart = unitedCart(user.cart, other.cart);
  const united: Self = {
    now,
    folded: user.folded + other.folded,
    sessions,
    session,
    views: user.views + other.views,
    seconds: {
      sum: user.seconds.sum + other.seconds.sum,
      count: user.seconds.count + other.seconds.count,
      least: least(user.seconds.least, other.seconds.least, Math.min),
      most: least(user.seconds.most, other.seconds.most, Math.max),
    },
    firstQuery: user.firstQuery ?? other.firstQuery,
    lastQuery: last.lastQuery ?? first.lastQuery,
    offered: last.offered ?? first.offered,
    consent: [user.consent, other.consent].includes(false) ? false : (user.consent ?? other.consent),
    recent: [...last.recent, ...first.recent.filter((each) => !last.recent.includes(each))].slice(0, 3),
    queries: [...first.queries.filter((each) => !last.queries.includes(each)), ...last.queries].slice(-3),
    byProduct: groups(first.byProduct, last.byProduct, (a, b) => a + b),
    latelyByProduct: groups(first.latelyByProduct, last.latelyByProduct, (a, b) => latelyAt([...a, ...b], now)),
    productsLately:
      first.productsLately.length === 0 || last.productsLately.length === 0
        ? [...first.productsLately, ...last.productsLately]
        : groups(first.productsLately, last.productsLately, Math.max, 9)
            .filter(([, step]) => step >= oldest(now))
            .slice(-3),
    viewedAt: [...user.viewedAt, ...other.viewedAt],
    interest: unitedInterest(user, other),
    cart,
    segments: [],
    helloRuns: user.helloRuns + other.helloRuns,
    greetedAt: least(user.greetedAt, other.greetedAt, Math.max),
    againRuns: unitedAgain(user, other, session?.number ?? 0),
    leftRuns: groups(cartKeyed(first, cart.id), cartKeyed(last, cart.id), (a, b) => a + b, 16),
    waits: [],
    slots: new Map(),
    timers: [],
  };
  uniteWaits(united, user, other, first === user);
  uniteSlots(united, user, other);
  const ends = [user, other].flatMap(({ timers }) => timers.filter(({ what }) => what === 'session'));
  if (session !== null) united.timers.push(ends.reduce((a, b) => (b.due > a.due ? b : a)));
  united.segments = segmentsAt(united, now);
  endStep(united, now, Math.max(0, appendTime - now));
  return united;
}

function least(a: number | null, b: number | null, of: (a: number, b: number) => number): number | null {
  return a === null || b === null ? (a ?? b) : of(a, b);
}

/** Those that the later has stand at the end. */
function groups<T>(
  first: readonly [string, T][],
  last: readonly [string, T][],
  unite: (a: T, b: T) => T,
  limit = 3,
): [string, T][] {
  const firsts = new Map(first);
  const lasts = new Map(last);
  const all: [string, T][] = first.filter(([name]) => !lasts.has(name));
  for (const [name, each] of last) all.push([name, firsts.has(name) ? unite(firsts.get(name)!, each) : each]);
  return all.slice(-limit);
}

function unitedSession(user: Self, other: Self, number: number): Self['session'] {
  const [a, b] = [user.session, other.session];
  if (a === null || b === null) {
    const only = a ?? b;
    return only === null ? null : { ...only, number };
  }
  return { number, startedAt: Math.min(a.startedAt, b.startedAt), searches: a.searches + b.searches };
}

/** Of sessions that are still open: how often the rule has run in them. */
function unitedAgain(user: Self, other: Self, session: number): Self['againRuns'] {
  const open = [user, other].filter((each) => each.session !== null && each.againRuns?.session === each.session.number);
  return open.length === 0 ? null : { session, times: open.reduce((sum, { againRuns }) => sum + againRuns!.times, 0) };
}

function unitedInterest(user: Self, other: Self): Self['interest'] {
  if (user.interest === null || other.interest === null) return user.interest ?? other.interest;
  const at = Math.max(user.interest.at, other.interest.at);
  return { value: fadedAt(user, at) + fadedAt(other, at), at };
}

function unitedCart(user: Self['cart'], other: Self['cart']): Self['cart'] {
  const orderedAt = least(user.orderedAt, other.orderedAt, Math.max);
  const lines = new Map<string, Line>();
  for (const product of new Set([...user.lines.keys(), ...other.lines.keys()])) {
    const [a, b] = [user.lines.get(product), other.lines.get(product)];
    const line = a === undefined || (b !== undefined && b.at > a.at) ? b! : a;
    if (orderedAt === null || line.at > orderedAt) lines.set(product, line);
  }
  return { id: user.id + other.id - 1, lines, orderedAt };
}

/** The cart that either has is the one cart, under its number. */
function cartKeyed({ leftRuns, cart }: Self, id: number): [string, number][] {
  return leftRuns.map(([key, times]) => [key === String(cart.id) ? String(id) : key, times]);
}

function uniteWaits(united: Self, user: Self, other: Self, userFirst: boolean): void {
  const { id, orderedAt } = united.cart;
  const waits = new Map<string, { wait: Self['waits'][number]; timer: Timer; ofUser: boolean }>();
  for (const [side, ofUser] of [
    [user, true],
    [other, false],
  ] as const) {
    for (const wait of side.waits) {
      const isOfCart = wait.key === String(side.cart.id);
      // An order of either ends what the cart that was in it, or could have been, waits for.
      if (isOfCart && orderedAt !== null && wait.at <= orderedAt) continue;
      const key = isOfCart ? String(id) : wait.key;
      const known = waits.get(key);
      if (known !== undefined && known.wait.at >= wait.at) continue;
      const timer = side.timers.find((each) => each.what === 'rule' && each.key[1] === wait.key)!;
      waits.set(key, { wait: { ...wait, key }, timer: { ...timer, key: ['left_cart', key] }, ofUser });
    }
  }
  const of = (side: Self) => side.waits.map(({ key }) => (key === String(side.cart.id) ? String(id) : key));
  const [firsts, lasts] = userFirst ? [of(user), of(other)] : [of(other), of(user)];
  for (const key of [...firsts.filter((each) => !lasts.includes(each)), ...lasts]) {
    const found = waits.get(key);
    if (found === undefined) continue;
    united.waits.push(found.wait);
    united.timers.push(found.timer);
  }
}

function uniteSlots(united: Self, user: Self, other: Self): void {
  for (const [side, isUser] of [
    [user, true],
    [other, false],
  ] as const) {
    for (const [slot, candidates] of side.slots) {
      const all = united.slots.get(slot) ?? new Map<string, number>();
      united.slots.set(slot, all);
      for (const [rule, at] of candidates) {
        if (!isUser && (all.get(rule) ?? -1) >= at) continue;
        all.set(rule, at);
        const isEnd = ({ what, key }: Timer) => what === 'slot' && key[0] === slot && key[1] === rule;
        united.timers = [...united.timers.filter((timer) => !isEnd(timer)), ...side.timers.filter(isEnd)];
      }
    }
  }
}
