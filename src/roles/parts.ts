import type { MessageParts } from '../actions/prepare.ts';
import type { OpenDestination } from '../actions/runner.ts';
import type { Config } from '../config.ts';
import type { EventLog } from '../log/eventLog.ts';
import type { Inputs } from '../log/inputs.ts';
import type { LocalMailbox } from '../model/localMail.ts';
import type { Logger } from '../observe/logger.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { Bundles } from '../playbook/bundles.ts';
import type { Broadcast } from '../push/broadcast.ts';
import type { StateStore } from '../state/stateStore.ts';
import type { OutputServices } from '../worker/outputWriters.ts';

/** The log, the state and the news of it, over whichever engines. */
export interface Engines {
  readonly log: EventLog;
  readonly store: StateStore;
  readonly broadcast: Broadcast;
  /** Topics for other systems; embedded there are none. */
  readonly outputs?: OutputServices;
  /** Topics of other programs, where the settings name some. */
  readonly inputs?: Inputs;
  /** Why nothing can be written until this process is restarted; null: it can. */
  ended(): string | null;
}

/** How messages of this process are made and where they go. */
export interface Messages extends MessageParts {
  /** By the playbook's name for it; null: this process has none of that name. */
  readonly destination: (name: string) => OpenDestination | null;
}

/** What the parts of one process share. */
export interface Parts {
  readonly config: Config;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly engines: Engines;
  /** Mail that this process keeps in development; absent: it goes to another server. */
  readonly mailbox?: LocalMailbox;
  /** Absent: what rules send waits. */
  readonly messages?: Messages;
  readonly bundles: Bundles;
  /** Which engines do not answer. */
  readonly engineFaults: () => Promise<readonly string[]>;
  /** Aborted at the end of a stop: what still waits then waits for nothing. */
  readonly stopping: AbortSignal;
  /** Called in reverse order, after a failed start too. */
  readonly closers: (() => Promise<void>)[];
}
