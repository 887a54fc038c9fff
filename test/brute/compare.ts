import { EventScope } from '../../src/decide/scope.ts';
import type { Activity } from '../../src/model/commit.ts';
import type { Visitor } from '../../src/model/visitor.ts';
import type { ActiveBundles } from '../../src/playbook/playbook.ts';
import { TestBundles } from '../support/bundles.ts';
import { FoldShard } from '../support/foldShard.ts';
import { historyOf } from './history.ts';
import { type Line, type Logged, type Snapshot, VisitorModel } from './model.ts';
import { products, shop, shopText } from './shop.ts';

/** Where the fold and the model part: the first such place of a visitor. */
export interface Disagreement {
  readonly visitor: string;
  readonly what: string;
  readonly model: unknown;
  readonly fold: unknown;
  /** The record at which it shows. */
  readonly offset: number;
}

/** How much a history had of what it is meant to have. */
export interface Seen {
  readonly rules: { [rule: string]: number };
  readonly entered: { [segment: string]: number };
  /** Of these by time alone. */
  readonly leftByTime: { [segment: string]: number };
  readonly what: { [what: string]: number };
}

export interface Compared {
  readonly disagreements: readonly Disagreement[];
  readonly seen: Seen;
}

let bundles: { readonly all: TestBundles; readonly playbook: string; readonly catalog: string } | null = null;

function bundlesOfShop(): NonNullable<typeof bundles> {
  if (bundles === null) {
    const all = new TestBundles();
    bundles = { all, playbook: all.addPlaybook(shopText), catalog: all.addCatalog(products) };
  }
  return bundles;
}

/** Folds a generated history record by record, and asks the model after each the same questions. */
export function compareHistory(seed: number): Compared {
  const { visitors, log } = historyOf(seed);
  return compareLog(visitors, log);
}

export function compareLog(visitors: readonly string[], log: readonly Logged[]): Compared {
  const { all, playbook, catalog } = bundlesOfShop();
  const shard = new FoldShard(all, { settings: { activity: 1_000_000 } });
  shard.append({ v: 1, kind: 'activate', id: 'activate', playbook, catalog, foldVersion: 1 }, 0);
  shard.fold();
  const models = new Map(visitors.map((id) => [id, new VisitorModel(shop, id)]));
  for (const model of models.values()) model.take({ stamp: 0, value: { kind: 'activate' } });

  const seen: Seen = { rules: {}, entered: {}, leftByTime: {}, what: {} };
  const disagreements: Disagreement[] = [];
  const parted = new Set<string>();
  const told = new Map<string, number>();
  for (const { stamp, value } of log) {
    const offset = shard.log.length;
    shard.append({ v: 1, id: `r${offset}`, ...value }, stamp);
    const before = shard.activity.length;
    shard.fold();
    const activity = shard.activity.slice(before);
    count(seen, activity);
    for (const [visitor, model] of models) {
      model.take({ stamp, value });
      if (parted.has(visitor)) continue;
      const from = told.get(visitor) ?? 0;
      told.set(visitor, model.lines.length);
      const found =
        difference('lines', model.lines.slice(from), linesOf(activity, visitor)) ??
        difference('visitor', model.snapshot(), snapshotOf(shard.visitor(visitor), shard.active!));
      if (found === null) continue;
      parted.add(visitor);
      disagreements.push({ visitor, ...found, offset });
    }
  }
  return { disagreements, seen };
}

/** The steps of a visitor in which rules ran or segments changed. */
function linesOf(activity: readonly Activity[], visitor: string): readonly Line[] {
  const lines: Line[] = [];
  for (const { visitor: whose, what, eventId, type, at, rules, segments } of activity) {
    if (whose !== visitor || rules.length + segments.length === 0) continue;
    lines.push({ by: what === 'timer' ? type : eventId!, at, rules, segments: [...segments].sort() });
  }
  return lines;
}

/** As conditions would read the visitor at visitor now. */
export function snapshotOf(visitor: Visitor | null, bundles: ActiveBundles): Snapshot | null {
  if (visitor === null || visitor.counts.folded === 0) return null;
  const { now, session } = visitor;
  const scope = new EventScope(bundles, visitor, now, null, now);
  const { id, value } = scope.cart as { readonly id: number; readonly value: number };
  const slots: { [slot: string]: string } = {};
  for (const [slot, { candidates }] of Object.entries(visitor.slots)) {
    const [winner] = candidates;
    if (winner !== undefined) slots[slot] = `${winner.rule} ${winner.content}`;
  }
  return {
    now,
    session: session?.number ?? null,
    cart: { id, value },
    traits: scope.traits as Snapshot['traits'],
    segments: Object.keys(visitor.segments).sort(),
    slots,
  };
}

/** The first place at which two values differ, by its path; null: they are the same. */
export function difference(
  what: string,
  model: unknown,
  fold: unknown,
): Pick<Disagreement, 'what' | 'model' | 'fold'> | null {
  if (typeof model === 'number' && typeof fold === 'number') {
    // An average of money is whole cents; decimals are added up in another order.
    const isNear = Math.abs(model - fold) <= 1e-9 + (what.endsWith('average_price') ? 0.005 : 0);
    return isNear ? null : { what, model, fold };
  }
  if (model === null || fold === null || typeof model !== 'object' || typeof fold !== 'object') {
    return model === fold ? null : { what, model, fold };
  }
  const a = model as { readonly [name: string]: unknown };
  const b = fold as { readonly [name: string]: unknown };
  for (const name of new Set([...Object.keys(a), ...Object.keys(b)])) {
    const isScore = what.endsWith('liking');
    const found = difference(
      `${what}.${name}`,
      a[name] ?? (isScore ? 0 : undefined),
      b[name] ?? (isScore ? 0 : undefined),
    );
    if (found !== null) return found;
  }
  return null;
}

function count(seen: Seen, activity: readonly Activity[]): void {
  const add = (counts: { [name: string]: number }, name: string) => {
    counts[name] = (counts[name] ?? 0) + 1;
  };
  for (const { what, type, rules, segments } of activity) {
    add(seen.what, what === 'timer' ? `timer ${type.split(' ', 1)[0]}` : what);
    for (const rule of rules) add(seen.rules, rule);
    for (const sign of segments) {
      if (sign.startsWith('+')) add(seen.entered, sign.slice(1));
      else if (what === 'timer') add(seen.leftByTime, sign.slice(1));
    }
  }
}
