import { lazyProvider } from '../src/discovery/lazy-provider.ts';
import type { Provider } from '../src/discovery/provider.ts';
import { azure } from './azure.ts';
import { ec2 } from './ec2.ts';
import { gcp } from './gcp.ts';
import { local } from './local.ts';
import { machines } from './machines.ts';
import { staticMapping } from './static.ts';

/**
 * Every provider that cloudsip has, in the order in which `auto` tries them: the first that recognises the machine
 * is taken. A new cloud is added here. OpenStack comes after the clouds that run it under a name of their own.
 */
export const providers: readonly Provider[] = [
  ec2,
  gcp,
  azure,
  lazyProvider('oci', machines.oci, async () => (await import('./oci.ts')).oci),
  lazyProvider(
    'digitalocean',
    machines.digitalocean,
    async () => (await import('./digitalocean.ts')).digitalocean,
  ),
  lazyProvider('hetzner', machines.hetzner, async () => (await import('./hetzner.ts')).hetzner),
  lazyProvider('alibaba', machines.alibaba, async () => (await import('./alibaba.ts')).alibaba),
  lazyProvider('tencent', machines.tencent, async () => (await import('./tencent.ts')).tencent),
  lazyProvider('ibm', machines.ibm, async () => (await import('./ibm.ts')).ibm),
  lazyProvider('vultr', machines.vultr, async () => (await import('./vultr.ts')).vultr),
  lazyProvider('linode', machines.linode, async () => (await import('./linode.ts')).linode),
  lazyProvider('scaleway', machines.scaleway, async () => (await import('./scaleway.ts')).scaleway),
  lazyProvider('upcloud', machines.upcloud, async () => (await import('./upcloud.ts')).upcloud),
  lazyProvider('exoscale', machines.exoscale, async () => (await import('./exoscale.ts')).exoscale),
  lazyProvider(
    'equinixmetal',
    () => false,
    async () => (await import('./equinixmetal.ts')).equinixmetal,
  ),
  lazyProvider('openstack', machines.openstack, async () => (await import('./openstack.ts')).openstack),
  staticMapping,
  local,
];
