import { consentMissing, consents } from '../decide/consent.ts';
import { isInTime, mayRun, ranTimes } from '../decide/limits.ts';
import { EventScope, valueAt } from '../decide/scope.ts';
import { partialLength } from '../decide/sequences.ts';
import type { Json } from '../model/json.ts';
import type { Candidate, Visitor } from '../model/visitor.ts';
import type { ActiveBundles, Condition, Playbook, Rule, Show } from '../playbook/playbook.ts';
import { type PresentContext, present } from './present.ts';
import { isExcluded } from './slots.ts';
import { wordsFor } from './why.ts';

/** Why a slot shows what it shows: the winner, and of every other rule for that slot why it is not (semantics 5.4). */
export interface Explanation {
  readonly slot: string;
  /** null: the fallback shows. */
  readonly winner: string | null;
  readonly contentId: string;
  readonly rules: readonly RuleExplanation[];
}
export interface RuleExplanation {
  readonly ruleId: string;
  readonly name: string;
  readonly contentId: string;
  /** `shown`: it wins. `lost`: it wants to. `out`: it does not. */
  readonly outcome: 'shown' | 'lost' | 'out';
  /** In words; of a winner how it came. */
  readonly reasons: readonly string[];
  /** What was captured when it was decided, and of one that is out what its conditions read now. */
  readonly facts: readonly { readonly name: string; readonly value: Json }[];
  /** Event time at which it was decided; null: it is not. */
  readonly decidedAt: number | null;
  readonly expiresAt: number | null;
}

const order = { shown: 0, lost: 1, out: 2 } as const;
const maxFacts = 16;

/**
 * Conditions are tried with the visitor as it is; what they ask of an event is not known without one, and is told as such.
 * @param now wall clock, ms
 */
export function explainSlot(
  visitor: Visitor,
  slot: string,
  bundles: ActiveBundles,
  playbooks: (version: string) => Playbook | null,
  context: PresentContext,
  now: number,
): Explanation {
  const { playbook } = bundles;
  const shown = present(visitor.slots[slot], playbook.slots.get(slot)!, playbooks, context, now);
  // Time has gone on since the last event; windows and instants are as they would be now.
  const at = visitor.historic ? visitor.now : Math.max(visitor.now, now);
  const explainer = new RuleExplainer(visitor, new EventScope(bundles, visitor, at, null, at), playbook, at);
  const reasons = new Map(shown.losers.map(({ candidate, reason }) => [candidate.rule, wordsFor[reason]]));
  const rules: RuleExplanation[] = [];
  for (const rule of playbook.rules.values()) {
    const shows = rule.entries.filter((entry): entry is Show => entry.do === 'show' && entry.slot === slot);
    if (shows.length === 0) continue;
    const candidate = visitor.slots[slot]?.candidates.find((each) => each.rule === rule.id);
    if (candidate === undefined) rules.push(explainer.out(rule, shows[0]!));
    else if (shown.winner?.rule === rule.id)
      rules.push(decided(rule, candidate, 'shown', `you ${candidate.cause.says}`));
    else rules.push(decided(rule, candidate, 'lost', reasons.get(rule.id) ?? 'is over'));
  }
  rules.sort((a, b) => order[a.outcome] - order[b.outcome] || (a.ruleId < b.ruleId ? -1 : 1));
  return { slot, winner: shown.winner?.rule ?? null, contentId: shown.content.id, rules };
}

function decided(rule: Rule, candidate: Candidate, outcome: 'shown' | 'lost', reason: string): RuleExplanation {
  const { content, facts, cause, expiresAt } = candidate;
  return {
    ruleId: rule.id,
    name: rule.name,
    contentId: content,
    outcome,
    reasons: [reason],
    facts: facts.map(([name, value]) => ({ name, value })),
    decidedAt: cause.at,
    expiresAt,
  };
}

/** Of rules that show nothing here what keeps them from it, as far as it can be told without an event. */
class RuleExplainer {
  readonly #visitor: Visitor;
  readonly #scope: EventScope;
  readonly #playbook: Playbook;
  readonly #now: number;

  constructor(visitor: Visitor, scope: EventScope, playbook: Playbook, now: number) {
    this.#visitor = visitor;
    this.#scope = scope;
    this.#playbook = playbook;
    this.#now = now;
  }

