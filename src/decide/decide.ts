import type { EventRecord } from '../model/record.ts';
import type { Visitor } from '../model/visitor.ts';
import type { ActiveBundles } from '../playbook/playbook.ts';
import { cutText } from './bounds.ts';
import { campaignOf, isOrder } from './enrich.ts';
import { type RulesRun, runRules } from './rules.ts';
import { EventScope } from './scope.ts';
import { withSession } from './session.ts';
import { withTraits } from './traits.ts';

/** An event in its place: what deciding may know of time. */
export interface PlacedEvent {
  readonly record: EventRecord;
  /** Event time te (semantics 3.2). */
  readonly at: number;
}

/** What deciding makes of an event: the visitor with session and traits, and what the rules ask for. Data, never a call. */
export interface Decision {
  readonly visitor: Visitor;
  readonly effects: RulesRun;
  /** For what is asked again after the rules, as `while` is. Null before the first activation. */
  readonly scope: EventScope | null;
}

const noEffects: RulesRun = { shown: [], fired: [], errors: 0 };
const phraseLimit = 160;

/**
 * session → enrich → traits → rules, for one event. `visitor.now` is visitor now, this event included.
 * Pure: the same three values give the same decision.
 * @throws FoldFailure when the event cannot be folded, for example for want of a price
 */
export function decide(visitor: Visitor, event: PlacedEvent, bundles: ActiveBundles | null): Decision {
  const { record, at } = event;
  const inSession = withSession(visitor, visitor.now, campaignOf(record.context));
  if (bundles === null) return { visitor: inSession, effects: noEffects, scope: null };
  const scope = new EventScope(bundles, inSession, visitor.now, record, at);
  // An order without a price must fail whether or not a rule or trait reads its value.
  if (isOrder(bundles.playbook, record.type)) void scope.event;
  const { visitor: next, errors } = withTraits(inSession, record, at, bundles, scope);
  if (next !== inSession) scope.moveTo(next);
  const run = runRules(bundles.playbook, record.type, scope);
  return { visitor: next, effects: errors === 0 ? run : { ...run, errors: run.errors + errors }, scope };
}

/** What happened, to be put after "you": `viewed p_017`. */
export function phraseOf(record: EventRecord, bundles: ActiveBundles, scope: EventScope): string {
  const fallback = `did ${record.type}`;
  try {
    const said = bundles.playbook.events.get(record.type)?.says.render(scope).trim();
    return cutText(said || fallback, phraseLimit);
  } catch {
    return fallback;
  }
}
