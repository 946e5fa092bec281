import { DiscoveryError, quoted } from '../../src/discovery/discovery-error.ts';

/** Where a cloud's Resource Manager is, and who vouches for whom there. */
export interface ArmCloud {
  readonly endpoint: string;
  /** What a token is asked for; the same also where the endpoint is a private one. */
  readonly audience: string;
  /** Where credentials from the environment are turned into tokens. */
  readonly authority: string;
}

/** By `compute.azEnvironment` in lower case. */
const CLOUDS: ReadonlyMap<string, ArmCloud> = new Map(
  Object.entries({
    azurepubliccloud: cloud('https://management.azure.com', 'https://login.microsoftonline.com'),
    azureusgovernmentcloud: cloud('https://management.usgovcloudapi.net', 'https://login.microsoftonline.us'),
    azurechinacloud: cloud('https://management.chinacloudapi.cn', 'https://login.chinacloudapi.cn'),
    azuregermancloud: cloud('https://management.microsoftazure.de', 'https://login.microsoftonline.de'),
  }),
);
const OTHER_NAMES: Readonly<Record<string, string>> = { azureusgovernment: 'azureusgovernmentcloud' };

/**
 * The Resource Manager of the cloud that the machine stands in. AZURE_RESOURCE_MANAGER_ENDPOINT moves it (a
 * private endpoint, Azure Stack), AZURE_RESOURCE_MANAGER_AUDIENCE what tokens are asked for, AZURE_AUTHORITY_HOST
 * who gives them. Throws `discovery.endpoint` where neither metadata nor the environment tells.
 */
export function armCloud(
  environment: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): ArmCloud {
  const name = (environment ?? 'AzurePublicCloud').toLowerCase();
  const known = CLOUDS.get(OTHER_NAMES[name] ?? name);
  const endpoint = env['AZURE_RESOURCE_MANAGER_ENDPOINT'] || known?.endpoint;
  const authority =
    env['AZURE_AUTHORITY_HOST'] || known?.authority || CLOUDS.get('azurepubliccloud')!.authority;
  if (endpoint === undefined) {
    throw new DiscoveryError(
      'discovery.endpoint',
      `The metadata names the cloud ${quoted(environment ?? '')}, whose Resource Manager is not known here. Set AZURE_RESOURCE_MANAGER_ENDPOINT, and AZURE_RESOURCE_MANAGER_AUDIENCE where tokens are asked for under another name.`,
    );
  }
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  // The SDK gives no token away over plain HTTP.
  if (url?.protocol !== 'https:' || url.username !== '' || url.search !== '' || url.hash !== '') {
    throw new DiscoveryError(
      'discovery.endpoint',
      `AZURE_RESOURCE_MANAGER_ENDPOINT must be an address such as https://management.azure.com, not ${quoted(endpoint)}.`,
    );
  }
  const audience = env['AZURE_RESOURCE_MANAGER_AUDIENCE'] || known?.audience || endpoint;
  return { endpoint: bare(endpoint), audience: bare(audience), authority };
}

function cloud(endpoint: string, authority: string): ArmCloud {
  return { endpoint, audience: endpoint, authority };
}

function bare(url: string): string {
  return url.replace(/\/+$/, '');
}
