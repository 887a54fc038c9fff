import { describePair } from '../support/pair.ts';
import { broadcastCases } from './broadcast.contract.ts';
import { runContract } from './contract.ts';
import { open } from './subjects.ts';

describePair('the Broadcast contract', () => runContract(broadcastCases, open.broadcast));
