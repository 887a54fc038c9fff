import { describePair } from '../support/pair.ts';
import { runContract } from './contract.ts';
import { stateStoreCases } from './stateStore.contract.ts';
import { open } from './subjects.ts';

describePair('the StateStore contract', () => runContract(stateStoreCases, open.store));
