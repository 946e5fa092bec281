import type { LabHost } from '../lab/lab-host.ts';
import { ChromiumPage } from './chromium.ts';

/** What the page is: a peer connection that sends a tone and listens. Runs in the browser, as text. */
const pageScript = `
  const context = new AudioContext();
  const tone = new OscillatorNode(context, { frequency: TONE });
  const level = new GainNode(context, { gain: 0.3 });
  const microphone = new MediaStreamAudioDestinationNode(context, { channelCount: 1 });
  tone.connect(level).connect(microphone);
  tone.start();
  const analyser = new AnalyserNode(context, { fftSize: 16384, smoothingTimeConstant: 0 });
  const peer = new RTCPeerConnection();
  const messages = [];
  let channel;
  const listen = (opened) => {
    channel = opened;
    channel.onmessage = ({ data }) => messages.push(data);
  };
  peer.ondatachannel = ({ channel: theirs }) => listen(theirs);
  peer.ontrack = ({ streams: [stream] }) => {
    // A remote stream is decoded only where an element plays it.
    const element = new Audio();
    element.muted = true;
    element.srcObject = stream;
    element.play();
    context.createMediaStreamSource(stream).connect(analyser);
  };
  const until = async (satisfied, what, timeoutMs) => {
    const end = performance.now() + timeoutMs;
    for (;;) {
      const found = await satisfied();
      if (found) return found;
      if (performance.now() > end) throw new Error('no ' + what + ' in ' + timeoutMs + ' ms: ' + peer.connectionState);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  const described = async (description) => {
    await peer.setLocalDescription(description);
    await until(() => peer.iceGatheringState === 'complete', 'candidates', 5000);
    return peer.localDescription.sdp;
  };
  const microphoneOn = () => {
    for (const track of microphone.stream.getTracks()) peer.addTrack(track, microphone.stream);
  };
  // The strongest line of the spectrum, and how far everything that is not beside it lies below, in dB.
  const heard = () => {
    const bins = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(bins);
    const width = context.sampleRate / analyser.fftSize;
    let peak = 0;
    bins.forEach((value, index) => { if (index * width > 200 && value > bins[peak]) peak = index; });
    const hz = peak * width;
    let other = -200;
    bins.forEach((value, index) => {
      const at = index * width;
      if (at > 200 && at < 3400 && Math.abs(at - hz) > 60 && value > other) other = value;
    });
    return { hz, level: bins[peak], clear: bins[peak] - other };
  };
  globalThis.phone = {
    offer: async (withData) => {
      microphoneOn();
      if (withData) listen(peer.createDataChannel('words'));
      return described(await peer.createOffer());
    },
    answer: async (sdp) => {
      await peer.setRemoteDescription({ type: 'offer', sdp });
      microphoneOn();
      return described(await peer.createAnswer());
    },
    accept: (sdp) => peer.setRemoteDescription({ type: 'answer', sdp }),
    hears: (hz) => {
      const near = () => { const now = heard(); return now.level > -60 && now.clear > 15 && Math.abs(now.hz - hz) < 10; };
      return until(near, hz + ' Hz', 10000).catch((error) => {
        throw new Error(error.message + ', heard ' + JSON.stringify(heard()) + ', context ' + context.state);
      });
    },
    say: async (word) => {
      await until(() => channel?.readyState === 'open', 'open channel', 5000);
      channel.send(word);
    },
    reads: (word) => until(() => messages.includes(word), 'message', 5000),
    // Where its packets go, by the candidate pair that its checks have chosen, and what protects them.
    way: async () => {
      const stats = [...(await peer.getStats()).values()];
      const transport = stats.find(({ type }) => type === 'transport');
      const pair = stats.find(({ id }) => id === transport.selectedCandidatePairId);
      const { address, port } = stats.find(({ id }) => id === pair.remoteCandidateId);
      return { address, port, dtls: transport.dtlsState, srtp: transport.srtpCipher ?? '', transports: stats.filter(({ type }) => type === 'transport').length };
    },
  };
  context.resume();
`;

/** Where a page's packets go, as its own statistics say. */
export interface ChromiumWay {
  readonly address: string;
  readonly port: number;
  readonly dtls: string;
  readonly srtp: string;
  readonly transports: number;
}

/** A browser as a telephone: WebRTC with a tone for a microphone, whose descriptions somebody else carries. */
export class ChromiumPhone implements AsyncDisposable {
  readonly toneHz: number;
  readonly #page: ChromiumPage;

  private constructor(page: ChromiumPage, toneHz: number) {
    this.#page = page;
    this.toneHz = toneHz;
  }

  static async open(host: LabHost, toneHz: number): Promise<ChromiumPhone> {
    const page = await ChromiumPage.open(host);
    await page.evaluate(`{${pageScript.replace('TONE', String(toneHz))}}`);
    return new ChromiumPhone(page, toneHz);
  }

  /** Its offer, with all candidates; with a data channel beside the audio if asked. */
  offer(withData = false): Promise<string> {
    return this.#page.evaluate(`phone.offer(${withData})`);
  }

  /** Its answer to an offer. */
  answer(sdp: string): Promise<string> {
    return this.#page.evaluate(`phone.answer(${JSON.stringify(sdp)})`);
  }

  /** Takes the answer to its own offer. */
  async accept(sdp: string): Promise<void> {
    await this.#page.evaluate(`phone.accept(${JSON.stringify(sdp)})`);
  }

  /** Resolves when it hears this tone and nothing else. */
  async hears(frequencyHz: number): Promise<void> {
    await this.#page.evaluate(`phone.hears(${frequencyHz})`);
  }

  async say(word: string): Promise<void> {
    await this.#page.evaluate(`phone.say(${JSON.stringify(word)})`);
  }

  async reads(word: string): Promise<void> {
    await this.#page.evaluate(`phone.reads(${JSON.stringify(word)})`);
  }

  way(): Promise<ChromiumWay> {
    return this.#page.evaluate('phone.way()');
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#page[Symbol.asyncDispose]();
  }
}
