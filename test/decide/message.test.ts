import { describe, expect, it } from 'vitest';
import { messageLimits, renderMessage } from '../../src/decide/message.ts';
import { maxLines } from '../../src/decide/sending.ts';
import type { ActionOrder } from '../../src/model/action.ts';
import type { Json } from '../../src/model/json.ts';
import { TestBundles } from '../support/bundles.ts';

const bundles = new TestBundles();
const playbook = bundles.playbook(
  bundles.addPlaybook(`
format: 1
currency: USD
destinations: { shop_mail: { kind: smtp, from: shop@example.com }, crm: { kind: topic } }
actions:
  cart_mail:
    destination: shop_mail
    with: { percent: number, until: time, worth: money }
    subject: \${visitor.name}, \${with.percent} % off
    text: |-
      \${lines}For \${cart.value}, until \${with.until}: \${link} (\${unsubscribe}) \${with.worth} $\${x}
    html: '<h1 title="\${visitor.name}">\${visitor.name}</h1><ul>\${lines}</ul><a href="\${link}">\${with.percent}</a>'
    lines:
      text: "\${line.quantity} x \${line.name} at \${line.price}: \${line.total}"
      html: '<li><img src="\${line.image}" alt="\${line.name}">\${line.name}, \${line.quantity}, \${line.total}</li>'
    link: /cart
  plain: { destination: shop_mail, subject: Hello, text: "\${visitor.lastSearch}" }
  level: { destination: crm, with: { best: bool }, cart: true }
  word: { destination: crm }
rules:
  r: { when: page_viewed, then: [{ send: { action: cart_mail, with: { percent: 1, until: now, worth: cart.value } } }, { send: { action: plain } }, { send: { action: level, with: { best: true } } }, { send: { action: word } }] }
`),
)!;
const catalog = bundles.get(
  playbook.version,
  bundles.addCatalog([
    { id: 'p1', price: 2_000, name: 'Tent "Two" <2>', image: '/images/p1.svg', url: '/p1' },
    { id: 'p2', price: 310, name: 'Peg', image: 'https://cdn.example/p2.png' },
    { id: 'p3', price: 100, name: 'Rope', image: '//cdn.example/p3.png' },
  ]),
)!.catalog;

const given = {
  link: 'https://shop.example/cart?a=1&b=2',
  unsubscribe: 'https://shop.example/no',
  baseUrl: 'https://shop.example',
};
const orderOf = (action: string, kept: { readonly [name: string]: Json }): ActionOrder => ({
  v: 1,
  id: 'f'.repeat(32),
  visitor: 'u:ann',
  action,
  destination: 'shop_mail',
  rule: 'r',
  entry: 0,
  playbook: playbook.version,
  purpose: 'marketing',
  to: 'ann@example.com',
  with: kept,
  facts: [['cart.value', 26.2]],
  at: Date.UTC(2026, 10, 25, 11),
  orderedAt: Date.UTC(2026, 10, 25, 12),
  redriven: 0,
});
const lines = [
  { productId: 'p1', quantity: 1, price: 20 },
  { productId: 'p2', quantity: 2, price: 3.1 },
  { productId: 'gone', quantity: 3, price: 0.1 },
];
const kept = {
  percent: 10,
  until: Date.UTC(2026, 10, 26),
  worth: 26.5,
  'visitor.name': 'Ann',
  'cart.id': 1,
  'cart.value': 26.5,
  'cart.lines': lines,
};
const mailOf = (more: { readonly [name: string]: Json } = {}, action = 'cart_mail') =>
  renderMessage(orderOf(action, { ...kept, ...more }), playbook, catalog, given)!.mail!;

