import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type * as Sdk from '@aws-sdk/client-ec2';
import { DiscoveryError } from '../../src/discovery/discovery-error.ts';
import { serveApi } from '../../src/discovery/serve-api.ts';
import type { ApiInterface, CallResult, Ec2Answer, Ec2Question } from './api-answer.ts';
import { aclOf, interfaceOf, routeTableOf, ruleOf } from './api-shapes.ts';
import { refusalOf } from './refusal.ts';

// The program of the child process: nothing else imports the SDK, and this module is imported by nobody.

const CONNECT_TIMEOUT_MS = 3000;
const ANSWER_TIMEOUT_MS = 8000;
const PAGE_SIZE = 100;
/** More than a group, a VPC or an instance can have; a service that goes on for ever is no EC2. */
const MAX_ITEMS = 5000;

await serveApi<Ec2Question, Ec2Answer>(async (question) => {
  const sdk = await loadSdk();
  const client = new sdk.EC2Client({
    ...(question.region !== undefined && { region: question.region }),
    requestHandler: {
      connectionTimeout: CONNECT_TIMEOUT_MS,
      requestTimeout: ANSWER_TIMEOUT_MS,
      throwOnRequestTimeout: true,
      // The SDK by itself knows nothing of HTTPS_PROXY and NO_PROXY.
      httpAgent: new HttpAgent({ keepAlive: true, proxyEnv: process.env }),
      httpsAgent: new HttpsAgent({ keepAlive: true, proxyEnv: process.env }),
    },
  });
  const paging = { client, pageSize: PAGE_SIZE };
  const filters: [name: string, values: readonly string[]] =
    question.instanceId === undefined
      ? ['mac-address', question.macs]
      : ['attachment.instance-id', [question.instanceId]];
  const interfaces = await collect(
    'DescribeNetworkInterfaces',
    sdk.paginateDescribeNetworkInterfaces(paging, { Filters: [filter(...filters)] }),
    (page) => page.NetworkInterfaces?.map(interfaceOf),
  );
  if (!question.diagnosis || 'refusal' in interfaces) return { interfaces };
  return { interfaces, ...(await diagnose(sdk, paging, interfaces.items)) };
});

async function diagnose(
  sdk: typeof Sdk,
  paging: Sdk.EC2PaginationConfiguration,
  interfaces: readonly ApiInterface[],
): Promise<Omit<Ec2Answer, 'interfaces'>> {
  const groups = unique(interfaces.flatMap((eni) => eni.groups));
  const subnets = unique(interfaces.map((eni) => eni.subnetId));
  const vpcs = unique(interfaces.map((eni) => eni.vpcId));
  // A filter without values is refused.
  if (groups.length === 0 || subnets.length === 0) return {};
  const [rules, acls, ownTables, mainTables] = await Promise.all([
    collect(
      'DescribeSecurityGroupRules',
      sdk.paginateDescribeSecurityGroupRules(paging, { Filters: [filter('group-id', groups)] }),
      (page) => page.SecurityGroupRules?.map(ruleOf),
    ),
    collect(
      'DescribeNetworkAcls',
      sdk.paginateDescribeNetworkAcls(paging, { Filters: [filter('association.subnet-id', subnets)] }),
      (page) => page.NetworkAcls?.map(aclOf),
    ),
    collect(
      'DescribeRouteTables',
      sdk.paginateDescribeRouteTables(paging, { Filters: [filter('association.subnet-id', subnets)] }),
      (page) => page.RouteTables?.map(routeTableOf),
    ),
    collect(
      'DescribeRouteTables',
      sdk.paginateDescribeRouteTables(paging, {
        Filters: [filter('vpc-id', vpcs), filter('association.main', ['true'])],
      }),
      (page) => page.RouteTables?.map(routeTableOf),
    ),
  ]);
  if ('refusal' in ownTables) return { rules, acls, routeTables: ownTables };
  if ('refusal' in mainTables) return { rules, acls, routeTables: mainTables };
  const tables = new Map([...ownTables.items, ...mainTables.items].map((table) => [table.id, table]));
  return { rules, acls, routeTables: { items: [...tables.values()] } };
}

async function collect<Page, Item>(
  action: string,
  pages: AsyncIterable<Page>,
  itemsOf: (page: Page) => readonly Item[] | undefined,
): Promise<CallResult<Item>> {
  const items: Item[] = [];
  try {
    for await (const page of pages) {
      items.push(...(itemsOf(page) ?? []));
      if (items.length > MAX_ITEMS) throw new Error(`more than ${MAX_ITEMS} items`);
    }
  } catch (error) {
    return { refusal: refusalOf(`ec2:${action}`, error) };
  }
  return { items };
}

function filter(name: string, values: readonly string[]): Sdk.Filter {
  return { Name: name, Values: [...values] };
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values.filter((value) => value !== ''))];
}

async function loadSdk(): Promise<typeof Sdk> {
  try {
    return await import('@aws-sdk/client-ec2');
  } catch (error) {
    throw new DiscoveryError(
      'discovery.api-failed',
      'The EC2 API could not be asked because the package @aws-sdk/client-ec2 is missing. Install cloudsip again with its dependencies.',
      { cause: error },
    );
  }
}
