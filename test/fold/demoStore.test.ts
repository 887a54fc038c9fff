import { beforeEach, describe, expect, it } from 'vitest';
import { renderMessage } from '../../src/decide/message.ts';
import { type ActionOrder, actionsTopic } from '../../src/model/action.ts';
import type { ActiveBundles } from '../../src/playbook/playbook.ts';
import { readPlaybook } from '../../src/playbook/read.ts';
import { demoStoreFolder } from '../support/demoStore.ts';
import { FoldShard } from '../support/foldShard.ts';

/** What the demo store's journeys come to, with the real fold: the rules say it, and these stories hold them to it. */

const bundles = (await readPlaybook(demoStoreFolder)) as ActiveBundles;
const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;
/** A Wednesday, before the shop's campaigns of 2030. */
const start = Date.UTC(2030, 0, 2, 12);

class Story {
  now = start;
  readonly #shard = new FoldShard({ get: () => bundles });
  #count = 0;

  constructor() {
    this.#append({ kind: 'activate', playbook: 'p', catalog: 'c', foldVersion: 1 });
  }

  /** Somebody does something, a second after what came before. */
  did(type: string, properties: object = {}, context: object = {}): this {
    this.now += second;
    this.#append({ kind: 'event', visitor: 'v', type, properties, context });
    return this;
  }
  viewed(...products: readonly string[]): this {
    for (const productId of products) this.did('product_viewed', { productId });
    return this;
  }
  ordered(orderId: string, productId: string): this {
    return this.did('order_completed', { orderId, lines: [{ productId, quantity: 1 }] });
  }
  /** Time passes, with nothing but ticks in the log. */
  passes(ms: number): this {
    this.now += ms;
    this.#append({ kind: 'tick' });
    return this;
  }

  /** The rules that want to be shown in the slot, the winner first. */
  rulesOf(slot: string): readonly string[] {
    return this.#visitor.slots[slot]?.candidates.map(({ rule }) => rule) ?? [];
  }
  get segments(): readonly string[] {
    return Object.keys(this.#visitor.segments);
  }
  trait(name: string): unknown {
    return this.#visitor.traits.get(name);
  }
  /** What rules appended, each as it would stand in the log. */
  get appended(): readonly { readonly type: string; readonly properties: object }[] {
    return this.#outputs('log');
  }
  get messages(): readonly ActionOrder[] {
    return this.#outputs(actionsTopic);
  }
  #outputs(wanted: string) {
    this.#shard.fold();
    return this.#shard.outbox.flatMap(({ topic, value }) => (topic === wanted ? [JSON.parse(value)] : []));
  }
  get #visitor() {
    return this.#shard.fold().visitor('v')!;
  }
  #append(record: object): void {
    this.#shard.append({ v: 1, id: `e${this.#count++}`, ...record }, this.now);
  }
}

