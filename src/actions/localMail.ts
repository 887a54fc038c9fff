import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { SMTPServerDataStream, SMTPServerSession } from 'smtp-server';
import type { LocalMail, LocalMailbox } from '../model/localMail.ts';

/** Mails that are kept; older ones leave. */
const mailsMax = 100;
const mailBytesMax = 5_000_000;

/** A mail server of this machine, for development: takes all mail, keeps the last in memory, sends nothing on. */
export interface LocalMailServer extends LocalMailbox {
  /** For `smtpDestination`. */
  readonly url: string;
  close(): Promise<void>;
}

/** @param port 0: a free one */
export async function startLocalMail(port = 0): Promise<LocalMailServer> {
  const [{ SMTPServer }, { default: PostalMime }] = await Promise.all([import('smtp-server'), import('postal-mime')]);
  const mails: LocalMail[] = [];
  const listeners = new Set<() => void>();
  let number = 0;

  async function take(stream: SMTPServerDataStream, { envelope }: SMTPServerSession): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
    const parsed = await PostalMime.parse(Buffer.concat(chunks));
    mails.unshift({
      number: ++number,
      receivedAt: Date.now(),
      from: parsed.from?.name ? `${parsed.from.name} <${parsed.from.address ?? ''}>` : (parsed.from?.address ?? ''),
      to: envelope.rcptTo.map(({ address }) => address),
      subject: parsed.subject ?? '',
      text: parsed.text ?? '',
      html: parsed.html ?? null,
      headers: parsed.headers.map(({ originalKey: name, value }) => ({ name, value })),
    });
    mails.length = Math.min(mails.length, mailsMax);
    for (const listener of listeners) listener();
  }

  const server = new SMTPServer({
    // On this machine, from this process to itself.
    disabledCommands: ['STARTTLS', 'AUTH'],
    authOptional: true,
    disableReverseLookup: true,
    size: mailBytesMax,
    closeTimeout: 1,
    logger: false,
    onData: (stream, session, callback) =>
      void take(stream, session).then(
        () => callback(null),
        (error: Error) => callback(error),
      ),
  });
  // Of connections that break; a client is told by its own.
  server.on('error', () => {});
  const listening = server.listen(port, '127.0.0.1');
  await once(listening, 'listening');
  return {
    url: `smtp://127.0.0.1:${(listening.address() as AddressInfo).port}?tls=offered`,
    list: () => [...mails],
    onMail(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close: () => new Promise((resolve) => server.close(resolve)),
  };
}
