import { startUsher } from '../src/compose.ts';
import { loadConfig } from '../src/config.ts';
import { createLogger } from '../src/observe/logger.ts';

/**
 * A whole Usher that tells, four times a second, the most processor time that a turn of its event loop took, ms: what slot reads wait for, whatever
 * else the machine does. Arguments: the data folder, the playbook.
 */
const [data = '', playbook = ''] = process.argv.slice(2);
const config = { ...loadConfig({}).config, port: 0, watch: false, logLevel: 'warn' as const, data, playbook };
const usher = await startUsher(config, { logger: createLogger(config) });
const taken = () => {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
};
let longest = 0;
let last = taken();
setInterval(() => {
  const now = taken();
  longest = Math.max(longest, now - last);
  last = now;
}, 1);
setInterval(() => {
  console.log(`turn ${longest.toFixed(2)}`);
  longest = 0;
}, 250);
console.log(`127.0.0.1:${usher.port}/`);
process.once('SIGTERM', () => void usher.stop().then(() => process.exit()));
