import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type OsInterface, readOsInterfaces } from '../net/os-interfaces.ts';

/** What the machine tells about itself without any network. */
export interface MachineFacts {
  /** `/sys/class/dmi/id/*` by file name, trimmed; absent where unreadable. */
  readonly dmi: Readonly<Record<string, string>>;
  /** `/sys/hypervisor/uuid` (Xen), absent elsewhere. */
  readonly hypervisorUuid?: string;
  readonly interfaces: readonly OsInterface[];
}

/**
 * Only files of mode 0444: `product_uuid` and `product_serial` are for root alone, and what an agent finds
 * out must not depend on the rights it was started with.
 */
const DMI_FILES: readonly string[] = [
  'bios_date',
  'bios_vendor',
  'bios_version',
  'board_asset_tag',
  'board_name',
  'board_vendor',
  'chassis_asset_tag',
  'chassis_vendor',
  'chassis_version',
  'product_name',
  'product_version',
  'sys_vendor',
];

/** Reads the facts below `root`. What is missing or unreadable is left out; never throws. */
export function readMachineFacts(
  root = '/',
  interfaces: readonly OsInterface[] = readOsInterfaces(),
): MachineFacts {
  const dmi: Record<string, string> = {};
  for (const name of DMI_FILES) {
    const value = readFact(join(root, 'sys/class/dmi/id', name));
    if (value !== undefined) dmi[name] = value;
  }
  const hypervisorUuid = readFact(join(root, 'sys/hypervisor/uuid'));
  return { dmi, interfaces, ...(hypervisorUuid !== undefined && { hypervisorUuid }) };
}

function readFact(path: string): string | undefined {
  try {
    const text = readFileSync(path, 'utf8').trim();
    return text === '' ? undefined : text;
  } catch {
    return undefined;
  }
}
