import type { JsonObject } from '../model/json.ts';
import type { Candidate, Slot } from '../model/visitor.ts';
import type { ContentDefinition, Playbook, SlotDefinition } from '../playbook/playbook.ts';

/** What a slot shows, and who else wanted to. */
export interface Presented {
  readonly content: PresentedContent;
  readonly source: 'RULE' | 'FALLBACK';
  /** null: the fallback shows. */
  readonly winner: Candidate | null;
  readonly losers: readonly PresentedLoser[];
}
export interface PresentedContent {
  readonly id: string;
  readonly type: string;
  /** Rendered when it is first read. */
  readonly data: JsonObject;
}
export interface PresentedLoser {
  readonly candidate: Candidate;
  readonly reason: LoserReason;
}
/** `expired`: past its end, though nothing has removed it yet. `unavailable`: its playbook, or the content in it, is not there. */
export type LoserReason = 'priority' | 'smaller id' | 'expired' | 'unavailable';

export interface PresentContext {
  /** The playbook the slot's definition is from; its fallback is shown from it. */
  readonly playbook: Playbook;
}

const nobody: readonly Candidate[] = [];
const noFacts: Candidate['facts'] = [];

/**
 * What a slot shows (semantics 5.2): the first candidate that is not past its end, else the fallback. Pure, and the same for
 * queries and pushes; it never chooses a new winner. Texts are rendered with the playbook that the candidate names.
 * @param playbooks compiled playbooks by version; null: not loaded
 * @param now wall clock, ms
 */
export function present(
  slot: Slot | undefined,
  definition: SlotDefinition,
  playbooks: (version: string) => Playbook | null,
  context: PresentContext,
  now: number,
): Presented {
  const candidates = slot?.candidates ?? nobody;
  let winner: Candidate | null = null;
  let content: ContentDefinition | undefined;
  const losers: PresentedLoser[] = [];
  for (const candidate of candidates) {
    if (candidate.expiresAt !== null && now >= candidate.expiresAt) {
      losers.push({ candidate, reason: 'expired' });
    } else if (winner !== null) {
      losers.push({ candidate, reason: candidate.priority === winner.priority ? 'smaller id' : 'priority' });
    } else {
      content = playbooks(candidate.playbook)?.contents.get(candidate.content);
      if (content === undefined) losers.push({ candidate, reason: 'unavailable' });
      else winner = candidate;
    }
  }
  if (winner !== null) return { content: rendered(content!, winner.facts), source: 'RULE', winner, losers };
  const fallback = context.playbook.contents.get(definition.fallback);
  // A checked playbook has the content of every fallback.
  if (fallback === undefined) throw new Error(`slot ${definition.name} has no fallback ${definition.fallback}`);
  return { content: rendered(fallback, noFacts), source: 'FALLBACK', winner: null, losers };
}

function rendered(content: ContentDefinition, facts: Candidate['facts']): PresentedContent {
  let data: JsonObject | null = null;
  return {
    id: content.id,
    type: content.type,
    get data() {
      data ??= content.render(facts);
      return data;
    },
  };
}
