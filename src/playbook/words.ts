import type { ASTNode } from '@marcbachmann/cel-js';
import { parseDuration } from '../cel/duration.ts';
import { pathOf } from '../cel/reads.ts';
import { celOf } from './expressions.ts';
import { list, spokenDuration } from './phrases.ts';
import type { Condition, Expression } from './playbook.ts';

const comparisons: Readonly<Record<string, string>> = {
  '==': 'is',
  '!=': 'is not',
  '>': 'is more than',
  '>=': 'is at least',
  '<': 'is less than',
  '<=': 'is at most',
};
const timeComparisons: Readonly<Record<string, string>> = {
  ...comparisons,
  '>': 'is after',
  '>=': 'is not before',
  '<': 'is before',
  '<=': 'is not after',
};
const textTests: Readonly<Record<string, string>> = {
  contains: 'contains',
  startsWith: 'begins with',
  endsWith: 'ends with',
};

/** A condition in plain English, for people who do not read CEL. What has no common shape is quoted as it is written. */
export class Words {
  /** Events of a sequence that have a name. */
  readonly #names: readonly string[];

  constructor(names: readonly string[] = []) {
    this.#names = names;
  }

  condition(condition: Condition): string {
    return this.#say(celOf(condition).tree, condition.source);
  }

  /** A value, as the object of a sentence: `cart.id` is "the cart's id". */
  value(expression: Expression): string {
    return this.#value(celOf(expression).tree);
  }

  #say(node: ASTNode, source: string): string {
    return this.#phrase(node, source) ?? `\`${source.slice(node.start, node.end)}\``;
  }

  #phrase(node: ASTNode, source: string): string | null {
    switch (node.op) {
      case '&&':
      case '||': {
        const word = node.op === '&&' ? 'and' : 'or';
        const sides = node.args.map((side) => {
          const said = this.#say(side, source);
          // "a or b and c" is ambiguous to a reader, though not to CEL.
          return (side.op === '&&' || side.op === '||') && side.op !== node.op ? `(${said})` : said;
        });
        return `${sides[0]} ${word} ${sides[1]}`;
      }
      case '!_':
        return this.#negated(node.args, source);
      case 'call':
        return node.args[0] === 'has' ? this.#known(node.args[1][0], 'is known') : null;
      case 'rcall': {
        const [name, receiver, args] = node.args;
        const subject = this.#subject(receiver);
        const test = textTests[name];
        if (subject === null || test === undefined || args[0] === undefined) return null;
        return `${subject} ${test} ${this.#value(args[0])}`;
      }
      case 'in': {
        const subject = this.#subject(node.args[0]);
        const [, among] = node.args;
        if (subject !== null && among.op === 'list')
          return `${subject} is ${list(
            among.args.map((each) => this.#value(each)),
            'or',
          )}`;
        const listName = this.#subject(among);
        return listName === null ? null : `${subject ?? this.#value(node.args[0])} is among ${listName}`;
      }
      case '==':
      case '!=':
      case '<':
      case '<=':
      case '>':
      case '>=':
        return this.#comparison(node.op, node.args[0], node.args[1]);
      case 'id':
      case '.': {
        const segment = segmentOf(node);
        if (segment !== null) return `the visitor is in the segment ${segment}`;
        const subject = this.#subject(node);
        return subject === null ? null : `${subject} holds`;
      }
      default:
        return null;
    }
  }

  #negated(node: ASTNode, source: string): string {
    if (node.op === 'call' && node.args[0] === 'has')
      return this.#known(node.args[1][0], 'is not known') ?? `not ${this.#say(node, source)}`;
    const segment = segmentOf(node);
    if (segment !== null) return `the visitor is not in the segment ${segment}`;
    const subject = this.#subject(node);
    return subject === null ? `not (${this.#say(node, source)})` : `${subject} does not hold`;
  }

  #known(node: ASTNode | undefined, words: string): string | null {
    const subject = node === undefined ? null : this.#subject(node);
    return subject === null
      ? null
      : `${subject} ${isPlural(node === undefined ? undefined : pathOf(node)?.join('.')) ? words.replace(/^is\b/, 'are') : words}`;
  }

  #comparison(op: string, left: ASTNode, right: ASTNode): string | null {
    const since = sinceOf(left);
    if (since !== null) {
      const words = comparisons[op]!.replace(/^is /, '');
      const then = since === idle ? null : this.#subject(since);
      if (since === idle) return `the visitor has done nothing for ${words} ${this.#value(right)}`;
      if (then !== null) return `${then} was ${words} ${this.#value(right)} ago`;
    }
    const subject = this.#subject(left);
    if (subject === null) return null;
    if (right.op === 'value' && right.args === '' && (op === '==' || op === '!='))
      return `${subject} is ${op === '==' ? 'empty' : 'not empty'}`;
    if (right.op === 'value' && right.args === null) return `${subject} is ${op === '==' ? 'not known' : 'known'}`;
    const words = (isNow(left) ? timeComparisons : comparisons)[op]!;
    const path = pathOf(left)?.join('.');
    if (path === 'cart.value')
      return `the cart is worth ${words.replace(/^is ?/, '')} ${this.#value(right)}`.replace(/ {2,}/g, ' ');
    // "orders is more than 2" is not English.
    const verb = isPlural(path) ? words.replace(/^is\b/, 'are') : words;
    return `${subject} ${verb} ${this.#value(right)}`;
  }

  #subject(node: ASTNode): string | null {
    if (node.op === 'call' && node.args[0] === 'size' && node.args[1][0] !== undefined) {
      const of = this.#subject(node.args[1][0]);
      return of === null ? null : `the number of ${of}`;
    }
    if (node.op === '[]') {
      const of = this.#subject(node.args[0]);
      return of === null ? null : `${of} of ${this.#value(node.args[1])}`;
    }
    const path = pathOf(node);
    if (path === null) return null;
    const [root, ...fields] = path;
    const field = labels[path.join('.')] ?? spaced(fields.join(' '));
    if (this.#names.includes(root!)) return namedSaid(root!, fields);
    switch (root) {
      case 'product':
        return field === '' || field === 'id' ? 'the product' : `the product's ${field}`;
      case 'cart':
        return field === '' ? 'the cart' : field === 'value' ? "the cart's value" : `the cart's ${field}`;
      case 'event':
        return `its ${field}`;
      case 'visitor':
        return `the visitor's ${field}`;
      case 'session':
        return field === 'number' ? "the visit's number" : `this visit's ${field}`;
      case 'page':
        return field === 'page' ? 'the kind of page' : field === 'campaign' ? 'the campaign' : `the page's ${field}`;
      case 'device':
        return field === 'kind' ? 'the device' : `the device's ${field}`;
      case 'traits':
        return `the trait ${fields[0]}${fields.length > 1 ? ` of ${fields.slice(1).join('.')}` : ''}`;
      case 'now':
        return 'the time';
      default:
        return null;
    }
  }

  #value(node: ASTNode): string {
    if (node.op === 'value')
      return typeof node.args === 'string'
        ? /^[\w.-]+$/.test(node.args)
          ? node.args
          : `"${node.args}"`
        : String(node.args);
    if (node.op === '-_' && node.args.op === 'value') return `-${String(node.args.args)}`;
    if (node.op === 'call' && ['duration', 'timestamp'].includes(node.args[0]) && node.args[1][0]?.op === 'value') {
      const written = String(node.args[1][0].args);
      const ms = node.args[0] === 'duration' ? parseDuration(written) : null;
      return ms === null || ms <= 0 ? written : spokenDuration(ms);
    }
    return this.#subject(node) ?? `\`${node.input.slice(node.start, node.end)}\``;
  }
}

