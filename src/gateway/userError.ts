import { type ErrorCode, errorCatalogue } from '../errors.ts';

/** What a caller can expect to go wrong, as data of the payload. */
export interface UserError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly path: readonly string[] | null;
  readonly hint: string;
  readonly retryable: boolean;
  readonly retryAfterMs: number | null;
}

/** `message` says what was expected and what came; hint and retryable come from the catalogue. */
export function userError(
  code: ErrorCode,
  message: string,
  more: { readonly path?: readonly string[]; readonly retryAfterMs?: number } = {},
): UserError {
  const { help, retryable } = errorCatalogue[code];
  return { code, message, path: more.path ?? null, hint: help, retryable, retryAfterMs: more.retryAfterMs ?? null };
}
