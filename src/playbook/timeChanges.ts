import type { ASTNode } from '@marcbachmann/cel-js';
import { type Cel, compileCel, compileTree } from '../cel/cel.ts';
import type { Declarations } from '../cel/compiler.ts';
import { macroNames } from '../cel/macros.ts';
import { factPathOf, someFact } from '../cel/path.ts';
import { childrenOf } from '../cel/reads.ts';
import type { Scope, TimeChange, Trait } from './playbook.ts';
import type { Report } from './problem.ts';
import { type ScalarTree, within } from './tree.ts';

/**
 * Where time alone may change a condition (semantics 3.9). A segment is left without any event, so the fold must be able to tell
 * when: it looks at few moments, and these are read off the condition's tree. What cannot be told so is refused.
 */
export function timeChangesOf(
  cel: Cel,
  tree: ScalarTree,
  traits: ReadonlyMap<string, Trait>,
  declared: Declarations,
  report: Report,
): readonly TimeChange[] {
  const finder = new Finder(cel.source, traits, declared, (node, what) => {
    report.error(within(tree, node.start, node.end), `Usher cannot tell when this changes by time: ${what}`, {
      expected: 'now - visitor.lastOrderAt > duration("72h"), or a score compared with a number',
    });
  });
  finder.visit(cel.tree, { locals: [], inMacro: false });
  return finder.changes;
}

/** Below this a score is 0, and one of a group is not there (semantics 3.8). */
const leastScore = 1e-6;
const fadedBound = (): number => leastScore;

interface Place {
  /** Variables of the macros around. */
  readonly locals: readonly string[];
  readonly inMacro: boolean;
}
/** `now · count + terms`, each term a number while running. */
interface Linear {
  readonly now: number;
  readonly terms: readonly { readonly sign: number; readonly cel: Cel }[];
}
const comparisons = new Set(['==', '!=', '<', '<=', '>', '>=']);
type Comparison = Extract<ASTNode, { op: '==' }>;

class Finder {
  readonly changes: TimeChange[] = [];
  readonly #source: string;
  /** By the name that conditions read: `traits.interest`. */
  readonly #traits: ReadonlyMap<string, Trait>;
  readonly #declared: Declarations;
  readonly #refuse: (node: ASTNode, what: string) => void;

  constructor(
    source: string,
    traits: ReadonlyMap<string, Trait>,
    declared: Declarations,
    refuse: (node: ASTNode, what: string) => void,
  ) {
    this.#source = source;
    this.#traits = traits;
    this.#declared = declared;
    this.#refuse = refuse;
  }

  visit(node: ASTNode, at: Place): void {
    if (comparisons.has(node.op) && !at.inMacro && this.#comparison(node as Comparison)) return;
    if (node.op === 'call' && node.args[0] === 'has' && !at.inMacro) {
      const score = this.#scoreAt(node.args[1][0]);
      if (score !== null) {
        this.#fades(score.trait, score.group);
        return;
      }
    }
    const path = factPathOf(node);
    if (path !== null && !at.locals.includes(path[0]!)) {
      this.#fact(node, path, at);
      return;
    }
    if (node.op === 'rcall') {
      const [name, receiver, [variable, ...bodies]] = node.args;
      this.visit(receiver, at);
      if (macroNames.has(name) && variable?.op === 'id') {
        for (const body of bodies) this.visit(body, { locals: [...at.locals, variable.args], inMacro: true });
      } else for (const arg of node.args[2]) this.visit(arg, at);
      return;
    }
    for (const child of childrenOf(node)) this.visit(child, at);
  }

  /** A fact that stands anywhere but where its time can be told. */
  #fact(node: ASTNode, path: readonly string[], at: Place): void {
    const where = at.inMacro ? 'it stands in a macro' : 'it is not compared, or with more than time leaves the same';
    const [root, name] = path;
    const trait = this.#traits.get(`${root}.${name}`);
    if (root === 'now' || (root === 'visitor' && name === 'idle')) this.#refuse(node, where);
    else if (trait?.kind === 'score') this.#refuse(node, where);
    else if (trait !== undefined && trait.window !== null) this.#windowChange(trait);
    else if (name === undefined && ['visitor', 'session', 'traits', 'segments'].includes(root!))
      this.#refuse(node, `it names all of ${root}, not one of them`);
  }

