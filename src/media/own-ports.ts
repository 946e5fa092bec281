import type { Endpoint } from '../net/address.ts';

/** Which relay ports of this process stand at an address, bound or advertised; two calls may meet here. */
export class OwnPorts<Owner> {
  readonly #byAddress = new Map<string, Map<number, { bound: string; owner: Owner }>>();

  /** `port` is the even one of a pair. `address` is what the world may call `bound`. */
  add(address: string, port: number, bound: string, owner: Owner): void {
    let ports = this.#byAddress.get(address);
    if (!ports) this.#byAddress.set(address, (ports = new Map()));
    ports.set(port, { bound, owner });
  }

  /** Forgets the pair under `address`, if it still belongs to `owner`. */
  remove(address: string, port: number, owner: Owner): void {
    const ports = this.#byAddress.get(address);
    if (ports?.get(port)?.owner !== owner) return;
    ports.delete(port);
    if (ports.size === 0) this.#byAddress.delete(address);
  }

  /** The relay's own port behind an endpoint, RTP or RTCP, as it is bound. */
  find(endpoint: Endpoint): { readonly bound: Endpoint; readonly owner: Owner } | undefined {
    const found = this.#byAddress.get(endpoint.address)?.get(endpoint.port & ~1);
    return found && { bound: { address: found.bound, port: endpoint.port }, owner: found.owner };
  }

  /** True where the address is one that the relay uses at the moment. */
  isOwnAddress(address: string): boolean {
    return this.#byAddress.has(address);
  }
}
