import type { Json } from '../model/json.ts';
import type { TraitStates } from '../model/traitStates.ts';
import type { Playbook, Trait } from '../playbook/playbook.ts';
import { isStructured, joined } from './aggregates.ts';
import { type CartState, unitedCart } from './cart.ts';
import { plainState } from './traits.ts';
import { unitedAggregate } from './uniteAggregates.ts';
import { keyOfValue, laterOf, type Pair, type Uniting, unitedList } from './uniteLists.ts';

/** What a secret key has said of a user stays so whatever is told of an anonymous visitor. */
const profileEvent = 'profile_updated';

/** Traits of two visitors that become one, as the active playbook declares them (semantics 8.2). */
export function unitedTraits(
  states: Pair<TraitStates>,
  over: Trait['over'],
  uniting: Uniting,
  playbook: Playbook | null,
): TraitStates {
  const { user, other } = states;
  const changes: [string, Json | undefined][] = [];
  const names = new Set([...user.entries(), ...other.entries()].map(([name]) => name));
  for (const name of names) {
    // What was set to null has no value.
    const pair = { user: user.get(name) ?? undefined, other: other.get(name) ?? undefined };
    const trait = playbook?.traits.get(name);
    const united = trait?.over === over ? unitedTrait(trait, pair, uniting) : (pair.user ?? pair.other);
    if (united !== user.get(name)) changes.push([name, united]);
  }
  return changes.length === 0 ? user : user.with(changes);
}

function unitedTrait(trait: Trait, pair: Pair<Json | undefined>, uniting: Uniting): Json | undefined {
  if (isStructured(trait)) return unitedAggregate(trait, pair, uniting);
  if (trait.cart !== null) return unitedCart(pair as Pair<CartState | undefined>) as Json | undefined;
  const user = plainState(trait, pair.user);
  const other = plainState(trait, pair.other);
  if (user === undefined || other === undefined) return user ?? other;
  return unitedValue(trait, { user, other }, uniting);
}

function unitedValue(trait: Trait, values: Pair<Json>, uniting: Uniting): Json {
  const { user, other } = values;
  if (trait.path[0] === 'consent') return user === false || other === false ? false : laterOf(values, uniting);
  if (trait.events?.length === 1 && trait.events[0] === profileEvent) return user;
  switch (trait.kind) {
    case 'count':
    case 'sum':
    case 'min':
    case 'max':
    case 'first':
      return joined(trait.kind, user, other);
    case 'recent': {
      const lists = { user: (user as readonly Json[]).toReversed(), other: (other as readonly Json[]).toReversed() };
      return unitedList(lists, uniting, keyOfValue).slice(-trait.limit).toReversed();
    }
    default:
      return laterOf(values, uniting);
  }
}
