import type { Json } from '../model/json.ts';
import type { Fact } from '../model/visitor.ts';
import type { Playbook, Trait } from '../playbook/playbook.ts';
import type { LoserReason, Presented } from './present.ts';

/** Why a slot shows what it shows (semantics 5.4). */
export interface WhyShown {
  readonly sentence: string;
  readonly ruleId: string | null;
  /** The playbook that the content is from. */
  readonly playbookVersion: string;
  readonly eventId: string | null;
  readonly facts: readonly { readonly name: string; readonly value: Json }[];
  readonly losers: readonly { readonly ruleId: string; readonly contentId: string; readonly reason: LoserReason }[];
}

/** Facts that the sentence tells; all of them are in `facts`. */
const maxPhrases = 3;

/** @param playbook the active one, for a fallback and for a candidate whose own is not loaded */
export function why(
  presented: Presented,
  playbook: Playbook,
  playbooks: (version: string) => Playbook | null,
): WhyShown {
  const { winner, losers } = presented;
  return {
    sentence: sentenceOf(presented, winner === null ? playbook : (playbooks(winner.playbook) ?? playbook)),
    ruleId: winner?.rule ?? null,
    playbookVersion: winner?.playbook ?? playbook.version,
    eventId: winner?.cause.eventId || null,
    facts: (winner?.facts ?? []).map(([name, value]) => ({ name, value })),
    losers: losers.map(({ candidate, reason }) => ({ ruleId: candidate.rule, contentId: candidate.content, reason })),
  };
}

function sentenceOf({ winner, losers }: Presented, playbook: Playbook): string {
  const lost = losers.map(({ candidate, reason }) => `${candidate.rule} ${wordsFor[reason]}`);
  if (winner === null) {
    const nothing = lost.length === 0 ? 'no rule put anything here' : 'no rule shows anything here now';
    return [`The fallback: ${nothing}`, ...lost].join('; ');
  }
  const phrases = winner.facts.flatMap((fact) => phraseOf(fact, playbook)).slice(0, maxPhrases);
  const because = ['Shown because you', winner.cause.says, phrases.join(' and '), `(${winner.rule})`]
    .filter(Boolean)
    .join(' ');
  return [because, ...lost].join('; ');
}

export const wordsFor: { readonly [reason in LoserReason]: string } = {
  priority: 'lost on priority',
  'smaller id': 'lost to a smaller rule id',
  expired: 'has ended',
  unavailable: 'cannot be shown here',
  'not on this page': 'is there, but not on this page',
  'not on this device': 'is there, but not on this device',
  'not at this hour': 'is there, but not at this hour',
};

/** "with 120.50 in the cart". What stands in the event is told by the event's own words. */
function phraseOf([path, value]: Fact, playbook: Playbook): readonly string[] {
  const root = path.split('.', 1)[0]!;
  if (root === 'event' || root === 'product' || value === null || typeof value === 'object') return [];
  const trait = traitAt(path, playbook);
  if (trait === null) return [];
  const text = trait.money && typeof value === 'number' ? value.toFixed(playbook.minorDigits) : String(value);
  return [trait.says === null ? `with ${path} = ${text}` : trait.says.replaceAll('{value}', () => text)];
}

/** The trait that a name is read from; of a cart, its value is what its words are about. */
function traitAt(path: string, playbook: Playbook): Trait | null {
  for (const trait of playbook.traits.values()) {
    const at = trait.path.join('.');
    if (path === (trait.cart === null ? at : `${at}.value`)) return trait;
  }
  return null;
}
