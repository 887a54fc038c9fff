import { someFact } from '../cel/path.ts';
import { celOf, checkCondition } from './expressions.ts';
import { factsOfVisitor, type VisitorFacts } from './facts.ts';
import type { RawSegment } from './formatTraits.ts';
import type { Condition, Segment, Trait } from './playbook.ts';
import type { Report } from './problem.ts';
import type { Named } from './shape.ts';
import { timeChangesOf } from './timeChanges.ts';

const withoutEvent = 'a segment is about the visitor, and is tried without an event too';

/** All segments, each after those that it reads. */
export function checkSegments(
  segments: ReadonlyMap<string, Named<RawSegment>>,
  traits: readonly Trait[],
  visitor: VisitorFacts,
  report: Report,
): ReadonlyMap<string, Segment> {
  const declared = factsOfVisitor(visitor, withoutEvent);
  const byPath = new Map(traits.map((trait) => [trait.path.join('.'), trait]));
  const checked = new Map<string, Segment>();
  for (const [id, { value: raw }] of segments) {
    const condition = checkCondition(raw.if, declared, report);
    if (condition === null) continue;
    const changes = timeChangesOf(condition.cel, raw.if.tree, byPath, declared, report);
    checked.set(id, { id, name: raw.name?.value ?? id.replaceAll('_', ' '), condition, changes });
  }
  return ordered(checked, segments, report);
}

/** Depth first, in the order of ids, so that the order depends on nothing but what reads what. */
function ordered(
  checked: ReadonlyMap<string, Segment>,
  raw: ReadonlyMap<string, Named<RawSegment>>,
  report: Report,
): ReadonlyMap<string, Segment> {
  const done = new Map<string, Segment>();
  const path: string[] = [];
  const told = new Set<string>();
  const visit = (id: string): void => {
    const segment = checked.get(id);
    if (segment === undefined || done.has(id) || told.has(id)) return;
    if (path.includes(id)) {
      const cycle = path.slice(path.indexOf(id));
      for (const each of cycle) told.add(each);
      report.error(
        raw.get(id)!.value.if.tree,
        `the segments read each other in a circle: ${[...cycle, id].join(' -> ')}`,
        {
          expected: 'segments that do not read themselves, not by others either',
        },
      );
      return;
    }
    path.push(id);
    for (const read of segmentsRead(segment.condition)) visit(read);
    path.pop();
    done.set(id, segment);
  };
  for (const id of [...checked.keys()].sort()) visit(id);
  return done;
}

/** Segments that a condition names, each as often as it does. */
function segmentsRead(condition: Condition): readonly string[] {
  const found: string[] = [];
  someFact(celOf(condition).tree, ([root, id]) => {
    if (root === 'segments' && id !== undefined) found.push(id);
    return false;
  });
  return found;
}
