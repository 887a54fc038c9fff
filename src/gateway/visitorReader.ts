import { EventScope } from '../decide/scope.ts';
import { jsonOf } from '../decide/views.ts';
import { UsherError } from '../errors.ts';
import { decodeVisitor } from '../model/codec.ts';
import type { Json } from '../model/json.ts';
import { shardOf } from '../model/shard.ts';
import type { Visitor } from '../model/visitor.ts';
import type { ActiveBundles } from '../playbook/playbook.ts';
import type { VisitorAnswer } from './graphql/answers.ts';
import type { Services } from './services.ts';

/** A visitor's whole state with what its shard runs; null: not known, or expired. @throws UsherError STATE_UNAVAILABLE */
export async function readWhole(
  { store, log, bundles, slots }: Services,
  id: string,
): Promise<{ readonly visitor: Visitor; readonly active: ActiveBundles } | null> {
  const shard = shardOf(id, log.shards);
  const meta = await store.readMeta(shard);
  const stored = await store.readProfile(shard, id);
  // A profile is made by folding, which begins with an activation; without one there is nothing to read it with.
  if (stored === null || meta === null || meta.active === null) return null;
  const visitor = decodeVisitor(stored.profile, stored.slots);
  if (slots.isExpired(visitor, meta.appendTime)) return null;
  return { visitor, active: await bundles.load(meta.active.playbook, meta.active.catalog) };
}

/**
 * A visitor as conditions see it, from its whole profile; null: not known, or expired.
 * @throws UsherError STATE_UNAVAILABLE
 */
export async function readVisitor(services: Services, id: string): Promise<VisitorAnswer | null> {
  const found = await readWhole(services, id);
  if (found === null) return null;
  const { visitor, active } = found;
  const scope = new EventScope(active, visitor, visitor.now, null, visitor.now);
  return {
    id,
    visitor: jsonOf(scope.visitor),
    session: visitor.session === null ? null : jsonOf(scope.session),
    cart: cartOf(scope.cart),
    traits: jsonOf(scope.traits),
    consent: jsonOf(scope.consent),
    segments: Object.entries(visitor.segments).map(([segment, since]) => ({
      id: segment,
      name: active.playbook.segments.get(segment)?.name ?? segment,
      since,
    })),
    counts: visitor.counts,
  };
}

function cartOf(cart: Json): VisitorAnswer['cart'] {
  if (cart === null || typeof cart !== 'object' || !('lines' in cart))
    throw new UsherError('INTERNAL', 'the playbook has no trait cart');
  return cart as unknown as VisitorAnswer['cart'];
}
