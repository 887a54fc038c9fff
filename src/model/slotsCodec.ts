import type { Json } from './json.ts';
import type { Cause, Fact, Slot, Visitor } from './visitor.ts';
import { nameText, readWord, type StoredWord, TextCache, valueText, wordText } from './words.ts';

/**
 * What several candidates share stands once, in tables before them: one event often fires several rules, and their texts name the
 * same product.
 */
export type SlotMapTuple = [
  playbooks: string[],
  causes: CauseTuple[],
  facts: (readonly [path: StoredWord, value: Json])[],
  slots: { [slot: string]: [version: number, ...candidates: CandidateTuple[]] },
];
type CauseTuple = [offset: number, eventId: string | [string], eventType: StoredWord, at: number, says: string];
type CandidateTuple = [
  rule: string,
  content: string,
  priority: number,
  playbook: number,
  cause: number,
  expiresAfter: number | null,
  facts?: number[],
  entry?: number,
];

/** The inside of a list: the tables, then the slots. Tables are short, so looking through them costs less than hashing texts. */
export function encodeSlotMap(slots: Visitor['slots']): string {
  const playbooks: string[] = [];
  const causes: Cause[] = [];
  const facts: Fact[] = [];
  let texts = '';
  for (const name of Object.keys(slots)) {
    const { version, candidates } = slots[name]!;
    texts += `${texts === '' ? '' : ','}${nameText(name)}:[${version}`;
    for (const { rule, content, priority, playbook, cause, facts: own, expiresAt, entry } of candidates) {
      const named = own.map((fact) => placeOf(facts, fact, isSameFact)).join(',');
      const places = `${placeOf(playbooks, playbook, Object.is)},${placeOf(causes, cause, isSameCause)}`;
      const rest = entry === 0 ? (named === '' ? '' : `,[${named}]`) : `,[${named}],${entry}`;
      const after = expiresAt === null ? 'null' : expiresAt - cause.at;
      texts += `,[${nameText(rule)},${nameText(content)},${priority},${places},${after}${rest}]`;
    }
    texts += ']';
  }
  return `[${playbooks.map(nameText).join(',')}],[${causes.map(causeText).join(',')}],[${facts.map(factText).join(',')}],{${texts}}`;
}

/** Where the value stands in its table, to which it is added if it is not there. */
function placeOf<T>(table: T[], value: T, isSame: (a: T, b: T) => boolean): number {
  for (let place = 0; place < table.length; place++) if (isSame(table[place]!, value)) return place;
  return table.push(value) - 1;
}
function isSameCause(a: Cause, b: Cause): boolean {
  if (a === b) return true;
  return (
    a.offset === b.offset &&
    a.at === b.at &&
    a.eventId === b.eventId &&
    a.eventType === b.eventType &&
    a.says === b.says
  );
}
function isSameFact([path, value]: Fact, [otherPath, other]: Fact): boolean {
  if (path !== otherPath) return false;
  return value === other || (typeof value === 'object' && JSON.stringify(value) === JSON.stringify(other));
}
function causeText({ offset, eventId, eventType, at, says }: Cause): string {
  return `[${offset},${shortUuids.get(eventId)},${wordText(eventType)},${at},${JSON.stringify(says)}]`;
}
function factText([path, value]: Fact): string {
  return `[${wordText(path)},${valueText(value)}]`;
}

export function decodeSlotMap([playbooks, causeTuples, factTuples, encoded]: SlotMapTuple): { [slot: string]: Slot } {
  const causes = causeTuples.map(
    ([offset, id, type, at, says]): Cause => ({
      offset,
      eventId: longUuid(id),
      eventType: readWord(type),
      at,
      says,
    }),
  );
  const facts = factTuples.map(([path, value]): Fact => [readWord(path), value]);
  const slots: { [slot: string]: Slot } = {};
  for (const name of Object.keys(encoded)) {
    const [version, ...candidates] = encoded[name]!;
    slots[name] = {
      version,
      candidates: candidates.map(([rule, content, priority, playbook, at, expiresAfter = 0, named = [], entry = 0]) => {
        const cause = causes[at ?? 0]!;
        return {
          rule,
          entry,
          content,
          priority: priority ?? 0,
          playbook: playbooks[playbook ?? 0]!,
          cause,
          facts: named.map((place) => facts[place]!),
          expiresAt: expiresAfter === null ? null : cause.at + expiresAfter,
        };
      }),
    };
  }
  return slots;
}

/** A UUID in 22 characters instead of 36; any other id stands in a list, so that neither is taken for the other. */
function shortUuid(id: string): string {
  return uuid.test(id) ? `"${Buffer.from(id.replaceAll('-', ''), 'hex').toString('base64url')}"` : JSON.stringify([id]);
}
/** An event's id is written with each change of a slot for as long as one of its candidates lives. */
const shortUuids = new TextCache(shortUuid);

function longUuid(id: string | [string]): string {
  if (typeof id !== 'string') return id[0];
  return Buffer.from(id, 'base64url')
    .toString('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
