import { lookup as systemLookup } from 'node:dns/promises';
import { type AgentOptions, Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { LookupFunction } from 'node:net';
import type { Duplex } from 'node:stream';

/** Names → addresses, as the operating system does it unless a test brings its own. */
export type Resolve = (hostname: string) => Promise<readonly { readonly address: string; readonly family: number }[]>;

export const systemResolve: Resolve = (hostname) =>
  // These names are this machine by definition (RFC 6761); not every system knows each of them.
  systemLookup(/(^|\.)localhost\.?$/i.test(hostname) ? 'localhost' : hostname, { all: true, verbatim: true });

/** An address that a connection may not be made to. */
export class ForbiddenAddress extends Error {}

export interface GuardOptions {
  readonly resolve: Resolve;
  /** Why no connection may be made to the address; null: it may. */
  readonly whyNot: (address: string) => string | null;
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

function checkedLookup({ resolve, whyNot }: GuardOptions): LookupFunction {
  return (hostname, { all }, callback) => {
    resolve(hostname).then(
      (found) => {
        // One is enough: which of them a connection ends up at is not ours to say.
        const forbidden = found.find(({ address }) => whyNot(address) !== null);
        const [first] = found;
        if (forbidden !== undefined) callback(forbids(forbidden.address, whyNot(forbidden.address)!, hostname), '', 0);
        else if (first === undefined) callback(new Error(`${hostname} has no address`), '', 0);
        else if (all === true) callback(null, [...found]);
        else callback(null, first.address, first.family);
      },
      (error: Error) => callback(error, '', 0),
    );
  };
}

function checkConnections(agent: HttpAgent, { whyNot }: GuardOptions): void {
  const create = agent.createConnection.bind(agent);
  agent.createConnection = (options, callback) => {
    const socket = create(options, callback) as (Duplex & { remoteAddress?: string }) | null | undefined;
    // Before anything is written: who writes waits for the same event, and began to later.
    socket?.once('connect', () => {
      const address = socket.remoteAddress ?? 'an address that is not told';
      const why = whyNot(address);
      if (why !== null) socket.destroy(forbids(address, why, options.host ?? undefined));
    });
    return socket;
  };
}

export function forbids(address: string, why: string, hostname = address): ForbiddenAddress {
  return new ForbiddenAddress(
    address === hostname ? `${address} ${why}` : `${hostname} resolves to ${address}, which ${why}`,
  );
}
