import { AF_INET, type Libc } from '../../net/libc.ts';
import { messageType, Netlink, netlinkAttributes } from '../../net/netlink.ts';
import { type Route, Routes, sameRoute } from './routes.ts';

/** The way between an address of ours and one of a peer, and who counts on it. */
export interface FlowPath {
  readonly key: string;
  readonly family: number;
  readonly from: Uint8Array;
  readonly to: Uint8Array;
  readonly route: Route;
  /** How many flows begin or end with it. */
  users: number;
}

/** How many ways are looked at again before packets are served in between. */
const checkedAtOnce = 32;
const neighbourBytes = 12;
const neighbourDestination = 1;

/** Ways that flows take now, followed as routes change. */
export class FlowPaths {
  readonly #routes: Routes;
  readonly #changes: Netlink;
  readonly #paths = new Map<string, FlowPath>();
  /** To be looked at again. */
  readonly #doubtful = new Set<FlowPath>();

  constructor(libc: Libc, routesFd: number, changesFd: number, needsMac: boolean) {
    this.#routes = new Routes(libc, routesFd, needsMac);
    this.#changes = new Netlink(libc, changesFd);
  }

  /** Undefined where packets of that way cannot be forwarded by the program. */
  find(family: number, from: Uint8Array, to: Uint8Array): FlowPath | undefined {
    const key = `${Buffer.from(from).toString('latin1')}${Buffer.from(to).toString('latin1')}`;
    const known = this.#paths.get(key);
    if (known) return known;
    const route = this.#routes.find(family, from, to);
    return route && { key, family, from: from.slice(), to: to.slice(), route, users: 0 };
  }

  use(path: FlowPath): void {
    this.#paths.set(path.key, path);
    path.users++;
  }

  leave(path: FlowPath): void {
    path.users--;
    if (path.users > 0 || this.#paths.get(path.key) !== path) return;
    this.#paths.delete(path.key);
    this.#doubtful.delete(path);
  }

  /** Reads what the kernel tells: what may have changed is in doubt from now on. */
  takeChanges(): void {
    const changes = this.#changes.changes();
    if (changes === 'lost') {
      this.#doubt(undefined);
      return;
    }
    for (const { type, body } of changes) {
      const isNeighbour = type === messageType.newNeighbour || type === messageType.delNeighbour;
      this.#doubt(
        isNeighbour ? netlinkAttributes(body, neighbourBytes).get(neighbourDestination) : undefined,
      );
    }
  }

  /** Doubts the ways by a neighbour, or all. */
  #doubt(neighbour: Buffer | undefined): void {
    for (const path of this.#paths.values()) {
      if (!neighbour || neighbour.equals(path.route.nextHop)) this.#doubtful.add(path);
    }
  }

  /** It may have changed without a word. */
  doubt(path: FlowPath): void {
    this.#doubtful.add(path);
  }

  get inDoubt(): boolean {
    return this.#doubtful.size > 0;
  }

  /** Looks at some of the ways in doubt; gives those that are other ones now, or none. */
  recheck(): ReadonlySet<FlowPath> {
    const moved = new Set<FlowPath>();
    let left = checkedAtOnce;
    for (const path of this.#doubtful) {
      if (left-- === 0) break;
      this.#doubtful.delete(path);
      if (!sameRoute(this.#routes.find(path.family, path.from, path.to), path.route)) moved.add(path);
    }
    return moved;
  }
}

/** True for an address that a packet can come from or go to: not 0.0.0.0, not ::, not of one link only. */
export function isRoutable(family: number, address: Uint8Array): boolean {
  if (address.every((byte) => byte === 0)) return false;
  return family === AF_INET || !(address[0] === 0xfe && (address[1]! & 0xc0) === 0x80);
}
