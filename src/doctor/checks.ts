import { checkAddressSources } from './address-sources.ts';
import { checkAdvertisedAddresses } from './advertised-address.ts';
import { checkBoundAddresses } from './bound-addresses.ts';
import { checkClock } from './clock-skew.ts';
import { examineCloud } from './cloud-examination.ts';
import { checkConfiguration } from './configuration-warnings.ts';
import { checkDetection } from './detection.ts';
import { checkFileDescriptors } from './file-descriptors.ts';
import { checkHairpin } from './hairpin.ts';
import { checkKernelForwarding } from './kernel-forwarding.ts';
import { checkListenerPorts } from './listener-ports.ts';
import { checkMetadata } from './metadata.ts';
import { checkMtu } from './mtu.ts';
import type { Check } from './patient.ts';
import { checkReversePathFilter } from './reverse-path-filter.ts';
import { checkRtpPorts } from './rtp-ports.ts';
import { checkSourceRouting } from './source-routing.ts';
import { checkStateDirectory } from './state-directory-check.ts';
import { checkSystemCalls } from './system-calls.ts';

/** Every check, in the order in which they are told: from the cloud inwards. A new one is added here. */
export const checks: readonly Check[] = [
  { name: 'detection', run: checkDetection },
  { name: 'metadata', run: checkMetadata },
  { name: 'addresses', run: checkAddressSources },
  { name: 'cloud', run: examineCloud },
  { name: 'configuration', run: checkConfiguration },
  { name: 'advertised', run: checkAdvertisedAddresses },
  { name: 'bound-address', run: checkBoundAddresses },
  { name: 'source-routing', run: checkSourceRouting },
  { name: 'reverse-path-filter', run: checkReversePathFilter },
  { name: 'mtu', run: checkMtu },
  { name: 'hairpin', run: checkHairpin },
  { name: 'clock', run: checkClock },
  { name: 'rtp-ports', run: checkRtpPorts },
  { name: 'listener-port', run: checkListenerPorts },
  { name: 'system-calls', run: checkSystemCalls },
  { name: 'kernel-forwarding', run: checkKernelForwarding },
  { name: 'file-descriptors', run: checkFileDescriptors },
  { name: 'state-directory', run: checkStateDirectory },
];
