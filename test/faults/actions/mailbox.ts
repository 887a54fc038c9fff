import { appendFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { SMTPServer } from 'smtp-server';

/**
 * A mail server in a process of its own: `node mailbox.ts FILE` writes the Message-ID of each mail that it takes into the file, before it
 * says so, and takes its time to say it.
 */
const file = process.argv[2]!;

const server = new SMTPServer({
  authOptional: true,
  disabledCommands: ['STARTTLS', 'AUTH'],
  disableReverseLookup: true,
  logger: false,
  onData(stream, _session, callback) {
    let text = '';
    stream.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    stream.on('end', async () => {
      // One whose sender goes away before the final dot is no mail: the server ends its stream without one, and drops it.
      appendFileSync(file, `${/^Message-ID: <(.*)@/m.exec(text)?.[1] ?? 'none'}\n`);
      await sleep(Math.random() * 4);
      callback();
    });
  },
});
// A sender that is killed in the middle is an error of its connection.
server.on('error', () => {});
server.listen(0, '127.0.0.1', () => {
  const address = server.server.address();
  if (address !== null && typeof address === 'object') console.log(`port ${address.port}`);
});
