import { identify } from '../identify.ts';
import type { Builder } from './builder.ts';

export function addIdentify(builder: Builder): void {
  const Input = builder.inputType('IdentifyInput', {
    fields: (t) => ({
      token: t.string({
        required: true,
        description: 'Signed by the site’s backend, for the user who is logged in; in development also dev:NAME.',
      }),
    }),
  });
  builder.objectType('IdentifyPayload', {
    fields: (t) => ({
      visit: t.field({
        type: 'StartVisitPayload',
        nullable: true,
        resolve: (payload) => payload.visit,
        description: 'The user’s visit: from now on this browser shows its token. null: see error.',
      }),
      error: t.field({ type: 'UserError', nullable: true, resolve: (payload) => payload.error }),
    }),
  });
  builder.mutationField('identify', (t) =>
    t.field({
      type: 'IdentifyPayload',
      description:
        'The visitor of this visit token has logged in: what they did becomes the known user’s. Needs a visit token of this browser.',
      args: { input: t.arg({ type: Input, required: true }) },
      resolve: (_root, { input }, context) => identify(context, input.token),
    }),
  );
}