  /** Whether it was one with time, and is told. */
  #comparison(node: Comparison): boolean {
    const [left, right] = node.args;
    const score = this.#scoreAt(left) ?? this.#scoreAt(right);
    if (score !== null) {
      const other = this.#scoreAt(left) === null ? left : right;
      if (this.#changes(other)) return false;
      const bound = this.#compile(other);
      this.#scoreChange(score.trait, score.group, (scope) => boundOf(bound, scope));
      // A group that has faded away is not there any more, and a comparison with what is not there fails.
      if (score.group !== null) this.#fades(score.trait, score.group);
      return true;
    }
    if (!this.#namesNow(left) && !this.#namesNow(right)) return false;
    const a = this.#linear(left, 1);
    const b = a === null ? null : this.#linear(right, -1);
    if (a === null || b === null) return false;
    const now = a.now + b.now;
    const terms = [...a.terms, ...b.terms];
    if (now === 0) return true;
    this.changes.push({
      kind: 'instant',
      calendar: terms.every(({ cel }) => cel.reads.length === 0),
      at: (scope) => instantOf(now, terms, scope),
    });
    return true;
  }

  /** null: it is not linear in `now`, or has something in it that time changes. */
  #linear(node: ASTNode, sign: number): Linear | null {
    const path = factPathOf(node);
    if (path?.length === 1 && path[0] === 'now') return { now: sign, terms: [] };
    if (path?.length === 2 && path[0] === 'visitor' && path[1] === 'idle') {
      const seen = compileCel('visitor.lastSeenAt', this.#declared);
      return seen.ok ? { now: sign, terms: [{ sign: -sign, cel: seen.cel }] } : null;
    }
    if ((node.op === '+' || node.op === '-') && this.#namesNow(node)) {
      const left = this.#linear(node.args[0], sign);
      const right = this.#linear(node.args[1], node.op === '+' ? sign : -sign);
      return left === null || right === null
        ? null
        : { now: left.now + right.now, terms: [...left.terms, ...right.terms] };
    }
    return this.#changes(node) ? null : { now: 0, terms: [{ sign, cel: this.#compile(node) }] };
  }

  #compile(node: ASTNode): Cel {
    const result = compileTree(this.#source, node, this.#declared);
    // All of the expression has been checked before.
    if (!result.ok) throw new Error(`${this.#source}: ${result.problems[0]?.message}`);
    return result.cel;
  }

  /** A score, or a group of one, written out; null: another fact, or none. */
  #scoreAt(node: ASTNode | undefined): { readonly trait: Trait; readonly group: string | null } | null {
    const path = node === undefined ? null : factPathOf(node);
    const trait = path === null ? undefined : this.#traits.get(path.slice(0, 2).join('.'));
    if (path === null || trait?.kind !== 'score') return null;
    const group = path[2] ?? null;
    return (trait.by === null) === (group === null) && path.length <= 3 ? { trait, group } : null;
  }

  #namesNow(node: ASTNode): boolean {
    return someFact(node, (path) => path[0] === 'now' || (path[0] === 'visitor' && path[1] === 'idle'));
  }

  /** Whether time alone may change it. */
  #changes(node: ASTNode): boolean {
    return someFact(node, (path) => {
      const [root, name] = path;
      const trait = this.#traits.get(`${root}.${name}`);
      if (root === 'now' || root === 'segments' || trait?.kind === 'score' || (trait?.window ?? null) !== null)
        return true;
      return (root === 'visitor' || root === 'session' || root === 'traits') && (name === undefined || name === 'idle');
    });
  }

  #windowChange({ name: trait }: Trait): void {
    if (!this.changes.some((change) => change.kind === 'window' && change.trait === trait))
      this.changes.push({ kind: 'window', trait });
  }

  /** When a score becomes 0: told once, however often the condition asks. */
  #fades(trait: Trait, group: string | null): void {
    const known = this.changes.some(
      (each) => each.kind === 'score' && each.trait === trait.name && each.group === group && each.bound === fadedBound,
    );
    if (!known) this.#scoreChange(trait, group, fadedBound);
  }

  #scoreChange({ name: trait }: Trait, group: string | null, bound: (scope: Scope) => number | null): void {
    this.changes.push({ kind: 'score', trait, group, bound });
  }
}

function instantOf(now: number, terms: Linear['terms'], scope: Scope): number | null {
  let sum = 0;
  for (const { sign, cel } of terms) {
    const value = numberOf(cel, scope);
    if (value === null) return null;
    sum += sign * value;
  }
  return Math.floor(-sum / now);
}

/** A score never comes down to 0 by halving; it is 0 below the least. */
function boundOf(cel: Cel, scope: Scope): number | null {
  const bound = numberOf(cel, scope);
  return bound === null ? null : Math.abs(bound) < leastScore ? leastScore : bound;
}

/** null: not a number, or a fact that is absent; the comparison fails then, at whatever time. */
function numberOf(cel: Cel, scope: Scope): number | null {
  try {
    const value = cel.evaluate(scope);
    return typeof value === 'number' && Number.isFinite(value) ? value : null;
  } catch {
    return null;
  }
}
