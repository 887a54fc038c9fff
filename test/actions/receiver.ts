import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Destination } from '../../src/actions/destination.ts';

/** What a receiver says to a message: a status, with headers, or nothing at all. */
export type Answer = { readonly status: number; readonly retryAfterS?: number } | 'hang';

/** A server that takes messages over HTTP, and the destination that sends them there. */
export interface Receiver {
  /** Ids in the order in which they were taken, repeats too. */
  readonly taken: readonly string[];
  /** Ids of all that was asked, refused ones too. */
  readonly asked: readonly string[];
  /** Whether it has yet to answer what it will answer. */
  readonly isBusy: boolean;
  /** Decides what is answered; at first all is taken. */
  answer: (id: string) => Answer | Promise<Answer>;
  /** As the webhook does: a repeat is known by its id. */
  readonly repeatable: Destination;
  /** Says that it is about to hand over, as SMTP does, and is never to be repeated. */
  readonly once: Destination;
  close(): Promise<void>;
}

export async function openReceiver(): Promise<Receiver> {
  const taken: string[] = [];
  const asked: string[] = [];
  const open = { asking: 0, hanging: 0 };
  const server = createServer(async (request, response: ServerResponse) => {
    const id = request.url!.slice(1);
    request.resume();
    asked.push(id);
    const answer = await receiver.answer(id);
    if (answer === 'hang') {
      open.hanging++;
      response.once('close', () => open.hanging--);
      return;
    }
    if (answer.status < 300) taken.push(id);
    const headers = answer.retryAfterS === undefined ? {} : { 'retry-after': String(answer.retryAfterS) };
    response.writeHead(answer.status, headers).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const receiver: Receiver = {
    taken,
    asked,
    get isBusy() {
      return open.asking > open.hanging;
    },
    answer: () => ({ status: 200 }),
    repeatable: destinationOf(url, true, open),
    once: destinationOf(url, false, open),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return receiver;
}

function destinationOf(url: string, repeatable: boolean, open: { asking: number }): Destination {
  return {
    kind: repeatable ? 'webhook' : 'smtp',
    repeatable,
    async deliver(message, { signal, beforeFinal }) {
      try {
        if (!repeatable) await beforeFinal();
      } catch (error) {
        return { kind: 'retry', detail: (error as Error).message };
      }
      open.asking++;
      try {
        const body = JSON.stringify(message.payload);
        const response = await fetch(`${url}/${message.id}`, { method: 'POST', body, signal });
        await response.arrayBuffer();
        const detail = String(response.status);
        if (response.ok) return { kind: 'delivered', detail };
        if (response.status < 500 && response.status !== 429) return { kind: 'refused', detail };
        const after = response.headers.get('retry-after');
        return { kind: 'retry', detail, ...(after !== null && { afterMs: Number(after) * 1_000 }) };
      } catch (error) {
        return { kind: repeatable ? 'retry' : 'unknown', detail: (error as Error).message };
      } finally {
        open.asking--;
      }
    },
    async close() {},
  };
}
