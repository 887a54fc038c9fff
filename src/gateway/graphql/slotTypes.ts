import type { UsherError } from '../../errors.ts';
import type { ContentTypes } from '../contentTypes.ts';
import type { SlotAnswer } from '../slotAnswers.ts';
import type { Builder } from './builder.ts';

/** graphql-js takes an Error in a list as that place's null with an error at its path; its types do not say so. */
export async function inPlace(
  answers: Promise<readonly (SlotAnswer | UsherError)[]>,
): Promise<readonly (SlotAnswer | null)[]> {
  return (await answers) as readonly (SlotAnswer | null)[];
}

/** A slot as it is shown to one visitor, and why. */
export function addSlotTypes(builder: Builder, { typed, untyped }: ContentTypes): void {
  const Source = builder.enumType('SlotSource', {
    values: {
      RULE: { description: 'A rule of the playbook chose it.' },
      FALLBACK: { description: 'No rule did; it is the slot’s fallback.' },
    } as const,
  });
  builder.interfaceType('Content', {
    description: 'What a slot shows.',
    resolveType: ({ type }) => typed.get(type)?.graphqlName ?? untyped,
    fields: (t) => ({
      id: t.exposeID('id'),
      type: t.exposeString('type', { description: 'The kind of content in the playbook’s words, for example offer.' }),
      data: t.field({
        type: 'JSON',
        resolve: (content) => content.data,
        description: 'Its fields, texts rendered for this visitor.',
      }),
    }),
  });
  builder.objectType('JsonContent', {
    interfaces: ['Content'],
    description: 'Content of a type that the playbook does not declare.',
  });
  builder.objectType('Fact', {
    description: 'A name that was read when the slot was decided, with its value then.',
    fields: (t) => ({
      name: t.exposeString('name', { description: 'As conditions write it, for example cart.value.' }),
      value: t.expose('value', { type: 'JSON', nullable: true }),
    }),
  });
  builder.objectType('Loser', {
    description: 'Other content that the slot would show if the winner went.',
    fields: (t) => ({
      ruleId: t.exposeID('ruleId'),
      contentId: t.exposeID('contentId'),
      reason: t.exposeString('reason'),
    }),
  });
  builder.objectType('Why', {
    fields: (t) => ({
      sentence: t.exposeString('sentence'),
      ruleId: t.exposeID('ruleId', { nullable: true }),
      playbookVersion: t.exposeString('playbookVersion'),
      eventId: t.expose('eventId', { type: 'UUID', nullable: true, description: 'The event that made the rule fire.' }),
      facts: t.field({ type: ['Fact'], resolve: (why) => why.facts }),
      losers: t.field({ type: ['Loser'], resolve: (why) => why.losers }),
    }),
  });
  builder.objectType('PersonalizedSlot', {
    fields: (t) => ({
      name: t.exposeString('name'),
      content: t.field({ type: 'Content', resolve: (slot) => slot.content }),
      source: t.field({ type: Source, resolve: (slot) => slot.source }),
      version: t.exposeInt('version', { description: 'The visitor’s version when this slot last changed; 0: never.' }),
      cursor: t.field({ type: 'Cursor', resolve: (slot) => slot.cursor() }),
      decidedAt: t.expose('decidedAt', {
        type: 'DateTime',
        nullable: true,
        description: 'Time of the event that decided it; null for a fallback.',
      }),
      expiresAt: t.expose('expiresAt', {
        type: 'DateTime',
        nullable: true,
        description: 'When it ends by itself; null: it does not.',
      }),
      stale: t.exposeBoolean('stale', {
        description: 'Whether something newer may exist: the wait was over, or the state did not answer.',
      }),
      why: t.field({ type: 'Why', resolve: (slot) => slot.why() }),
    }),
  });
}
