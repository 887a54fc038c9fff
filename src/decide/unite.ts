import type { Session, Timer, Visitor, VisitorCounts } from '../model/visitor.ts';
import type { ActiveBundles } from '../playbook/playbook.ts';
import type { CartState } from './cart.ts';
import { EventScope } from './scope.ts';
import type { Pair, Uniting } from './uniteLists.ts';
import { unitedRules } from './uniteRules.ts';
import { unitedTraits } from './uniteTraits.ts';

/**
 * A known user and an anonymous visitor that turned out to be it, as one visitor (semantics 8.2); slots and segments are not looked at.
 * Pure, and nothing runs by it.
 * @returns beside the visitor its timers of rules and of the session
 */
export function unite(
  pair: Pair<Visitor>,
  bundles: ActiveBundles | null,
): { readonly visitor: Visitor; readonly timers: readonly Timer[] } {
  const { user, other } = pair;
  const playbook = bundles?.playbook ?? null;
  const uniting: Uniting = { userIsLater: user.now >= other.now, now: Math.max(user.now, other.now) };
  const counts = sumOf(user.counts, other.counts);
  const traits = unitedTraits({ user: user.traits, other: other.traits }, 'all', uniting, playbook);
  const session = unitedSession(pair, counts.sessions, uniting, bundles);
  const visitor: Visitor = {
    ...user,
    historic: user.historic && other.historic,
    now: uniting.now,
    lastAppend: Math.max(user.lastAppend, other.lastAppend),
    counts,
    traits,
    session,
  };
  const scopeOf = (whose: Visitor) => new EventScope(bundles!, whose, whose.now, null, whose.now);
  const { rules, timers } = unitedRules(
    { user: user.rules, other: other.rules },
    { user: user.timers, other: other.timers },
    {
      ...uniting,
      playbook,
      scopes: bundles === null ? null : { user: scopeOf(user), other: scopeOf(other), united: scopeOf(visitor) },
      sessions: { user: numberOf(user), other: numberOf(other), united: numberOf(visitor) },
      orderedAt: orderedAtOf(visitor, bundles),
    },
  );
  const end = session === null ? null : sessionEndOf(pair);
  return { visitor: { ...visitor, rules }, timers: end === null ? timers : [...timers, end] };
}

function sumOf(a: VisitorCounts, b: VisitorCounts): VisitorCounts {
  const names = Object.keys(a) as (keyof VisitorCounts)[];
  return Object.fromEntries(names.map((name) => [name, a[name] + b[name]])) as unknown as VisitorCounts;
}

const numberOf = ({ session }: Visitor) => session?.number ?? 0;

/** Two that are open are one from the first's start on. It has the last number, so that no later one has it again. */
function unitedSession(
  { user, other }: Pair<Visitor>,
  number: number,
  uniting: Uniting,
  bundles: ActiveBundles | null,
): Session | null {
  const [own, others] = [user.session, other.session];
  if (own === null || others === null) {
    const only = own ?? others;
    return only === null ? null : { ...only, number };
  }
  const [first, last] = others.startedAt > own.startedAt ? [own, others] : [others, own];
  const traits = unitedTraits(
    { user: own.traits, other: others.traits },
    'session',
    uniting,
    bundles?.playbook ?? null,
  );
  return { number, startedAt: first.startedAt, campaign: last.campaign ?? first.campaign, traits };
}

/** The session ends when the one that would have ended later does. */
function sessionEndOf({ user, other }: Pair<Visitor>): Timer | null {
  const isEnd = ({ what }: Timer) => what === 'session';
  const [own, others] = [user.timers.find(isEnd), other.timers.find(isEnd)];
  if (own === undefined || others === undefined) return own ?? others ?? null;
  return others.due! > own.due! ? others : own;
}

function orderedAtOf(visitor: Visitor, bundles: ActiveBundles | null): number | null {
  let latest: number | null = null;
  for (const trait of bundles?.playbook.traits.values() ?? []) {
    if (trait.cart === null) continue;
    const at = (visitor.traits.get(trait.name) as unknown as CartState | undefined)?.[2] ?? null;
    if (at !== null && (latest === null || at > latest)) latest = at;
  }
  return latest;
}
