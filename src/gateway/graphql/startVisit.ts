import type { Builder } from './builder.ts';

export function addStartVisit(builder: Builder): void {
  const Input = builder.inputType('StartVisitInput', {
    fields: (t) => ({
      token: t.string({ description: 'A visit token, expired or not: the same visitor gets a new one.' }),
    }),
  });
  builder.objectType('StartVisitPayload', {
    fields: (t) => ({
      token: t.exposeString('token', {
        description: 'For the header "Authorization: Bearer TOKEN". Only this browser should have it.',
      }),
      expiresAt: t.expose('expiresAt', { type: 'DateTime' }),
      visitorId: t.id({ resolve: (visit) => visit.visitor }),
    }),
  });
  builder.mutationField('startVisit', (t) =>
    t.field({
      type: 'StartVisitPayload',
      description:
        'Begins a visit: a signed token for this browser, as a new visitor or, with a token, as the same one for longer.',
      args: { input: t.arg({ type: Input }) },
      resolve: (_root, { input }, { services }) =>
        services.tokens.startVisit(input?.token ?? null, services.renewableMs),
    }),
  );
}
