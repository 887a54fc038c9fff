import type { IncomingMessage, ServerResponse } from 'node:http';
import type { LocalMail, LocalMailbox } from '../model/localMail.ts';
import { sendFile, sendJson, sendText } from './pages.ts';

export interface MailInboxOptions {
  /** null: mail of this process goes to another server. */
  readonly mailbox: LocalMailbox | null;
  readonly assetsFolder: string;
  /** Calls back when the gateway stops. Returns how not to. */
  readonly closing: (end: () => void) => () => void;
}

/** The page's own files, and mails in a frame. */
const pagePolicy =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/**
 * A mail is anyone's HTML: no scripts, forms or requests but for pictures, and an origin of its own, so that it can ask Usher nothing. Its links
 * open in a tab of their own, which is free of all this.
 */
const mailPolicy =
  "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; img-src * data:; style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'self'";

/** `/inbox`, in development: the mails that this process has sent, and their news. */
export function answerInbox(
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
  { mailbox, assetsFolder, closing }: MailInboxOptions,
): void | Promise<void> {
  response.setHeader('cache-control', 'no-store');
  response.setHeader('x-content-type-options', 'nosniff');
  response.setHeader('referrer-policy', 'no-referrer');
  const mails = mailbox?.list() ?? [];
  if (path === '/inbox') {
    response.setHeader('content-security-policy', pagePolicy);
    return sendFile(request, response, assetsFolder, 'inbox.html');
  }
  if (path === '/inbox/mails.json') {
    return sendJson(response, 200, { isLocal: mailbox !== null, mails: mails.map(listed) });
  }
  if (path === '/inbox/updates' && mailbox !== null) return sendUpdates(response, mailbox, closing);
  const [, number] = /^\/inbox\/mails\/(\d+)\.html$/.exec(path) ?? [];
  const html = mails.find((mail) => String(mail.number) === number)?.html ?? null;
  if (html === null) return sendText(response, 404, 'Not found\n');
  response.setHeader('content-security-policy', mailPolicy);
  sendText(response, 200, inNewTabs(html), 'text/html; charset=utf-8');
}

/** Its HTML is asked for by itself, under a policy of its own. */
function listed({ html, ...mail }: LocalMail) {
  return { ...mail, hasHtml: html !== null };
}

/** In a frame a link would open inside it. */
function inNewTabs(html: string): string {
  const base = '<base target="_blank">';
  return /<head[\s>]/i.test(html)
    ? html.replace(/<head(\s[^>]*)?>/i, (head) => head + base)
    : html.replace(/^(\s*<!doctype[^>]*>)?/i, (doctype) => `${doctype || '<!doctype html>'}${base}`);
}

/** Server-sent events: one for each mail; the page asks for the list again. */
function sendUpdates(response: ServerResponse, mailbox: LocalMailbox, closing: MailInboxOptions['closing']): void {
  // Once it has ended nothing else comes over its connection, which a stop would wait for.
  response.writeHead(200, { 'content-type': 'text/event-stream', connection: 'close' });
  response.write('retry: 1000\n\n');
  const leaveMail = mailbox.onMail(() => response.write('data: mail\n\n'));
  const leaveClosing = closing(() => response.end());
  response.on('close', () => {
    leaveMail();
    leaveClosing();
  });
}
