import { prices } from './shop.ts';

/**
 * What a visitor of the shop is (semantics 3, 5, 10.2), as far as it may become another's. Shares no code with Usher: numbers, lists and
 * maps, told by the pages alone.
 */
export const minute = 60_000;

export interface Timer {
  readonly what: 'rule' | 'segment' | 'slot' | 'session';
  readonly key: readonly string[];
  readonly due: number;
  readonly wall: number;
}
export interface Line {
  quantity: number;
  price: number;
  /** Latest event time of what changed it. */
  at: number;
}
export interface Self {
  now: number;
  folded: number;
  sessions: number;
  session: { number: number; startedAt: number; searches: number } | null;
  views: number;
  seconds: { sum: number; count: number; least: number | null; most: number | null };
  firstQuery: string | null;
  lastQuery: string | null;
  offered: string | null;
  consent: boolean | null;
  /** Newest first. */
  recent: string[];
  /** These with what was seen last at the end. */
  queries: string[];
  byProduct: [product: string, times: number][];
  latelyByProduct: [product: string, at: number[]][];
  productsLately: [product: string, step: number][];
  /** Event times of views. */
  viewedAt: number[];
  interest: { value: number; at: number } | null;
  cart: { id: number; lines: Map<string, Line>; orderedAt: number | null };
  segments: string[];
  helloRuns: number;
  greetedAt: number | null;
  againRuns: { session: number; times: number } | null;
  leftRuns: [cart: string, times: number][];
  waits: { key: string; at: number }[];
  /** Candidates of each slot by rule; `at`: of the cause. */
  slots: Map<string, Map<string, number>>;
  timers: Timer[];
}

export function nobody(): Self {
  return {
    now: 0,
    folded: 0,
    sessions: 0,
    session: null,
    views: 0,
    seconds: { sum: 0, count: 0, least: null, most: null },
    firstQuery: null,
    lastQuery: null,
    offered: null,
    consent: null,
    recent: [],
    queries: [],
    byProduct: [],
    latelyByProduct: [],
    productsLately: [],
    viewedAt: [],
    interest: null,
    cart: { id: 1, lines: new Map(), orderedAt: null },
    segments: [],
    helloRuns: 0,
    greetedAt: null,
    againRuns: null,
    leftRuns: [],
    waits: [],
    slots: new Map(),
    timers: [],
  };
}

export interface Happened {
  readonly type: string;
  readonly properties: { readonly [name: string]: unknown };
}

const order = ['rule', 'segment', 'slot', 'session'];
function byId(a: Timer, b: Timer): number {
  if (a.what !== b.what) return order.indexOf(a.what) - order.indexOf(b.what);
  const [x, y] = [a.key.join('\0'), b.key.join('\0')];
  return x < y ? -1 : x > y ? 1 : 0;
}

export function setTimer(self: Self, timer: Timer): void {
  dropTimer(self, timer.what, timer.key);
  self.timers.push(timer);
}
export function dropTimer(self: Self, what: Timer['what'], key: readonly string[]): void {
  self.timers = self.timers.filter((each) => each.what !== what || each.key.join('\0') !== key.join('\0'));
}

/** The first of those due by then. */
export function nextDue(self: Self, by: number): Timer | null {
  const due = self.timers.filter((timer) => timer.due <= by);
  return due.sort((a, b) => a.due - b.due || byId(a, b))[0] ?? null;
}
export function nextWall(self: Self): Timer | null {
  return [...self.timers].sort((a, b) => a.wall - b.wall || byId(a, b))[0] ?? null;
}