/** Fields whose name is no noun. */
const labels: Readonly<Record<string, string>> = {
  'visitor.lastOrderAt': 'last order',
  'visitor.lastSeenAt': 'last event',
  'visitor.firstSeenAt': 'first event',
  'visitor.timesShown': 'views',
  'session.startedAt': 'start',
};

/** A fact of an event of a sequence: `seen.product.category` is "the category of "seen"". */
function namedSaid(name: string, [root, ...fields]: readonly string[]): string {
  if (root === 'at') return `"${name}"`;
  const field = spaced(fields.join(' '));
  return root === 'product' && field === 'id' ? `the product of "${name}"` : `the ${field} of "${name}"`;
}

const idle = Symbol('idle');

/** Of `now - visitor.lastOrderAt` the instant; of `visitor.idle` that the visitor does nothing. */
function sinceOf(node: ASTNode): ASTNode | typeof idle | null {
  if (pathOf(node)?.join('.') === 'visitor.idle') return idle;
  return node.op === '-' && isNow(node.args[0]) ? node.args[1] : null;
}

function isNow(node: ASTNode): boolean {
  return pathOf(node)?.join('.') === 'now';
}

function segmentOf(node: ASTNode): string | null {
  const path = pathOf(node);
  return path?.length === 2 && path[0] === 'segments' ? path[1]! : null;
}

/** Counts are plural; `address` and `status` are not. */
function isPlural(path: string | undefined): boolean {
  return (
    path !== undefined &&
    !path.startsWith('traits.') &&
    /(?:views|searches|orders|adds|sessions|results|lines|items|products|seconds)$/i.test(path)
  );
}

/** pageViews → page views */
function spaced(name: string): string {
  return name.replace(/([a-z])([A-Z])/g, (_all, before: string, after: string) => `${before} ${after.toLowerCase()}`);
}
