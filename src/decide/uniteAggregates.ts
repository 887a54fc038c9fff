import type { Json } from '../model/json.ts';
import type { Trait } from '../playbook/playbook.ts';
import {
  bodyOf,
  type Cell,
  type Distinct,
  decayed,
  type Groups,
  joined,
  oldestStep,
  type Score,
  type Steps,
} from './aggregates.ts';
import { earlierOf, keyOfValue, laterOf, type Pair, type Uniting, unitedList } from './uniteLists.ts';

/** The state of two visitors that become one (semantics 8.2). What counts as none on one side leaves the other's. */
export function unitedAggregate(trait: Trait, states: Pair<Json | undefined>, uniting: Uniting): Json | undefined {
  const user = bodyOf(trait, states.user);
  const other = bodyOf(trait, states.other);
  if (user === undefined || other === undefined) {
    return user !== undefined ? states.user : other !== undefined ? states.other : undefined;
  }
  if (trait.by === null) return [trait.signature, unitedBody(trait, { user, other }, uniting)];
  const groups = unitedList(
    { user: user as unknown as Groups, other: other as unknown as Groups },
    uniting,
    ([group]) => group,
    ({ user: [group, body], other: [, more] }) =>
      [group, unitedBody(trait, { user: body, other: more }, uniting)] as const,
  );
  return [trait.signature, groups.slice(-trait.groups) as unknown as Json];
}

function unitedBody(trait: Trait, bodies: Pair<Json>, uniting: Uniting): Json {
  const { kind, window } = trait;
  if (kind === 'distinct') return unitedDistinct(trait, bodies as Pair<never>, uniting) as Json;
  if (kind === 'score') return unitedScore(trait, bodies as unknown as Pair<Score>);
  if (window === null) return unitedCell(kind, bodies, uniting);
  const steps = new Map(bodies.user as unknown as Steps);
  for (const [step, cell] of bodies.other as unknown as Steps) {
    const known = steps.get(step);
    steps.set(step, known === undefined ? cell : unitedCell(kind, { user: known, other: cell }, uniting));
  }
  const oldest = oldestStep(window, uniting.now);
  return [...steps].filter(([step]) => step >= oldest).sort(([a], [b]) => a - b);
}

/** Within a step nothing tells which event came first: the user's `first` stands, and the later visitor's `last`. */
function unitedCell(kind: Trait['kind'], cells: Pair<Cell>, uniting: Uniting): Cell {
  if (kind === 'first') return cells.user;
  return joined(kind, earlierOf(cells, uniting), laterOf(cells, uniting));
}

function unitedDistinct({ window, limit }: Trait, values: Pair<Distinct>, uniting: Uniting): Distinct {
  if (window === null) {
    return unitedList(values as Pair<readonly Json[]>, uniting, keyOfValue).slice(-limit);
  }
  const oldest = oldestStep(window, uniting.now);
  const united = unitedList(
    values as Pair<readonly (readonly [Json, number])[]>,
    uniting,
    ([value]) => keyOfValue(value),
    ({ user: [value, step], other: [, more] }) => [value, Math.max(step, more)] as const,
  );
  return united.filter(([, step]) => step >= oldest).slice(-limit);
}

/** What is left of both when the later of the two grew. */
function unitedScore({ halfLifeMs }: Trait, { user, other }: Pair<Score>): Json {
  const at = Math.max(user[1], other[1]);
  const left = decayed(user, at, halfLifeMs);
  const sum = left + decayed(other, at, halfLifeMs);
  return [Number.isFinite(sum) ? sum : left, at];
}
