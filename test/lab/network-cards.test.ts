import { everyAddressServes } from './every-address.ts';

everyAddressServes('every address of a machine of EC2 serves by itself');
