import { join } from 'node:path';
import type { Configuration } from '../cli/configuration.ts';
import type { DiscoveryLog } from '../discovery/provider.ts';
import { CloudsipError } from '../error.ts';
import type { MediaRelay, RelaySettings } from '../media/media-contract.ts';
import { startMediaRelay } from '../media/media-relay.ts';
import type { Clock } from '../net/clock.ts';

export type RelayConfiguration = Pick<
  Configuration,
  'media' | 'rtpPorts' | 'silenceLimits' | 'dscp' | 'sdpOrigin' | 'recordDirectory' | 'stateDirectory'
>;

/** The media relay that the configuration asks for; undefined where media is left to the endpoints. */
export async function startRelay(
  configuration: RelayConfiguration,
  clock: Clock,
  log: DiscoveryLog,
): Promise<MediaRelay | undefined> {
  const { media, rtpPorts, silenceLimits, dscp, sdpOrigin, recordDirectory, stateDirectory } = configuration;
  if (media === 'off') return undefined;
  return startMediaRelay({
    portRange: rtpPorts,
    forwarder: media,
    silence: silenceLimits,
    dscp,
    keepOrigin: sdpOrigin === 'keep',
    recordDirectory: recordDirectory ?? join(stateDirectory, 'recordings'),
    clock,
    log: {
      debug: (message) => log.debug({}, message),
      info: (message, details = {}) => log.info(details, message),
      warn: (message, details = {}) => log.warn(details, message),
    },
  });
}

/** What of it a running relay takes over. */
export function relaySettings(configuration: RelayConfiguration): RelaySettings {
  const { rtpPorts, silenceLimits, dscp, sdpOrigin } = configuration;
  return { portRange: rtpPorts, silence: silenceLimits, dscp, keepOrigin: sdpOrigin === 'keep' };
}

/** The relay that the cloud's options ask for: mostly the one that has been started without knowing them. */
export async function relayWithTags(
  first: MediaRelay | undefined,
  started: Configuration,
  wanted: Configuration,
  clock: Clock,
  log: DiscoveryLog,
): Promise<MediaRelay | undefined> {
  if (JSON.stringify(relayOptions(started)) === JSON.stringify(relayOptions(wanted))) return first;
  try {
    const relay = await startRelay(wanted, clock, log);
    await first?.close();
    return relay;
  } catch (error) {
    if (!(error instanceof CloudsipError)) throw error;
    log.warn(
      { err: error },
      'what the tags say of media (cloudsip-media, cloudsip-rtp-ports and others) cannot be served and has no effect',
    );
    return first;
  }
}

/** What of a configuration the relay is made of. */
export function relayOptions(configuration: Configuration): RelayConfiguration {
  const { media, rtpPorts, silenceLimits, dscp, sdpOrigin, recordDirectory, stateDirectory } = configuration;
  return { media, rtpPorts, silenceLimits, dscp, sdpOrigin, recordDirectory, stateDirectory };
}
