import { describe, expect, it } from 'vitest';
import type { Fact } from '../../src/model/visitor.ts';
import { compileFiles, marked, playbookOf, toldAfter } from '../support/playbooks.ts';

/** One type with a property of each kind, in four lines. */
const types = `types: { offer: { name: An offer, properties: { required: [title], properties: { title: { type: string, maxLength: 12 },
  link: { type: string, format: uri-reference, pattern: "^/" }, price: { type: number, minimum: 0, money: true }, left: { type: integer },
  isNew: { type: boolean }, size: { enum: [s, m] }, tags: { type: array, items: { type: string } }, percents: { type: array, items: { type: number } },
  either: { anyOf: [{ type: string }, { type: number }] }, maker: { type: object, required: [name], properties: { name: { type: string } } } } } } }
`;

/** Problems of these contents, each at its ▸, as `line:column message`. */
function problemsOf(contents: string, rest = '', declared = types): { found: string[]; places: string[] } {
  const { text: plain, places } = marked(contents);
  const before = declared.split('\n').length - 1;
  const { problems } = compileFiles({ 'content.yaml': `${declared}${plain}${rest}` });
  const errors = problems.filter(({ severity }) => severity === 'error');
  return { found: toldAfter(before, errors), places };
}
const show = (content: string, when = 'product_viewed') =>
  `\nslots: { side: { fallback: plain } }\nrules: { r: { when: ${when}, then: [{ show: { slot: side, content: ${content} } }] } }\n`;

describe('a content of a declared type', () => {
  it('fits with what its type declares, and with less', () => {
    const { found } = problemsOf(
      'content: { a: { type: offer, title: Tents, link: /tents, price: 3.5, left: 2, isNew: true, size: s, tags: [a], percents: [1.5], either: 1, maker: { name: Nordfell } }, b: { type: offer, title: Tents } }',
    );
    expect(found).toEqual([]);
  });

  it.each<[string, string, string]>([
    ['a missing property', '{ ▸a: { type: offer, price: 1 } }', 'title is missing; the type offer requires it'],
    [
      'an undeclared property, with the nearest',
      '{ a: { type: offer, title: Tents, ▸prize: 1 } }',
      'prize is not a property of the type offer (price?)',
    ],
    ['a text for a number', '{ a: { type: offer, title: T, price: ▸"39" } }', 'price must be a number, not "39"'],
    [
      'a part for a whole number',
      '{ a: { type: offer, title: T, left: ▸1.5 } }',
      'left must be a whole number, not 1.5',
    ],
    ['a number that is too small', '{ a: { type: offer, title: T, price: ▸-1 } }', 'price must be >= 0'],
    [
      'a text that is too long',
      '{ a: { type: offer, title: ▸More than twelve } }',
      'title must NOT have more than 12 characters',
    ],
    ['a text of another form', '{ a: { type: offer, title: T, link: ▸tents } }', 'link must match pattern "^/"'],
    [
      'a value that is not listed',
      '{ a: { type: offer, title: T, size: ▸xl } }',
      'size must be one of "s", "m", not "xl"',
    ],
    ['a value for a list', '{ a: { type: offer, title: T, tags: ▸a } }', 'tags must be a list, not "a"'],
    ['something in a list', '{ a: { type: offer, title: T, tags: [a, ▸7] } }', 'tags.1 must be a text, not 7'],
    [
      'something missing within a map',
      '{ a: { type: offer, title: T, maker: ▸{} } }',
      'maker.name is missing; the type offer requires it',
    ],
    [
      'something undeclared within a map',
      '{ a: { type: offer, title: T, maker: { name: N, ▸nam: O } } }',
      'maker.nam is not a property of the type offer',
    ],
    [
      'none of several forms, once',
      '{ a: { type: offer, title: T, either: ▸true } }',
      'either must match a schema in anyOf',
    ],
    [
      'a text around a hole for a number',
      '{ a: { type: offer, title: T, price: ▸"${1} dollars" } }',
      'price must be a number; ${1} dollars is a text',
    ],
    [
      'a hole for one of certain values',
      '{ a: { type: offer, title: T, size: ▸"${product.brand}" } }',
      'size must be one of certain values; what ${product.brand} will be is not known',
    ],
  ])('is refused for %s, at its place', (_, contents, message) => {
    const { found, places } = problemsOf(`content: ${contents}`);
    expect(found).toEqual([`${places[0]} ${message}`]);
  });

  it('is checked although it is only the fallback of a slot', () => {
    const { found, places } = problemsOf(
      'content: { a: { type: offer, title: T, price: ▸cheap } }',
      '\nslots: { side: { fallback: a } }\n',
    );
    expect(found).toEqual([`${places[0]} price must be a number, not "cheap"`]);
  });

  it('may have a text with holes wherever a text may stand, whatever form and length the text should have', () => {
    const { found } = problemsOf(
      'content: { plain: { type: offer, title: P }, a: { type: offer, title: "All about ${product.name}", link: "${product.url}", tags: ["by ${product.brand}"], either: "${product.price}" } }',
      show('a'),
    );
    expect(found).toEqual([]);
  });

  it('is told once, however many rules show it', () => {
    const { found } = problemsOf(
      'content: { plain: { type: offer, title: P }, a: { type: offer, title: T, price: cheap, size: "${product.brand}" } }',
      '\nslots: { side: { fallback: plain } }\nrules: { r: { when: product_viewed, then: [{ show: { slot: side, content: a } }] }, q: { when: product_viewed, then: [{ show: { slot: side, content: a } }] } }\n',
    );
    expect(found).toHaveLength(2);
  });
});

