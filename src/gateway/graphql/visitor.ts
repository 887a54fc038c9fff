import { readVisitor } from '../visitorReader.ts';
import { visitorFor } from '../visitorRef.ts';
import type { Builder } from './builder.ts';
import { inPlace } from './slotTypes.ts';

const whole = ['folded', 'duplicate', 'late', 'held', 'skipped', 'beyondWindow', 'failed', 'sessions'] as const;

export function addVisitor(builder: Builder): void {
  builder.objectType('CartLine', {
    fields: (t) => ({
      productId: t.exposeID('productId'),
      quantity: t.exposeInt('quantity'),
      price: t.exposeFloat('price', { description: 'Of one, in major units.' }),
    }),
  });
  builder.objectType('Cart', {
    fields: (t) => ({
      id: t.exposeInt('id', { description: '1 for the visitor’s first cart; every order begins the next.' }),
      value: t.exposeFloat('value', { description: 'In major units.' }),
      lines: t.field({ type: ['CartLine'], resolve: (cart) => cart.lines }),
    }),
  });
  builder.objectType('VisitorSegment', {
    fields: (t) => ({
      id: t.exposeID('id'),
      name: t.exposeString('name'),
      since: t.field({ type: 'DateTime', resolve: (segment) => segment.since, description: 'Event time.' }),
    }),
  });
  builder.objectType('VisitorCounts', {
    description: 'What became of the visitor’s events.',
    fields: (t) => Object.fromEntries(whole.map((name) => [name, t.exposeInt(name)])),
  });
  builder.objectType('Visitor', {
    description: 'What Usher knows of one visitor.',
    fields: (t) => ({
      id: t.exposeID('id'),
      visitor: t.field({
        type: 'JSON',
        resolve: (visitor) => visitor.visitor,
        description: 'What conditions read as visitor.',
      }),
      session: t.field({
        type: 'JSON',
        nullable: true,
        resolve: (visitor) => visitor.session,
        description: 'What conditions read as session; null: none is open.',
      }),
      cart: t.field({ type: 'Cart', resolve: (visitor) => visitor.cart }),
      traits: t.field({
        type: 'JSON',
        resolve: (visitor) => visitor.traits,
        description: 'What conditions read as traits.',
      }),
      consent: t.field({
        type: 'JSON',
        resolve: (visitor) => visitor.consent,
        description: 'What conditions read as consent: true, false, or null while it was not told.',
      }),
      segments: t.field({
        type: ['VisitorSegment'],
        resolve: (visitor) => visitor.segments,
        description: 'The segments that the visitor is in.',
      }),
      counts: t.field({ type: 'VisitorCounts', resolve: (visitor) => visitor.counts }),
      slots: t.field({
        type: ['PersonalizedSlot'],
        nullable: { list: false, items: true },
        args: { names: t.arg.stringList() },
        resolve: (visitor, { names }, context) =>
          inPlace(
            context.services.slots.readOf(visitor.id, {
              loader: context.loader,
              names: names ?? null,
              viewer: context.viewer(null),
              allPages: true,
              after: null,
              waitMs: 0,
              onSuperseded: context.tellBeside,
            }),
          ),
      }),
    }),
  });
  builder.queryField('visitor', (t) =>
    t.field({
      type: 'Visitor',
      nullable: true,
      description: 'The token’s visitor, or with a secret key of scope read the one named; null: not known (yet).',
      args: { ref: t.arg({ type: 'VisitorRef' }) },
      resolve: (_root, { ref }, context) => readVisitor(context.services, visitorFor(context.identity(), ref, 'read')),
    }),
  );
}