describe('the demo store', () => {
  let story: Story;
  beforeEach(() => {
    story = new Story();
  });
  const add = (productId: string) => story.did('cart_item_added', { productId, quantity: 1 });

  it('reminds of a cart half an hour after its last change, and says so to who comes back', () => {
    add('p_003');
    story.passes(20 * minute);
    add('p_025').passes(30 * minute - 1);
    expect(story.rulesOf('notice')).toEqual([]);
    story.passes(1);
    expect(story.rulesOf('notice')).toEqual(['cart_waits']);
    expect(story.rulesOf('cart_banner')).toEqual(['cart_reminder', 'free_shipping']);
    expect(story.trait('reminded_at')).toBe(story.now);
  });

  it('reminds of one cart once, and of the next one again', () => {
    add('p_003').passes(30 * minute);
    add('p_025').passes(25 * hour);
    expect(story.rulesOf('notice')).toEqual([]);
    story.ordered('o1', 'p_003');
    add('p_001').passes(30 * minute);
    expect(story.rulesOf('notice')).toContain('cart_waits');
  });

  it('reminds by mail whom it may, with the lines of the cart, once; and nobody who is still here', () => {
    const known = () => {
      story = new Story().did('profile_updated', { email: 'ann@example.com', name: 'Ann' });
      story.did('consent_changed', { purpose: 'marketing', granted: true });
      return add('p_017');
    };
    known()
      .passes(30 * minute)
      .passes(day);
    expect(story.rulesOf('cart_banner')).not.toContain('cart_reminder');
    const [order, ...others] = story.messages;
    expect([order!.action, order!.to, others]).toEqual(['cart_mail', 'ann@example.com', []]);
    const given = {
      link: 'https://shop.example/cart?x',
      unsubscribe: 'https://shop.example/no',
      baseUrl: 'https://shop.example',
    };
    const { subject, text, html } = renderMessage(order!, bundles.playbook, bundles.catalog, given)!.mail!;
    expect(subject).toBe('Your cart is waiting, with 10 % off');
    expect(text).toContain(
      'Hello Ann,\n\nyou left this in your cart:\n\n1 x Aurora 3 Trekking Tent, 349.00 USD\n\nTogether 349.00',
    );
    expect(html).toContain('<img src="https://shop.example/playbook/images/p_017.svg"');
    for (const link of [given.link, given.unsubscribe])
      expect([text, html].every((each) => each!.includes(link))).toBe(true);

    known()
      .passes(29 * minute)
      .did('element_clicked', { element: 'menu' })
      .passes(minute);
    expect([story.messages, story.rulesOf('cart_banner')[0]]).toEqual([[], 'cart_reminder']);
  });

  it('does not remind of what was ordered, or emptied; and counts the order that a reminder brought', () => {
    add('p_003');
    story.ordered('o1', 'p_003').passes(hour);
    expect(story.rulesOf('cart_banner')).toEqual([]);
    add('p_003');
    story.did('cart_item_removed', { productId: 'p_003' }).passes(hour);
    expect(story.rulesOf('cart_banner')).toEqual([]);
    add('p_003').passes(hour);
    expect(story.rulesOf('cart_banner')).toContain('cart_reminder');
    story.ordered('o2', 'p_003');
    expect(story.rulesOf('cart_banner')).toEqual([]);
    expect(story.appended.filter(({ type }) => type === 'cart_rescued')).toMatchObject([
      { type: 'cart_rescued', properties: { orderId: 'o2', value: 74.5 } },
    ]);
  });

  it('has a guide for who looked at three of a kind and then searched, in five minutes, with nothing in the cart', () => {
    const search = () => story.did('search_performed', { query: 'light', results: 4 });
    story.viewed('p_001', 'p_013', 'p_002');
    search();
    expect(story.rulesOf('search_banner')).toEqual([]);
    story.viewed('p_003');
    search();
    expect(story.rulesOf('search_banner')).toEqual(['browsed_then_searched']);

    story = new Story().viewed('p_001', 'p_002', 'p_003').passes(5 * minute);
    search();
    expect(story.rulesOf('search_banner')).toEqual([]);

    story = new Story().viewed('p_001', 'p_002', 'p_003');
    add('p_003');
    search();
    expect(story.rulesOf('search_banner')).toEqual([]);
  });

  it('welcomes bargain hunters, and tells them of the outlet when they have gone quiet', () => {
    story.viewed('p_025', 'p_028', 'p_029');
    expect(story.segments).toEqual(['bargain_hunter']);
    expect(story.rulesOf('home_hero')).toEqual(['welcome_bargain_hunters']);
    story.passes(10 * minute);
    expect(story.rulesOf('notice')).toEqual([]);
    story.passes(1);
    expect(story.segments).toEqual(['bargain_hunter', 'gone_quiet']);
    expect(story.rulesOf('notice')).toEqual(['outlet_for_the_quiet']);
    for (let times = 0; times < 3; times++) story.did('slot_shown', { slot: 'notice', content: 'notice_outlet' });
    expect(story.rulesOf('notice')).toEqual([]);
    story.viewed('p_015');
    expect(story.rulesOf('home_hero')).toEqual([]);
  });

  it('wins back who has not ordered for 60 days, without any event, until the next order', () => {
    story.ordered('o1', 'p_015');
    expect(story.segments).toEqual(['active_customer']);
    story.passes(60 * day - 1);
    expect(story.rulesOf('home_hero')).toEqual([]);
    story.passes(1);
    expect(story.segments).toEqual([]);
    expect(story.rulesOf('home_hero')).toEqual(['win_back']);
    story.ordered('o2', 'p_003');
    expect(story.rulesOf('home_hero')).toEqual(['thank_you']);
  });

  it('has a line for the best customers until 90 days have passed, and tells the customer file of both', () => {
    story.did('page_viewed', {}, { url: 'https://shop.example/?utm_campaign=spring_boots' });
    for (const order of ['o1', 'o2', 'o3'])
      story
        .ordered(order, 'p_010')
        .ordered(`${order}b`, 'p_001')
        .passes(2 * day);
    expect(story.segments).toContain('best_customer');
    expect(story.rulesOf('notice')).toContain('best_customer_line');
    story.passes(89 * day);
    expect(story.segments).not.toContain('best_customer');
    expect(story.rulesOf('notice')).not.toContain('best_customer_line');
    expect(story.appended.filter(({ type }) => type === 'customer_level_changed')).toMatchObject([
      { properties: { level: 'best', campaign: 'spring_boots' } },
      { properties: { level: 'regular', campaign: 'spring_boots' } },
    ]);
  });

  it('learns what somebody likes best, once of each kind, and forgets a tent after weeks', () => {
    add('p_017').viewed('p_017', 'p_013', 'p_014', 'p_015');
    expect(story.trait('favourite')).toBe('tents');
    expect(story.appended).toMatchObject([
      { type: 'interest_found', properties: { category: 'tents', productId: 'p_015' }, depth: 1 },
    ]);
    expect(story.segments).toEqual(['tent_shopper']);
    expect(story.rulesOf('notice')).toEqual(['tent_advice']);
    story.passes(8 * day);
    expect(story.segments).toEqual([]);
    expect(story.rulesOf('notice')).not.toContain('tent_advice');
  });

  it('offers help after two minutes on one page, once, and a question after one on a product', () => {
    const spent = (seconds: number, pageViewId = 'a') =>
      story.did('time_spent', { pageViewId, seconds }, { page: 'product' });
    spent(30);
    expect(story.rulesOf('product_upsell')).toEqual([]);
    spent(60);
    expect(story.rulesOf('product_upsell')).toEqual(['long_look']);
    expect(story.rulesOf('notice')).toEqual([]);
    spent(120);
    expect(story.rulesOf('notice')).toEqual(['long_read', 'long_read_after_hours']);
    story.passes(10 * minute);
    spent(300);
    expect(story.rulesOf('notice')).toEqual([]);
    spent(120, 'b');
    expect(story.rulesOf('notice')).toEqual(['long_read', 'long_read_after_hours']);
  });

  it('asks who searches again and again what it is for, once an hour', () => {
    const search = (times: number) => {
      for (let i = 0; i < times; i++) story.did('search_performed', { query: 'x' });
    };
    search(3);
    expect(story.rulesOf('notice')).toEqual([]);
    search(1);
    expect(story.rulesOf('notice')).toEqual(['stuck_in_search']);
    story.passes(15 * minute);
    search(4);
    expect(story.rulesOf('notice')).toEqual([]);
    story.passes(45 * minute);
    search(4);
    expect(story.rulesOf('notice')).toEqual(['stuck_in_search']);
  });

  it('has at most three asides a day, whichever they are', () => {
    const mobile = { device: 'mobile' };
    const kinds = [
      ['p_001', 'p_002', 'p_003', 'p_004'],
      ['p_007', 'p_008', 'p_009', 'p_010'],
    ];
    for (const [i, products] of kinds.entries())
      for (const productId of products!) {
        story.did('product_viewed', { productId }, i === 0 ? mobile : {});
      }
    expect(story.rulesOf('product_upsell')).toEqual(['app_on_the_phone']);
    story.passes(day).viewed('p_025', 'p_026', 'p_027', 'p_028');
    expect(story.rulesOf('product_upsell')).toEqual(['comparing']);
  });

  it('keeps the checkout calm, whatever else there is to say', () => {
    add('p_003').passes(31 * minute);
    story.did('checkout_started');
    expect(story.rulesOf('notice')).toEqual(['calm_at_the_checkout', 'cart_waits']);
  });

  it('shows again what was looked at twice, unless it was taken out of the cart or bought', () => {
    story.viewed('p_021', 'p_015', 'p_021');
    expect(story.rulesOf('home_hero')).toEqual(['still_interested']);
    story.ordered('o1', 'p_021').passes(2 * day);
    expect(story.rulesOf('home_hero')).toEqual([]);
    add('p_022');
    story.did('cart_item_removed', { productId: 'p_022' }).viewed('p_022', 'p_022');
    expect(story.rulesOf('home_hero')).toEqual([]);
  });
});
