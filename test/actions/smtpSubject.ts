import { smtpDestination } from '../../src/actions/smtp.ts';
import type { SmtpLimits } from '../../src/actions/smtpSession.ts';
import { testCertificate } from '../support/certificate.ts';
import { MailServer, type MailServerOptions, type TakenMail } from '../support/mailServer.ts';
import type { DestinationSubject } from './destination.contract.ts';

export const from = 'Zoë’s Shop <shop@shop.example>';

export interface SmtpSubject extends DestinationSubject {
  readonly server: MailServer;
}

export interface SmtpSubjectOptions {
  readonly server?: MailServerOptions;
  /** Between `smtp://` and the port. */
  readonly url?: (port: number) => string;
  readonly limits?: Partial<SmtpLimits>;
  readonly trusting?: boolean;
}

export async function openSmtp(options: SmtpSubjectOptions = {}): Promise<SmtpSubject> {
  const server = await serverWith(options.server ?? {});
  const url = options.url ?? ((port) => `smtp://localhost:${port}`);
  const destination = smtpDestination({
    url: url(server.port),
    from,
    ...(options.trusting !== false && { ca: testCertificate }),
    ...(options.limits && { limits: options.limits }),
  });
  return {
    destination,
    server,
    taken: async () => (await server.taken()).map(idOf),
    begun: async () => server.reached('mail'),
    connections: () => server.connections(),
    async behave(behaviour) {
      await server.behave('mail', null);
      await server.behave('rcpt', null);
      if (behaviour === 'later') await server.behave('mail', { do: 'reply', code: 451, text: 'not now' });
      else if (behaviour === 'never') await server.behave('rcpt', { do: 'reply', code: 550, text: 'no such user' });
      else if (behaviour === 'hangs') await server.behave('mail', { do: 'hang' });
      else if (behaviour === 'breaks off') await server.behave('mail', { do: 'close' });
    },
    async close() {
      await destination.close();
      idle.set(JSON.stringify(options.server ?? {}), server);
    },
  };
}

/** Starting a process takes long, so those that are not in use are kept, by their options. */
const idle = new Map<string, MailServer>();

async function serverWith(options: MailServerOptions): Promise<MailServer> {
  const key = JSON.stringify(options);
  const server = idle.get(key) ?? (await MailServer.start(options));
  idle.delete(key);
  await server.reset();
  return server;
}

/** After the tests of a file. */
export async function closeMailServers(): Promise<void> {
  for (const server of idle.values()) await server.close();
  idle.clear();
}

/** The action's id, out of the Message-ID. */
export function idOf({ raw }: TakenMail): string {
  return /^Message-ID: <([^@>]+)@shop\.example>\r$/im.exec(raw)?.[1] ?? 'a mail without its id';
}
