import type { EventRecord } from '../model/record.ts';
import type { TraitStates } from '../model/traitStates.ts';
import type { Timer, Visitor } from '../model/visitor.ts';
import type { ActiveBundles, Rule } from '../playbook/playbook.ts';
import { cutText } from './bounds.ts';
import type { CartState } from './cart.ts';
import { campaignOf, isOrder } from './enrich.ts';
import { isSpent } from './limits.ts';
import { type RulesRun, runRules, type Triggered } from './rules.ts';
import { EventScope } from './scope.ts';
import { type NextChange, nextChange, type SegmentsStep, withSegments } from './segments.ts';
import { withSequenceEvent } from './sequences.ts';
import { withSession } from './session.ts';
import { withTraits } from './traits.ts';
import { takeWait, type Wait, type WaitChange, withWaits } from './waits.ts';

/** An event in its place: what deciding may know of time. */
export interface PlacedEvent {
  readonly record: EventRecord;
  /** Event time te (semantics 3.2). */
  readonly at: number;
}

/** What deciding makes of an event or a firing. Data, never a call. */
export interface Decision {
  /** With session, traits, segments and rules' states as after the step. */
  readonly visitor: Visitor;
  readonly effects: Pick<RulesRun, 'shown' | 'emitted' | 'sent' | 'withheld' | 'fired' | 'errors'>;
  readonly entered: readonly string[];
  readonly left: readonly string[];
  /** Timers of rules that the event sets and cancels. */
  readonly waits: readonly WaitChange[];
  /** When time alone changes a segment next. */
  readonly nextChange: NextChange | null;
  /** Of an absence that fired: the event since which it waited. */
  readonly wait: Wait | null;
  /** For what is asked again after the rules, as `while` is. Null before the first activation. */
  readonly scope: EventScope | null;
}

export const noEffects: Decision['effects'] = {
  shown: [],
  emitted: [],
  sent: [],
  withheld: [],
  fired: [],
  errors: 0,
};
const undecided = { effects: noEffects, entered: [], left: [], waits: [], nextChange: null, wait: null, scope: null };
const phraseLimit = 160;

/**
 * session → enrich → waits → traits → segments → rules, for one event. `visitor.now` is visitor now, this event included.
 * Pure: the same three values give the same decision.
 * @throws FoldFailure when the event cannot be folded, for example for want of a price
 */
export function decide(visitor: Visitor, event: PlacedEvent, bundles: ActiveBundles | null): Decision {
  const { record, at } = event;
  const { now } = visitor;
  const inSession = withSession(visitor, now, campaignOf(record.context));
  if (bundles === null) return { ...undecided, visitor: inSession };
  const { playbook } = bundles;
  const scope = new EventScope(bundles, inSession, now, record, at);
  // An order without a price must fail whether or not a rule or trait reads its value.
  if (isOrder(playbook, record.type)) void scope.event;
  const startsNone = () => isBeforeOrder(inSession, record, at, bundles);
  const waits = withWaits(inSession.rules, record, at, now, playbook, scope, startsNone);
  const waiting = waits.rules === inSession.rules ? inSession : { ...inSession, rules: waits.rules };
  const counted = withTraits(waiting, record, at, bundles, scope);
  scope.moveTo(counted.visitor);
  const segments = withSegments(counted.visitor, scope, playbook);
  const triggers = triggeredBy(record, at, segments.visitor, bundles, scope);
  const step = runStep(segments, triggers.triggered, triggers.rules, bundles, scope);
  const errors = waits.errors + counted.errors + triggers.errors + step.effects.errors;
  return { ...step, effects: { ...step.effects, errors }, waits: waits.changes, wait: null, scope };
}

/**
 * The same for a timer of a rule, or for the passing of time alone: no event, and visitor now stays as it is.
 * @param rule whose wait is over; null: none, or it is gone
 */
