import type { Json } from '../model/json.ts';
import { isVisitorId } from '../model/shard.ts';

/** What the checks of a record's shape are made of. */

export type Members = { readonly [name: string]: Json | undefined };

/** A member of the record itself, never one that every object inherits. */
export function own(members: Members, name: string): Json | undefined {
  return Object.hasOwn(members, name) ? members[name] : undefined;
}
export function isMap(value: Json | undefined): value is { readonly [name: string]: Json } {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}
export function isText(value: Json | undefined, limit: number): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= limit;
}
export function isWhole(value: Json | undefined, least: number): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= least;
}
export function expected(name: string, what: string, came: Json | undefined): string {
  return `${name}: expected ${what}; came ${describe(came)}`;
}
export function describe(value: Json | undefined): string {
  if (value === undefined) return 'nothing';
  const text = JSON.stringify(value);
  return text.length <= 60 ? text : `${text.slice(0, 60)}…`;
}

/** @param name the member that names a visitor */
export function visitorProblem(members: Members, name = 'visitor'): string | null {
  const visitor = own(members, name);
  if (typeof visitor === 'string' && isVisitorId(visitor)) return null;
  return expected(name, 'an id of 1 to 128 bytes of UTF-8 without control characters', visitor);
}
