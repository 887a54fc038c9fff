import { UsherError } from '../errors.ts';
import { type Explanation, explainAction, explainSlot, type RuleExplanation } from '../fold/explain.ts';
import { nearest } from '../model/nearest.ts';
import { quote } from '../model/quote.ts';
import type { Services } from './services.ts';
import { loadBundles } from './slotAnswers.ts';
import { unknownSlot } from './slotReader.ts';
import { readWhole } from './visitorReader.ts';

/**
 * Why the slot shows what it shows to this visitor; null: nothing is known of it.
 * @throws UsherError SLOT_UNKNOWN, STATE_UNAVAILABLE
 */
export async function explainVisitorSlot(services: Services, id: string, slot: string): Promise<Explanation | null> {
  const found = await readWhole(services, id);
  // A name that is misspelt must not look like a visitor of whom nothing is known.
  const { slots } = found?.active.playbook ?? services.playbook();
  const definition = slots.get(slot);
  if (definition === undefined) throw unknownSlot(slot, slots.keys());
  if (found === null) return null;
  const { visitor, active } = found;
  const { bundles } = services;
  await loadBundles(visitor, [definition], bundles);
  // Nobody looks: what asks for a page or a device does not hold.
  const context = { playbook: active.playbook, page: null, device: null, timeZone: null };
  return explainSlot(visitor, slot, active, (version) => bundles.playbook(version), context, services.now());
}

/**
 * Why this message was sent to the visitor, or would not be; null: nothing is known of the visitor.
 * @throws UsherError ACTION_UNKNOWN, STATE_UNAVAILABLE
 */
export async function explainVisitorAction(
  services: Services,
  id: string,
  action: string,
): Promise<readonly RuleExplanation[] | null> {
  const found = await readWhole(services, id);
  const { actions } = found?.active.playbook ?? services.playbook();
  if (!actions.has(action)) {
    const near = nearest(action.slice(0, 100), actions.keys());
    const meant = near === null ? '' : `; did you mean "${near}"?`;
    throw new UsherError('ACTION_UNKNOWN', `${quote(action.slice(0, 80))} is not an action of the playbook${meant}`);
  }
  return found === null ? null : explainAction(found.visitor, action, found.active, services.now());
}
