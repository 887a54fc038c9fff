import type { Config } from '../config.ts';
import type { EventLog } from '../log/eventLog.ts';
import type { Logger } from '../observe/logger.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { Bundles } from '../playbook/bundles.ts';
import type { Catalog, Playbook } from '../playbook/playbook.ts';
import type { Hub } from '../push/hub.ts';
import type { StateStore } from '../state/stateStore.ts';
import type { AppendQueue } from './appendQueue.ts';
import type { IdentityTokens } from './identityTokens.ts';
import type { Intake } from './intake.ts';
import type { NewestProducts } from './newestProducts.ts';
import type { SlotReader } from './slotReader.ts';
import type { SlotReads } from './slotReads.ts';
import type { Tokens } from './tokens.ts';

/** What every request of one gateway shares. */
export interface Services {
  readonly config: Config;
  readonly log: EventLog;
  readonly store: StateStore;
  readonly hub: Hub;
  readonly bundles: Bundles;
  /** The newest published one: tracking plan and slot definitions. */
  readonly playbook: () => Playbook;
  /** Its products, with those that were imported, as rules see them; null: this gateway has none. */
  readonly catalog: () => Catalog | null;
  /** Products as pages show them. */
  readonly products: NewestProducts;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly tokens: Tokens;
  readonly identityTokens: IdentityTokens;
  /** What links of messages are signed with. */
  readonly linkSecret: string;
  readonly queue: AppendQueue;
  readonly intake: Intake;
  readonly slots: SlotReader;
  /** Has a shard's state made anew by whoever serves it. */
  readonly rebuildShard: (shard: number) => Promise<void>;
  readonly reads: SlotReads;
  /** How long after its end a visit token can be renewed, ms. */
  readonly renewableMs: number;
  /** Calls back when the gateway stops: streams end then. Returns how not to. */
  readonly closing: (end: () => void) => () => void;
  /** Wall clock, ms with fractions. */
  readonly now: () => number;
}
