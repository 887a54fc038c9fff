import { isatty } from 'node:tty';
import { destination, type Logger, pino } from 'pino';
import pretty from 'pino-pretty';
import type { Config } from '../config.ts';

export type { Logger } from 'pino';

/** Logs to standard output: lines for people on a terminal in development, JSON otherwise. Tokens and secrets are never written. */
export function createLogger(config: Pick<Config, 'logLevel' | 'mode'>): Logger {
  const options = {
    level: config.logLevel,
    base: null,
    redact: {
      paths: ['authorization', '*.authorization', 'token', '*.token', 'secret', '*.secret'],
      censor: '(not shown)',
    },
  };
  // In this thread and synchronously: what is logged right before an exit is not lost.
  if (config.mode === 'development' && isatty(1)) {
    return pino(
      options,
      pretty({ colorize: true, translateTime: 'SYS:HH:MM:ss.l', ignore: 'pid,hostname', sync: true }),
    );
  }
  return pino(options, destination({ dest: 1, sync: true }));
}
