import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { compileFiles, marked, toldAfter } from '../support/playbooks.ts';

/** What the rules below refer to; its four lines stand before the text of each case. */
const base = `content: { hi: { type: offer, title: "Hi \${product.name}" }, plain: { type: offer }, hero: { type: hero } }
slots: { side: { accepts: offer, fallback: plain } }
rules:
  ok: { when: product_viewed, then: [{ show: { slot: side, content: hi } }] }
`;
const builtIn = readFileSync(join(import.meta.dirname, '../../src/playbook/builtin.yaml'), 'utf8');
const lineOfCart = builtIn.slice(0, builtIn.indexOf('\n  cart:\n') + 1).split('\n').length;
const baseLines = base.split('\n').length - 1;

/** One mistake, or more, each at its ▸. */
function expectProblems(before: string, text: string, messages: readonly string[]): void {
  const { text: plain, places } = marked(text);
  const { playbook, problems } = compileFiles({ 'rules.yaml': before + plain });
  const found = toldAfter(before.split('\n').length - 1, problems);
  expect(found).toEqual(messages.map((message, i) => `${places[i]} ${message}`));
  expect(playbook === null).toBe(problems.some(({ severity }) => severity === 'error'));
}

describe('a mistake in a rule is told with its place', () => {
  it.each<[string, string, ...string[]]>([
    [
      'an unknown key',
      '  r: { when: page_viewed, ▸prioritty: 5, then: [{ show: { slot: side, content: plain } }] }',
      'unknown key prioritty (priority?)',
    ],
    [
      'a purpose of consent that there is not',
      '  r: { when: page_viewed, if: consent.▸marketting == true, then: [{ show: { slot: side, content: plain } }] }',
      'consent has no marketting (marketing?)',
    ],
    [
      'an unknown event',
      '  r: { when: ▸product_viewd, then: [{ show: { slot: side, content: plain } }] }',
      'product_viewd is not an event type of the tracking plan (product_viewed?)',
    ],
    [
      'an unknown slot',
      '  r: { when: page_viewed, then: [{ show: { slot: ▸sid, content: plain } }] }',
      'sid is not a slot of this playbook (side?)',
    ],
    [
      'an unknown content',
      '  r: { when: page_viewed, then: [{ show: { slot: side, content: ▸plane } }] }',
      'plane is not a content of this playbook (plain?)',
    ],
    [
      'a content of another type',
      '  r: { when: page_viewed, then: [{ show: { slot: side, content: ▸hero } }] }',
      'hero is of type hero, the slot side accepts offer',
    ],
    [
      'an unknown field',
      '  r: { when: product_viewed, if: cart.value > 1 && product.▸colour == "x", then: [{ show: { slot: side, content: plain } }] }',
      'product has no colour',
    ],
    [
      'a comparison of a number with a text',
      '  r: { when: product_viewed, if: ▸product.price > "5", then: [{ show: { slot: side, content: plain } }] }',
      '> cannot compare a number with a text',
    ],
    [
      'a condition that is none',
      '  r: { when: product_viewed, if: ▸product.price, then: [{ show: { slot: side, content: plain } }] }',
      'a condition must be true or false; this is a number',
    ],
    [
      'a product where there is none',
      '  r: { when: page_viewed, if: ▸product.price > 5, then: [{ show: { slot: side, content: plain } }] }',
      'product is not known here: page_viewed has no productId',
    ],
    [
      'a field that only one of two events has',
      '  r: { when: [product_viewed, search_performed], if: event.▸query == "x", then: [{ show: { slot: side, content: plain } }] }',
      'event has no query: product_viewed does not have it',
    ],
    [
      'a broken expression',
      '  r: { when: page_viewed, if: cart.value ▸and true, then: [{ show: { slot: side, content: plain } }] }',
      'expected "&&"',
    ],
    [
      'page facts in while',
      '  r: { when: page_viewed, then: [{ show: { slot: side, content: plain, while: ▸page.path == "/" } }] }',
      'page is not known here: while is tried again at later events; it may read facts of the visitor (device: visitor.device), the event and the product',
    ],
    [
      'the time in while',
      '  r: { when: page_viewed, then: [{ show: { slot: side, content: plain, while: ▸now == null } }] }',
      'now is not known here: while is tried at events; use for or until to end at a time, or a segment',
    ],
    [
      'a duration in words',
      '  r: { when: page_viewed, then: [{ show: { slot: side, content: plain, for: ▸30 minutes } }] }',
      'expected a duration such as 30s, 30m, 1h30m or 7d, from 1s to 366d, got "30 minutes"',
    ],
    [
      'a day that is none',
      '  r: { when: page_viewed, then: [{ show: { slot: side, content: plain, until: ▸2026-02-30T00:00:00Z } }] }',
      'expected an instant such as 2026-12-24T18:00:00Z, got "2026-02-30T00:00:00Z"',
    ],
    [
      'a priority out of range',
      '  r: { when: page_viewed, then: [{ show: { slot: side, content: plain } }], priority: ▸5000 }',
      'expected a whole number from -1000 to 1000, got 5000',
    ],
    [
      'a status that is none',
      '  r: { when: page_viewed, then: [{ show: { slot: side, content: plain } }], status: ▸lve }',
      'expected one of draft, live, paused, got "lve" (live?)',
    ],
    ['a rule that does nothing', '  ▸r: { when: page_viewed }', 'the rule r does nothing'],
    [
      'a rule that does both',
      '  ▸r: { when: page_viewed, then: [{ show: { slot: side, content: plain } }], choose: [{ show: { slot: side, content: plain } }] }',
      'the rule r has then and choose',
    ],
    ['a rule without a trigger', '  r: ▸{ then: [{ show: { slot: side, content: plain } }] }', 'when is missing'],
    [
      'an id with a hyphen',
      '  ▸my-rule: { when: page_viewed, then: [{ show: { slot: side, content: plain } }] }',
      '"my-rule" cannot be an id',
    ],
    [
      'the same event twice',
      '  r: { when: [page_viewed, ▸page_viewed], then: [{ show: { slot: side, content: plain } }] }',
      'page_viewed stands twice',
    ],
    [
      'several at once',
      '  r: { when: page_viewed, ▸iff: true, if: cart.▸valu > 5, then: [{ show: { slot: ▸sde, content: plain } }] }',
      'unknown key iff (if?)',
      'cart has no valu (value?)',
      'sde is not a slot of this playbook (side?)',
    ],
  ])('%s', (_name, text, ...messages) => {
    expectProblems(base, text, messages);
  });

  it('also at the content whose texts it cannot fill', () => {
    const { problems } = compileFiles({
      'rules.yaml': `${base}  r: { when: page_viewed, then: [{ show: { slot: side, content: hi } }] }`,
    });
    expect(problems).toMatchObject([
      { line: 1, column: 44, message: 'shown by the rule r: product is not known here: page_viewed has no productId' },
    ]);
  });

  it('in a folded or quoted text at the column of the file, not of the text', () => {
    const folded =
      '  r:\n    when: product_viewed\n    if: >\n      product.price > 5 &&\n      product.▸brnd == "x"\n    then: [{ show: { slot: side, content: plain } }]';
    expectProblems(base, folded, ['product has no brnd (brand?)']);
    const quoted =
      '  r: { when: product_viewed, if: "product.name == \\"x\\" && product.▸brnd == \'x\'", then: [{ show: { slot: side, content: plain } }] }';
    expectProblems(base, quoted, ['product has no brnd (brand?)']);
  });
});

