import type { GraphQLSchema } from 'graphql';
import type { Playbook } from '../../playbook/playbook.ts';
import { type ContentTypes, contentTypesOf } from '../contentTypes.ts';
import { addActivity } from './activity.ts';
import { addAdvance } from './advance.ts';
import { createBuilder } from './builder.ts';
import { addCommon } from './common.ts';
import { addContentTypes } from './contentTypes.ts';
import { addContentUpdates } from './contentUpdates.ts';
import { addDeadLetters, addRedriveDeadLetters } from './deadLetters.ts';
import { addEventInput } from './eventInput.ts';
import { addExplain } from './explain.ts';
import { addFailedEvents } from './failedEvents.ts';
import { addIdentify } from './identify.ts';
import { addOffer } from './offer.ts';
import { addPersonalizedSlots } from './personalizedSlots.ts';
import { addPlaybook } from './playbook.ts';
import { addProfile } from './profile.ts';
import { addRebuildShards } from './rebuildShards.ts';
import { addRetryFailedEvents } from './retryFailedEvents.ts';
import { addSegments } from './segments.ts';
import { addSlotTypes } from './slotTypes.ts';
import { addStartVisit } from './startVisit.ts';
import { addStatus } from './status.ts';
import { addTrackEvent } from './trackEvent.ts';
import { addTrackEvents } from './trackEvents.ts';
import { addUpsertProducts } from './upsertProducts.ts';
import { addVisitor } from './visitor.ts';
import { addVisitors } from './visitors.ts';

export interface BuiltSchema {
  readonly schema: GraphQLSchema;
  /** Names of the types that the playbook brought: of its tracking plan, and of its types of content. */
  readonly playbookTypes: readonly string[];
  readonly contents: ContentTypes;
}

/** The GraphQL schema for a playbook: all of it but EventInput with its members, and the types of content, is the same for every playbook. */
export function buildSchema(playbook: Pick<Playbook, 'events' | 'types'>): BuiltSchema {
  const builder = createBuilder();
  addCommon(builder);
  const contents = contentTypesOf(playbook);
  addSlotTypes(builder, contents);
  addContentTypes(builder, contents);
  const { members, typeNames } = addEventInput(builder, playbook.events.values());
  addStartVisit(builder);
  addIdentify(builder);
  addTrackEvent(builder, members);
  addTrackEvents(builder);
  addProfile(builder);
  addAdvance(builder);
  addUpsertProducts(builder);
  addRetryFailedEvents(builder);
  addRedriveDeadLetters(builder);
  addRebuildShards(builder);
  addPersonalizedSlots(builder);
  addVisitor(builder);
  addVisitors(builder);
  addFailedEvents(builder);
  addOffer(builder);
  addDeadLetters(builder);
  addSegments(builder);
  addExplain(builder);
  addStatus(builder);
  addPlaybook(builder);
  addContentUpdates(builder);
  addActivity(builder);
  const contentNames = [...contents.typed.values()].map(({ graphqlName }) => graphqlName);
  return {
    schema: builder.toSchema({ sortSchema: false }),
    playbookTypes: [...typeNames, ...contentNames],
    contents,
  };
}
