import { deflateRawSync, inflateRawSync } from 'node:zlib';

/**
 * How a visitor's texts lie in Redis, where memory is what a visitor costs: DEFLATE with a dictionary of what most of them hold, behind a
 * byte that names this form. It takes longer than folding an event, so a visitor is packed when it comes to rest, not with each change. No
 * text begins with such a byte, so one that stands as it is can be read beside them. The form may not change as long as one of it is
 * stored: another dictionary is another number.
 */
const form = 1;
const firstOfText = 0x20;

/** What is near the end is cheapest to point to: the shape of a profile, then of slots, then words that shops use. */
const dictionary = Buffer.from(
  [
    'false,true,null,"null",604800000,2592000000,86400000,43200000,21600000,14400000,7200000,3600000,1800000,900000,600000,300000,',
    '120000,60000,30000,"traits.recommend_discount_newsletter_category_brand_price_shipping_gap_reached_viewed_product_cart_search_',
    'home_hero_page_banner_offer_upsell_story_guide_help_notice_welcome_back_campaign_thank_you_free_on_the_to_a_your_went to the ',
    'checkout","took  out of the cart","placed order "spent  s on a page","saw "clicked "viewed a page"searched for \\"put  into the ',
    'cart"viewed p_0"/playbook/images/p_0.svg"],[41,"p_0"],[49,[43,"[45,[44,"[58,[34,"]][[42,"","],[46,"/playbook/images/',
    '[1,"u:,0,179,0,,[],[""],[[,3,179"viewed p_0"],[],{"product_":[7,["_banner":[3,["",10,0,0,1800000,[0,1,2,3]],[""',
    ',20,0,1,600000,[0,2,4,5],1]]","",50,0,2,null,[3]]],"page_":[]]}]',
    '[1,[20,0,0,0,0,0,0,0,1],{"~f":1,"~g":11,"~l":["p_0","p_0","p_0"],"~n":"","~o":"","~e":[1,[["p_0",1,99900],["p_0",2,9990]],null],',
    '"~h":1,"~i":2,"~m":"","~p":30},[1,5700,0,{"~t":1,"~u":11,"~v":1,"~w":2}],[[4,1903,1800000],[3,703,896400,0,0,[2,0,0]],[3,1403,',
    '298500,0,0,[0,2,0]],[3,,0,0,[0,1,0]]],[["000,21]],""]',
  ].join(''),
);
const settings = { dictionary, level: 6, memLevel: 5, windowBits: 13 };

export function pack(text: string): Buffer {
  return Buffer.concat([Buffer.of(form), deflateRawSync(text, settings)]);
}

/** @throws Error when it is of a form that this version does not know */
export function unpack(stored: Buffer): string {
  if (stored.length === 0 || stored[0]! >= firstOfText) return stored.toString();
  if (stored[0] === form) return inflateRawSync(stored.subarray(1), settings).toString();
  throw new Error(`a stored visitor is packed in form ${stored[0]}; this version knows form ${form}`);
}
