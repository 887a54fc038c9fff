import type { Json, JsonObject } from './json.ts';

/** The place of every name that this process has met; playbooks have a few hundred together. */
const places = new Map<string, number>();
const names: string[] = [];

export function placeOfTrait(name: string): number {
  let place = places.get(name);
  if (place === undefined) {
    place = names.push(name) - 1;
    places.set(name, place);
  }
  return place;
}

/** The name whose states stand at this place. */
export function traitName(place: number): string {
  return names[place]!;
}

/**
 * States of traits by name; a value, as a map of them would be. The fold makes the next one at nearly every event, and copying an object of
 * fifty names takes fifty times as long as copying a list. So a state stands in a list, at the place of its name.
 */
export class TraitStates {
  static readonly none = new TraitStates([]);
  /** Undefined: no state; none at the end. */
  readonly list: readonly (Json | undefined)[];

  private constructor(list: readonly (Json | undefined)[]) {
    this.list = list;
  }

  static of(states: JsonObject): TraitStates {
    return TraitStates.none.with(Object.entries(states));
  }

  get(name: string): Json | undefined {
    return this.list[placeOfTrait(name)];
  }

  /** By the place of its name, for whoever asks again and again. */
  at(place: number): Json | undefined {
    return this.list[place];
  }

  /** Undefined takes a state away. */
  with(changes: readonly (readonly [name: string, state: Json | undefined])[]): TraitStates {
    const list = this.list.slice();
    for (const [name, state] of changes) {
      const place = placeOfTrait(name);
      while (list.length < place) list.push(undefined);
      list[place] = state;
    }
    return new TraitStates(list);
  }

  *entries(): Generator<readonly [name: string, state: Json]> {
    for (let place = 0; place < this.list.length; place++) {
      const state = this.list[place];
      if (state !== undefined) yield [names[place]!, state];
    }
  }

  toJSON(): JsonObject {
    return Object.fromEntries(this.entries());
  }
}