export function decideFiring(
  visitor: Visitor,
  now: number,
  bundles: ActiveBundles,
  timer: Pick<Timer, 'what' | 'key'>,
  rule: Rule | null,
): Decision {
  const scope = new EventScope(bundles, visitor, now, null, now);
  const [id = '', key = ''] = timer.key;
  const taken = timer.what === 'rule' ? takeWait(visitor.rules, id, key) : null;
  const segments = withSegments(visitor, scope, bundles.playbook);
  const says = rule?.trigger.kind === 'absence' ? cutText(rule.trigger.says, phraseLimit) : null;
  const triggered = rule === null ? [] : [{ rule, holds: false, names: null, says }];
  const step = runStep(segments, triggered, taken?.rules ?? visitor.rules, bundles, scope);
  return { ...step, waits: [], wait: taken?.wait ?? null, scope };
}

/** An add that its order overtook does not enter the cart, and so leaves nothing to wait for (semantics 10.2). */
function isBeforeOrder(visitor: Visitor, record: EventRecord, at: number, { playbook }: ActiveBundles): boolean {
  for (const trait of playbook.traits.values()) {
    if (trait.cart?.add !== record.type) continue;
    const orderedAt = (visitor.traits.get(trait.name) as unknown as CartState | undefined)?.[2] ?? null;
    if (orderedAt !== null && at <= orderedAt) return true;
  }
  return false;
}

/** The rules that this event triggers, by id; sequences move on. */
function triggeredBy(
  record: EventRecord,
  at: number,
  visitor: Visitor,
  { playbook }: ActiveBundles,
  scope: EventScope,
): { readonly triggered: readonly Triggered[]; readonly rules: TraitStates; readonly errors: number } {
  const triggered: Triggered[] = [];
  let { rules } = visitor;
  let errors = 0;
  for (const { of: rule, holds } of playbook.candidateRules(record.type, scope)) {
    const { trigger } = rule;
    if (trigger.kind === 'event') triggered.push({ rule, holds, names: null, says: null });
    else if (trigger.kind === 'spent') {
      if (isSpent(rule, trigger.seconds, rules, scope)) triggered.push({ rule, holds, names: null, says: null });
    } else if (trigger.kind === 'sequence') {
      const step = withSequenceEvent(rules, rule, trigger, record.type, at, scope);
      rules = step.rules;
      errors += step.errors;
      if (step.names !== null) triggered.push({ rule, holds: false, names: step.names, says: null });
    }
  }
  return { triggered, rules, errors };
}

function runStep(
  segments: SegmentsStep,
  triggered: readonly Triggered[],
  rules: TraitStates,
  bundles: ActiveBundles,
  scope: EventScope,
): Pick<Decision, 'visitor' | 'effects' | 'entered' | 'left' | 'nextChange'> {
  const { entered, left } = segments;
  const { playbook } = bundles;
  const all = withSegmentRules(triggered, segments, bundles);
  const run = runRules(all, rules, playbook, scope);
  let { visitor } = segments;
  if (run.states !== visitor.rules) visitor = { ...visitor, rules: run.states };
  if (run.set.length > 0) visitor = { ...visitor, traits: visitor.traits.with(run.set) };
  if (visitor !== segments.visitor) scope.moveTo(visitor);
  return {
    visitor,
    effects: { ...effectsOf(run), errors: run.errors + segments.errors },
    entered,
    left,
    nextChange: nextChange(visitor, bundles, scope, run.set.length > 0),
  };
}

function effectsOf({ shown, emitted, sent, withheld, fired }: RulesRun): Omit<Decision['effects'], 'errors'> {
  return { shown, emitted, sent, withheld, fired };
}

function withSegmentRules(
  triggered: readonly Triggered[],
  { entered, left }: SegmentsStep,
  { playbook }: ActiveBundles,
): readonly Triggered[] {
  if (entered.length + left.length === 0) return triggered;
  const all = [...triggered];
  for (const rule of playbook.segmentRules) {
    const { trigger } = rule;
    if (trigger.kind !== 'segment') continue;
    const into = trigger.entered.find((id) => entered.includes(id));
    const outOf = trigger.left.find((id) => left.includes(id));
    const id = into ?? outOf;
    if (id === undefined) continue;
    const name = playbook.segments.get(id)?.name ?? id;
    const says = cutText(`${into === undefined ? 'left' : 'entered'} the segment "${name}"`, phraseLimit);
    all.push({ rule, holds: false, names: null, says });
  }
  return all.sort((a, b) => (a.rule.id < b.rule.id ? -1 : 1));
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
