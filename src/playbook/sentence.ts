import type { ASTNode } from '@marcbachmann/cel-js';
import { pathOf } from '../cel/reads.ts';
import type { CheckedCondition } from './expressions.ts';
import type { Rule } from './playbook.ts';
import type { CheckedShow } from './rules.ts';

/** A rule in plain English, for people who do not read CEL. What has no common shape is quoted as it is written. */
export function sentenceOf(
  rule: Omit<Rule, 'sentence'>,
  condition: CheckedCondition | null,
  shows: readonly CheckedShow[],
  eventNames: ReadonlyMap<string, string>,
): string {
  const words = new Words();
  const when = `When a visitor ${list(
    rule.when.map((type) => phrases[type] ?? `does "${eventNames.get(type) ?? type}"`),
    'or',
  )}`;
  const only = condition === null ? '' : `, if ${words.say(condition.cel.tree, condition.source)}`;
  const told = shows.map((show) => tell(show, words));
  const what =
    rule.mode === 'then'
      ? list(
          told.map(({ what, only }) => `${what}${only === null ? '' : ` if ${only}`}`),
          'and',
        )
      : told
          .map(({ what, only }, i) => `${only === null ? (i === 0 ? '' : 'otherwise ') : `if ${only}, `}${what}`)
          .join('; ');
  const status =
    rule.status === 'live' ? '' : rule.status === 'draft' ? ' It is a draft and does not run.' : ' It is paused.';
  return `${when}${only}, ${what}. Priority ${rule.priority}.${status}`;
}

const phrases: Readonly<Record<string, string>> = {
  page_viewed: 'views a page',
  product_viewed: 'views a product',
  product_clicked: 'clicks a product',
  element_clicked: 'clicks something',
  time_spent: 'has spent time on a page',
  search_performed: 'searches',
  cart_item_added: 'puts something into the cart',
  cart_item_removed: 'takes something out of the cart',
  checkout_started: 'goes to the checkout',
  order_completed: 'completes an order',
  slot_shown: 'sees a slot',
  slot_clicked: 'clicks a slot',
};

function tell({ show, if: condition, while: holds }: CheckedShow, words: Words): { what: string; only: string | null } {
  const lasting = [
    show.forMs === null ? '' : ` for ${spokenDuration(show.forMs)}`,
    show.until === null ? '' : ` until ${new Date(show.until).toISOString().replace('.000Z', 'Z')}`,
    holds === null ? '' : ` while ${words.say(holds.cel.tree, holds.source)}`,
  ];
  const only = condition === null ? null : words.say(condition.cel.tree, condition.source);
  return { what: `show ${show.content} in ${show.slot}${lasting.join('')}`, only };
}

export function spokenDuration(ms: number): string {
  const units = [
    [86_400_000, 'day'],
    [3_600_000, 'hour'],
    [60_000, 'minute'],
    [1_000, 'second'],
    [1, 'millisecond'],
  ] as const;
  const parts: string[] = [];
  let rest = ms;
  for (const [size, unit] of units) {
    const count = Math.floor(rest / size);
    if (count > 0) parts.push(`${count} ${unit}${count === 1 ? '' : 's'}`);
    rest -= count * size;
  }
  return list(parts, 'and');
}

function list(parts: readonly string[], word: 'and' | 'or'): string {
  if (parts.length < 2) return parts[0] ?? '';
  return `${parts.slice(0, -1).join(', ')} ${word} ${parts.at(-1)}`;
}

const comparisons: Readonly<Record<string, string>> = {
  '==': 'is',
  '!=': 'is not',
  '>': 'is more than',
  '>=': 'is at least',
  '<': 'is less than',
  '<=': 'is at most',
};
const textTests: Readonly<Record<string, string>> = {
  contains: 'contains',
  startsWith: 'begins with',
  endsWith: 'ends with',
};

class Words {
  say(node: ASTNode, source: string): string {
    return this.#phrase(node, source) ?? `\`${source.slice(node.start, node.end)}\``;
  }

  #phrase(node: ASTNode, source: string): string | null {
    switch (node.op) {
      case '&&':
      case '||': {
        const word = node.op === '&&' ? 'and' : 'or';
        const sides = node.args.map((side) => {
          const said = this.say(side, source);
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
        const subject = this.#subject(node);
        return subject === null ? null : `${subject} holds`;
      }
      default:
        return null;
    }
  }

  #negated(node: ASTNode, source: string): string {
    if (node.op === 'call' && node.args[0] === 'has')
      return this.#known(node.args[1][0], 'is not known') ?? `not ${this.say(node, source)}`;
    const subject = this.#subject(node);
    return subject === null ? `not (${this.say(node, source)})` : `${subject} does not hold`;
  }

  #known(node: ASTNode | undefined, words: string): string | null {
    const subject = node === undefined ? null : this.#subject(node);
    return subject === null
      ? null
      : `${subject} ${isPlural(node === undefined ? undefined : pathOf(node)?.join('.')) ? words.replace(/^is\b/, 'are') : words}`;
  }

  #comparison(op: string, left: ASTNode, right: ASTNode): string | null {
    const subject = this.#subject(left);
    if (subject === null) return null;
    if (right.op === 'value' && right.args === null) return `${subject} is ${op === '==' ? 'not known' : 'known'}`;
    const words = comparisons[op]!;
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
    const path = pathOf(node);
    if (path === null) return null;
    const [root, ...fields] = path;
    const field = spaced(fields.join(' '));
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
        return `the trait ${fields.join('.')}`;
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
    if (node.op === 'call' && node.args[0] === 'duration' && node.args[1][0]?.op === 'value')
      return String(node.args[1][0].args);
    return this.#subject(node) ?? `\`${node.input.slice(node.start, node.end)}\``;
  }
}

/** Counts are plural; `address` and `status` are not. */
function isPlural(path: string | undefined): boolean {
  return (
    path !== undefined && /(?:views|searches|orders|adds|sessions|results|lines|items|products|seconds)$/i.test(path)
  );
}

/** pageViews → page views */
function spaced(name: string): string {
  return name.replace(/([a-z])([A-Z])/g, (_all, before: string, after: string) => `${before} ${after.toLowerCase()}`);
}