  out(rule: Rule, show: Show): RuleExplanation {
    const reasons = [...this.#standing(rule), ...this.#conditions(rule, show), ...this.#counts(rule, show)];
    const { if: only, unless } = rule;
    const reads = [only, unless, show.if, show.while].flatMap((condition) => condition?.reads ?? []);
    const facts = [...new Set(reads)].filter((name) => this.#isOfVisitor(name)).slice(0, maxFacts);
    return {
      ruleId: rule.id,
      name: rule.name,
      contentId: show.content,
      outcome: 'out',
      reasons: reasons.length > 0 ? reasons : ['its conditions hold; it runs when its trigger comes'],
      facts: facts.map((name) => ({ name, value: valueAt(this.#scope, name) })),
      decidedAt: null,
      expiresAt: null,
    };
  }

  /** What is asked before the conditions: its state, its times, and how far its trigger has come. */
  *#standing(rule: Rule): Generator<string> {
    const { status, from, to, trigger } = rule;
    if (status !== 'live') yield status === 'draft' ? 'is a draft' : 'is paused';
    if (from !== null && this.#now < from) yield `begins at ${instant(from)}`;
    else if (to !== null && this.#now >= to) yield `ended at ${instant(to)}`;
    else if (!isInTime(rule, this.#scope, this.#playbook)) yield 'does not run at this hour';
    if (trigger.kind === 'absence') yield this.#waiting(rule);
    if (trigger.kind === 'sequence') {
      const length = partialLength(this.#visitor.rules, rule, trigger, this.#now);
      yield `${length} of the ${trigger.elements.length} events of its sequence came`;
    }
  }

  #waiting(rule: Rule): string {
    const timers = this.#visitor.timers.filter(({ what, key }) => what === 'rule' && key[0] === rule.id);
    const { trigger } = rule;
    if (trigger.kind !== 'absence' || timers.length === 0) return 'does not wait for anything';
    const due = Math.min(...timers.map((timer) => timer.due!));
    return `waits until ${instant(due)}, unless ${trigger.absent.join(' or ')} comes`;
  }

  *#conditions(rule: Rule, show: Show): Generator<string> {
    for (const condition of [rule.if, show.if, show.while]) {
      for (const part of condition?.parts ?? []) {
        const found = this.#try(part);
        if (found === false) yield `${part.source} does not hold${this.#valuesOf(part)}`;
        else if (found === null) yield `${part.source} is asked when an event comes`;
      }
    }
    const { purpose } = show;
    if (purpose !== null && !consents(purpose, this.#scope)) yield consentMissing(purpose);
    if (rule.unless !== null && this.#try(rule.unless) === true)
      yield `unless ${rule.unless.source} holds${this.#valuesOf(rule.unless)}`;
  }

  *#counts(rule: Rule, show: Show): Generator<string> {
    const { limit } = rule;
    try {
      if (!mayRun(rule, this.#visitor.rules, this.#scope, this.#playbook)) {
        const times = limit === null ? 0 : ranTimes(rule, limit, this.#visitor.rules, this.#scope, this.#playbook);
        if (limit !== null && times >= limit.times) yield `has run ${times} of ${limit.times} times (${perOf(rule)})`;
        else yield `rests for ${rule.cooldownMs / 1_000} s after it has run`;
      }
    } catch {
      // A key of the event: which one it will be is not known.
    }
    if (show.exclude !== null && isExcluded(show.exclude, show.content, [], this.#scope))
      yield `${show.content} was shown ${show.exclude.shown} times`;
  }

  /** null: it asks for something that only an event has. */
  #try(condition: Condition): boolean | null {
    if (!condition.reads.every((name) => this.#isOfVisitor(name))) return null;
    try {
      return condition.evaluate(this.#scope);
    } catch {
      return false;
    }
  }

  #isOfVisitor(name: string): boolean {
    return lasting.has(name.split('.', 1)[0]!);
  }

  #valuesOf({ reads }: Condition): string {
    const told = reads
      .filter((name) => name !== 'now')
      .map((name) => `${name} = ${textOf(valueAt(this.#scope, name))}`);
    return told.length === 0 ? '' : `: ${told.join(', ')}`;
  }
}

const lasting = new Set(['cart', 'visitor', 'session', 'traits', 'segments', 'consent', 'now']);

function perOf({ limit }: Rule): string {
  if (limit === null) return '';
  return `per ${limit.per === 'key' ? (limit.key?.source ?? 'key') : limit.per}`;
}

function instant(at: number): string {
  return new Date(at).toISOString().replace('.000Z', 'Z');
}

function textOf(value: Json): string {
  const text = value === null ? 'nothing' : typeof value === 'string' ? `"${value}"` : JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}
