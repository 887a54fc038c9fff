import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import { inject } from 'vitest';
import { enginePorts } from '../../scripts/engines/ports.ts';
import { redisAnswers, redisNeeds } from '../../scripts/engines/redis.ts';
import { asAdmin, whyNoKafka } from './kafkaBroker.ts';

/** A Kafka and a Redis that files share; each test keeps to a namespace of its own. */
export interface Engines {
  readonly kafka: string;
  readonly redisUrl: string;
}

/** The engines of this run (`shareEngines.ts`), started if they are not up. */
export async function sharedEngines(): Promise<Engines> {
  const [kafka, redis] = await Promise.all([sharedEngine('kafka'), sharedEngine('redis')]);
  return { kafka, redisUrl: `redis://${redis}` };
}

/** @returns its host and port */
export async function sharedEngine(name: 'kafka' | 'redis'): Promise<string> {
  const response = await fetch(`${inject('enginesUrl')}/${name}`);
  const text = await response.text();
  if (!response.ok) throw new Error(text);
  return text;
}

/** Why this machine cannot run a cluster; null: it can. With CI=true that is a failure, not a reason to skip. */
export async function whyNoEngines(): Promise<string | null> {
  const reason = await whyNoKafka();
  if (reason !== null) return reason;
  const needs = redisNeeds();
  if (needs === null || (await redisAnswers(enginePorts.redis))) return null;
  if (process.env['CI'] === 'true') throw new Error(`CI must run these tests: ${needs}`);
  return needs;
}

/** No two tests share one, also not with those of an earlier run over the same engines. */
export const freshNamespace = () => `t-${randomBytes(8).toString('hex')}`;

/** Removes all that an Usher of this namespace left in the engines. */
export async function removeNamespace({ kafka, redisUrl }: Partial<Engines>, namespace: string): Promise<void> {
  if (kafka !== undefined) {
    await asAdmin(kafka, async (admin) => {
      const topics = (await admin.listTopics()).filter((topic) => topic.startsWith(`${namespace}.`));
      if (topics.length > 0) await admin.deleteTopics({ topics });
    });
  }
  if (redisUrl !== undefined) {
    const redis = new Redis(redisUrl);
    for await (const keys of redis.scanStream({ match: `${namespace}:*`, count: 1_000 })) {
      // One by one: on a cluster node the keys of one call must be of one slot.
      await Promise.all((keys as string[]).map((key) => redis.unlink(key)));
    }
    redis.disconnect();
  }
}
