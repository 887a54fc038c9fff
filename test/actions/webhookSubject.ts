import { webhookDestination } from '../../src/actions/webhook.ts';
import { type Answer, startHookReceiver, status } from '../support/hookReceiver.ts';
import type { Behaviour, DestinationSubject } from './destination.contract.ts';

export const secret = `whsec_${Buffer.from('a secret of the tests, of 24 bytes or more').toString('base64')}`;

export async function openWebhook(): Promise<DestinationSubject> {
  const receiver = await startHookReceiver();
  const taken: string[] = [];
  const answers: Record<Behaviour, Answer> = {
    takes(request, response) {
      taken.push(String(request.headers['webhook-id']));
      response.writeHead(204).end();
    },
    later: status(503, {}, 'not\r\nnow'),
    never: status(400, {}, 'never'),
    hangs: () => {},
    'breaks off': (request) => void request.socket.destroy(),
  };
  receiver.answer = answers.takes;
  const destination = webhookDestination({
    url: `http://127.0.0.1:${receiver.port}/hook`,
    secrets: [secret],
    allowPrivate: ['127.0.0.1'],
    // None: what ends an attempt here is the receiver, or the signal.
    limitMs: 600_000,
  });
  return {
    destination,
    taken: async () => taken,
    begun: async () => receiver.received.length,
    connections: async () => receiver.open.size,
    async behave(behaviour) {
      receiver.answer = answers[behaviour];
    },
    async close() {
      await destination.close();
      await receiver.close();
    },
  };
}
