import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { UsherError } from '../errors.ts';

/**
 * The request's body as text.
 * @throws UsherError REQUEST_TOO_LARGE as soon as more than `maxBytes` came, BAD_REQUEST when it is not UTF-8 or breaks off
 */
export function readBody(request: IncomingMessage, maxBytes: number): Promise<string> {
  const tooLarge = () => new UsherError('REQUEST_TOO_LARGE', `the request has more than ${maxBytes} bytes`);
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) return Promise.reject(tooLarge());
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > maxBytes) {
        request.pause();
        reject(tooLarge());
      } else chunks.push(chunk);
    });
    request.on('end', () => {
      const body = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
      // Decoding would replace what is not UTF-8, and what was sent would be recorded as something else.
      if (isUtf8(body)) resolve(body.toString('utf8'));
      else reject(new UsherError('BAD_REQUEST', 'the body is not UTF-8'));
    });
    request.on('error', () => reject(new UsherError('BAD_REQUEST', 'the request broke off')));
  });
}
