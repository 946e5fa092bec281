import { BaresipPhone, type PhoneOptions } from '../support/baresip.ts';
import {
  type CloudsipAccount,
  type CloudsipOptions,
  type CloudsipProcess,
  startCloudsip,
} from '../support/cloudsip.ts';
import { buildLab } from './build-lab.ts';
import { cloud } from './cloud.ts';
import type { Lab } from './lab.ts';
import { LabError } from './lab-error.ts';
import { ec2Cloud, type LabCloud, type LabMetadata } from './lab-metadata.ts';
import type { Topology } from './topology.ts';

/** The address that people write into their phones: the first of the machine. */
export const publicAddress = '203.0.113.5';
/** All public addresses of the machine. */
export const publicAddresses: readonly string[] = ['203.0.113.5', '203.0.113.6', '203.0.113.7'];
/** What they stand in front of. */
export const privateAddresses: readonly string[] = ['10.0.0.15', '10.0.0.16', '10.0.1.15'];

export interface OfficeOptions extends Omit<CloudsipOptions, 'env'> {
  /** As for the agent, or what can be told only once `prepare` has run. */
  readonly env?: CloudsipOptions['env'] | ((lab: Lab) => CloudsipOptions['env']);
  /** The cloud that it stands in; EC2 by default. Its machine is the same in every cloud. */
  readonly cloud?: LabCloud;
  /** Default: the standard one, which has no IPv6. */
  readonly topology?: Topology;
  /** What the metadata says; the truth by default. */
  readonly document?: unknown;
  /** Runs before the agent starts, when the metadata answers: an API's server, a change of the router. */
  readonly prepare?: (lab: Lab) => Promise<unknown>;
}

export interface DeskOptions extends Partial<PhoneOptions> {
  readonly user: string;
  readonly toneHz: number;
}

/** The laboratory with the agent serving in it, nothing configured, and the telephones that register there. */
export class Office implements AsyncDisposable {
  readonly lab: Lab;
  readonly metadata: LabMetadata;
  cloudsip: CloudsipProcess;
  readonly #options: CloudsipOptions;
  readonly #accounts = new Map<string, CloudsipAccount>();
  readonly #phones: BaresipPhone[] = [];
  /** Those that the first start made: asked for once, as each question is a process of its own. */
  #made: Promise<CloudsipAccount[]> | undefined;

  private constructor(lab: Lab, metadata: LabMetadata, cloudsip: CloudsipProcess, options: CloudsipOptions) {
    this.lab = lab;
    this.metadata = metadata;
    this.cloudsip = cloudsip;
    this.#options = options;
  }

  static async open(options: OfficeOptions = {}): Promise<Office> {
    const { cloud: labCloud = ec2Cloud, topology = cloud, document, prepare, env, ...given } = options;
    const lab = await buildLab(topology);
    try {
      const metadata = await lab.startMetadataOf<unknown>(labCloud, document);
      await prepare?.(lab);
      const environment = typeof env === 'function' ? env(lab) : env;
      const agentOptions = {
        firmware: labCloud.firmware,
        ...given,
        ...(environment && { env: environment }),
      };
      return new Office(lab, metadata, await startCloudsip(lab.host('vm'), agentOptions), agentOptions);
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  /**
   * Resolves when the agent goes by a public address: mostly at once, but where an API tells, it serves before that
   * on a machine that is too busy to ask in time.
   */
  async knows(address: string): Promise<void> {
    const literal = address.replaceAll('.', '\\.');
    const told = new RegExp(`"(?:bound|advertised|privateAddress|after)":"${literal}[:"]`);
    await this.cloudsip.program.line(told, { timeoutMs: 120_000 });
  }

  /** The account of that name; it is made where there is none. */
  async account(name: string): Promise<CloudsipAccount> {
    let account = this.#accounts.get(name);
    if (account) return account;
    this.#made ??= this.cloudsip.accounts();
    account = (await this.#made).find((known) => known.name === name);
    account ??= await this.cloudsip.addAccount(name, `${name}-knows-a-word`);
    this.#accounts.set(name, account);
    return account;
  }

  /** A telephone on a host, registered at `domain`, by default the first public address. */
  async phone(hostName: string, options: DeskOptions): Promise<BaresipPhone> {
    const password = options.password ?? (await this.account(options.user)).password;
    const phone = await BaresipPhone.start(this.lab.host(hostName), {
      domain: publicAddress,
      // Longer than any test: nobody registers a second time by himself.
      registrationInterval: 3600,
      ...options,
      password,
    });
    this.#phones.push(phone);
    await phone.registered();
    return phone;
  }

  /** A telephone of a neighbour in the cloud's network: the same domain, reached by the private address. */
  neighbour(hostName: string, options: DeskOptions): Promise<BaresipPhone> {
    return this.phone(hostName, { outbound: 'sip:10.0.0.15;lr', ...options });
  }

  /** How many media ports the agent holds. */
  async mediaPorts(): Promise<number> {
    const { stdout } = await this.cloudsip.host.run('ss', ['-Hlun', 'sport >= 10000 and sport <= 20000']);
    return stdout.split('\n').filter((line) => line !== '').length;
  }

  /** Resolves when every media port is given back; each look is a process of its own, so this is no busy loop. */
  async mediaPortsReturned(timeoutMs = 5_000): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    let held = await this.mediaPorts();
    while (held > 0) {
      if (performance.now() > deadline) throw new LabError(`${held} media ports are still held`);
      held = await this.mediaPorts();
    }
  }

  /** Ends the agent as a power cut would and starts it again on the same disk. */
  async restart(): Promise<void> {
    await this.cloudsip.kill9();
    this.cloudsip = await startCloudsip(this.lab.host('vm'), this.#options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#phones.map((phone) => phone.kill()));
    await this.cloudsip.kill9();
    await this.lab.close();
  }
}

/** Both hear each other's tone. */
export async function talk(one: BaresipPhone, other: BaresipPhone): Promise<void> {
  await Promise.all([one.hears(other.options.toneHz), other.hears(one.options.toneHz)]);
}

/** One calls, the other rings and answers; resolves when both hear each other. */
export async function call(
  caller: BaresipPhone,
  callee: BaresipPhone,
  uri: string = callee.uri,
): Promise<void> {
  await caller.dial(uri);
  await callee.ringing();
  await callee.answer();
  await Promise.all([caller.established(), callee.established()]);
  await talk(caller, callee);
}

export async function hangUp(who: BaresipPhone, other: BaresipPhone): Promise<void> {
  await who.hangup();
  await Promise.all([who.closed(), other.closed()]);
}

/** A re-INVITE to hold and one back, with talk after it. */
export async function holdAndResume(who: BaresipPhone, other: BaresipPhone): Promise<void> {
  await who.hold();
  await who.resume();
  await talk(who, other);
}
