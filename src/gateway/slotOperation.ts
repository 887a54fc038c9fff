import {
  type ArgumentNode,
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  Kind,
  OperationTypeNode,
  type SelectionSetNode,
  type TypeNode,
  type ValueNode,
  type VariableDefinitionNode,
} from 'graphql';
import type { WhyShown } from '../fold/why.ts';
import type { Json } from '../model/json.ts';
import type { ContentTypes, TypedContent } from './contentTypes.ts';
import type { TellsPage } from './context.ts';
import type { SlotAnswer } from './slotAnswers.ts';

/** A checked operation that asks for personalizedSlots and nothing else, made into functions. */
export interface SlotOperation {
  /** null: it has none. */
  readonly name: string | null;
  /** What the field is asked with; null: graphql-js must coerce these variables, or refuse them. */
  argumentsOf(variables: { readonly [name: string]: unknown } | null): SlotArguments | null;
  /** The text of the response. @throws where a value is not what the schema says: graphql-js words that */
  responseOf(answers: readonly SlotAnswer[]): string;
}

export interface SlotArguments {
  readonly names: readonly string[] | null;
  readonly after: string | null;
  readonly waitMs: number;
  /** null: not given. */
  readonly context: TellsPage | null;
}

/**
 * The operation of a valid document, if it is of the kind that pages send: one field `personalizedSlots`, any selection of it, arguments as
 * variables or literals. null: directives, defaults, a named visitor, several operations; graphql-js executes those.
 */
export function compileSlotOperation(document: DocumentNode, contents: ContentTypes): SlotOperation | null {
  const fragments = new Map<string, FragmentDefinitionNode>();
  let found: SlotOperation | null = null;
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
  }
  for (const operation of document.definitions) {
    if (operation.kind !== Kind.OPERATION_DEFINITION) continue;
    if (found !== null || operation.operation !== OperationTypeNode.QUERY || hasDirectives(operation)) return null;
    const root = collect([operation.selectionSet], fragments, always);
    const [entry, ...others] = [...(root ?? [])];
    if (entry === undefined || others.length > 0 || entry[1].name !== 'personalizedSlots') return null;
    const [key, field] = entry;
    const write = compileObject(slotFieldsOf(contents), field.sets, fragments);
    const read = compileArguments(field.arguments, operation.variableDefinitions ?? []);
    if (write === null || read === null) return null;
    const head = `{"data":{${JSON.stringify(key)}:[`;
    found = {
      name: operation.name?.value ?? null,
      argumentsOf: read,
      responseOf: (answers) => `${head}${answers.map(write).join()}]}}`,
    };
  }
  return found;
}

type IsOf = (type: string) => boolean;
/** A valid document's fragments fit, where a field has one object type. */
const always: IsOf = () => true;

interface Collected {
  readonly name: string;
  readonly arguments: readonly ArgumentNode[];
  readonly sets: SelectionSetNode[];
}

/**
 * Fields by response key in the order in which graphql-js answers them; null: some have directives.
 * @param isOf whether the object is of the type that a fragment is on
 */
function collect(
  sets: readonly SelectionSetNode[],
  fragments: ReadonlyMap<string, FragmentDefinitionNode>,
  isOf: IsOf,
): Map<string, Collected> | null {
  const fields = new Map<string, Collected>();
  const visited = new Set<string>();
  const add = (set: SelectionSetNode): boolean =>
    set.selections.every((selection) => {
      if (hasDirectives(selection)) return false;
      if (selection.kind === Kind.FIELD) {
        addField(fields, selection);
        return true;
      }
      if (selection.kind === Kind.INLINE_FRAGMENT) {
        const on = selection.typeCondition?.name.value;
        return on === undefined || isOf(on) ? add(selection.selectionSet) : true;
      }
      const name = selection.name.value;
      if (visited.has(name)) return true;
      visited.add(name);
      const fragment = fragments.get(name);
      if (fragment === undefined || hasDirectives(fragment)) return false;
      return isOf(fragment.typeCondition.name.value) ? add(fragment.selectionSet) : true;
    });
  return sets.every(add) ? fields : null;
}

function addField(fields: Map<string, Collected>, field: FieldNode): void {
  const key = (field.alias ?? field.name).value;
  const known = fields.get(key);
  const sets = field.selectionSet === undefined ? [] : [field.selectionSet];
  if (known === undefined) fields.set(key, { name: field.name.value, arguments: field.arguments ?? [], sets });
  else known.sets.push(...sets);
}

function hasDirectives({ directives }: { readonly directives?: readonly unknown[] | undefined }): boolean {
  return directives !== undefined && directives.length > 0;
}

