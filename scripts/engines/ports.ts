const [kafka, controller, redis] = (process.env['USHER_TEST_ENGINE_PORTS'] ?? '19092,19093,16379')
  .split(',')
  .map(Number);

/** On loopback, beside the usual ports: a Kafka or Redis that is there already is left alone. Tests of the engines take others. */
export const enginePorts = { kafka, controller, redis } as { kafka: number; controller: number; redis: number };
