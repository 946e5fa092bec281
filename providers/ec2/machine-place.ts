import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { DiscoveryContext } from '../../src/discovery/provider.ts';
import type { Imds } from './imds.ts';

/** Which instance this is, and where: what the API has to be asked about. */
export interface MachinePlace {
  readonly region?: string;
  readonly instanceId?: string;
  /** `us-east-1a`; known from metadata alone. */
  readonly zone?: string;
}

const INSTANCE_ID = /^i-[0-9a-f]{8,17}$/;
const REGION = /^[a-z]{2,4}(-[a-z]+){1,3}-\d{1,2}$/;
const MAX_FILE_BYTES = 1_048_576;

/** From metadata. The environment's region wins, as in the vendor's tools. */
export async function placeFromMetadata(imds: Imds, env: DiscoveryContext['env']): Promise<MachinePlace> {
  const [id, zone, region] = await Promise.all([
    imds.get('instance-id'),
    imds.get('placement/availability-zone'),
    imds.get('placement/region'),
  ]);
  // Older services know the zone alone: us-east-1a, us-east-1-wl1-bos-wlz-1.
  const ofZone = /^[a-z]{2,4}(-[a-z]+){1,3}-\d{1,2}/.exec(zone?.trim() ?? '')?.[0];
  const where = region?.trim() || ofZone || regionOf(await imds.identity());
  return placeOf({ env, instanceId: id, region: where, zone: zone?.trim() });
}

/**
 * Without metadata: the firmware has the instance's id on Nitro, cloud-init leaves what it learned at boot, and
 * the resolver's search list holds the region. `root` is a directory to read them below.
 */
export function placeFromMachine({ facts, env }: DiscoveryContext, root = '/'): MachinePlace {
  const cloudInit = readCloudInit(join(root, 'run/cloud-init/instance-data.json'));
  const search = searchedRegion(readSmall(join(root, 'etc/resolv.conf')));
  return placeOf({
    env,
    instanceId: facts.dmi['board_asset_tag'] ?? cloudInit.instanceId,
    region: cloudInit.region ?? search,
  });
}

interface Told {
  readonly env: DiscoveryContext['env'];
  readonly instanceId: string | undefined;
  readonly region: string | undefined;
  readonly zone?: string | undefined;
}

function placeOf({ env, instanceId, region, zone }: Told): MachinePlace {
  const id = instanceId?.trim() ?? '';
  const where = env['AWS_REGION'] || env['AWS_DEFAULT_REGION'] || region || '';
  return {
    ...(INSTANCE_ID.test(id) && { instanceId: id }),
    ...(REGION.test(where) && { region: where }),
    ...(zone && /^[a-z0-9-]{1,64}$/.test(zone) && { zone }),
  };
}

/** EC2 user guide, "Instance identity documents". */
function regionOf(document: string | undefined): string | undefined {
  try {
    const region = (JSON.parse(document ?? '') as Record<string, unknown> | null)?.['region'];
    return typeof region === 'string' ? region : undefined;
  } catch {
    return undefined;
  }
}

/** https://docs.cloud-init.io, "Instance-data": standardized keys under `v1`. */
function readCloudInit(path: string): { region?: string; instanceId?: string } {
  try {
    const { v1 } = JSON.parse(readSmall(path)) as { v1?: Record<string, unknown> };
    if (v1?.['cloud_name'] !== 'aws') return {};
    const { region, instance_id: instanceId } = v1;
    return {
      ...(typeof region === 'string' && { region }),
      ...(typeof instanceId === 'string' && { instanceId }),
    };
  } catch {
    return {};
  }
}

/** The VPC's own domain is `REGION.compute.internal`, and `ec2.internal` in the oldest region. */
function searchedRegion(resolvConf: string): string | undefined {
  const domains = [...resolvConf.matchAll(/^(?:search|domain)[ \t]+(.*)$/gm)].flatMap(([, list]) =>
    list!.split(/\s+/),
  );
  if (domains.includes('ec2.internal')) return 'us-east-1';
  return domains.map((domain) => /^([a-z0-9-]+)\.compute\.internal$/.exec(domain)?.[1]).find(Boolean);
}

function readSmall(path: string): string {
  try {
    return statSync(path).size > MAX_FILE_BYTES ? '' : readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
