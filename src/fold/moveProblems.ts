import { countNames } from '../model/codec.ts';
import type { Json } from '../model/json.ts';
import { isUserId } from '../model/shard.ts';
import { timerKinds } from '../model/visitor.ts';
import { describe, expected, isMap, isText, isWhole, type Members, own, visitorProblem } from './members.ts';

/** What is wrong with the shape of records that tell who a visitor is (semantics 8); null: nothing. */

export function identifiedProblem(members: Members): string | null {
  return visitorProblem(members) ?? userProblem(members, 'user');
}

/** Of a merge, or of a forward, what they have in common. */
export function moveProblem(members: Members): string | null {
  const problem = userProblem(members, 'visitor') ?? visitorProblem(members, 'from');
  if (problem !== null) return problem;
  const from = own(members, 'from') as string;
  if (isUserId(from)) return expected('from', 'an anonymous visitor: two known users never merge', from);
  const origin = own(members, 'origin');
  const output = isMap(origin) ? own(origin, 'output') : undefined;
  const isOrigin = isMap(origin) && isWhole(own(origin, 'shard'), 0) && typeof output === 'string';
  return isOrigin && outputParts(output) !== null
    ? null
    : expected('origin', 'a shard and an output, offset-n', origin);
}

/** The two numbers of `<offset>-<n>`; null: it is not written so. */
export function outputParts(output: string): { readonly offset: number; readonly n: number } | null {
  const match = /^(0|[1-9]\d{0,14})-(0|[1-9]\d{0,14})$/.exec(output);
  if (match === null) return null;
  return { offset: Number(match[1]), n: Number(match[2]) };
}

function userProblem(members: Members, name: string): string | null {
  const problem = visitorProblem(members, name);
  if (problem !== null || isUserId(own(members, name) as string)) return problem;
  return expected(name, 'a known user, u:…', own(members, name));
}

/** All that stands in a visitor's state is read again and again, so it must be what it is taken for. */
export function profileProblem(profile: Json | undefined): string | null {
  if (!isMap(profile)) return expected('profile', 'a map', profile);
  const problem =
    problemOf(profile, profileShape) ??
    mapProblem(own(profile, 'segments'), (since) => isWhole(since, 0)) ??
    mapProblem(own(profile, 'slots'), (each) => isListOf(each, candidateProblem)) ??
    (isListOf(own(profile, 'timers'), timerProblem) ? null : 'timers: expected a list of timers') ??
    sessionProblem(own(profile, 'session'));
  return problem === null ? null : `profile: ${problem}`;
}

type Shape = { readonly [name: string]: (value: Json | undefined) => boolean };

const isTime = (value: Json | undefined) => isWhole(value, 0);
const isTimeOrNull = (value: Json | undefined) => value === null || isWhole(value, 0);
const isAnyText = (value: Json | undefined) => typeof value === 'string';
const isName = (value: Json | undefined) => isText(value, 512);
const isNumber = (value: Json | undefined) => typeof value === 'number';

const profileShape: Shape = {
  historic: (value) => typeof value === 'boolean',
  now: isTime,
  lastAppend: isTime,
  counts: (value) => isMap(value) && countNames.every((name) => isWhole(own(value, name), 0)),
  traits: isMap,
  rules: isMap,
};
const sessionShape: Shape = {
  number: (value) => isWhole(value, 1),
  startedAt: isTime,
  campaign: (value) => value === null || typeof value === 'string',
  traits: isMap,
};
const candidateShape: Shape = {
  rule: isName,
  entry: (value) => isWhole(value, 0),
  content: isName,
  priority: isNumber,
  playbook: isName,
  cause: (value) => isMap(value) && problemOf(value, causeShape) === null,
  facts: (value) =>
    Array.isArray(value) && value.every((fact) => Array.isArray(fact) && fact.length === 2 && isAnyText(fact[0])),
  expiresAt: isTimeOrNull,
};
const causeShape: Shape = { offset: isTime, eventId: isAnyText, eventType: isAnyText, at: isTime, says: isAnyText };
const timerShape: Shape = {
  what: (value) => timerKinds.some((kind) => kind === value) && value !== 'hold',
  key: (value) => Array.isArray(value) && value.every(isAnyText),
  due: isTime,
  wallDue: isTimeOrNull,
  skew: isTime,
  setAt: isTime,
};

const candidateProblem = (value: Json) => (isMap(value) ? problemOf(value, candidateShape) : describe(value));
const timerProblem = (value: Json) => (isMap(value) ? problemOf(value, timerShape) : describe(value));
function sessionProblem(session: Json | undefined): string | null {
  if (session === null) return null;
  return isMap(session) ? problemOf(session, sessionShape) : expected('session', 'a session, or null', session);
}

function problemOf(members: Members, shape: Shape): string | null {
  for (const name of Object.keys(shape)) {
    if (!shape[name]!(own(members, name))) return expected(name, 'what a visitor has there', own(members, name));
  }
  return null;
}
function mapProblem(value: Json | undefined, fits: (value: Json) => boolean): string | null {
  if (!isMap(value)) return expected('segments, slots', 'a map', value);
  // No slot or segment is called so, and it would make another of a map that it is put into.
  const wrong = Object.entries(value).find(([name, each]) => name === '__proto__' || !fits(each));
  return wrong === undefined ? null : expected(wrong[0], 'what a visitor has there', wrong[1]);
}
function isListOf(value: Json | undefined, problem: (each: Json) => string | null): boolean {
  return Array.isArray(value) && value.every((each) => problem(each) === null);
}