type Write<T> = (value: T) => string;
/** How a type's field is written; one with fields of its own is made for what is selected of them. */
type Fields<T> = { readonly [name: string]: Write<T> | Nested<T> };
interface Nested<T> {
  compile(sets: readonly SelectionSetNode[], fragments: ReadonlyMap<string, FragmentDefinitionNode>): Write<T> | null;
}

function nested<T, Inner>(fields: Fields<Inner>, writeWith: (inner: Write<Inner>) => Write<T>): Nested<T> {
  return {
    compile(sets, fragments) {
      const inner = compileObject(fields, sets, fragments);
      return inner === null ? null : writeWith(inner);
    },
  };
}

function compileObject<T>(
  fields: Fields<T>,
  sets: readonly SelectionSetNode[],
  fragments: ReadonlyMap<string, FragmentDefinitionNode>,
  isOf = always,
): Write<T> | null {
  const collected = collect(sets, fragments, isOf);
  if (collected === null) return null;
  const writers: Write<T>[] = [];
  const heads: string[] = [];
  for (const [key, { name, sets: inner }] of collected) {
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (field === undefined) return null;
    const write = typeof field === 'function' ? field : field.compile(inner, fragments);
    if (write === null) return null;
    heads.push(`${writers.length === 0 ? '{' : ','}${JSON.stringify(key)}:`);
    writers.push(write);
  }
  // All fragments may be on other types.
  if (writers.length === 0) return () => '{}';
  return (value) => {
    let text = '';
    for (let i = 0; i < writers.length; i++) text += heads[i]! + writers[i]!(value);
    return `${text}}`;
  };
}

const json: Write<Json> = (value) => {
  if (value === undefined) throw new TypeError('expected JSON, came undefined');
  return JSON.stringify(value);
};
const text: Write<string> = (value) => {
  if (typeof value !== 'string') throw new TypeError(`expected a text, came ${typeof value}`);
  return JSON.stringify(value);
};
const orNull =
  <T>(write: Write<T>): Write<T | null> =>
  (value) =>
    value === null ? 'null' : write(value);
const int: Write<number> = (value) => {
  if ((value | 0) !== value) throw new TypeError(`expected an Int, came ${value}`);
  return String(value);
};
const time: Write<number> = (value) => `"${new Date(value).toISOString()}"`;
const list =
  <T>(write: Write<T>): Write<readonly T[]> =>
  (values) =>
    `[${values.map(write).join()}]`;
const typeName = (name: string) => () => `"${name}"`;

const factFields: Fields<WhyShown['facts'][number]> = {
  __typename: typeName('Fact'),
  name: (fact) => text(fact.name),
  value: (fact) => json(fact.value),
};
const loserFields: Fields<WhyShown['losers'][number]> = {
  __typename: typeName('Loser'),
  ruleId: (loser) => text(loser.ruleId),
  contentId: (loser) => text(loser.contentId),
  reason: (loser) => text(loser.reason),
};
const whyFields: Fields<WhyShown> = {
  __typename: typeName('Why'),
  sentence: (why) => text(why.sentence),
  ruleId: (why) => orNull(text)(why.ruleId),
  playbookVersion: (why) => text(why.playbookVersion),
  eventId: (why) => orNull(text)(why.eventId),
  facts: nested(factFields, (write) => (why) => list(write)(why.facts)),
  losers: nested(loserFields, (write) => (why) => list(write)(why.losers)),
};
type Content = SlotAnswer['content'];
const contentFields: Fields<Content> = {
  id: (content) => text(content.id),
  type: (content) => text(content.type),
  data: (content) => json(content.data),
};

function contentFieldsOf({ fields }: TypedContent): Fields<Content> {
  const own = fields.map(({ name, read }) => [name, (content: Content) => json(read(content.data))] as const);
  return { ...Object.fromEntries(own), ...contentFields };
}

/** A content is written by what is selected of its own type. */
function contentOf(contents: ContentTypes): Nested<SlotAnswer> {
  return {
    compile(sets, fragments) {
      const compile = (name: string, fields: Fields<Content>) =>
        compileObject(
          { ...fields, __typename: typeName(name) },
          sets,
          fragments,
          (on) => on === name || on === 'Content',
        );
      const untyped = compile(contents.untyped, contentFields);
      const typed = new Map<string, Write<Content>>();
      for (const type of contents.typed.values()) {
        const write = compile(type.graphqlName, contentFieldsOf(type));
        if (write === null) return null;
        typed.set(type.id, write);
      }
      if (untyped === null) return null;
      return ({ content }) => (typed.get(content.type) ?? untyped)(content);
    },
  };
}

