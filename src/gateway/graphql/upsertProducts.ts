import { limits } from '../limits.ts';
import { putProducts } from '../productInput.ts';
import { demandScope } from '../visitorRef.ts';
import { checkBatch } from './argumentChecks.ts';
import type { Builder } from './builder.ts';

export function addUpsertProducts(builder: Builder): void {
  const Product = builder.inputType('ProductInput', {
    description: 'A product as it is now. All of it: what is left out is empty, also where it was told before.',
    fields: (t) => ({
      id: t.id({ required: true, description: 'As events name it in productId.' }),
      name: t.string({ required: true }),
      price: t.float({ required: true, description: 'What a visitor pays for one, in major units: 149.90.' }),
      currency: t.string({ description: 'ISO 4217; another than the playbook’s is refused.' }),
      category: t.string(),
      brand: t.string(),
      image: t.string({ description: 'Address of a picture.' }),
      url: t.string({ description: 'Address of its page.' }),
      stock: t.int({ description: 'How many there are.' }),
      availability: t.string({
        description: 'in_stock, out_of_stock, preorder or backorder; left out: as stock says, else in_stock.',
      }),
    }),
  });
  const Input = builder.inputType('UpsertProductsInput', {
    fields: (t) => ({
      products: t.field({ type: [Product], required: true, description: 'At most 500. Each has its own outcome.' }),
    }),
  });
  const Status = builder.enumType('ProductOutcomeStatus', {
    values: {
      CREATED: { description: 'It was not there.' },
      CHANGED: {},
      UNCHANGED: { description: 'It was there, and just so.' },
      REFUSED: { description: 'It is as it was; error says why.' },
    } as const,
  });
  builder.objectType('ProductOutcome', {
    fields: (t) => ({
      id: t.exposeID('id'),
      status: t.field({ type: Status, resolve: (outcome) => outcome.status }),
      error: t.field({ type: 'UserError', nullable: true, resolve: (outcome) => outcome.error }),
    }),
  });
  builder.objectType('UpsertProductsPayload', {
    fields: (t) => ({
      outcomes: t.field({
        type: ['ProductOutcome'],
        resolve: (payload) => payload.outcomes,
        description: 'One a product, in the order of the products.',
      }),
    }),
  });
  builder.mutationField('upsertProducts', (t) =>
    t.field({
      type: 'UpsertProductsPayload',
      description:
        'Writes products over those of the playbook. Pages show them at once, rules see them with the next snapshot. Needs the scope import.',
      args: { input: t.arg({ type: Input, required: true }) },
      resolve: async (_root, { input: { products } }, context) => {
        const { services } = context;
        demandScope(context.identity(), 'import');
        checkBatch(products.length, limits.batchProducts, 'products', 'taken');
        const outcomes = await putProducts(products, services.playbook(), services.store.products);
        services.products.forget(products.map(({ id }) => id));
        return { outcomes };
      },
    }),
  );
}
