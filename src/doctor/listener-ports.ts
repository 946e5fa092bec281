import type { Finding } from '../discovery/finding.ts';
import { familyOf, isUnspecified, normalizeHost } from '../net/address.ts';
import { type Listener, listenerKey } from '../net/listener.ts';
import { findSocketOwners, type OpenSocket, readOpenSockets, type SocketOwner } from './open-sockets.ts';
import type { Patient } from './patient.ts';

const check = 'listener-port';

/** Whether the listeners' ports are ours or free, and who else holds them. */
export function checkListenerPorts({ listeners, machine, agent }: Patient): Finding[] {
  const sockets = {
    udp: readOpenSockets(machine.root, 'udp'),
    tcp: readOpenSockets(machine.root, 'tcp'),
  };
  const held = listeners.map((listener) => ({
    listener,
    holder: sockets[listener.transport === 'udp' ? 'udp' : 'tcp'].find((socket) =>
      collides(socket, listener),
    ),
  }));
  const inodes = new Set(held.flatMap(({ holder }) => holder?.inode ?? []));
  const owners = findSocketOwners(machine.root, inodes);
  return held.map(({ listener, holder }): Finding => {
    const subject = listenerKey(listener);
    if (!holder) {
      const evidence = agent ? `Free; cloudsip (pid ${agent.pid}) does not listen there.` : 'Free.';
      return { check, subject, verdict: 'pass', evidence };
    }
    const owner = owners.get(holder.inode);
    if (owner?.pid === agent?.pid && owner) {
      return { check, subject, verdict: 'pass', evidence: `cloudsip (pid ${owner.pid}) listens there.` };
    }
    if (!owner) {
      if (agent && agent.uid === holder.uid) {
        const evidence = `User ${holder.uid} listens there, as whom cloudsip runs (pid ${agent.pid}).`;
        return { check, subject, verdict: 'pass', evidence };
      }
      return {
        check,
        subject,
        verdict: agent ? 'skip' : 'fail',
        evidence: `A program of user ${holder.uid} listens there; which one, only root can see.`,
        ...(!agent && {
          remedy: 'Run "sudo cloudsip doctor" to see which, and stop it, or take another port.',
        }),
      };
    }
    return { check, subject, verdict: 'fail', ...taken(listener, owner) };
  });
}

function taken(
  { bound, transport }: Listener,
  { pid, program }: SocketOwner,
): Pick<Finding, 'evidence' | 'remedy'> {
  return {
    evidence: `${program} (pid ${pid}) listens there, so cloudsip cannot.`,
    remedy: `Stop it (systemctl status ${pid} tells its service), or take another port: --listen '${transport}:*:${bound.port + 20}'.`,
  };
}

/** A socket on every address stands in the way of one on a single address, and the other way round. */
function collides(socket: OpenSocket, { bound }: Listener): boolean {
  if (socket.port !== bound.port) return false;
  const [theirs, ours] = [normalizeHost(socket.address), normalizeHost(bound.address)];
  if (theirs === ours) return true;
  // [::] takes IPv4 too, as a rule.
  if (isUnspecified(theirs)) return theirs === '::' || familyOf(theirs) === familyOf(ours);
  return isUnspecified(ours) && familyOf(theirs) === familyOf(ours);
}
