import { lookup as systemLookup } from 'node:dns/promises';
import { type AgentOptions, Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { LookupFunction } from 'node:net';
import type { Duplex } from 'node:stream';

/** Names → addresses, as the operating system does it unless a test brings its own. */
export type Resolve = (hostname: string) => Promise<readonly { readonly address: string; readonly family: number }[]>;

export const systemResolve: Resolve = (hostname) => systemLookup(hostname, { all: true, verbatim: true });

/** An address that a connection may not be made to. */
export class ForbiddenAddress extends Error {}

export interface GuardOptions {
  readonly resolve: Resolve;
  readonly mayConnect: (address: string) => boolean;
  /** Connections to one server at the same time. */
  readonly connections: number;
  /** Certificates of authorities besides the system's, PEM. */
  readonly ca?: string;
}

/**
 * Connections to addresses that may be called, and to no other. A name is resolved once a connection, and the connection is made to what
 * was checked: asking twice would let a name server answer differently the second time. What it ended up at is checked again.
 */
export function guardedAgents(options: GuardOptions): { readonly http: HttpAgent; readonly https: HttpsAgent } {
  const { connections: maxSockets, ca } = options;
  const common: AgentOptions & { lookup: LookupFunction } = {
    keepAlive: true,
    maxSockets,
    maxFreeSockets: maxSockets,
    scheduling: 'lifo',
    lookup: checkedLookup(options),
  };
  const agents = { http: new HttpAgent(common), https: new HttpsAgent({ ...common, ...(ca !== undefined && { ca }) }) };
  for (const agent of Object.values(agents)) checkConnections(agent, options);
  return agents;
}

function checkedLookup({ resolve, mayConnect }: GuardOptions): LookupFunction {
  return (hostname, { all }, callback) => {
    resolve(hostname).then(
      (found) => {
        // One is enough: which of them a connection ends up at is not ours to say.
        const forbidden = found.find(({ address }) => !mayConnect(address));
        const [first] = found;
        if (forbidden !== undefined) callback(forbids(forbidden.address, hostname), '', 0);
        else if (first === undefined) callback(new Error(`${hostname} has no address`), '', 0);
        else if (all === true) callback(null, [...found]);
        else callback(null, first.address, first.family);
      },
      (error: Error) => callback(error, '', 0),
    );
  };
}

function checkConnections(agent: HttpAgent, { mayConnect }: GuardOptions): void {
  const create = agent.createConnection.bind(agent);
  agent.createConnection = (options, callback) => {
    const socket = create(options, callback) as (Duplex & { remoteAddress?: string }) | null | undefined;
    socket?.once('connect', () => {
      const address = socket.remoteAddress ?? 'an address that is not told';
      if (!mayConnect(address)) socket.destroy(forbids(address, options.host ?? address));
    });
    return socket;
  };
}

export function forbids(address: string, hostname: string): ForbiddenAddress {
  const what = address === hostname ? hostname : `${hostname} resolves to ${address}, which`;
  return new ForbiddenAddress(
    `${what} may not be called: it is not public. If it should be, list it in the setting webhookAllowPrivate`,
  );
}