describe('a mail', () => {
  it('is filled in with what its order kept, the catalog, and what is given when it leaves', () => {
    expect(mailOf()).toEqual({
      subject: 'Ann, 10 % off',
      text: [
        '1 x Tent "Two" <2> at 20.00: 20.00',
        '2 x Peg at 3.10: 6.20',
        '3 x gone at 0.10: 0.30',
        'For 26.50, until 2026-11-26T00:00:00Z: https://shop.example/cart?a=1&b=2 (https://shop.example/no) 26.50 ${x}',
      ].join('\n'),
      html: [
        '<h1 title="Ann">Ann</h1><ul>',
        '<li><img src="https://shop.example/images/p1.svg" alt="Tent &quot;Two&quot; &lt;2&gt;">',
        'Tent &quot;Two&quot; &lt;2&gt;, 1, 20.00</li>\n',
        '<li><img src="https://cdn.example/p2.png" alt="Peg">Peg, 2, 6.20</li>\n',
        '<li><img src="" alt="gone">gone, 3, 0.30</li>\n',
        '</ul><a href="https://shop.example/cart?a=1&amp;b=2">10</a>',
      ].join(''),
    });
  });

  it('is the same at each attempt', () => {
    expect(mailOf()).toEqual(mailOf());
  });

  it('keeps an address that names another server as it is', () => {
    expect(mailOf({ 'cart.lines': [{ productId: 'p3', quantity: 1, price: 1 }] }).html).toContain(
      'src="//cdn.example/p3.png"',
    );
  });

  it.each(['<script>alert(1)</script>', '" onload="alert(1)', "' x='", '&amp;', '<!-- ', '${link}'])(
    'shows %s as the text that it is',
    (name) => {
      const { html } = mailOf({ 'visitor.name': name });
      const [, title, shown] = /<h1 title="(.*?)">(.*?)<\/h1>/s.exec(html!)!;
      expect(title).toBe(shown);
      expect(title).not.toMatch(/[<>"']/);
      const back = { '&lt;': '<', '&gt;': '>', '&quot;': '"', '&#39;': "'", '&amp;': '&' } as Record<string, string>;
      expect(shown!.replace(/&(?:lt|gt|quot|#39|amp);/g, (entity) => back[entity]!)).toBe(name);
    },
  );

  it.each(['\r\nBcc: all@example.com', '\nX: y', 'a\u2028b', 'a\u0000b', 'a\u0085b'])(
    'has a subject of one line, whatever a fact holds: %j',
    (name) => {
      const { subject } = mailOf({ 'visitor.name': `Ann${name}` });
      expect(subject).not.toMatch(/[\p{Cc}\u2028\u2029]/u);
      expect(subject).toMatch(/^Ann.* .*, 10 % off$/);
    },
  );

  it('has a subject and a text that end somewhere, and whole lines as far as there is room', () => {
    expect(mailOf({ 'visitor.name': '😀'.repeat(1_000) }).subject).toHaveLength(messageLimits.subject);
    const many = Array.from({ length: maxLines }, (_, i) => ({
      productId: `${'x'.repeat(4_000)}${i}`,
      quantity: 1,
      price: 1,
    }));
    const { text, html } = mailOf({ 'cart.lines': many });
    expect(text.length).toBeLessThanOrEqual(messageLimits.text);
    expect(html!.length).toBeLessThan(messageLimits.lines + 1_000);
    expect(html!.match(/<li>/g)!.length).toBe(html!.match(/<\/li>/g)!.length);
    expect(html!.match(/<li>/g)!.length).toBeLessThan(maxLines);
  });

  it('needs neither lines nor HTML, and a fact that is missing leaves its hole empty', () => {
    expect(mailOf({}, 'plain')).toEqual({ subject: 'Hello', text: '', html: null });
  });
});

describe('what programs are told', () => {
  it('is what the rule gave, why, and the cart with what the catalog says of it', () => {
    const order = orderOf('level', { best: true, 'cart.id': 1, 'cart.value': 20, 'cart.lines': lines.slice(0, 1) });
    expect(renderMessage(order, playbook, catalog, given)).toEqual({
      mail: null,
      payload: {
        type: 'level',
        timestamp: '2026-11-25T12:00:00.000Z',
        data: {
          id: order.id,
          visitor: 'u:ann',
          action: 'level',
          rule: 'r',
          purpose: 'marketing',
          to: 'ann@example.com',
          at: '2026-11-25T11:00:00.000Z',
          with: { best: true },
          facts: { 'cart.value': 26.2 },
          cart: {
            id: 1,
            value: 20,
            lines: [
              {
                id: 'p1',
                productId: 'p1',
                quantity: 1,
                price: 20,
                total: 20,
                name: 'Tent "Two" <2>',
                category: '',
                brand: '',
                image: 'https://shop.example/images/p1.svg',
                url: 'https://shop.example/p1',
              },
            ],
          },
        },
      },
    });
  });

  it('is without a cart where the action asks for none', () => {
    expect(renderMessage(orderOf('word', {}), playbook, catalog)!.payload['data']).not.toHaveProperty('cart');
  });

  it('is nothing for an action that the playbook does not have', () => {
    expect(renderMessage(orderOf('other', {}), playbook, catalog)).toBeNull();
  });
});