describe('a word of the format that a later version runs', () => {
  it.each<[string, string, string]>([
    ['a tag', '  r: { when: page_viewed, then: [{ ▸tag: vip }] }', 'tag is not run by this version yet'],
    ['the section experiments', '▸experiments: {}', 'experiments is not run by this version yet'],
    [
      'a schedule',
      '  r: { when: { ▸schedule: daily }, then: [{ show: { slot: side, content: plain } }] }',
      'schedule is not run by this version yet',
    ],
    ['top', 'traits: { t: { count: product_viewed, ▸top: 3 } }', 'top is not run by this version yet'],
  ])('is known: %s', (_name, text, message) => {
    expectProblems(base, text, [message]);
  });
});

describe('a mistake in another section is told with its place', () => {
  it.each<[string, string, ...string[]]>([
    ['an unknown section', '▸rulez: {}', 'unknown key rulez (rules?)'],
    ['a slot without a fallback', 'slots: { s: ▸{ accepts: offer } }', 'fallback is missing'],
    [
      'a fallback that is not there',
      'content: { a: { type: offer } }\nslots: { s: { fallback: ▸b } }',
      'b is not a content of this playbook (a?)',
    ],
    [
      'a fallback of another type',
      'content: { a: { type: offer } }\nslots: { s: { accepts: hero, fallback: ▸a } }',
      'a is of type offer, the slot accepts hero',
    ],
    [
      'a fallback that needs an event',
      'content: { a: { type: offer, t: [{ u: ▸"x ${cart.value}" }] } }\nslots: { s: { fallback: a } }',
      'a is the fallback of s; nothing is known when it shows, so its texts cannot have holes: x ${cart.value}',
    ],
    ['a content without a type', 'content: { a: ▸{ title: x } }', 'type is missing'],
    [
      'a trait of two kinds',
      'traits: { ▸t: { count: page_viewed, last: page_viewed } }',
      'the trait t says count and last',
    ],
    ['a trait of none', 'traits: { ▸t: { if: true } }', 'the trait t does not say what it is'],
    ['a sum of nothing', 'traits: { t: ▸{ sum: time_spent } }', 'of is missing'],
    [
      'a sum of texts',
      'traits: { t: { sum: product_viewed, of: ▸event.productId } }',
      'a sum is of numbers, not of texts',
    ],
    [
      'a path, which only built-in traits have',
      'traits: { t: { count: page_viewed, ▸path: visitor.x } }',
      'unknown key path (rate?)',
    ],
    [
      'a trait that reads traits',
      'traits: { t: { count: page_viewed, if: ▸cart.value > 5 } }',
      'cart is not known here: a trait is computed from the event alone, before these are known',
    ],
    [
      'a trait that is built in',
      'traits: { ▸cart: { count: page_viewed } }',
      `cart is declared twice in traits; the other place is <usher>/builtin.yaml:${lineOfCart}`,
    ],
    [
      'a schema that is none',
      'events: { e: { properties: ▸{ properties: { a: { type: strin } } } } }',
      'not a JSON Schema: schema is invalid: data/properties/a/type must be equal to one of the allowed values',
    ],
    ['properties that are no map', 'events: { e: { properties: { type: ▸array } } }', 'properties are a map'],
    [
      "a property with the event's own name",
      'events: { e: { properties: { properties: { ▸type: { type: string } } } } }',
      "event.type is the event's own type; a property cannot be called so",
    ],
    [
      'a standard event without what the profile needs',
      'events: { ▸search_performed: { properties: { properties: { text: { type: string } } } } }',
      'event has no query; visitor.lastSearch of every visitor needs it',
    ],
    [
      'a cart that cannot be filled',
      'events: { ▸cart_item_removed: {} }',
      'cart_item_removed has no productId; the cart of every visitor needs it',
    ],
    ['what an event says', 'events: { e: { says: "did ${event.▸colour}" } }', 'event has no colour'],
    ['a key that belongs into playbook.yaml', '▸currency: EUR', 'currency belongs into playbook.yaml'],
  ])('%s', (_name, text, ...messages) => {
    expectProblems('', text, messages);
  });

  it('in playbook.yaml', () => {
    const main = (text: string) =>
      compileFiles({ 'playbook.yaml': text }).problems.map(
        ({ line, column, message }) => `${line}:${column} ${message}`,
      );
    expect(main('currency: USD')).toEqual(['1:1 format is missing']);
    expect(main('format: 2')).toEqual(['1:9 expected 1, got 2']);
    expect(main('format: 1\ncurrency: USX\ntimezone: Europe/Berln\nsession: { idle: 3 }')).toEqual([
      '2:11 USX is not a currency',
      '3:11 Europe/Berln is not a time zone',
      '4:18 expected a duration such as 30s, 30m, 1h30m or 7d, from 1s to 24h, got 3',
    ]);
  });

  it('is an id that two files declare, and names both places', () => {
    const { problems } = compileFiles({
      'a.yaml': 'content: { x: { type: offer } }',
      'b.yaml': '\ncontent:\n  x: { type: offer }',
    });
    expect(problems).toMatchObject([
      { file: 'b.yaml', line: 3, column: 3, message: 'x is declared twice in content; the other place is a.yaml:1' },
    ]);
  });
});

