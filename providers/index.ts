import type { Provider } from '../src/discovery/provider.ts';
import { ec2 } from './ec2.ts';
import { local } from './local.ts';
import { staticMapping } from './static.ts';

/** Every provider that cloudsip has, in the order in which `auto` tries them. A new cloud is added here. */
export const providers: readonly Provider[] = [ec2, staticMapping, local];
