import { describePair } from '../support/pair.ts';
import { runContract } from './contract.ts';
import { eventLogCases } from './eventLog.contract.ts';
import { open } from './subjects.ts';

describePair('the EventLog contract', () => runContract(eventLogCases, open.log));
