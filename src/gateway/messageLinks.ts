import type { IncomingMessage, ServerResponse } from 'node:http';
import { UsherError } from '../errors.ts';
import type { EventRecord } from '../model/record.ts';
import { shardOf } from '../model/shard.ts';
import { namedEventId } from '../playbook/eventIds.ts';
import { type MessageLink, readLink } from './linkTokens.ts';
import { sendHtml, sendText } from './pages.ts';
import type { Services } from './services.ts';
import { type UserError, userError } from './userError.ts';

export interface OfferAnswer {
  readonly offer: MessageLink | null;
  readonly error: UserError | null;
}

export function answerOffer(token: string, { linkSecret, now }: Pick<Services, 'linkSecret' | 'now'>): OfferAnswer {
  const refused = (code: 'OFFER_INVALID' | 'OFFER_EXPIRED', message: string): OfferAnswer => ({
    offer: null,
    error: userError(code, message, { path: ['token'] }),
  });
  const link = readLink(token, linkSecret);
  if (link === null || link.use !== 'offer')
    return refused(
      'OFFER_INVALID',
      'expected all of what follows ?offer= in the link of a message; the token is not that',
    );
  const { expiresAt } = link;
  if (expiresAt !== null && expiresAt <= now())
    return refused('OFFER_EXPIRED', `the offer ended at ${new Date(expiresAt).toISOString()}`);
  return { offer: link, error: null };
}

/**
 * `/unsubscribe?token=…`. A GET asks, because mail scanners follow every link; a POST does it, with one click of a mail program (RFC 8058) or of
 * the page. It needs no visit token: whoever has the mail may.
 */
export async function answerUnsubscribe(
  request: IncomingMessage,
  response: ServerResponse,
  services: Services,
): Promise<void> {
  const token = new URL(request.url ?? '', 'http://localhost').searchParams.get('token') ?? '';
  const link = readLink(token, services.linkSecret);
  if (link === null || link.use !== 'unsubscribe')
    return sendText(response, 400, 'This link is not complete. Please use the whole link of the mail.\n');
  if (request.method !== 'POST') return sendHtml(response, page(form));
  request.resume();
  await unsubscribe(link, services);
  sendHtml(response, page('<p>Done. You will get no more of these mails.</p>'));
}

/** Both records have ids that follow from the message, so that a second click changes nothing. */
async function unsubscribe(link: MessageLink, { log, queue }: Services): Promise<void> {
  const { visitor, id, action, destination, purpose } = link;
  const event = (type: string, properties: EventRecord['properties']): EventRecord => ({
    v: 1,
    kind: 'event',
    id: namedEventId(`usher ${type} ${id}`),
    visitor,
    type,
    properties,
  });
  const records = [
    event('consent_changed', { purpose: purpose ?? 'marketing', granted: false }),
    event('message_unsubscribed', { actionId: id, action, destination }),
  ];
  const shard = shardOf(visitor, log.shards);
  const outcomes = await queue.append(
    records.map((record) => ({ shard, key: visitor, value: JSON.stringify(record) })),
  );
  const refused = outcomes.find((outcome) => !outcome.ok);
  if (refused !== undefined && !refused.ok) throw new UsherError(refused.code, refused.message);
}

const form = `<p>No more mails of this kind?</p>
<form method="post"><button>Unsubscribe</button></form>`;

function page(content: string): string {
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Unsubscribe</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:32rem;margin:15vh auto;padding:0 1rem}button{font:inherit;padding:.5rem 1rem}</style>
<h1>Unsubscribe</h1>
${content}
</html>
`;
}