describe('YAML that no playbook needs is refused', () => {
  it.each<[string, string, string]>([
    ['a cycle of aliases', 'content: ▸&a\n  b: *a', '&a names a place to repeat'],
    ['an alias', 'content:\n  a: ▸&x { type: offer }\n  b: *x', '&x names a place to repeat'],
    ['a key twice', 'slots: { s: { fallback: a } }\n▸slots: {}', 'not YAML: map keys must be unique'],
    [
      'an unclosed bracket',
      'slots: { s: [1, 2\n▸',
      'not YAML: flow sequence in block collection must be sufficiently indented and end with a ]',
    ],
    [
      'a tag',
      'content: { a: { type: offer, t: ▸!!js/function "x" } }',
      'not YAML: unresolved tag: tag:yaml.org,2002:js/function',
    ],
    ['__proto__', 'content: { ▸__proto__: { type: offer } }', '__proto__ cannot be a key'],
    ['infinity', 'content: { a: { type: offer, n: ▸.inf } }', 'JSON has no such number'],
    [
      'a number beyond 2^53',
      'content: { a: { type: offer, n: ▸9007199254740993 } }',
      'a whole number beyond 2^53 loses digits',
    ],
    [
      'half a surrogate pair',
      'content: { a: { type: offer, n: ▸"\\ud800" } }',
      'the text has half of a surrogate pair',
    ],
    ['a number for a key', 'content: { ▸1: { type: offer } }', 'a key must be a plain text'],
    ['a list for a file', '▸- a', 'expected a map of sections, got a list'],
  ])('%s', (_name, text, message) => {
    const { text: plain, places } = marked(text);
    const { playbook, problems } = compileFiles({ 'rules.yaml': plain });
    expect(playbook).toBeNull();
    expect(problems[0]?.message).toContain(message);
    const [first] = problems;
    expect(`${first?.line}:${first?.column}`).toBe(places[0]);
  });

  it('nesting without end, and does not fall over it', () => {
    for (const deep of [50, 20_000]) {
      const { playbook, problems } = compileFiles({
        'rules.yaml': `content: { a: { type: offer, deep: ${'['.repeat(deep)}${']'.repeat(deep)} } }`,
      });
      expect(playbook).toBeNull();
      expect(problems[0]?.message).toMatch(/nested deeper than 40 levels/);
    }
  });

  it('and tells at most 100 mistakes, then how many more', () => {
    const { problems } = compileFiles({ 'rules.yaml': Array.from({ length: 130 }, (_, i) => `bad${i}: 1`).join('\n') });
    expect(problems).toHaveLength(101);
    expect(problems.at(-1)?.message).toBe('and 30 more problems');
  });
});

