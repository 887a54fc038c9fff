import type { Builder } from './builder.ts';

export function addPlaybook(builder: Builder): void {
  builder.objectType('RuleInfo', {
    fields: (t) => ({
      id: t.exposeID('id'),
      name: t.exposeString('name'),
      sentence: t.exposeString('sentence', { description: 'What it does, in words.' }),
      status: t.exposeString('status', { description: 'draft, live or paused.' }),
      priority: t.exposeInt('priority', { description: 'Higher wins.' }),
    }),
  });
  builder.objectType('PlaybookInfo', {
    fields: (t) => ({
      version: t.exposeString('version', { description: 'Content hash.' }),
      slots: t.exposeStringList('slots'),
      eventTypes: t.exposeStringList('eventTypes'),
      rules: t.field({ type: ['RuleInfo'], resolve: (playbook) => playbook.rules }),
    }),
  });
  builder.queryField('playbook', (t) =>
    t.field({
      type: 'PlaybookInfo',
      description: 'The newest published playbook. Any token may ask.',
      resolve: (_root, _args, context) => {
        context.identity();
        const { version, slots, events, rules } = context.services.playbook();
        return {
          version,
          slots: [...slots.keys()],
          eventTypes: [...events.keys()],
          rules: [...rules.values()].map(({ id, name, sentence, status, priority }) => ({
            id,
            name,
            sentence,
            status,
            priority,
          })),
        };
      },
    }),
  );
}
