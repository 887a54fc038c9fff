import { type ErrorCode, errorCatalogue } from '../../errors.ts';
import type { Builder } from './builder.ts';

/** Inputs and types that several operations use. */
export function addCommon(builder: Builder): void {
  builder.inputType('VisitorRef', {
    description: 'A visitor, for secret keys. Visit tokens are their visitor and may not name one.',
    isOneOf: true,
    fields: (t) => ({
      visitorId: t.id({ description: 'A visitor id: 1 to 128 bytes of UTF-8 without control characters.' }),
      userId: t.id({ description: 'The id of a known user; its visitor id is u:<userId>.' }),
    }),
  });
  builder.inputType('PageContextInput', {
    description: 'Where the visitor is. Usher adds the kind of device, from the User-Agent header.',
    fields: (t) => ({
      url: t.string(),
      path: t.string(),
      title: t.string(),
      referrer: t.string(),
      page: t.string({ description: 'The kind of page in the playbook’s words, for example home or product.' }),
      locale: t.string(),
      timeZone: t.string({ description: 'An IANA name, for example Europe/Berlin.' }),
      viewport: t.string(),
    }),
  });
  const ErrorCodes = builder.enumType('ErrorCode', {
    description: 'What went wrong. docs/errors.md says what to do about each.',
    values: Object.fromEntries(
      Object.entries(errorCatalogue).map(([code, { help }]) => [code, { value: code, description: help }]),
    ) as Record<ErrorCode, { value: ErrorCode; description: string }>,
  });
  builder.objectType('UserError', {
    description: 'Something that a caller can expect to go wrong.',
    fields: (t) => ({
      code: t.field({ type: ErrorCodes, resolve: (error) => error.code }),
      message: t.exposeString('message', { description: 'What was expected and what came.' }),
      path: t.exposeStringList('path', { nullable: true, description: 'Where in the input.' }),
      hint: t.exposeString('hint', { nullable: true, description: 'What to do.' }),
      retryable: t.exposeBoolean('retryable', { description: 'Whether sending the same again may help.' }),
      retryAfterMs: t.exposeInt('retryAfterMs', {
        nullable: true,
        description: 'How long to wait first, in milliseconds.',
      }),
    }),
  });
}
