/** One step on an event's way, with what it reads and writes. `NAMESPACE` and `TAG` stand in names until they are known. */
export interface TopologyStep {
  readonly name: string;
  /** The roles that run it. */
  readonly role: 'gateway' | 'worker';
  readonly does: string;
  readonly reads: readonly string[];
  readonly writes: readonly string[];
}

const log = 'NAMESPACE.g1.events';
const bundles = 'NAMESPACE.g1.bundles';
const key = (name: string) => `NAMESPACE:g1:{TAG}:${name}`;

/** Of a cluster, in the order of the way. Names are those of Kafka's topics and groups, and of Redis's keys and channels. */
export const topologySteps: readonly TopologyStep[] = [
  {
    name: 'accept',
    role: 'gateway',
    does: 'checks an event and appends it; answers when the log has it',
    reads: [],
    writes: [log],
  },
  {
    name: 'take in',
    role: 'worker',
    does: 'checks records of input topics and appends them to the log',
    reads: ['inputs (setting)', 'group NAMESPACE.g1.inputs'],
    writes: [log],
  },
  {
    name: 'own',
    role: 'worker',
    does: 'takes the shards that the group gives it, each by compare-and-set',
    reads: ['group NAMESPACE.g1', key('meta')],
    writes: [key('meta')],
  },
  {
    name: 'fold',
    role: 'worker',
    does: 'reads the shard in order, loads its visitors, folds, and decides by the playbook',
    reads: [
      log,
      key('v:VISITOR'),
      key('s:VISITOR'),
      key('timers'),
      key('historic'),
      'NAMESPACE:g1:bundle:HASH',
      bundles,
    ],
    writes: [],
  },
  {
    name: 'commit',
    role: 'worker',
    does: 'writes visitors, slots, timers, outbox, failed events and position in one script, then publishes',
    reads: [key('meta')],
    writes: [
      key('v:VISITOR'),
      key('s:VISITOR'),
      key('timers'),
      key('historic'),
      key('outbox'),
      key('changed'),
      key('failed'),
      key('failed:order'),
      key('meta'),
      `channel ${key('changes')}`,
    ],
  },
  {
    name: 'tick',
    role: 'worker',
    does: 'asks the log for its time when a timer is due and no event comes',
    reads: [key('timers')],
    writes: [log],
  },
  {
    name: 'tell',
    role: 'worker',
    does: 'hands outputs to topics of other systems, and what rules append to the log, in order; removes them when they are acknowledged',
    reads: [key('outbox'), log],
    writes: ['NAMESPACE.decisions', 'NAMESPACE.failed', 'NAMESPACE.events.TYPE', log],
  },
  {
    name: 'act',
    role: 'worker',
    does: 'takes messages that rules send, looks at each again, hands it to its destination, and appends what became of it',
    reads: [key('outbox'), key('actions'), key('actions:pending'), key('v:VISITOR'), key('meta')],
    writes: [
      key('actions'),
      key('actions:pending'),
      key('actions:dead'),
      key('actions:done'),
      'destinations (playbook)',
      log,
    ],
  },
  {
    name: 'snapshot',
    role: 'worker',
    does: 'writes changed visitors whole, and up to where none is missing; makes a lost state anew from them and the log',
    reads: [key('changed'), key('v:VISITOR'), key('s:VISITOR'), key('marker'), 'NAMESPACE.profiles'],
    writes: ['NAMESPACE.profiles', key('changed'), key('marker')],
  },
  {
    name: 'show',
    role: 'gateway',
    does: 'answers slots from the state',
    reads: [key('s:VISITOR'), key('meta')],
    writes: [],
  },
  {
    name: 'push',
    role: 'gateway',
    does: 'hands each change to that visitor’s subscriptions; reads the state again when it may have missed one',
    reads: [`channel ${key('changes')}`, key('s:VISITOR'), key('meta')],
    writes: [],
  },
];
