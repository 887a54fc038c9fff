import type { Json } from '../../model/json.ts';
import { profileEvent } from '../../model/profile.ts';
import { type Purpose, purposes } from '../../model/purposes.ts';
import type { RequestContext } from '../context.ts';
import type { IncomingEvent, Outcome } from '../intake.ts';
import { demandScope } from '../visitorRef.ts';
import type { Builder } from './builder.ts';

/** updateProfile and setConsent: events of types that every playbook has, under names that say what they are for. */
export function addProfile(builder: Builder): void {
  const Profile = builder.inputType('UpdateProfileInput', {
    description: 'What is left out stays as it is; null removes an e-mail address, name or locale.',
    fields: (t) => ({
      visitor: t.field({ type: 'VisitorRef', required: true }),
      email: t.string({ description: 'Where mails to this visitor go.' }),
      name: t.string(),
      locale: t.string({ description: 'BCP 47, for example de or pt-BR.' }),
      timeZone: t.string({ description: 'An IANA name, for example Europe/Berlin.' }),
      attributes: t.field({ type: 'JSON', description: 'Those that the playbook declares for profile_updated.' }),
      id: t.field({ type: 'UUID', description: 'Of the event, so that sending again is safe.' }),
    }),
  });
  const Purpose = builder.enumType('ConsentPurpose', {
    description: 'What a visitor may agree to, or not.',
    values: Object.fromEntries(purposes.map((value) => [value.toUpperCase(), { value }])) as Record<
      Uppercase<Purpose>,
      { value: Purpose }
    >,
  });
  const Consent = builder.inputType('SetConsentInput', {
    fields: (t) => ({
      purpose: t.field({ type: Purpose, required: true }),
      granted: t.boolean({ required: true }),
      visitor: t.field({ type: 'VisitorRef', description: 'For secret keys with the scope write.' }),
      id: t.field({ type: 'UUID', description: 'Of the event, so that sending again is safe.' }),
    }),
  });
  for (const name of ['UpdateProfilePayload', 'SetConsentPayload'] as const) {
    builder.objectType(name, {
      fields: (t) => ({ outcome: t.field({ type: 'TrackOutcome', resolve: (payload) => payload.outcome }) }),
    });
  }
  builder.mutationField('updateProfile', (t) =>
    t.field({
      type: 'UpdateProfilePayload',
      description:
        'What the shop knows of a visitor: appends the event profile_updated. Needs a secret key with the scope write.',
      args: { input: t.arg({ type: Profile, required: true }) },
      resolve: async (_root, { input: { visitor, id, attributes, ...texts } }, context) => {
        demandScope(context.identity(), 'write');
        const event = profileEvent({ ...texts, attributes: attributes as Json | undefined });
        return track({ id, visitor, ...event }, context);
      },
    }),
  );
  builder.mutationField('setConsent', (t) =>
    t.field({
      type: 'SetConsentPayload',
      description:
        'What the visitor agrees to: appends the event consent_changed. With a visit token of oneself, with a secret key of anybody.',
      args: { input: t.arg({ type: Consent, required: true }) },
      resolve: async (_root, { input: { purpose, granted, visitor, id } }, context) =>
        track({ type: 'consent_changed', id, visitor, properties: { purpose, granted } }, context),
    }),
  );
}

/** @throws UsherError as the sender's identity */
async function track(event: IncomingEvent, context: RequestContext): Promise<{ readonly outcome: Outcome }> {
  const [outcome] = await context.services.intake.track([event], context.sender(null));
  return { outcome: inInput(outcome!) };
}

/** A fault of a property is one of the input's member here. */
function inInput(outcome: Outcome): Outcome {
  if (outcome.status === 'ACCEPTED' || outcome.error.path?.[0] !== 'properties') return outcome;
  const { error } = outcome;
  const message = error.message.replace(/^properties\.?/, '');
  return { ...outcome, error: { ...error, message, path: error.path!.slice(1) } };
}
