import { describe, expect, it } from 'vitest';
import { compileFiles, marked } from '../support/playbooks.ts';

const before = `content: { a: { type: offer } }
slots: { side: { page: product, fallback: a }, top: { fallback: a } }
segments: { nobody: { if: "false && visitor.orders > 1" }, nor_here: { if: segments.nobody && cart.value > 5 }, some: { if: cart.value > 5 } }
rules:
  fills_side: { when: checkout_started, if: cart.value > 5, then: [{ show: { slot: side, content: a } }] }
  fills_top: { when: checkout_started, if: cart.value > 5, then: [{ show: { slot: top, content: a } }] }
`;
/** The warnings, each with its place, and the places of the ▸; the playbook must be one that runs. */
function warningsOf(rules: string) {
  const { text, places } = marked(before + rules);
  const { playbook, problems } = compileFiles({ 'rules.yaml': text });
  expect(playbook, JSON.stringify(problems)).not.toBeNull();
  return { found: problems.map(({ line, column, message }) => `${line}:${column} ${message}`), places };
}

const show = '[{ show: { slot: top, content: a } }]';

describe('a rule that can never run is told', () => {
  it.each<[string, string, string]>([
    [
      'a condition that is false',
      `{ when: page_viewed, if: ▸false, then: ${show} }`,
      'the rule r never runs: its condition can never hold',
    ],
    [
      'one that is false for certain',
      `{ when: page_viewed, if: ▸cart.value > 5 && 1 > 2, then: ${show} }`,
      'the rule r never runs: its condition can never hold',
    ],
    [
      'two texts for one fact',
      `{ when: product_viewed, if: ▸'product.category == "a" && cart.value > 5 && product.category in ["b", "c"]', then: ${show} }`,
      'the rule r never runs: its condition can never hold',
    ],
    [
      'a segment that nobody is in',
      `{ when: page_viewed, if: ▸segments.nor_here && cart.value > 5, then: ${show} }`,
      'the rule r never runs: its condition can never hold',
    ],
    [
      'an unless that always holds',
      `{ when: page_viewed, unless: ▸true || cart.value > 5, then: ${show} }`,
      'the rule r never runs: what it says after unless always holds',
    ],
    [
      'entering what nobody is in',
      `{ when: { entered: nobody, left: nor_here }, then: ${show} }`,
      'the rule r never runs: nobody is ever in nobody, nor_here',
    ],
    [
      'an entry whose condition is false',
      `{ when: page_viewed, then: [{ if: ▸segments.nobody, show: { slot: top, content: a } }] }`,
      'this never happens: its condition can never hold',
    ],
    [
      'a while that never holds',
      `{ when: page_viewed, then: [{ show: { slot: top, content: a, while: ▸segments.nobody } }] }`,
      'this is never shown: its while can never hold',
    ],
    [
      'an end before the beginning',
      `{ when: page_viewed, from: 2026-02-01T00:00:00Z, then: [{ show: { slot: top, content: a, until: ▸2026-01-01T00:00:00Z } }] }`,
      'this is never shown: it ends before the rule begins',
    ],
    [
      "another page than the slot's",
      `{ when: page_viewed, then: [{ show: { slot: side, content: a, only: { page: [▸home, search] } } }] }`,
      'this is never shown: the slot side is on product pages alone',
    ],
    [
      'a group of one',
      `{ when: page_viewed, limit: { times: 1, group: ▸g }, then: ${show} }`,
      'no other rule is in the group g',
    ],
  ])('%s', (_name, rule, message) => {
    const { found, places } = warningsOf(rule.includes('entered') ? `  ▸r: ${rule}\n` : `  r: ${rule}\n`);
    expect(found).toEqual([`${places[0]} ${message}`]);
  });

  it.each([
    `{ when: page_viewed, if: cart.value > 5 || 1 > 2, then: ${show} }`,
    `{ when: product_viewed, if: product.category == "a" || product.category == "b", then: ${show} }`,
    `{ when: product_viewed, if: 'product.category in ["a", "b"] && product.category == "b"', then: ${show} }`,
    `{ when: page_viewed, if: segments.some || segments.nobody, then: ${show} }`,
    `{ when: page_viewed, if: "!segments.nobody", then: ${show} }`,
    `{ when: page_viewed, if: has(segments.some) && segments["some"], then: ${show} }`.replace(
      /if: (.*?), then/,
      "if: '$1', then",
    ),
    `{ when: page_viewed, if: has(page.referrer) || visitor.lastOrderAt == null, then: ${show} }`,
    `{ when: { entered: [nobody, some] }, then: ${show} }`,
    `{ when: page_viewed, unless: true && cart.value > 5, then: ${show} }`,
    `{ when: page_viewed, then: [{ show: { slot: side, content: a, only: { page: [product, home] } } }] }`,
    `{ when: page_viewed, limit: { times: 1, group: g }, then: ${show} }\n  s: { when: search_performed, limit: { times: 2, group: g }, then: ${show} }`,
  ])('and not one that can: %s', (rule) => {
    expect(warningsOf(`  r: ${rule}\n`).found).toEqual([]);
  });
});

