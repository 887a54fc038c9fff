/** On loopback, beside the usual ports: a Kafka or Redis that is there already is left alone. */
export const enginePorts = { kafka: 19_092, controller: 19_093, redis: 16_379 } as const;