const slotFields: Fields<SlotAnswer> = {
  __typename: typeName('PersonalizedSlot'),
  name: (slot) => text(slot.name),
  source: (slot) => text(slot.source),
  version: (slot) => int(slot.version),
  cursor: (slot) => text(slot.cursor()),
  decidedAt: (slot) => orNull(time)(slot.decidedAt),
  expiresAt: (slot) => orNull(time)(slot.expiresAt),
  stale: (slot) => String(slot.stale),
  why: nested(whyFields, (write) => (slot) => write(slot.why())),
};

function slotFieldsOf(contents: ContentTypes): Fields<SlotAnswer> {
  return { ...slotFields, content: contentOf(contents) };
}

/** What an argument has; undefined: not given; `uncoerced`: graphql-js must look at it. */
type Read = (variables: { readonly [name: string]: unknown } | null) => unknown;
const uncoerced = Symbol('uncoerced');

type Accepts = (value: unknown) => boolean;
const isText: Accepts = (value) => typeof value === 'string';
const isTexts: Accepts = (value) => Array.isArray(value) && value.every(isText);
const isInt: Accepts = (value) => typeof value === 'number' && (value | 0) === value;
/** PageContextInput, of which slots use the page and the time zone. */
const isPageContext: Accepts = (value) =>
  typeof value === 'object' &&
  value !== null &&
  Object.entries(value).every(
    ([name, member]) => pageContextFields.has(name) && (member === null || typeof member === 'string'),
  );
const pageContextFields = new Set(['url', 'path', 'title', 'referrer', 'page', 'locale', 'timeZone', 'viewport']);

const argumentTypes: { readonly [name: string]: { readonly type: string; readonly accepts: Accepts } } = {
  names: { type: '[String!]', accepts: isTexts },
  after: { type: 'Cursor', accepts: isText },
  waitMs: { type: 'Int', accepts: isInt },
  context: { type: 'PageContextInput', accepts: isPageContext },
};

function compileArguments(
  nodes: readonly ArgumentNode[],
  definitions: readonly VariableDefinitionNode[],
): SlotOperation['argumentsOf'] | null {
  // A variable with a default has a value where none came.
  if (definitions.some((definition) => definition.defaultValue !== undefined || hasDirectives(definition))) return null;
  const types = new Map(definitions.map(({ variable, type }) => [variable.name.value, type]));
  const reads: { [name: string]: Read } = {};
  for (const { name, value } of nodes) {
    const argument = Object.hasOwn(argumentTypes, name.value) ? argumentTypes[name.value] : undefined;
    const read = argument === undefined ? null : compileValue(value, argument, types);
    if (read === null) return null;
    reads[name.value] = read;
  }
  const absent: Read = () => undefined;
  const { names = absent, after = absent, waitMs = absent, context = absent } = reads;
  return (variables) => {
    const values = [names(variables), after(variables), waitMs(variables), context(variables)];
    if (values.includes(uncoerced)) return null;
    return {
      names: (values[0] as string[] | null | undefined) ?? null,
      after: (values[1] as string | null | undefined) ?? null,
      waitMs: (values[2] as number | null | undefined) ?? 0,
      context: (values[3] as TellsPage | null | undefined) ?? null,
    };
  };
}

function compileValue(
  node: ValueNode,
  { type, accepts }: { readonly type: string; readonly accepts: Accepts },
  types: ReadonlyMap<string, TypeNode>,
): Read | null {
  if (node.kind !== Kind.VARIABLE) {
    const value = literalOf(node);
    return value === null || accepts(value) ? () => value : null;
  }
  const name = node.name.value;
  const declared = types.get(name);
  if (declared === undefined) return null;
  const isRequired = declared.kind === Kind.NON_NULL_TYPE;
  if (typeText(isRequired ? declared.type : declared) !== type) return null;
  return (variables) => {
    const value = variables !== null && Object.hasOwn(variables, name) ? variables[name] : undefined;
    if (value === undefined || value === null) return isRequired ? uncoerced : value;
    return accepts(value) ? value : uncoerced;
  };
}

/** A literal without variables in it; undefined: another. */
function literalOf(node: ValueNode): unknown {
  switch (node.kind) {
    case Kind.NULL:
      return null;
    case Kind.STRING:
      return node.value;
    case Kind.INT:
      return Number(node.value);
    case Kind.LIST:
      return node.values.map(literalOf);
    case Kind.OBJECT:
      return Object.fromEntries(node.fields.map(({ name, value }) => [name.value, literalOf(value)]));
    default:
      return undefined;
  }
}

function typeText(type: TypeNode): string {
  if (type.kind === Kind.NAMED_TYPE) return type.name.value;
  return type.kind === Kind.LIST_TYPE ? `[${typeText(type.type)}]` : `${typeText(type.type)}!`;
}
