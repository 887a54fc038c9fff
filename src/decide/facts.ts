import type { Json } from '../model/json.ts';
import type { Visitor } from '../model/visitor.ts';
import type { ActiveBundles } from './bundles.ts';
import { type CartView, cartView, emptyCart } from './cart.ts';
import { sessionView, visitorView } from './scope.ts';
import { readRootTrait, readTraits } from './traits.ts';

/** What Usher knows of a visitor, in the words of conditions: for people and backends that ask. */
export interface VisitorFacts {
  readonly visitor: { readonly [name: string]: Json };
  /** Null: no session is running. */
  readonly session: { readonly [name: string]: Json } | null;
  readonly cart: CartView;
  readonly traits: { readonly [name: string]: Json };
}

export function factsOf(visitor: Visitor, bundles: ActiveBundles): VisitorFacts {
  const { playbook } = bundles;
  const cart = readRootTrait(playbook, 'cart', visitor) as CartView | null;
  return {
    visitor: visitorView(visitor, bundles),
    session: visitor.session === null ? null : sessionView(visitor, bundles),
    cart: cart ?? cartView(emptyCart, playbook.minorDigits),
    traits: readTraits(playbook, 'traits', visitor, {}),
  };
}
