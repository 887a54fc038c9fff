import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { UsherError } from '../errors.ts';
import { openingFault } from './faults.ts';
import { FileWriter } from './fileWriter.ts';
import type { FromWriter, WriterData, WriterMessage } from './messages.ts';

/**
 * The thread that owns the file and all writes: an fsync stops this thread and never the event loop. Everything that waits is
 * taken at once, so that what came during one fsync shares the next.
 */
const port = parentPort;
if (port === null) throw new UsherError('INTERNAL', 'the writer runs as a worker thread only');
const data = workerData as WriterData;
const receive = () => receiveMessageOnPort(port)?.message as WriterMessage | undefined;
const post = (message: FromWriter) => port.postMessage(message);

try {
  const writer = new FileWriter(data, post);
  post({ what: 'ready', ...writer.bounds() });
  port.on('message', (first: WriterMessage) => {
    for (let next: WriterMessage | undefined = first; next !== undefined; ) {
      const messages = [next];
      while (messages.length < data.messagesPerTransaction) {
        const waiting = receive();
        if (waiting === undefined) break;
        messages.push(waiting);
      }
      if (writer.write(messages) === 'closed') {
        port.close();
        return;
      }
      next = receive();
      writer.checkpoint(next !== undefined);
    }
  });
} catch (error) {
  const { code, message } = openingFault(error, data.path);
  post({ what: 'refused', code, message });
  port.close();
}
