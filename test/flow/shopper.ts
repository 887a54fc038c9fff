import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { WholeUsher } from '../support/startWhole.ts';

/** Changes a slot with each event, and keeps their order. */
export const flowPlaybook = join(import.meta.dirname, 'playbook');

const trackDocument = `mutation ($input: TrackEventInput!, $waitMs: Int) { trackEvent(input: $input) {
  outcome { id status cursor } slots(names: ["last_look"], waitMs: $waitMs) { source stale version content { data } } } }`;
const slotsDocument = `query ($names: [String!], $after: Cursor, $waitMs: Int) {
  personalizedSlots(names: $names, after: $after, waitMs: $waitMs) {
    name source stale version cursor content { id data } why { sentence ruleId eventId playbookVersion } } }`;

/** One visitor, who knows only what GraphQL answers. */
export class Shopper {
  readonly #usher: WholeUsher;
  readonly userId = `shopper-${randomUUID()}`;
  readonly token = `dev:${this.userId}`;

  constructor(usher: WholeUsher) {
    this.#usher = usher;
  }

  /** The same one, after a restart. */
  at(usher: WholeUsher): Shopper {
    return Object.assign(new Shopper(usher), { userId: this.userId, token: this.token });
  }

  /** Of a `trackEvent` that was accepted. */
  async view(productId: string, waitMs = 0) {
    return this.track({ type: 'product_viewed', properties: { productId } }, waitMs);
  }

  async track(input: object, waitMs = 0) {
    const { data, errors } = await this.#usher.query(trackDocument, { input, waitMs }, this.token);
    expect([errors, data?.trackEvent.outcome.status]).toEqual([undefined, 'ACCEPTED']);
    return data.trackEvent as { outcome: { id: string; cursor: string }; slots: readonly Slot[] };
  }

  /** In one call, so they come into the log in this order. */
  async trackAll(events: readonly object[]): Promise<void> {
    const document = 'mutation ($input: TrackEventsInput!) { trackEvents(input: $input) { accepted } }';
    const records = events.map((event) => ({ id: randomUUID(), ...event }));
    const { data, errors } = await this.#usher.query(document, { input: { events: records } }, this.token);
    expect([errors, data?.trackEvents.accepted]).toEqual([undefined, events.length]);
  }

  async slot(name: string, more: { readonly after?: string; readonly waitMs?: number } = {}): Promise<Slot> {
    const { data, errors } = await this.#usher.query(slotsDocument, { names: [name], ...more }, this.token);
    expect(errors).toBeUndefined();
    return data.personalizedSlots[0];
  }

  /** What Usher knows, when all that was accepted is folded. */
  async known(): Promise<Known> {
    await this.#usher.caughtUp();
    const document = `{ visitor { traits counts { folded duplicate held late skipped failed } cart { lines { productId quantity } } } }`;
    return (await this.#usher.query(document, {}, this.token)).data.visitor;
  }
}

export interface Slot {
  readonly name: string;
  readonly source: string;
  readonly stale: boolean;
  readonly version: number;
  readonly cursor: string;
  readonly content: { readonly id: string; readonly data: { readonly title: string } };
  readonly why: { readonly ruleId: string | null; readonly eventId: string | null; readonly playbookVersion: string };
}

interface Known {
  readonly traits: { readonly looks: readonly string[] };
  readonly counts: Readonly<Record<string, number>>;
  readonly cart: { readonly lines: readonly object[] };
}

export const lookedAt = (productId: string) => `You looked at ${productId}`;
