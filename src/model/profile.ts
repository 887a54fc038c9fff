import type { Json } from './json.ts';

/** A profile as callers tell it. Left out: it stays; null: it is removed. */
export interface ToldProfile {
  readonly email?: Json | undefined;
  readonly name?: Json | undefined;
  readonly locale?: Json | undefined;
  readonly timeZone?: Json | undefined;
  readonly attributes?: Json | undefined;
}

/** What an event profile_updated has of it: a text that is removed is an empty one, and the time zone is also that of a page. */
export function profileEvent(profile: ToldProfile) {
  const { email, name, locale, timeZone, attributes } = profile;
  const text = (value: Json | undefined) => (value === null ? '' : value);
  return {
    type: 'profile_updated',
    properties: { email: text(email), name: text(name), locale: text(locale), timeZone, attributes },
    context: typeof timeZone === 'string' ? { timeZone } : {},
  };
}
