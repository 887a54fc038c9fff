import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startUsher } from '../../src/compose.ts';
import { loadConfig } from '../../src/config.ts';
import { createLogger } from '../../src/observe/logger.ts';
import type { StateStore } from '../../src/state/stateStore.ts';

/**
 * The real Usher with a mistake planted between worker and store: a commit in two steps, the position first, the visitors after it.
 * Nothing is wrong until the process dies between the two; then the events in between are lost. The kill test must see that.
 */
function positionBeforeState(store: StateStore): StateStore {
  return new Proxy(store, {
    get(target, name, receiver) {
      if (name === 'commit') {
        return async (commit: Parameters<StateStore['commit']>[0]) => {
          const between = `${commit.meta.commit.slice(1)}0`;
          const position = {
            ...commit,
            meta: { ...commit.meta, commit: between },
            visitors: [],
            message: { ...commit.message, commit: between, visitors: [] },
          };
          const first = await target.commit(position);
          if (first !== 'DONE') return first;
          await sleep(5);
          return target.commit({ ...commit, previous: between });
        };
      }
      const member = Reflect.get(target, name, receiver);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
}

const { values } = parseArgs({
  args: process.argv.slice(3),
  options: {
    port: { type: 'string' },
    data: { type: 'string' },
    watch: { type: 'string' },
    'log-level': { type: 'string' },
  },
});
const { config } = loadConfig({
  flags: { port: values.port, data: values.data, watch: values.watch, logLevel: values['log-level'] },
});
const usher = await startUsher(config, { logger: createLogger(config), wrapStore: positionBeforeState });
console.log(`${usher.url}/graphql`);
