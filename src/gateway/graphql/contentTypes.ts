import type { ContentTypes } from '../contentTypes.ts';
import type { SlotAnswer } from '../slotAnswers.ts';
import type { Builder } from './builder.ts';

/**
 * A type for each type of content that the playbook declares, with a field for each of its properties. All of them may be null: a slot may
 * still show what another playbook declared otherwise.
 */
export function addContentTypes(builder: Builder, { typed }: ContentTypes): void {
  for (const { graphqlName, description, fields } of typed.values()) {
    // The name is not one of the builder's known types, because it comes from a playbook; hence the cast.
    (builder.objectType as (name: string, options: object) => void)(graphqlName, {
      interfaces: ['Content'],
      description,
      fields: (t: { field(options: object): unknown }) =>
        Object.fromEntries(
          fields.map(({ name, type, isList, description: said, read }) => [
            name,
            t.field({
              type: isList ? [type] : type,
              nullable: isList ? { list: true, items: false } : true,
              resolve: (content: SlotAnswer['content']) => read(content.data),
              ...(said === null ? {} : { description: said }),
            }),
          ]),
        ),
    });
  }
}