describe('a content that can never win is told', () => {
  const message = 'this can never win: the rule always always shows a in top then, and stands before it';
  const always = (more = '', when = 'page_viewed', inShow = '') =>
    `  always: { when: ${when}, priority: 5${more}, then: [{ show: { slot: top, content: a${inShow} } }] }\n`;
  const other = (more = '', when = 'page_viewed', inShow = '') =>
    `  r: { when: ${when}${more}, then: [{ show: { slot: top, content: ▸a${inShow} } }] }\n`;

  it.each([
    ['a smaller priority', always(), other(', priority: 4')],
    ['the same priority and a larger id', always(), other(', priority: 5')],
    ['a larger priority, but not pinned', always('', 'page_viewed', ', pinned: true'), other(', priority: 900')],
    ['a condition of its own', always(), other(', if: cart.value > 50')],
    ['fewer events', always('', '[page_viewed, search_performed]'), other()],
    [
      'a sequence that ends with the event',
      always(),
      other('', '{ sequence: [{ event: search_performed }, { event: page_viewed }], within: 5m }'),
    ],
    ['time spent', always('', 'time_spent'), other('', '{ spent: 5m }')],
    [
      'an event for each of which another one stands before it',
      `${always()}  by_search: { when: search_performed, priority: 9, then: ${show} }\n`,
      other('', '[page_viewed, search_performed]'),
    ],
  ])('%s', (_name, first, second) => {
    const { found, places } = warningsOf(first + second);
    expect(found).toEqual([`${places[0]} ${message}`]);
  });

  it.each([
    ['a larger priority', always(), other(', priority: 6, if: cart.value > 5')],
    ['pinned itself', always(), other(', if: cart.value > 5', 'page_viewed', ', pinned: true')],
    ['another slot', always(), other().replace('slot: top', 'slot: side')],
    ['more events', always(), other('', '[page_viewed, search_performed]')],
    ['the other one has a condition', always(', if: cart.value > 5'), other()],
    ['the other one has an exception', always(', unless: cart.value > 5'), other()],
    ['the other one has a limit', always(', limit: { times: 1 }'), other()],
    ['the other one has a cool-down', always(', cooldown: 5m'), other()],
    ['the other one has hours', always(', days: mon'), other()],
    ['the other one has a period', always(', to: 2030-01-01T00:00:00Z'), other()],
    ['the other one ends', always('', 'page_viewed', ', for: 5m'), other()],
    ['the other one has a while', always('', 'page_viewed', ', while: cart.value > 5'), other()],
    ['the other one is enough some day', always('', 'page_viewed', ', exclude: { shown: 3 }'), other()],
    ['the other one is for some pages', always('', 'page_viewed', ', only: { device: mobile }'), other()],
    ['the other one is paused', always(', status: paused'), other()],
    [
      'the other one chooses among several',
      always().replace('then: [', 'choose: [{ if: cart.value > 5, show: { slot: side, content: a } }, '),
      other(),
    ],
    ['it runs by time', always(), other('', '{ entered: some }')],
    ['it waits', always(), other('', '{ absent: order_completed, since: page_viewed, for: 5m }')],
  ])('and not one that can: %s', (_name, first, second) => {
    expect(warningsOf(first + second).found).toEqual([]);
  });
});
