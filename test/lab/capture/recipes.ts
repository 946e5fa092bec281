import { chromium } from './chromium-party.ts';
import { baresip, linphone, type Open, type Party } from './party.ts';

/** A call between two real programs: who takes part, with which settings, and what happens after the answer. */
export interface Recipe {
  /** Of the file, and of each exchange after the first. */
  readonly titles: readonly string[];
  readonly caller: Open;
  readonly callee: Open;
  /** Behind a home router unless said otherwise. */
  readonly callerHost?: string;
  readonly calleeHost?: string;
  readonly after?: (caller: Party, callee: Party) => Promise<unknown>;
}

const held = ['The caller holds the call.', 'It goes on.'];

async function holdAndResume(caller: Party): Promise<void> {
  await caller.hold();
  await caller.resume();
}

const camera = {
  modules: ['vp8', 'fakevideo'],
  configuration: ['video_source fakevideo,nil', 'video_display fakevideo,nil'],
};
const mux = { configuration: ['rtcp_mux yes'] };
const sdes = { modules: ['srtp'], accountParameters: ';mediaenc=srtp-mand' };
const dtls = { modules: ['srtp', 'dtls_srtp'], accountParameters: ';mediaenc=dtls_srtp' };
const ice = { modules: ['ice'], accountParameters: ';medianat=ice' };
const everyCodec = { modules: ['opus', 'g722', 'g726', 'gsm', 'l16', 'amr'] };

const baresipRecipes: Readonly<Record<string, Recipe>> = {
  'baresip-audio': {
    titles: ['baresip calls baresip with G.711.', ...held],
    caller: baresip(),
    callee: baresip(),
    after: holdAndResume,
  },
  'baresip-codecs': {
    titles: ['baresip offers every codec that it has; the other has Opus and G.722 beside G.711.'],
    caller: baresip(everyCodec),
    callee: baresip({ modules: ['opus', 'g722'] }),
  },
  'baresip-mux': {
    titles: ['baresip with RTCP beside RTP on both sides.', ...held],
    caller: baresip(mux),
    callee: baresip(mux),
    after: holdAndResume,
  },
  'baresip-video': {
    titles: ['baresip with video on both sides.', 'The caller holds the call.'],
    caller: baresip(camera),
    callee: baresip(camera),
    after: (caller) => caller.hold(),
  },
  'baresip-video-refused': {
    titles: ['baresip offers video, the other baresip has none.', ...held],
    caller: baresip(camera),
    callee: baresip(),
    after: holdAndResume,
  },
  'baresip-sdes': {
    titles: ['baresip with SRTP, the keys in the description (SDES).', 'The caller holds the call.'],
    caller: baresip(sdes),
    callee: baresip(sdes),
    after: (caller) => caller.hold(),
  },
  'baresip-dtls': {
    titles: ['baresip with DTLS-SRTP and neither ICE nor RTCP beside RTP.', 'The caller holds the call.'],
    caller: baresip(dtls),
    callee: baresip(dtls),
    after: (caller) => caller.hold(),
  },
  'baresip-ice': {
    titles: ['baresip with ICE on both sides.', 'The checks are over: other default candidates.', ...held],
    caller: baresip(ice),
    callee: baresip(ice),
    after: async (caller) => {
      await caller.updates?.();
      await holdAndResume(caller);
    },
  },
  'baresip-ice-to-plain': {
    titles: ['baresip with ICE and RTCP beside RTP calls baresip with neither.', 'The checks are over.'],
    caller: baresip({ ...ice, ...mux }),
    callee: baresip(),
    after: (caller) => caller.updates!(),
  },
  'baresip-ipv4-to-ipv6': {
    titles: ['baresip on IPv4 calls baresip on IPv6.\ncallee: [2001:db8:f::10]:5060', ...held],
    caller: baresip(),
    callee: baresip(),
    calleeHost: 'carol6-host',
    after: holdAndResume,
  },
  'baresip-ipv6-to-ipv4': {
    titles: ['baresip on IPv6 calls baresip on IPv4.\ncaller: [2001:db8:f::10]:5060', ...held],
    caller: baresip(),
    callee: baresip(),
    callerHost: 'carol6-host',
    after: holdAndResume,
  },
};

