import type { OutgoingMail } from './destination.ts';
import type { Mailbox } from './mailAddress.ts';

export interface ComposedMail {
  readonly id: string;
  readonly from: Mailbox;
  /** One address that `isMailAddress` passes. */
  readonly to: string;
  readonly mail: OutgoingMail;
  readonly at: number;
}

/** A line of a message has at most 998 characters; this leaves room for the header's name. */
const unsubscribeUrlMax = 900;

/**
 * The message as it goes over the wire. A header is one header, whatever stands in subject and names: they are encoded, and lose their
 * line breaks.
 * @throws Error saying what cannot stand in a mail
 */
export async function composeMail({ id, from, to, mail, at }: ComposedMail): Promise<Buffer> {
  const { default: MailComposer } = await import('nodemailer/lib/mail-composer');
  const message = new MailComposer({
    from: { name: from.name, address: from.address },
    to: { name: '', address: to },
    subject: oneHeader(mail.subject),
    text: mail.text.toWellFormed(),
    ...(mail.html !== null && { html: mail.html.toWellFormed() }),
    messageId: messageIdOf(id, from),
    date: new Date(at),
    headers: mail.unsubscribeUrl === null ? {} : unsubscribeHeaders(mail.unsubscribeUrl),
    newline: 'win',
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  return message.compile().build();
}

/** Follows from the action's id, so that every attempt has the same. */
export function messageIdOf(id: string, { domain }: Mailbox): string {
  if (!/^[A-Za-z0-9._-]{1,100}$/.test(id)) {
    throw new Error(`expected an id of letters, digits and ._- for the Message-ID, came ${JSON.stringify(id)}`);
  }
  return `<${id}@${domain}>`;
}

/** Both, so that the reader's mail program can do it by itself, with one POST (RFC 8058). */
function unsubscribeHeaders(text: string) {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol) || url.href.length > unsubscribeUrlMax) {
    throw new Error(
      `expected an https address of at most ${unsubscribeUrlMax} characters to unsubscribe at, came ${JSON.stringify(text.slice(0, 100))}`,
    );
  }
  return {
    // As it is: folded or encoded it would be no address any more. `href` has nothing but visible ASCII, and no < or >.
    'List-Unsubscribe': { prepared: true, value: `<${url.href}>` },
    'List-Unsubscribe-Post': 'List-Unsubscribe=One-Click',
  };
}

function oneHeader(text: string): string {
  return text.toWellFormed().replace(/\p{Cc}+/gu, ' ');
}
