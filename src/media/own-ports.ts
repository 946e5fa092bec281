import type { Endpoint } from '../net/address.ts';

/** Who has relay ports; even ones, of a pair. */
export interface PortOwner {
  /** The address that a port of its own is bound to. */
  boundAddressOf(port: number): string | undefined;
}

/** Which relay ports of this process stand at an address, bound or advertised; two calls may meet here. */
export class OwnPorts<Owner extends PortOwner> {
  readonly #byAddress = new Map<string, Map<number, Owner>>();

  /** `port` is the even one of a pair. `address` is what the world may call the one that it is bound to. */
  add(address: string, port: number, owner: Owner): void {
    let ports = this.#byAddress.get(address);
    if (!ports) this.#byAddress.set(address, (ports = new Map()));
    ports.set(port, owner);
  }

  /** Forgets the pair under `address`, if it still belongs to `owner`. */
  remove(address: string, port: number, owner: Owner): void {
    const ports = this.#byAddress.get(address);
    if (ports?.get(port) !== owner) return;
    ports.delete(port);
    if (ports.size === 0) this.#byAddress.delete(address);
  }

  /** The relay's own port behind an endpoint, RTP or RTCP, as it is bound. */
  find(endpoint: Endpoint): { readonly bound: Endpoint; readonly owner: Owner } | undefined {
    const owner = this.#byAddress.get(endpoint.address)?.get(endpoint.port & ~1);
    const address = owner?.boundAddressOf(endpoint.port & ~1);
    return owner && address !== undefined ? { bound: { address, port: endpoint.port }, owner } : undefined;
  }

  /** True where the address is one that the relay uses at the moment. */
  isOwnAddress(address: string): boolean {
    return this.#byAddress.has(address);
  }
}