describe('a doubt is a warning, with which the playbook runs', () => {
  it.each<[string, string, string]>([
    [
      'a draft',
      `${base}  ▸r: { when: page_viewed, status: draft, then: [{ show: { slot: side, content: plain } }] }`.replace(
        ', hero: { type: hero }',
        '',
      ),
      'the rule r is a draft and does not run',
    ],
    ['a content that nothing shows', base.replace('hero: {', '▸hero: {'), 'nothing shows the content hero'],
    [
      'a slot that no rule fills',
      'content: { a: { type: offer } }\nslots: { ▸s: { fallback: a } }',
      'no rule shows anything in the slot s; it always shows a',
    ],
    [
      'an entry of choose that is never reached',
      `${base}  r: { when: page_viewed, choose: [{ show: { slot: side, content: plain } }, ▸{ show: { slot: side, content: plain } }] }`.replace(
        ', hero: { type: hero }',
        '',
      ),
      'this is never chosen: the one before it has no condition and always fits',
    ],
  ])('%s', (_name, text, message) => {
    const { text: plain, places } = marked(text);
    const { playbook, problems } = compileFiles({ 'rules.yaml': plain });
    expect(problems.map(({ severity, line, column, message }) => [severity, `${line}:${column}`, message])).toEqual([
      ['warning', places[0], message],
    ]);
    expect(playbook).not.toBeNull();
  });
});

it('the rules that these cases stand on have no mistake themselves', () => {
  expect(baseLines).toBe(4);
  expect(compileFiles({ 'rules.yaml': base }).playbook).not.toBeNull();
});
