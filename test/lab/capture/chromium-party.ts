import { ChromiumPage } from '../../support/chromium.ts';
import { type DeskCall, SipDesk } from '../../support/sip-desk.ts';
import { publicAddress } from '../office.ts';
import type { Open } from './party.ts';

/** Runs in the browser, as text. */
const pageScript = `
  const peer = new RTCPeerConnection();
  const until = async (event, satisfied) => {
    while (!satisfied()) await new Promise((resolve) => peer.addEventListener(event, resolve, { once: true }));
  };
  const described = async (description) => {
    await peer.setLocalDescription(description);
    if (TRICKLES) return description.sdp;
    await until('icegatheringstatechange', () => peer.iceGatheringState === 'complete');
    return peer.localDescription.sdp;
  };
  let added = false;
  const add = () => {
    if (added) return;
    added = true;
    const microphone = new MediaStreamAudioDestinationNode(new AudioContext(), { channelCount: 1 }).stream;
    const canvas = document.createElement('canvas');
    canvas.getContext('2d');
    for (const kind of KINDS) {
      if (kind === 'data') peer.createDataChannel('words');
      else peer.addTrack((kind === 'audio' ? microphone : canvas.captureStream()).getTracks()[0], microphone);
    }
  };
  globalThis.phone = {
    offer: async (direction, restart) => {
      add();
      for (const transceiver of peer.getTransceivers()) transceiver.direction = direction;
      if (restart) peer.restartIce();
      return described(await peer.createOffer());
    },
    answer: async (sdp) => {
      await peer.setRemoteDescription({ type: 'offer', sdp });
      add();
      return described(await peer.createAnswer());
    },
    accept: async (sdp) => {
      await peer.setRemoteDescription({ type: 'answer', sdp });
      await until('connectionstatechange', () => peer.connectionState === 'connected');
    },
  };
`;

export interface PageOptions {
  readonly kinds: readonly ('audio' | 'video' | 'data')[];
  /** It speaks before it knows of a candidate. */
  readonly trickles?: boolean;
}

/** A page without a right to microphone or camera: it hides its addresses behind names of mDNS. */
export const chromium =
  ({ kinds, trickles = false }: PageOptions): Open =>
  async (office, hostName, user) => {
    const host = office.lab.host(hostName);
    const page = await ChromiumPage.open(host, { hidesAddresses: true });
    const values: Readonly<Record<string, unknown>> = { TRICKLES: trickles, KINDS: kinds };
    await page.evaluate(`{${pageScript.replace(/TRICKLES|KINDS/g, (name) => JSON.stringify(values[name]))}}`);
    const desk = await SipDesk.open(host, await office.account(user), publicAddress);
    await desk.register();
    const offer = (direction: string, restart = false): Promise<string> =>
      page.evaluate(`phone.offer('${direction}', ${restart})`);
    const accept = (sdp: string): Promise<unknown> => page.evaluate(`phone.accept(${JSON.stringify(sdp)})`);
    let call: DeskCall | undefined;
    const again = async (direction: string, restart = false): Promise<void> => {
      await accept(await call!.reinvite(await offer(direction, restart)));
    };
    return {
      call: async (other) => {
        call = await desk.invite(`sip:${other}@${publicAddress}`, await offer('sendrecv'));
        await accept(call.sdp);
      },
      answer: async () => {
        call = await desk.answer((sdp) => page.evaluate(`phone.answer(${JSON.stringify(sdp)})`));
      },
      hold: () => again('sendonly'),
      resume: () => again('sendrecv'),
      restart: () => again('sendrecv', true),
      [Symbol.asyncDispose]: async () => {
        await Promise.all([page[Symbol.asyncDispose](), desk[Symbol.asyncDispose]()]);
      },
    };
  };