export function happen(self: Self, { type, properties }: Happened, te: number, appendTime: number): void {
  for (let timer = nextDue(self, te); timer !== null; timer = nextDue(self, te)) fire(self, timer);
  self.now = self.folded === 0 ? te : Math.max(self.now, te);
  self.folded++;
  const skew = Math.max(0, appendTime - self.now);
  if (self.session === null) {
    self.sessions++;
    self.session = { number: self.sessions, startedAt: self.now, searches: 0 };
  }
  setTimer(self, { what: 'session', key: [], due: self.now + 10 * minute, wall: self.now + 10 * minute + skew });
  changeWaits(self, type, te, skew);
  changeTraits(self, type, properties, te);
  self.segments = segmentsAt(self, self.now);
  if (type === 'search_performed') runAgain(self, properties['query'] as string, te);
  if (type === 'page_viewed' && (self.greetedAt === null || self.now >= self.greetedAt + 10 * minute)) {
    self.greetedAt = self.now;
    show(self, 'corner', 'greet', te);
  }
  if (type === 'product_viewed' && self.helloRuns < 3) {
    self.helloRuns++;
    show(self, 'banner', 'hello', te);
    const due = self.now + 20 * minute;
    setTimer(self, { what: 'slot', key: ['banner', 'hello', 'for'], due, wall: due + skew });
  }
  endStep(self, self.now, skew);
}

export function fire(self: Self, timer: Timer): void {
  dropTimer(self, timer.what, timer.key);
  const now = Math.max(self.now, timer.due);
  if (timer.what === 'session') self.session = null;
  if (timer.what === 'slot') self.slots.get(timer.key[0]!)?.delete(timer.key[1]!);
  self.segments = segmentsAt(self, now);
  if (timer.what === 'rule') {
    const wait = self.waits.find(({ key }) => key === timer.key[1]);
    self.waits = self.waits.filter((each) => each !== wait);
    const cart = String(self.cart.id);
    const ran = self.leftRuns.find(([key]) => key === cart)?.[1] ?? 0;
    if (wait !== undefined && cartValue(self) > 0 && ran < 1) {
      self.leftRuns = [...self.leftRuns.filter(([key]) => key !== cart), [cart, ran + 1]];
      show(self, 'cart_corner', 'left_cart', wait.at);
    }
  }
  endStep(self, now, timer.wall - timer.due);
}

/** What ends a step: what is shown `while` something holds, and when time changes a segment next. */
export function endStep(self: Self, now: number, skew: number): void {
  if (cartValue(self) <= 0) self.slots.get('cart_corner')?.delete('left_cart');
  self.timers = self.timers.filter(({ what }) => what !== 'segment');
  const leaving = new Set(self.viewedAt.map((at) => (Math.floor(at / minute) + 60) * minute));
  const turns = [...leaving]
    .filter((at) => at > now)
    .sort((a, b) => a - b)
    .slice(0, 16);
  if (turns.length === 0) return;
  const due = turns.find((at) => segmentsAt(self, at).includes('busy') !== self.segments.includes('busy'));
  if (due === undefined && turns.length < 16) return;
  const at = due ?? turns[15]!;
  setTimer(self, { what: 'segment', key: [due === undefined ? '' : 'busy'], due: at, wall: at + skew });
}

export function segmentsAt(self: Self, now: number): string[] {
  const segments: string[] = [];
  if (cartValue(self) >= 10_000) segments.push('big_cart');
  if (latelyAt(self.viewedAt, now).length >= 3) segments.push('busy');
  if (self.views >= 4) segments.push('keen');
  return segments;
}

export function cartValue({ cart }: Self): number {
  return [...cart.lines.values()].reduce((sum, { quantity, price }) => sum + quantity * price, 0);
}

/** The first step of the hour that ends at `now`. */
export const oldest = (now: number) => Math.floor(now / minute) - 59;
export function latelyAt(times: readonly number[], now: number): number[] {
  return times.filter((at) => Math.floor(at / minute) >= oldest(now));
}
export function fadedAt({ interest }: Self, now: number): number {
  if (interest === null) return 0;
  const left = interest.value * 2 ** (-(now - interest.at) / (60 * minute));
  return left < 1e-6 ? 0 : left;
}

