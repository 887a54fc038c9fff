import { explainVisitorAction, explainVisitorSlot } from '../explainer.ts';
import { visitorFor } from '../visitorRef.ts';
import type { Builder } from './builder.ts';

export function addExplain(builder: Builder): void {
  builder.objectType('RuleExplanation', {
    fields: (t) => ({
      ruleId: t.exposeID('ruleId'),
      name: t.exposeString('name'),
      contentId: t.exposeID('contentId', { description: 'What it shows; of a message the action.' }),
      outcome: t.exposeString('outcome', {
        description:
          'shown: it wins. lost: it wants to be shown. out: it does not. waits: its message waits for the end of quiet hours.',
      }),
      reasons: t.exposeStringList('reasons', { description: 'Why, in words.' }),
      facts: t.field({
        type: ['Fact'],
        resolve: (rule) => rule.facts,
        description: 'As captured when it was decided; of one that is out, what its conditions read now.',
      }),
      decidedAt: t.field({ type: 'DateTime', nullable: true, resolve: (rule) => rule.decidedAt }),
      expiresAt: t.field({ type: 'DateTime', nullable: true, resolve: (rule) => rule.expiresAt }),
    }),
  });
  builder.objectType('Explanation', {
    fields: (t) => ({
      slot: t.exposeString('slot'),
      winner: t.exposeID('winner', { nullable: true, description: 'The rule that wins; null: the fallback shows.' }),
      contentId: t.exposeID('contentId', { description: 'What is shown.' }),
      rules: t.field({
        type: ['RuleExplanation'],
        resolve: (explanation) => explanation.rules,
        description: 'Every rule that may show something there: the winner, those that lost, those that are out.',
      }),
    }),
  });
  builder.queryField('explain', (t) =>
    t.field({
      type: 'Explanation',
      nullable: true,
      description:
        'Why a slot shows what it shows to a visitor. Needs a secret key of scope read; null: not known (yet).',
      args: {
        visitor: t.arg({ type: 'VisitorRef', required: true }),
        slot: t.arg.string({ required: true }),
      },
      resolve: (_root, { visitor, slot }, context) =>
        explainVisitorSlot(context.services, visitorFor(context.identity(), visitor, 'read'), slot),
    }),
  );
  builder.queryField('explainAction', (t) =>
    t.field({
      type: ['RuleExplanation'],
      nullable: true,
      description:
        'Of every rule that sends this message why it would not send it to a visitor now, or that it waits. Needs a secret key of scope read; null: not known (yet).',
      args: {
        visitor: t.arg({ type: 'VisitorRef', required: true }),
        action: t.arg.string({ required: true }),
      },
      resolve: (_root, { visitor, action }, context) =>
        explainVisitorAction(context.services, visitorFor(context.identity(), visitor, 'read'), action),
    }),
  );
}