const linphoneRecipes: Readonly<Record<string, Recipe>> = {
  'linphone-to-baresip': {
    titles: ['linphone calls baresip with its own choice of codecs.', ...held],
    caller: linphone(),
    callee: baresip({ modules: ['opus'] }),
    after: holdAndResume,
  },
  'baresip-to-linphone': {
    titles: ['baresip calls linphone.', ...held],
    caller: baresip(),
    callee: linphone(),
    after: holdAndResume,
  },
  'linphone-video': {
    titles: ['linphone with video on both sides.', ...held],
    caller: linphone({}, true),
    callee: linphone({}, true),
    after: holdAndResume,
  },
  'linphone-sdes': {
    titles: ['linphone offers SRTP with SDES and video; baresip has SRTP and no video.'],
    caller: linphone({ sip: ['media_encryption=srtp'] }, true),
    callee: baresip({ modules: ['srtp'], accountParameters: ';mediaenc=srtp' }),
  },
  'baresip-sdes-to-linphone': {
    titles: ['baresip calls linphone with SRTP, the keys in the description (SDES).'],
    caller: baresip(sdes),
    callee: linphone({ sip: ['media_encryption=srtp'] }),
  },
  'linphone-ice': {
    titles: ['linphone with ICE and video on both sides.', 'The checks are over.', ...held],
    caller: linphone({ net: ['firewall_policy=3'] }, true),
    callee: linphone({ net: ['firewall_policy=3'] }, true),
    after: async (caller) => {
      await caller.updates?.();
      await holdAndResume(caller);
    },
  },
  'linphone-dtls': {
    titles: ['linphone with DTLS-SRTP and ICE on both sides.'],
    caller: linphone({ sip: ['media_encryption=dtls'], net: ['firewall_policy=3'] }),
    callee: linphone({ sip: ['media_encryption=dtls'], net: ['firewall_policy=3'] }),
  },
};

const chromiumRecipes: Readonly<Record<string, Recipe>> = {
  'chromium-to-baresip': {
    titles: ['Chromium calls baresip with DTLS-SRTP and RTCP beside RTP, without ICE.', ...held],
    caller: chromium({ kinds: ['audio'] }),
    callee: baresip({ ...dtls, ...mux }),
    after: holdAndResume,
  },
  'chromium-trickle': {
    titles: ['Chromium offers before it has a candidate; baresip knows neither ICE nor RTCP beside RTP.'],
    caller: chromium({ kinds: ['audio', 'video'], trickles: true }),
    callee: baresip({ ...camera, ...dtls, modules: [...camera.modules, ...dtls.modules] }),
  },
  'chromium-bundle': {
    titles: [
      'Chromium calls Chromium: audio, video and a data channel on one port.',
      'The caller holds the call.',
      'The caller begins ICE anew.',
    ],
    caller: chromium({ kinds: ['audio', 'video', 'data'] }),
    callee: chromium({ kinds: ['audio', 'video'] }),
    after: async (caller, callee) => {
      await Promise.all([caller.hold(), callee.answer()]);
      await Promise.all([caller.restart!(), callee.answer()]);
    },
  },
  'chromium-data': {
    titles: ['Chromium calls Chromium with a data channel alone.', 'The caller begins ICE anew.'],
    caller: chromium({ kinds: ['data'] }),
    callee: chromium({ kinds: [] }),
    after: (caller, callee) => Promise.all([caller.restart!(), callee.answer()]),
  },
  'baresip-to-chromium': {
    titles: ['baresip calls Chromium with DTLS-SRTP and ICE on two ports.', 'The checks are over.', ...held],
    caller: baresip({
      modules: ['srtp', 'dtls_srtp', 'ice'],
      accountParameters: ';mediaenc=dtls_srtp;medianat=ice',
    }),
    callee: chromium({ kinds: ['audio'] }),
    after: async (caller, callee) => {
      await Promise.all([caller.updates!(), callee.answer()]);
      await Promise.all([caller.hold(), callee.answer()]);
      await Promise.all([caller.resume(), callee.answer()]);
    },
  },
};

/** By name of the file. */
export const recipes: Readonly<Record<string, Recipe>> = {
  ...baresipRecipes,
  ...linphoneRecipes,
  ...chromiumRecipes,
};
