import { afterAll, beforeAll, describe } from 'vitest';
import { type TestBroker, testBroker, whyNoKafka } from '../support/kafkaBroker.ts';
import { eventLogContract } from './eventLog.contract.ts';
import { openKafkaLogSubject } from './kafkaSubjects.ts';

const reason = await whyNoKafka();

describe.skipIf(reason !== null)(reason === null ? 'with a broker' : `skipped: ${reason}`, () => {
  let broker: TestBroker;
  beforeAll(async () => {
    broker = await testBroker();
  }, 120_000);
  afterAll(() => broker?.close());

  eventLogContract('kafkaLog', () => openKafkaLogSubject(broker.address));
});