describe('a single hole where the type asks for another value than a text', () => {
  const plain = 'plain: { type: offer, title: P }';
  it('must be of that kind where a rule shows it', () => {
    const right = 'price: "${product.price}", left: "${visitor.orders}", isNew: "${product.price > 5}"';
    expect(problemsOf(`content: { ${plain}, a: { type: offer, title: T, ${right} } }`, show('a')).found).toEqual([]);
    const wrong = 'price: ▸"${product.name}", left: ▸"${now}", isNew: ▸"${product.price}"';
    const { found, places } = problemsOf(`content: { ${plain}, a: { type: offer, title: T, ${wrong} } }`, show('a'));
    expect(found).toEqual([
      `${places[0]} shown by the rule r: price must be a number; \${product.name} is of another type`,
      `${places[1]} shown by the rule r: left must be a whole number; \${now} is of another type`,
      `${places[2]} shown by the rule r: isNew must be true or false; \${product.price} is of another type`,
    ]);
  });

  const rendered = (data: string, facts: readonly Fact[]) =>
    playbookOf(`${types}content: { ${plain}, a: { type: offer, title: T, ${data} } }${show('a')}`)
      .contents.get('a')!
      .render(facts);

  it('is filled with the value itself, money with the currency’s digits', () => {
    const data = 'price: "${product.price}", left: "${visitor.orders}", isNew: "${product.price > 5.0}"';
    const facts: Fact[] = [
      ['product.price', 0.1 + 0.2],
      ['visitor.orders', 3],
    ];
    expect(rendered(data, facts)).toEqual({ title: 'T', price: 0.3, left: 3, isNew: false });
  });

  it('is left out when its fact is missing, or does not fit after all', () => {
    expect(rendered('price: "${product.price}"', [])).toEqual({ title: 'T' });
    expect(rendered('price: "${product.price}"', [['product.price', -1]])).toEqual({ title: 'T' });
    expect(rendered('left: "${visitor.lifetimeValue}"', [['visitor.lifetimeValue', 1.5]])).toEqual({ title: 'T' });
    const percents = 'percents: [1, "${product.price}", "${visitor.orders}", "${visitor.lifetimeValue}"]';
    expect(rendered(percents, [['visitor.orders', 2]])).toEqual({ title: 'T', percents: [1, 2] });
  });

  it('is a text where a text may stand as well', () => {
    expect(rendered('either: "${product.price}"', [['product.price', 5]])).toEqual({ title: 'T', either: '5.00' });
  });

  it('can be filled again and again, each time anew', () => {
    const { contents } = playbookOf(
      `${types}content: { ${plain}, a: { type: offer, title: T, percents: [1, "\${visitor.orders}"] } }${show('a')}`,
    );
    const render = (facts: readonly Fact[]) => contents.get('a')!.render(facts);
    expect(render([])).toEqual({ title: 'T', percents: [1] });
    expect(render([['visitor.orders', 2]])).toEqual({ title: 'T', percents: [1, 2] });
  });
});

