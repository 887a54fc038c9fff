import type { CelType } from '../cel/types.ts';
import { playbookLimits } from './limits.ts';
import type { Trait } from './playbook.ts';
import type { Report, Span } from './problem.ts';

/** A visitor's traits are loaded and stored with it at every event, so their size is bounded before anything runs. */

/** Characters of one value as it is stored, at most. A text is cut at 256; a count of more than 99,999,999 nobody reaches. */
const size = { count: 8, number: 20, text: 258, ofStep: 12, ofGroup: 68 } as const;

export function charactersOf(trait: Trait, type: CelType | null): number {
  return (
    (trait.by === null ? 1 : trait.groups) * (charactersOfValue(trait, type) + (trait.by === null ? 0 : size.ofGroup))
  );
}

function charactersOfValue({ kind, limit, window }: Trait, type: CelType | null): number {
  const single =
    type === null || (type.kind !== 'string' && type.kind !== 'dyn' && type.kind !== 'list') ? size.number : size.text;
  const steps = window?.steps ?? 1;
  const ofStep = window === null ? 0 : size.ofStep;
  switch (kind) {
    case 'cart':
      // Bounded by itself: 200 lines (semantics 10.2).
      return 0;
    case 'count':
    case 'rate':
      return steps * (size.count + ofStep);
    case 'average':
      return steps * (2 * size.number + ofStep);
    case 'score':
      return 2 * size.number;
    case 'recent':
      return limit * (single + 1);
    case 'distinct':
      // Each value is kept once, with the last step that it was seen in.
      return limit * (single + 1 + ofStep);
    default:
      return steps * (single + ofStep);
  }
}

export interface TraitSize {
  readonly trait: Trait;
  readonly characters: number;
  readonly span: Span;
}

/** One trait that is too large, with what could be lowered to what. */
export function checkSize({ trait, characters, span }: TraitSize, report: Report): boolean {
  const most = playbookLimits.traitCharacters;
  if (characters <= most) return true;
  const parts = [
    trait.by === null ? '' : `${trait.groups} groups`,
    trait.kind === 'recent' || trait.kind === 'distinct' ? `${trait.limit} values` : '',
    trait.window === null || trait.kind === 'distinct' ? '' : `${trait.window.steps} steps of its window`,
  ].filter((part) => part !== '');
  const atMost = (count: number) => Math.floor((count * most) / characters);
  const ways = [
    ...(trait.by !== null && atMost(trait.groups) > 0 ? [`groups: ${atMost(trait.groups)}`] : []),
    ...(trait.kind === 'recent' || trait.kind === 'distinct' ? [`limit: ${atMost(trait.limit)}`] : []),
    ...(trait.window !== null && trait.kind !== 'distinct' ? ['a window of fewer steps (at most 60 up to 60d)'] : []),
  ];
  report.error(
    span,
    `${trait.name} may take ${grouped(characters)} characters of each visitor: ${parts.join(' of ')}`,
    { expected: `at most ${grouped(most)}: ${ways.join(', or ')}` },
  );
  return false;
}

/** All together: told at the largest one of the playbook's own. */
export function checkSizes(sizes: readonly TraitSize[], own: readonly TraitSize[], report: Report): void {
  const most = playbookLimits.allTraitCharacters;
  const sum = sizes.reduce((total, { characters }) => total + characters, 0);
  const largest = own.toSorted((a, b) => b.characters - a.characters).slice(0, 5);
  if (sum <= most || largest[0] === undefined) return;
  const names = largest.map(({ trait, characters }) => `${trait.name} ${grouped(characters)}`).join(', ');
  report.error(
    largest[0].span,
    `the traits of this playbook may take ${grouped(sum)} characters of each visitor together; the largest: ${names}`,
    { expected: `at most ${grouped(most)}: fewer groups, a smaller limit, or a window of fewer steps` },
  );
}

function grouped(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',');
}
