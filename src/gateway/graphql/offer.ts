import { answerOffer } from '../messageLinks.ts';
import type { Builder } from './builder.ts';

export function addOffer(builder: Builder): void {
  builder.objectType('Offer', {
    description: 'What a message promised to whom it was sent.',
    fields: (t) => ({
      id: t.exposeID('id', { description: 'The message’s: an offer that may be used once is known by it.' }),
      visitor: t.exposeID('visitor', { description: 'To whom it was sent.' }),
      action: t.exposeID('action'),
      values: t.field({
        type: 'JSON',
        resolve: (offer) => offer.values,
        description: 'What the rule gave, for example {"discountPercent": 10}.',
      }),
      expiresAt: t.field({ type: 'DateTime', nullable: true, resolve: (offer) => offer.expiresAt }),
    }),
  });
  builder.objectType('OfferPayload', {
    fields: (t) => ({
      offer: t.field({ type: 'Offer', nullable: true, resolve: (payload) => payload.offer }),
      error: t.field({ type: 'UserError', nullable: true, resolve: (payload) => payload.error }),
    }),
  });
  builder.queryField('offer', (t) =>
    t.field({
      type: 'OfferPayload',
      description:
        'What the signed link of a message promises, the part after ?offer= of its address. Whoever has the link may ask; a shop honours it after asking.',
      args: { token: t.arg.string({ required: true }) },
      resolve: (_root, { token }, { services }) => answerOffer(token, services),
    }),
  );
}
