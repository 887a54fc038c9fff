/**
 * Every code that a caller, an author or an operator can see, whether sending the same again may help, and what to do.
 * docs/errors.md lists the same codes; a check compares them.
 */
export const errorCatalogue = {
  // a request
  VISIT_REQUIRED: {
    retryable: false,
    help: 'Send a visit token (mutation startVisit) or, in development, the header "Authorization: Bearer dev:alice".',
  },
  TOKEN_INVALID: {
    retryable: false,
    help: 'The token was not made by this Usher, or was changed: ask startVisit for a new one. A secret key must be one of the setting secretKeys; in development there is one in the file dev-key of the data folder.',
  },
  TOKEN_EXPIRED: { retryable: false, help: 'Renew it: startVisit(input: { token: … }) keeps the visitor.' },
  FORBIDDEN: {
    retryable: false,
    help: 'This token may not do that. Only a secret key (usk_…) with the scope may name a visitor.',
  },
  BAD_REQUEST: {
    retryable: false,
    help: 'The request is not GraphQL over HTTP as it should be; the message says where.',
  },
  REQUEST_TOO_LARGE: { retryable: false, help: 'Send less at once; the limit is in the message.' },
  QUERY_TOO_LARGE: { retryable: false, help: 'Ask for less in one operation; the limit is in the message.' },
  TOO_MANY_SUBSCRIPTIONS: {
    retryable: false,
    help: 'Close subscriptions that are not needed; the limit is in the message.',
  },
  TOKEN_SUPERSEDED: {
    retryable: false,
    help: 'This visitor has become a known user, on another page or device. Reads need a token of the user (identify), or a new visit; what was shown is the fallback.',
  },
  BAD_CURSOR: { retryable: false, help: 'Use a cursor that this Usher gave for this visitor.' },
  INTERNAL: {
    retryable: true,
    help: 'A fault of Usher. The log of the server has the details under the id in the message.',
  },
  // what a message promised
  OFFER_INVALID: {
    retryable: false,
    help: 'Pass on all of what follows ?offer= in the link of the message. It is signed: nothing else is an offer.',
  },
  OFFER_EXPIRED: { retryable: false, help: 'The offer is over; expiresAt said until when. Show the price without it.' },
  // who the visitor is
  IDENTITY_TOKEN_INVALID: {
    retryable: false,
    help: "The token is not one that the site's backend signed for this Usher, or was changed; docs/identity.md shows how to make one.",
  },
  IDENTITY_TOKEN_EXPIRED: { retryable: false, help: "Ask the site's backend for a new token, and show it at once." },
  IDENTITY_TOKEN_EARLY: {
    retryable: true,
    help: "The token's nbf is in the future: compare the clocks of backend and Usher, or leave nbf out.",
  },
  IDENTITY_TOKEN_AUDIENCE: {
    retryable: false,
    help: 'The token is meant for another program: its aud must be the setting identityAudience.',
  },
  IDENTITY_TOKEN_USED: {
    retryable: false,
    help: "A token is for one visitor. Ask the site's backend for a new one; if no page of yours shows one twice, somebody has stolen it.",
  },
  IDENTITY_KNOWN_USER: {
    retryable: false,
    help: 'Another user is known on this device. Call reset (usher.reset(), or startVisit without a token) when one logs out, then identify.',
  },
  IDENTITY_NOT_SET_UP: {
    retryable: false,
    help: 'Set identitySecrets or identityJwks, so that Usher can check who signed the token.',
  },
  IDENTITY_KEYS_UNAVAILABLE: {
    retryable: true,
    help: 'The address or file of identityJwks gives no keys at the moment. The log of the server says why.',
  },
  // an event
  EVENT_SHAPE: { retryable: false, help: 'Give either `type` with `properties`, or `event` with exactly one member.' },
  EVENT_TYPE_UNKNOWN: { retryable: false, help: 'Use a type of the tracking plan, or add it there.' },
  EVENT_INVALID: {
    retryable: false,
    help: 'Mend the properties as the message says; the tracking plan has their schema.',
  },
  EVENT_TOO_LARGE: { retryable: false, help: 'Send fewer or shorter properties; the limit is in the message.' },
  EVENT_ID_INVALID: { retryable: false, help: 'An event id is a UUID. Leave it out and Usher makes one.' },
  SEQUENCE_INVALID: {
    retryable: false,
    help: 'Send `source` and `sequence` (1, 2, 3 …) both or neither, and at most 16 `skipped`.',
  },
  TIME_INVALID: { retryable: false, help: 'Send times as RFC 3339, for example 2026-11-23T20:15:00Z.' },
  TOO_OLD: {
    retryable: false,
    help: 'The event happened longer ago than events are taken. Import old events with a secret key that has the scope import.',
  },
  IMPORT_NEEDS_TIME: { retryable: false, help: 'An imported event needs `occurredAt`, `source` and `sequence`.' },
  VISITOR_INVALID: { retryable: false, help: 'A visitor id is 1 to 128 bytes of UTF-8 without control characters.' },
  BATCH_TOO_LARGE: { retryable: false, help: 'Send the events in several calls; the limit is in the message.' },
  SLOT_UNKNOWN: { retryable: false, help: 'Ask for a slot that the playbook declares.' },
  TOO_MANY_NAMES: { retryable: false, help: 'Ask for fewer slots in one call; the limit is in the message.' },
  FAILED_EVENT_UNKNOWN: {
    retryable: false,
    help: 'There is no failed event at this position: it was retried, or others have taken its place. `usher failed list` lists those there are.',
  },
  RETRY_REFUSED: {
    retryable: false,
    help: 'This failed event cannot be retried, or not so; the message says why.',
  },
  PRODUCT_INVALID: {
    retryable: false,
    help: 'Mend the product as the message says; docs/catalog.md tells what one is.',
  },
  CATALOG_FULL: {
    retryable: false,
    help: 'Import fewer products: those that visitors can see. The limit is in the message.',
  },
  DEAD_LETTER_UNKNOWN: {
    retryable: false,
    help: 'There is no dead letter of this id: it was driven again, or others have taken its place. `usher actions list` lists those there are.',
  },
  // the engines
  LOG_UNAVAILABLE: { retryable: true, help: 'The event was not recorded. Send it again with the same id or number.' },
  LOG_FULL: {
    retryable: true,
    help: 'The disk is full; the event was not recorded. Free some space, then send it again.',
  },
  UNKNOWN: {
    retryable: true,
    help: 'It is not known whether the event was recorded. Sending it again with the same id or number is safe.',
  },
  OVERLOADED: {
    retryable: true,
    help: 'Usher takes no more at the moment. Wait as long as retryAfterMs says, then send it again.',
  },
  STATE_UNAVAILABLE: { retryable: true, help: 'The state could not be read. Ask again.' },
  OUTPUT_UNAVAILABLE: {
    retryable: true,
    help: 'A topic for other systems took nothing. Usher tries again until it does; nothing is lost meanwhile.',
  },
  COMMIT_TOO_LARGE: {
    retryable: false,
    help: 'A fault of Usher: a commit must be cut before it is this large. Report it with the message.',
  },
  SHUTTING_DOWN: {
    retryable: true,
    help: 'This process is stopping. Ask again: another one, or the next start, answers.',
  },
  // starting and running
  CONFIG_INVALID: { retryable: false, help: 'Mend the setting that the message names; docs/config.md lists them all.' },
  PORT_IN_USE: { retryable: false, help: 'Stop the other program, or start Usher with another port: --port 4001.' },
  DATA_IN_USE: {
    retryable: false,
    help: 'Another Usher uses this folder. Stop it, or start with another one: --data DIR.',
  },
  DATA_DAMAGED: {
    retryable: false,
    help: 'The database file, or a key of Redis, does not read as what it must be. Restore a copy, or move it away to start empty.',
  },
  DATA_UNWRITABLE: {
    retryable: false,
    help: 'Make the folder writable for this user, or choose another one: --data DIR.',
  },
  DATA_VERSION: {
    retryable: false,
    help: 'The data was written by another version of Usher. Use that version, or another folder.',
  },
  REDIS_UNSUITABLE: {
    retryable: false,
    help: 'Usher needs Redis 7 or later with maxmemory-policy noeviction; the message says what this one has.',
  },
  SHARDS_MISMATCH: {
    retryable: false,
    help: 'The number of shards is chosen once. Start with the number that the message gives.',
  },
  PLAYBOOK_INVALID: { retryable: false, help: 'Mend the lines that are listed; `usher check PATH` lists them too.' },
  PLAYBOOK_NOT_FOUND: { retryable: false, help: 'Give the folder of a playbook: --playbook PATH.' },
  BUNDLE_MISSING: {
    retryable: false,
    help: 'The state names a playbook or catalog that it does not hold. Start with the playbook that was active.',
  },
  LOG_MISMATCH: {
    retryable: false,
    help: 'State and log do not belong together. Restore the two from the same moment, or rebuild the state.',
  },
  LOG_TOPIC_UNSUITABLE: {
    retryable: false,
    help: "Set the topic of the log as the message says, with Kafka's own tools.",
  },
  LOG_NO_LONGER_REACHES: {
    retryable: false,
    help: 'The log is trimmed past what is folded. Restore a newer copy of the state.',
  },
  FOLD_VERSION: {
    retryable: false,
    help: 'The log asks for another fold version than this Usher has. Use that version, or rebuild.',
  },
  COMMAND_FAILED: { retryable: false, help: 'See the message; `usher COMMAND --help` shows the arguments.' },
} as const satisfies Record<string, { retryable: boolean; help: string }>;

export type ErrorCode = keyof typeof errorCatalogue;

/** A fault with a code of the catalogue. The message says what was expected and what came. */
export class UsherError extends Error {
  override readonly name = 'UsherError';
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
  get retryable(): boolean {
    return errorCatalogue[this.code].retryable;
  }
  get help(): string {
    return errorCatalogue[this.code].help;
  }
}

/** By brand, not by class: an error may come from a worker thread, where only its fields survive. */
export function isUsherError(error: unknown): error is UsherError {
  return (
    error instanceof Error &&
    'code' in error &&
    typeof error.code === 'string' &&
    Object.hasOwn(errorCatalogue, error.code)
  );
}
