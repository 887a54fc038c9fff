import {
  type DocumentNode,
  GraphQLError,
  type GraphQLSchema,
  getOperationAST,
  Kind,
  OperationTypeNode,
  parse,
  type SelectionSetNode,
  validate,
} from 'graphql';
import { LRUCache } from 'lru-cache';
import type { ContentTypes } from './contentTypes.ts';
import { limits } from './limits.ts';
import { compileSlotOperation, type SlotOperation } from './slotOperation.ts';

/** A document that may be executed against the schema. */
export interface CheckedDocument {
  readonly document: DocumentNode;
  /** null: there is no shorter way than executing it. */
  readonly slots: SlotOperation | null;
}

/** Parses and validates each text once. One a schema: a new playbook means a new one. */
export class Documents {
  readonly #schema: GraphQLSchema;
  readonly #contents: ContentTypes;
  readonly #known = new LRUCache<string, CheckedDocument | { readonly errors: readonly GraphQLError[] }>({
    max: limits.documents,
  });

  constructor({ schema, contents }: { readonly schema: GraphQLSchema; readonly contents: ContentTypes }) {
    this.#schema = schema;
    this.#contents = contents;
  }

  check(query: string): CheckedDocument | { readonly errors: readonly GraphQLError[] } {
    let known = this.#known.get(query);
    if (known === undefined) {
      known = this.#check(query);
      // Long texts are seldom sent twice, and a thousand of them would be much memory.
      if (query.length <= 20_000) this.#known.set(query, known);
    }
    return known;
  }

  #check(query: string): CheckedDocument | { readonly errors: readonly GraphQLError[] } {
    let document: DocumentNode;
    try {
      document = parse(query, { maxTokens: limits.queryTokens });
    } catch (error) {
      if (!(error instanceof GraphQLError)) throw error;
      const tooLarge =
        error.message.includes('Document contains more that') || error.message.includes('Parsing aborted');
      return { errors: [coded(error, tooLarge ? 'QUERY_TOO_LARGE' : 'BAD_REQUEST')] };
    }
    const large = checkSize(document);
    if (large !== null) return { errors: [large] };
    const errors = validate(this.#schema, document);
    if (errors.length > 0) return { errors: errors.map((error) => coded(error, 'BAD_REQUEST')) };
    return { document, slots: compileSlotOperation(document, this.#contents) };
  }
}

function coded(error: GraphQLError, code: string): GraphQLError {
  error.extensions['code'] = code;
  return error;
}

/** Depth and aliases, before validation, whose cost grows with both. */
function checkSize(document: DocumentNode): GraphQLError | null {
  const fragments = new Map<string, SelectionSetNode>();
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition.selectionSet);
  }
  let aliases = 0;
  /** -1: a fragment that contains itself, which validation words better. */
  const depthOf = (set: SelectionSetNode, path: readonly string[]): number => {
    let deepest = 0;
    for (const selection of set.selections) {
      let depth = 0;
      if (selection.kind === Kind.FIELD) {
        if (selection.alias !== undefined && selection.name.value !== '__typename') aliases++;
        if (aliases > limits.aliases) return 0;
        // Introspection is deep by nature, and graphql-js bounds it.
        if (selection.name.value.startsWith('__')) continue;
        depth = 1 + (selection.selectionSet === undefined ? 0 : depthOf(selection.selectionSet, path));
      } else if (selection.kind === Kind.INLINE_FRAGMENT) {
        depth = depthOf(selection.selectionSet, path);
      } else {
        const name = selection.name.value;
        const fragment = fragments.get(name);
        if (fragment !== undefined && !path.includes(name)) depth = depthOf(fragment, [...path, name]);
      }
      if (depth > deepest) deepest = depth;
      if (deepest > limits.queryDepth * 4) return deepest;
    }
    return deepest;
  };
  for (const definition of document.definitions) {
    if (definition.kind !== Kind.OPERATION_DEFINITION) continue;
    aliases = 0;
    const depth = depthOf(definition.selectionSet, []);
    const found =
      aliases > limits.aliases
        ? `the operation has more than ${limits.aliases} aliases`
        : depth > limits.queryDepth
          ? `the operation is ${depth} levels deep; at most ${limits.queryDepth} are taken`
          : null;
    if (found !== null) return new GraphQLError(found, { nodes: definition, extensions: { code: 'QUERY_TOO_LARGE' } });
  }
  return null;
}

export function isSubscription(document: DocumentNode, operationName: string | null | undefined): boolean {
  return getOperationAST(document, operationName)?.operation === OperationTypeNode.SUBSCRIPTION;
}
