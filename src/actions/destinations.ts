import type { Outputs } from '../log/outputs.ts';
import type { DestinationDefinition } from '../playbook/sending.ts';
import type { Destination } from './destination.ts';
import { retry } from './outcomes.ts';
import type { OpenDestination } from './runner.ts';
import { smtpDestination } from './smtp.ts';
import { topicDestination, topicNeedsKafka } from './topic.ts';
import { webhookDestination } from './webhook.ts';

/** What is a setting, because it is secret or of the place where Usher runs. */
export interface DestinationSettings {
  /** `smtp://…` for all, `shop_mail=smtp://…` for one. */
  readonly smtpUrl: readonly string[];
  /** `NAME=secret`; several of one name sign all. */
  readonly webhookSecrets: readonly string[];
  readonly webhookAllowPrivate: readonly string[];
  /** null: there is no Kafka. */
  readonly outputs: Outputs | null;
}

/** Why messages of a destination do not leave: a setting is missing or wrong. */
export interface DestinationProblem {
  readonly id: string;
  readonly message: string;
}

/** The destinations of the playbook that this process runs, each opened once, for as long as it is declared as it is. */
export class Destinations {
  readonly #settings: DestinationSettings;
  readonly #open = new Map<string, OpenDestination & { readonly declared: string }>();
  readonly #closing = new Set<Promise<void>>();

  constructor(settings: DestinationSettings) {
    this.#settings = settings;
  }

  /**
   * Takes the destinations of a playbook in place of those before it. What is under way to the others ends by itself. Messages of one
   * that cannot be opened are tried again later: whoever runs Usher can mend a setting.
   */
  use(playbook: ReadonlyMap<string, DestinationDefinition>): readonly DestinationProblem[] {
    const problems: DestinationProblem[] = [];
    for (const id of this.#open.keys()) if (!playbook.has(id)) this.#drop(id);
    for (const [id, declared] of playbook) {
      const text = JSON.stringify(declared);
      if (this.#open.get(id)?.declared !== text) {
        this.#drop(id);
        const { rate, retryForMs } = declared;
        const perSecond = rate === null ? Number.POSITIVE_INFINITY : (rate.times * 1_000) / rate.perMs;
        this.#open.set(id, {
          declared: text,
          destination: this.#opened(id, declared, problems),
          perSecond,
          retryForMs,
        });
      }
    }
    return problems;
  }

  /** null: the playbook has none of that name. */
  get(id: string): OpenDestination | null {
    return this.#open.get(id) ?? null;
  }

  async close(): Promise<void> {
    for (const id of [...this.#open.keys()]) this.#drop(id);
    await Promise.all(this.#closing);
  }

  #drop(id: string): void {
    const closing = this.#open.get(id)?.destination.close();
    this.#open.delete(id);
    if (closing === undefined) return;
    this.#closing.add(closing);
    void closing.finally(() => this.#closing.delete(closing));
  }

  #opened(id: string, declared: DestinationDefinition, problems: DestinationProblem[]): Destination {
    const { outputs, webhookAllowPrivate: allowPrivate } = this.#settings;
    try {
      switch (declared.kind) {
        case 'smtp':
          return smtpDestination({ url: this.#smtpUrl(id), from: declared.from });
        case 'webhook':
          return webhookDestination({ url: declared.url, secrets: this.#secrets(declared.secret), allowPrivate });
        case 'topic':
          if (outputs === null) problems.push({ id, message: `${id}: ${topicNeedsKafka}` });
          return topicDestination(outputs);
      }
    } catch (error) {
      const message = `the destination ${id} cannot be used: ${(error as Error).message}`;
      problems.push({ id, message });
      return unusable(declared.kind, message);
    }
  }

  #smtpUrl(id: string): string {
    const { smtpUrl } = this.#settings;
    const own = smtpUrl.find((entry) => entry.startsWith(`${id}=`));
    const url = own?.slice(id.length + 1) ?? smtpUrl.find((entry) => /^smtps?:/.test(entry));
    if (url === undefined)
      throw new Error(`set smtpUrl (USHER_SMTP_URL) to its mail server, smtp://… or ${id}=smtp://…`);
    return url;
  }

  #secrets(name: string): readonly string[] {
    const secrets = this.#settings.webhookSecrets.filter((entry) => entry.startsWith(`${name}=`));
    if (secrets.length === 0) throw new Error(`set webhookSecrets (USHER_WEBHOOK_SECRETS) to ${name}=whsec_…`);
    return secrets.map((entry) => entry.slice(name.length + 1));
  }
}

function unusable(kind: Destination['kind'], why: string): Destination {
  return { kind, repeatable: kind !== 'smtp', deliver: async () => retry(why), close: async () => {} };
}