function changeWaits(self: Self, type: string, te: number, skew: number): void {
  const key = String(self.cart.id);
  const { orderedAt } = self.cart;
  const starts = type === 'cart_item_added' && (orderedAt === null || te > orderedAt);
  const known = self.waits.find((wait) => wait.key === key);
  if ((!starts && type !== 'order_completed') || (known !== undefined && te < known.at)) return;
  self.waits = self.waits.filter((wait) => wait !== known);
  if (starts) {
    self.waits.push({ key, at: te });
    const due = self.now + 15 * minute;
    setTimer(self, { what: 'rule', key: ['left_cart', key], due, wall: due + skew });
  } else if (known !== undefined) dropTimer(self, 'rule', ['left_cart', key]);
}

function changeTraits(self: Self, type: string, properties: Happened['properties'], te: number): void {
  const product = properties['productId'] as string;
  if (type === 'product_viewed') {
    self.views++;
    if (self.recent[0] !== product)
      self.recent = [product, ...self.recent.filter((each) => each !== product)].slice(0, 3);
    const times = self.byProduct.find(([each]) => each === product)?.[1] ?? 0;
    self.byProduct = [
      ...self.byProduct.filter(([each]) => each !== product),
      [product, times + 1] as [string, number],
    ].slice(-3);
    const left = fadedAt(self, self.now);
    self.interest = { value: left + 2 ** (-(self.now - te) / (60 * minute)), at: self.now };
    const step = Math.floor(te / minute);
    if (step < oldest(self.now)) return;
    self.viewedAt.push(te);
    const group = self.latelyByProduct.find(([each]) => each === product)?.[1] ?? [];
    const groups = self.latelyByProduct.filter(([each]) => each !== product);
    self.latelyByProduct = [...groups, [product, [...group, te]] as [string, number[]]].slice(-3);
    const seen = self.productsLately.find(([each]) => each === product)?.[1] ?? step;
    const others = self.productsLately.filter(([each, last]) => each !== product && last >= oldest(self.now));
    self.productsLately = [...others, [product, Math.max(seen, step)] as [string, number]].slice(-3);
  } else if (type === 'time_spent') {
    const seconds = properties['seconds'] as number;
    const { sum, count, least, most } = self.seconds;
    self.seconds = {
      sum: sum + seconds,
      count: count + 1,
      least: Math.min(least ?? seconds, seconds),
      most: Math.max(most ?? seconds, seconds),
    };
  } else if (type === 'search_performed') {
    const query = properties['query'] as string;
    self.firstQuery ??= query;
    self.lastQuery = query;
    self.session!.searches++;
    self.queries = [...self.queries.filter((each) => each !== query), query].slice(-3);
  } else if (type === 'consent_told') {
    self.consent = properties['granted'] as boolean;
  } else changeCart(self.cart, type, product, properties, te);
}

function changeCart(
  cart: Self['cart'],
  type: string,
  product: string,
  properties: Happened['properties'],
  te: number,
): void {
  const line = cart.lines.get(product);
  if (type === 'order_completed') {
    cart.id++;
    cart.lines.clear();
    cart.orderedAt = Math.max(cart.orderedAt ?? 0, te);
  } else if (type === 'cart_item_added' && (cart.orderedAt === null || te > cart.orderedAt)) {
    const quantity = (properties['quantity'] as number) + (line?.quantity ?? 0);
    cart.lines.set(product, { quantity, price: prices[product]!, at: Math.max(te, line?.at ?? 0) });
  } else if (type === 'cart_item_removed' && line !== undefined) {
    line.quantity -= (properties['quantity'] as number | undefined) ?? line.quantity;
    line.at = Math.max(line.at, te);
    if (line.quantity > 0) return;
    cart.lines.delete(product);
    if (cart.lines.size === 0) cart.id++;
  }
}

function runAgain(self: Self, query: string, te: number): void {
  const session = self.session!.number;
  const times = self.againRuns?.session === session ? self.againRuns.times : 0;
  if (times >= 2) return;
  self.againRuns = { session, times: times + 1 };
  self.offered = query;
  show(self, 'corner', 'again', te);
}

function show(self: Self, slot: string, rule: string, at: number): void {
  const candidates = self.slots.get(slot) ?? new Map<string, number>();
  self.slots.set(slot, candidates.set(rule, at));
}
