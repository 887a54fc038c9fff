import SchemaBuilder from '@pothos/core';
import { GraphQLError, Kind, type ValueNode } from 'graphql';
import type { Explanation, RuleExplanation } from '../../fold/explain.ts';
import type { WhyShown } from '../../fold/why.ts';
import type { FailedEvent } from '../../model/commit.ts';
import type { RequestContext } from '../context.ts';
import type { DeadLetter, DeadLetterPage } from '../deadLetters.ts';
import type { Identified } from '../identify.ts';
import type { Outcome } from '../intake.ts';
import type { MessageLink } from '../linkTokens.ts';
import type { OfferAnswer } from '../messageLinks.ts';
import type { ProductOutcome } from '../productInput.ts';
import type { SlotAnswer } from '../slotAnswers.ts';
import type { Visit } from '../tokens.ts';
import type { ActivityAnswer, CauseAnswer, ContentUpdateAnswer, StageAnswer } from '../updates.ts';
import type { UserError } from '../userError.ts';
import type { VisitorRef } from '../visitorRef.ts';
import type {
  RuleInfoAnswer,
  SegmentAnswer,
  ShardStatusAnswer,
  VisitorAnswer,
  VisitorPageAnswer,
  VisitorSegmentAnswer,
} from './answers.ts';

/** The shapes behind the names of the schema; a name here can be used as a type in every file of this folder. */
interface Types {
  Context: RequestContext;
  DefaultFieldNullability: false;
  Scalars: {
    ID: { Input: string; Output: string };
    /** Checked by intake, not by GraphQL: one malformed value must not spoil a whole batch. */
    UUID: { Input: string; Output: string };
    DateTime: { Input: string; Output: number };
    Cursor: { Input: string; Output: string };
    JSON: { Input: unknown; Output: unknown };
  };
  Interfaces: { Content: SlotAnswer['content'] };
  Objects: {
    StartVisitPayload: Visit;
    IdentifyPayload: Identified;
    Offer: MessageLink;
    OfferPayload: OfferAnswer;
    TrackEventPayload: { readonly outcome: Outcome };
    UpdateProfilePayload: { readonly outcome: Outcome };
    SetConsentPayload: { readonly outcome: Outcome };
    TrackEventsPayload: { readonly outcomes: readonly Outcome[] };
    TrackOutcome: Outcome;
    RebuildShardsPayload: { readonly shards: readonly number[] };
    RetryFailedEventsPayload: { readonly outcomes: readonly Outcome[] };
    DeadLetter: DeadLetter;
    DeadLetterPage: DeadLetterPage;
    RedriveDeadLettersPayload: { readonly outcomes: readonly Outcome[]; readonly end: string | null };
    UserError: UserError;
    ProductOutcome: ProductOutcome;
    UpsertProductsPayload: { readonly outcomes: readonly ProductOutcome[] };
    AdvancePayload: { readonly cursors: readonly string[] };
    PersonalizedSlot: SlotAnswer;
    JsonContent: SlotAnswer['content'];
    Why: WhyShown;
    Fact: WhyShown['facts'][number];
    Loser: WhyShown['losers'][number];
    ContentUpdate: ContentUpdateAnswer;
    UpdateCause: CauseAnswer;
    Stage: StageAnswer;
    Activity: ActivityAnswer;
    Visitor: VisitorAnswer;
    Cart: VisitorAnswer['cart'];
    CartLine: VisitorAnswer['cart']['lines'][number];
    VisitorCounts: VisitorAnswer['counts'];
    VisitorSegment: VisitorSegmentAnswer;
    Segment: SegmentAnswer;
    Explanation: Explanation;
    RuleExplanation: RuleExplanation;
    VisitorPage: VisitorPageAnswer;
    FailedEvent: FailedEvent;
    PlaybookInfo: {
      readonly version: string;
      readonly slots: readonly string[];
      readonly eventTypes: readonly string[];
      readonly rules: readonly RuleInfoAnswer[];
    };
    RuleInfo: RuleInfoAnswer;
    Status: { readonly shards: readonly ShardStatusAnswer[]; readonly playbookVersion: string | null };
    ShardStatus: ShardStatusAnswer;
  };
  Inputs: {
    VisitorRef: VisitorRef;
    PageContextInput: PageContextValue;
    EventInput: { readonly [member: string]: unknown };
  };
}

/** PageContextInput as GraphQL hands it over. */
export type PageContextValue = {
  readonly [name in 'url' | 'path' | 'title' | 'referrer' | 'page' | 'locale' | 'timeZone' | 'viewport']?:
    | string
    | null;
};

export type Builder = ReturnType<typeof createBuilder>;

/** A builder makes one schema; a reload of the playbook makes a new one. */
export function createBuilder() {
  const builder = new SchemaBuilder<Types>({ defaultFieldNullability: false });
  builder.queryType({ description: 'What Usher knows.' });
  builder.mutationType({ description: 'What visitors do.' });
  builder.subscriptionType({
    description: 'What changes, as it changes: over WebSocket (graphql-transport-ws) or server-sent events.',
  });
  builder.scalarType('UUID', {
    description: 'A UUID of any version, in hexadecimal with hyphens.',
    serialize: String,
    parseValue: textOf('UUID'),
  });
  builder.scalarType('Cursor', {
    description: 'A point in a visitor’s history. Opaque: give it back as it came.',
    serialize: String,
    parseValue: textOf('Cursor'),
  });
  builder.scalarType('DateTime', {
    description: 'A time as RFC 3339, for example 2026-11-23T20:15:00.000Z.',
    serialize: (value) => new Date(value as number).toISOString(),
    parseValue: textOf('DateTime'),
  });
  builder.scalarType('JSON', {
    description: 'Any JSON value.',
    serialize: (value) => value,
    parseValue: (value) => value,
    parseLiteral: (node, variables) => jsonOf(node, variables ?? {}),
  });
  return builder;
}

function textOf(name: string): (value: unknown) => string {
  return (value) => {
    if (typeof value === 'string') return value;
    throw new GraphQLError(`${name}: expected a text, came ${typeof value}`);
  };
}

/** Keys are defined, not assigned, so that a `__proto__` in a query is a key like any other (and is refused with the event). */
function jsonOf(node: ValueNode, variables: { readonly [name: string]: unknown }): unknown {
  switch (node.kind) {
    case Kind.STRING:
    case Kind.BOOLEAN:
      return node.value;
    case Kind.INT:
    case Kind.FLOAT:
      return Number(node.value);
    case Kind.NULL:
      return null;
    case Kind.LIST:
      return node.values.map((value) => jsonOf(value, variables));
    case Kind.OBJECT:
      return Object.fromEntries(node.fields.map((field) => [field.name.value, jsonOf(field.value, variables)]));
    case Kind.VARIABLE:
      return variables[node.name.value];
    case Kind.ENUM:
      throw new GraphQLError(`JSON: ${node.value} is not JSON; put texts in quotes`, { nodes: node });
  }
}
