import type { Json, JsonObject } from '../model/json.ts';
import { placeOfTrait } from '../model/traitStates.ts';
import type { Visitor } from '../model/visitor.ts';
import { type GroupedRoot, groupAt, type Playbook, type Trait } from '../playbook/playbook.ts';
import { isStructured } from './aggregates.ts';
import { readGroupOf, readTrait } from './traits.ts';

type Values = { readonly [name: string]: Json };

const visitorOf = Symbol('visitor');
const nowOf = Symbol('now');
const kept = Symbol('kept');
const names = Symbol('names');

/**
 * A root of conditions (`visitor`, `session`, `traits`) whose fields are read when they are asked for: a condition reads two or three of
 * fifty. Its fields are getters of a class that each playbook has of its own; other members have no names, so that a trait may have any.
 */
abstract class RootView implements GroupedRoot {
  readonly [visitorOf]: Visitor;
  readonly [nowOf]: number;
  /** Values that take some making, each made once; by their places among these. */
  [kept]: (Json | undefined)[] | null = null;

  constructor(visitor: Visitor, now: number) {
    this[visitorOf] = visitor;
    this[nowOf] = now;
  }

  abstract [groupAt](trait: string, group: string): Json | undefined;
  abstract get [names](): readonly string[];
}

type Field = (visitor: Visitor, now: number) => Json;
type ViewOf = new (visitor: Visitor, now: number) => RootView;

/** What stands under a root besides traits. */
const ownFields: Readonly<Record<string, Readonly<Record<string, Field>>>> = {
  visitor: {
    id: ({ id }) => id,
    sessions: ({ counts }) => counts.sessions,
    lastSeenAt: (visitor) => visitor.now,
    idle: (visitor, now) => now - visitor.now,
  },
  session: {
    number: ({ session }) => session?.number ?? 0,
    startedAt: ({ session }) => session?.startedAt ?? null,
    campaign: ({ session }) => session?.campaign ?? '',
  },
};

const views = new WeakMap<Playbook, Map<string, ViewOf>>();

/** The root as conditions see it at `now`. */
export function rootView(playbook: Playbook, root: string, visitor: Visitor, now: number): Values {
  let ofPlaybook = views.get(playbook);
  if (ofPlaybook === undefined) {
    ofPlaybook = new Map();
    views.set(playbook, ofPlaybook);
  }
  let View = ofPlaybook.get(root);
  if (View === undefined) {
    View = makeView(playbook, root);
    ofPlaybook.set(root, View);
  }
  return new View(visitor, now) as unknown as Values;
}

/** All of its fields. */
export function jsonOf(view: Values): JsonObject {
  return Object.fromEntries((view as unknown as RootView)[names].map((name) => [name, view[name]!]));
}

/** A member of any value that conditions see; undefined: it has none of that name. */
export function memberOf(value: Json | undefined, name: string): Json | undefined {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return undefined;
  const isThere = value instanceof RootView ? value[names].includes(name) : Object.hasOwn(value, name);
  return isThere ? (value as JsonObject)[name] : undefined;
}

function makeView(playbook: Playbook, root: string): ViewOf {
  const { minorDigits } = playbook;
  const fields = new Map<string, Field>(Object.entries(ownFields[root] ?? {}));
  const traits = new Map<string, Trait>();
  for (const trait of playbook.traits.values()) {
    const [first, name] = trait.path;
    if (first !== root || name === undefined) continue;
    fields.set(name, fieldOf(trait, minorDigits));
    traits.set(name, trait);
  }
  const marketing = fields.get('marketing');
  if (root === 'consent' && marketing !== undefined) fields.set('marketing', unlessSignal(marketing, playbook));
  const groups = new Map(
    [...traits].flatMap(([name, trait]): [string, Groups][] => {
      const state = stateOf(trait);
      const read: Groups = (visitor, now, group) => readGroupOf(trait, state(visitor), group, minorDigits, now);
      return trait.by === null ? [] : [[name, read]];
    }),
  );
  const all = [...fields.keys()];
  // A field that is named as what every object inherits must be its own.
  const own = all.filter((name) => name in Object.prototype);
  class View extends RootView {
    constructor(visitor: Visitor, now: number) {
      super(visitor, now);
      for (const name of own) Object.defineProperty(this, name, { value: fields.get(name)!(visitor, now) });
    }
    get [names](): readonly string[] {
      return all;
    }
    [groupAt](name: string, group: string): Json | undefined {
      const read = groups.get(name);
      return read === undefined
        ? memberOf((this as unknown as Values)[name], group)
        : read(this[visitorOf], this[nowOf], group);
    }
  }
  const structured = all.filter((name) => traits.has(name) && isStructured(traits.get(name)!));
  for (const [name, field] of fields) {
    if (own.includes(name)) continue;
    const place = structured.indexOf(name);
    const get = place < 0 ? getter(field) : keptGetter(field, place, structured.length);
    Object.defineProperty(View.prototype, name, { get, enumerable: true });
  }
  return View;
}

/**
 * Global Privacy Control objects to marketing, whatever was told before or with it. What is told after it, by the shop's backend or
 * another browser, holds until it comes again.
 */
function unlessSignal(told: Field, playbook: Playbook): Field {
  const [signalledAt, toldAt] = ['visitor_privacy_control_at', 'consent_marketing_at'].map((name) => {
    const trait = playbook.traits.get(name);
    return trait === undefined ? () => null : fieldOf(trait, playbook.minorDigits);
  }) as [Field, Field];
  return (visitor, now) => {
    const signalled = signalledAt(visitor, now) as number | null;
    return signalled !== null && signalled >= ((toldAt(visitor, now) as number | null) ?? 0)
      ? false
      : told(visitor, now);
  };
}

function getter(field: Field): (this: RootView) => Json {
  return function () {
    return field(this[visitorOf], this[nowOf]);
  };
}

function keptGetter(field: Field, place: number, places: number): (this: RootView) => Json {
  return function () {
    this[kept] ??= new Array(places);
    let value = this[kept][place];
    if (value === undefined) {
      value = field(this[visitorOf], this[nowOf]);
      this[kept][place] = value;
    }
    return value;
  };
}

type Groups = (visitor: Visitor, now: number, group: string) => Json | undefined;

function fieldOf(trait: Trait, minorDigits: number): Field {
  const state = stateOf(trait);
  return (visitor, now) => readTrait(trait, state(visitor), minorDigits, now);
}

function stateOf(trait: Trait): (visitor: Visitor) => Json | undefined {
  const place = placeOfTrait(trait.name);
  return trait.over === 'session' ? ({ session }) => session?.traits.at(place) : ({ traits }) => traits.at(place);
}