describe('a text with holes', () => {
  it('is cut at the length that its type allows, by whole characters', () => {
    const playbook = playbookOf(
      `${types}content: { plain: { type: offer, title: P }, a: { type: offer, title: "Buy \${product.name}", link: "/\${product.name}" } }${show('a')}`,
    );
    const render = (name: string) => playbook.contents.get('a')!.render([['product.name', name]]);
    expect(render('tents')).toEqual({ title: 'Buy tents', link: '/tents' });
    expect(render('the most expensive of our tents')).toEqual({
      title: 'Buy the most',
      link: '/the most expensive of our tents',
    });
    expect(render('\u{1f45f}'.repeat(9))['title']).toBe(`Buy ${'\u{1f45f}'.repeat(8)}`);
  });
});

describe('types of content', () => {
  it('leave contents of other types as free as they are', () => {
    expect(problemsOf('content: { a: { type: banner, anything: [1, { goes: true }] } }').found).toEqual([]);
  });

  it('are declared strictly, unless they say that other properties may come', () => {
    const open =
      'types: { offer: { properties: { additionalProperties: true, properties: { title: { type: string } } } } }\n';
    const content = 'content: { a: { type: offer, other: 1 } }';
    expect(problemsOf(content, '', open).found).toEqual([]);
    expect(problemsOf(content, '', open.replace('additionalProperties: true, ', '')).found).toHaveLength(1);
    expect(problemsOf(content, '', 'types: { offer: { name: Offer } }\n').found).toHaveLength(1);
  });

  it('have a name in GraphQL, which no two can share', () => {
    expect(playbookOf(types).types.get('offer')).toMatchObject({
      id: 'offer',
      name: 'An offer',
      graphqlName: 'OfferContent',
    });
    const { found, places } = problemsOf('types: { a_1: {}, ▸a1: {}, ▸json: {}, my_offer: {} }', '', '');
    expect(found).toEqual([
      `${places[0]} in GraphQL a1 would be A1Content, which is that of a_1`,
      `${places[1]} in GraphQL json would be JsonContent, which is Usher’s own`,
    ]);
  });

  it.each<[string, string, string]>([
    [
      'a schema that is none',
      '{ properties: ▸{ properties: { a: { type: txt } } } }',
      'not a JSON Schema: schema is invalid: data/properties/a/type must be equal to one of the allowed values',
    ],
    ['properties that are no map', '{ properties: { type: ▸array } }', 'properties are a map'],
    [
      'a property called type',
      '{ properties: { properties: { ▸type: { type: string } } } }',
      'type is the type of each content; a property cannot be called so',
    ],
    ['an unknown key', '{ ▸propertys: {} }', 'unknown key propertys (properties?)'],
    ['something else than a map', '▸[]', 'expected a type of content, got a list'],
  ])('are refused for %s, at its place', (_, type, message) => {
    const { found, places } = problemsOf(`types: { offer: ${type} }`, '', '');
    expect(found).toEqual([`${places[0]} ${message}`]);
  });

  it('are at most a hundred', () => {
    const many = (n: number) => `types: { ${Array.from({ length: n }, (_, i) => `t${i}: {}`).join(', ')} }`;
    expect(problemsOf('', '', many(100)).found).toEqual([]);
    expect(problemsOf('', '', many(101)).found).toEqual(['1:8 101 types of content']);
  });
});
