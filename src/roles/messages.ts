import type { Destinations } from '../actions/destinations.ts';
import { type Config, settings } from '../config.ts';
import { type GivenAtSending, givenByRule, renderMessage } from '../decide/message.ts';
import { stillWanted } from '../decide/wanted.ts';
import { UsherError } from '../errors.ts';
import { type MessageLink, signLink } from '../gateway/linkTokens.ts';
import { readSecrets } from '../gateway/secrets.ts';
import type { ActionOrder } from '../model/action.ts';
import type { Logger } from '../observe/logger.ts';
import type { Playbook } from '../playbook/playbook.ts';
import type { Messages } from './parts.ts';

const dayMs = 86_400_000;

/**
 * How this process makes messages, and where they go.
 * @param listensAt where this process answers; asked when a message leaves, which may be before it does
 * @throws UsherError CONFIG_INVALID in production, when nobody could unsubscribe from its mails
 */
export function messagesOf(
  config: Config,
  playbook: Playbook,
  destinations: Destinations,
  listensAt: () => string | null,
  logger: Logger,
): Messages {
  useDestinations(destinations, playbook, logger);
  const hasMail = [...playbook.destinations.values()].some(({ kind }) => kind === 'smtp');
  if (hasMail && config.mode === 'production' && config.publicUrl === undefined) {
    const message =
      'publicUrl (USHER_PUBLIC_URL) is not set; a playbook that sends mail needs it: receivers unsubscribe there';
    throw new UsherError('CONFIG_INVALID', message);
  }
  let secret: string | null = null;
  return {
    destination: (name) => destinations.get(name),
    stillWanted,
    renderMessage(order, asked, catalog) {
      secret ??= readSecrets(config).visitSecret;
      const given = givenFor(order, asked, addresses(config, listensAt()), secret, config.offerDays);
      const rendered = renderMessage(order, asked, catalog, given);
      if (rendered === null) return null;
      const { payload, mail } = rendered;
      return { payload, mail: mail && { ...mail, unsubscribeUrl: given.unsubscribe } };
    },
  };
}

/**
 * From now on messages go where this playbook says. What is missing for a destination stops nothing else: its messages wait, and leave when a
 * start finds the setting. It is told only of those that a live rule sends to: a playbook may be tried out before all its settings are there.
 */
export function useDestinations(destinations: Destinations, playbook: Playbook, logger: Logger): void {
  const rules = [...playbook.rules.values()].filter(({ status }) => status === 'live');
  const sends = rules.flatMap(({ entries }) => entries.flatMap((entry) => (entry.do === 'send' ? entry.action : [])));
  const used = new Set(sends.map((action) => playbook.actions.get(action)?.destination));
  for (const { id, message } of destinations.use(playbook.destinations))
    if (used.has(id)) logger.error({ destination: id }, message);
}

/** The same at each attempt: what it says follows from the order. */
function givenFor(
  order: ActionOrder,
  playbook: Playbook,
  { publicUrl, shopUrl }: Addresses,
  secret: string,
  offerDays: number,
): GivenAtSending {
  const { id, visitor, action, destination, purpose } = order;
  const about = { id, visitor, action, destination, purpose };
  const expiresAt = order.orderedAt + offerDays * dayMs;
  const offer: MessageLink = { ...about, use: 'offer', values: givenByRule(order), expiresAt };
  const unsubscription: MessageLink = { ...about, use: 'unsubscribe', values: {}, expiresAt: null };
  const link = playbook.actions.get(action)?.link ?? null;
  return {
    baseUrl: shopUrl,
    link: link === null ? '' : withToken(new URL(link, `${shopUrl}/`), 'offer', signLink(offer, secret)),
    unsubscribe: withToken(new URL(`${publicUrl}/unsubscribe`), 'token', signLink(unsubscription, secret)),
  };
}

function withToken(url: URL, name: string, token: string): string {
  url.searchParams.set(name, token);
  return url.href;
}

interface Addresses {
  readonly publicUrl: string;
  readonly shopUrl: string;
}

/** Development needs no configuring: a gateway of this machine answers for all. */
function addresses({ publicUrl, shopUrl, role }: Config, listensAt: string | null): Addresses {
  const own = role === 'all' ? listensAt : null;
  const reached = publicUrl ?? own ?? `http://localhost:${settings.port.default}`;
  return { publicUrl: reached, shopUrl: shopUrl ?? reached };
}
