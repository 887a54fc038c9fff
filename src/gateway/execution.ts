import { type DocumentNode, type ExecutionResult, execute, GraphQLError, subscribe } from 'graphql';
import type { Playbook } from '../playbook/playbook.ts';
import type { RequestContext } from './context.ts';
import { Documents } from './documents.ts';
import { buildSchema } from './graphql/schema.ts';
import { publicError, publicResult } from './publicError.ts';
import type { Services } from './services.ts';

export interface OperationArgs {
  readonly document: DocumentNode;
  readonly variables: { readonly [name: string]: unknown } | null | undefined;
  readonly operationName: string | null | undefined;
  readonly context: RequestContext;
}

/** How every transport parses, validates and executes: one schema, one cache of documents, one way to word errors. */
export class Execution {
  readonly #services: Services;
  #schema: ReturnType<typeof buildSchema>['schema'];
  #documents: Documents;

  constructor(services: Services, playbook: Playbook) {
    this.#services = services;
    const built = buildSchema(playbook);
    this.#schema = built.schema;
    this.#documents = new Documents(built);
  }

  /** A new tracking plan, or new types of content: what is under way finishes under the schema that it began with. */
  reload(playbook: Playbook): void {
    const built = buildSchema(playbook);
    this.#schema = built.schema;
    this.#documents = new Documents(built);
  }

  get schema() {
    return this.#schema;
  }
  get documents(): Documents {
    return this.#documents;
  }

  /** Queries and mutations. Answers a promise only when a resolver did. */
  execute({ document, variables, operationName, context }: OperationArgs): ExecutionResult | Promise<ExecutionResult> {
    const { logger } = this.#services;
    const result = execute({
      schema: this.#schema,
      document,
      variableValues: variables ?? null,
      operationName: operationName ?? null,
      contextValue: context,
    });
    return result instanceof Promise
      ? result.then((done) => publicResult(withBesides(done, context), logger))
      : publicResult(withBesides(result as ExecutionResult, context), logger);
  }

  async subscribe({
    document,
    variables,
    operationName,
    context,
  }: OperationArgs): Promise<ExecutionResult | AsyncIterableIterator<ExecutionResult>> {
    const { logger } = this.#services;
    const result = await subscribe({
      schema: this.#schema,
      document,
      variableValues: variables ?? null,
      operationName: operationName ?? null,
      contextValue: context,
    });
    return Symbol.asyncIterator in result
      ? publicResults(result, (error) => publicError(error, logger), this.#services)
      : publicResult(result, logger);
  }
}

function withBesides(result: ExecutionResult, { besides }: RequestContext): ExecutionResult {
  if (besides.length === 0) return result;
  const told = besides.map((error) => new GraphQLError(error.message, { originalError: error }));
  return { ...result, errors: [...(result.errors ?? []), ...told] };
}

/** A stream that fails ends with a result that has the error, so that every transport tells it in the same words. */
function publicResults(
  results: AsyncIterableIterator<ExecutionResult> | AsyncGenerator<ExecutionResult, void, void>,
  toPublic: (error: unknown) => GraphQLError,
  { logger }: Services,
): AsyncIterableIterator<ExecutionResult> {
  let failed = false;
  return {
    async next() {
      if (failed) return { done: true, value: undefined };
      try {
        const step = await results.next();
        return step.done === true
          ? { done: true, value: undefined }
          : { done: false, value: publicResult(step.value, logger) };
      } catch (error) {
        failed = true;
        return { done: false, value: { errors: [toPublic(error)] } };
      }
    },
    async return() {
      await results.return?.();
      return { done: true, value: undefined };
    },
    async throw(error) {
      await results.return?.();
      throw error;
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
