import type { JsonObject } from '../model/json.ts';
import { isWithin, localTimeOf } from '../model/localTime.ts';
import type { Candidate, Slot } from '../model/visitor.ts';
import type { ContentDefinition, Hours, Playbook, ReadCondition, SlotDefinition } from '../playbook/playbook.ts';
import { type NewestProduct, withNewest } from './newest.ts';

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
export type LoserReason = 'priority' | 'smaller id' | 'expired' | 'unavailable' | Elsewhere;
/** Its read-time condition does not hold for the one who looks. */
type Elsewhere = 'not on this page' | 'not on this device' | 'not at this hour';

/** Where a slot is looked at, as far as read-time conditions ask; null: not told. */
export interface Viewer {
  /** The kind of page in the playbook's words. */
  readonly page: string | null;
  readonly device: string | null;
  /** Of the page; anything that a browser may call one. */
  readonly timeZone: string | null;
}

export interface PresentContext extends Viewer {
  /** The playbook the slot's definition is from; its fallback is shown from it. */
  readonly playbook: Playbook;
  /** Left out: products are shown as they were when the content was decided. */
  readonly newest?: NewestProduct;
}

const nobody: readonly Candidate[] = [];
const noFacts: Candidate['facts'] = [];

/**
 * What a slot shows (semantics 5.2): the first candidate that is not past its end and whose read-time condition holds, else the fallback.
 * Pure, and the same for queries and pushes; it never chooses a new winner. Texts are rendered with the playbook that the candidate names.
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
  let minorDigits = 0;
  const losers: PresentedLoser[] = [];
  for (const candidate of candidates) {
    if (candidate.expiresAt !== null && now >= candidate.expiresAt) {
      losers.push({ candidate, reason: 'expired' });
      continue;
    }
    const by = playbooks(candidate.playbook);
    const elsewhere = by === null ? null : elsewhereOf(candidate, by, context, now);
    if (elsewhere !== null) {
      losers.push({ candidate, reason: elsewhere });
    } else if (winner !== null) {
      losers.push({ candidate, reason: candidate.priority === winner.priority ? 'smaller id' : 'priority' });
    } else {
      content = by?.contents.get(candidate.content);
      if (content === undefined) losers.push({ candidate, reason: 'unavailable' });
      else {
        winner = candidate;
        minorDigits = by!.minorDigits;
      }
    }
  }
  if (winner !== null) {
    const { newest } = context;
    const { facts } = winner;
    const shown = () => (newest === undefined ? facts : withNewest(facts, newest, minorDigits));
    return { content: rendered(content!, shown), source: 'RULE', winner, losers };
  }
  const fallback = context.playbook.contents.get(definition.fallback);
  // A checked playbook has the content of every fallback.
  if (fallback === undefined) throw new Error(`slot ${definition.name} has no fallback ${definition.fallback}`);
  return { content: rendered(fallback, () => noFacts), source: 'FALLBACK', winner: null, losers };
}

/** Why the candidate is not for this viewer; null: it is. */
function elsewhereOf(candidate: Candidate, by: Playbook, viewer: Viewer, now: number): Elsewhere | null {
  const entry = by.rules.get(candidate.rule)?.entries[candidate.entry];
  const only: ReadCondition | null = entry?.do === 'show' ? entry.only : null;
  if (only === null) return null;
  if (!isAmong(viewer.page, only.pages)) return 'not on this page';
  if (!isAmong(viewer.device, only.devices)) return 'not on this device';
  return only.hours === null || isNow(only.hours, by.timezone, viewer, now) ? null : 'not at this hour';
}

/** What was not told is none of those that are asked for. */
function isAmong(value: string | null, wanted: readonly string[] | null): boolean {
  return wanted === null || (value !== null && wanted.includes(value));
}

function isNow(hours: Hours, timezone: string, viewer: Viewer, now: number): boolean {
  const local = localTimeOf(now, viewer.timeZone, timezone);
  return local !== null && isWithin(hours, local);
}

function rendered(content: ContentDefinition, facts: () => Candidate['facts']): PresentedContent {
  let data: JsonObject | null = null;
  return {
    id: content.id,
    type: content.type,
    get data() {
      data ??= content.render(facts());
      return data;
    },
  };
}
