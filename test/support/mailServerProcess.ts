import type { Socket } from 'node:net';
import { SMTPServer } from 'smtp-server';
import { SMTPConnection } from 'smtp-server/lib/smtp-connection.js';
import { testCertificate, testKey } from './certificate.ts';
import type { Act, FromMailServer, MailServerOptions, Stage, ToMailServer } from './mailServer.ts';

/**
 * A mail server in a process of its own, so that it can die. Its parent tells it how to behave at each stage of a session, and is told of
 * each stage that was reached, and of each mail that was taken, before the client is.
 */
const options = JSON.parse(process.argv[2]!) as MailServerOptions;
const acts = new Map<Stage, Act>();

const tell = (message: FromMailServer) => new Promise<void>((resolve) => process.send!(message, () => resolve()));

/** Does what was asked of this stage. `null`: go on; an error: the reply. Otherwise it never resolves. */
async function reach(stage: Stage, socket: Socket | undefined): Promise<Error | null> {
  await tell({ what: 'reached', stage });
  const act = acts.get(stage);
  if (act === undefined) return null;
  if (act.once === true) acts.delete(stage);
  if (act.do === 'reply') return Object.assign(new Error(act.text ?? 'as the test asked'), { responseCode: act.code });
  if (act.do === 'close') socket?.destroy();
  if (act.do === 'die') process.kill(process.pid, 'SIGKILL');
  return new Promise(() => {});
}

const socketOf = (id: string): Socket | undefined =>
  [...server.connections].find((connection) => connection.id === id)?._socket;

// smtp-server has no hook for the reply to DATA itself.
const { handler_DATA } = SMTPConnection.prototype;
SMTPConnection.prototype.handler_DATA = function (this: SMTPConnection, command, callback) {
  void reach('data', this._socket).then((error) => {
    if (error === null) return handler_DATA.call(this, command, callback);
    this.send((error as Error & { responseCode: number }).responseCode, error.message);
    callback();
  });
};

const server: SMTPServer = new SMTPServer({
  key: testKey,
  cert: testCertificate,
  secure: options.tls === 'always',
  disabledCommands: [...(options.tls === 'none' ? ['STARTTLS'] : []), ...(options.login === undefined ? ['AUTH'] : [])],
  allowInsecureAuth: true,
  authOptional: options.login === undefined,
  hidePIPELINING: options.pipelining === false,
  hideSMTPUTF8: false,
  size: options.sizeMax,
  disableReverseLookup: true,
  closeTimeout: 1,
  logger: false,
  onConnect: ({ id }, callback) => void reach('connect', socketOf(id)).then((error) => callback(error)),
  onAuth({ username, password }, { id, secure }, callback) {
    void tell({ what: 'login', secure, user: username ?? '' });
    void reach('auth', socketOf(id)).then((error) => {
      const right = username === options.login?.user && password === options.login?.password;
      callback(error ?? (right ? null : new Error('wrong user or password')), { user: username });
    });
  },
  onMailFrom: (_address, { id }, callback) => void reach('mail', socketOf(id)).then((error) => callback(error)),
  onRcptTo: (_address, { id }, callback) => void reach('rcpt', socketOf(id)).then((error) => callback(error)),
  onData(stream, { id, envelope, secure }, callback) {
    const socket = socketOf(id);
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => {
      if (chunks.push(chunk) === 1) void reach('body', socket);
    });
    stream.on('end', () => {
      const raw = Buffer.concat(chunks).toString('latin1');
      const { mailFrom, rcptTo } = envelope;
      const from = mailFrom === false ? '' : mailFrom.address;
      const take = () => tell({ what: 'taken', mail: { raw, from, to: rcptTo.map(({ address }) => address), secure } });
      const act = acts.get('final');
      // One that dies or hangs now has the mail, and the client does not know.
      const taking = act?.do === 'reply' ? Promise.resolve() : take();
      void taking.then(() => reach('final', socket)).then((error) => callback(error, 'taken'));
    });
  },
});
server.on('error', () => {});
server.listen(options.port ?? 0, '127.0.0.1', () => {
  const address = server.server.address();
  if (address !== null && typeof address === 'object') void tell({ what: 'listening', port: address.port });
});

process.on('message', (message: ToMailServer) => {
  if (message.what === 'behave') {
    if (message.act === null) acts.delete(message.stage);
    else acts.set(message.stage, message.act);
    void tell({ what: 'done' });
  } else if (message.what === 'connections') {
    server.server.getConnections((_error, count) => void tell({ what: 'connections', count }));
  } else {
    if (message.what === 'reset') acts.clear();
    for (const { _socket } of server.connections) _socket.destroy();
    void tell({ what: 'done' });
  }
});
process.on('disconnect', () => process.exit());
