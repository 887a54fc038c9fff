import { runCli } from './cli/index.ts';

/** The process: arguments, environment, signals, exit code. Nothing else in `src` touches them. */
const stopRequested = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    // The first asks for a graceful stop; whoever asks twice does not want to wait.
    if (stopRequested.signal.aborted) process.exit(1);
    stopRequested.abort(signal);
  });
}
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // `usher tail | head` closes the pipe: that is an end, not a fault.
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

const exitCode = await runCli(process.argv.slice(2), {
  env: process.env,
  cwd: process.cwd(),
  out: (text) => void process.stdout.write(`${text}\n`),
  err: (text) => void process.stderr.write(`${text}\n`),
  raw: (text) => void process.stderr.write(text),
  isTTY: process.stdout.isTTY === true,
  color: process.stdout.isTTY === true && !process.env['NO_COLOR'],
  signal: stopRequested.signal,
});
process.exit(exitCode);
