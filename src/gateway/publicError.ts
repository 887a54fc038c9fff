import { randomUUID } from 'node:crypto';
import { type ExecutionResult, GraphQLError } from 'graphql';
import { errorCatalogue, isUsherError } from '../errors.ts';
import type { Logger } from '../observe/logger.ts';

/**
 * The error as a caller may see it: with a code of the catalogue, and nothing of our insides. What Usher or graphql-js said on purpose stays;
 * anything else is INTERNAL with an id under which the log has the rest.
 */
export function publicError(error: unknown, logger: Logger): GraphQLError {
  const located = error instanceof GraphQLError ? error : null;
  const original = located?.originalError ?? (located === null ? error : undefined);
  if (isUsherError(original)) {
    const { help, retryable } = errorCatalogue[original.code];
    return withExtensions(located, original.message, { code: original.code, hint: help, retryable });
  }
  // graphql-js wraps what coercion of a variable throws in an error of its own: still the caller's fault, still worded for the caller.
  if (located !== null && (original === undefined || original === null || original instanceof GraphQLError)) {
    const { http, code, hint: _, retryable: __, ...rest } = located.extensions;
    const known = typeof code === 'string' && Object.hasOwn(errorCatalogue, code) ? code : 'BAD_REQUEST';
    const entry = errorCatalogue[known as keyof typeof errorCatalogue];
    return withExtensions(located, located.message, {
      code: known,
      hint: entry.help,
      retryable: entry.retryable,
      ...rest,
      ...(http === undefined ? {} : { http }),
    });
  }
  const id = randomUUID();
  logger.error({ err: original ?? error, id, path: located?.path }, 'a request failed by a fault of Usher');
  const { help, retryable } = errorCatalogue.INTERNAL;
  return withExtensions(located, `an internal fault; the server's log has it as ${id}`, {
    code: 'INTERNAL',
    hint: help,
    retryable,
  });
}

function withExtensions(
  located: GraphQLError | null,
  message: string,
  extensions: Record<string, unknown>,
): GraphQLError {
  return new GraphQLError(message, {
    nodes: located?.nodes,
    source: located?.source,
    positions: located?.positions,
    path: located?.path,
    extensions,
  });
}

/** A result whose errors a caller may see. A request that never began to execute (no `data`) is the caller's fault: 400 by GraphQL over HTTP. */
export function publicResult(result: ExecutionResult, logger: Logger): ExecutionResult {
  if (result.errors === undefined) return result;
  const errors = result.errors.map((error) => publicError(error, logger));
  if ('data' in result) return { ...result, errors };
  for (const error of errors) error.extensions['http'] = { spec: true, status: 400 };
  return { ...result, errors };
}
