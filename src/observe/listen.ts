import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { UsherError } from '../errors.ts';

/**
 * Listens, and tells where: of "all addresses" the one that a person can open.
 * @throws UsherError PORT_IN_USE, CONFIG_INVALID
 */
export async function listen(
  server: Server,
  { port, host }: { readonly port: number; readonly host: string },
): Promise<{ readonly url: string; readonly port: number }> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE')
        reject(new UsherError('PORT_IN_USE', `port ${port} of ${host} is in use by another program`));
      else reject(new UsherError('CONFIG_INVALID', `cannot listen on port ${port} of host ${host}: ${error.message}`));
    });
    server.listen(port, host, resolve);
  });
  const address = server.address() as AddressInfo;
  const shown = host === '0.0.0.0' || host === '::' ? 'localhost' : host;
  return { url: `http://${shown.includes(':') ? `[${shown}]` : shown}:${address.port}`, port: address.port };
}
