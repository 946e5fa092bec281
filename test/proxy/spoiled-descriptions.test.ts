import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, type TestContext, test } from 'node:test';
import type { MediaRelay } from '../../src/media/media-contract.ts';
import { isRelayed } from '../../src/media/stream-remote.ts';
import { MediaAnchor } from '../../src/proxy/media-anchor.ts';
import { parseSessionDescription } from '../../src/sdp/parse-session-description.ts';
import { parseMessage } from '../../src/sip/message/message.ts';
import { relayAddress, relayFor } from '../media/support.ts';
import { ProxyHarness } from '../support/proxy-harness.ts';
import { requestText, responseText } from '../support/sip-text.ts';

const carol = '198.51.100.10:5060';
const bob = '198.51.100.20:5060';
/** Where all that the corpus describes is, for this test. */
const hidden = /10\.77\.|fd77:/i;
const rounds = 1500;
/** Of the processor, for one message: a hundred times what the longest of them takes. */
const maxMs = 250;

/** The same numbers every time (Mulberry32): what fails once fails again. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) % below;
  };
}

/** Offers and answers of the corpus as their senders wrote them, from hosts that nobody may hear of. */
const corpus: readonly string[] = ['calls/', ''].flatMap((folder) => {
  const url = new URL(`../fixtures/sdp/${folder}`, import.meta.url);
  return readdirSync(url)
    .filter((file) => file.endsWith('.txt'))
    .sort()
    .flatMap((file) => readFileSync(new URL(file, url), 'latin1').split(/^-{8}\n/m))
    .filter((block) => block.startsWith('v=0\n') && !block.includes('PORT'))
    .map((block) =>
      block
        // The name of an account, which From and RTCP tell as well (RFC 5576 6.1): it is no address of media.
        .replace(/(?<=\bcname:sip:[^\s@]*@)\S+/g, 'example.com')
        .replace(/\b(?!0\.0\.0\.0)\d+\.\d+\.\d+\.(\d+)\b/g, '10.77.0.$1')
        .replace(/(?<=IP6 )[0-9a-f:.]+|\b(?:2001|fe80):[0-9a-f:.]+/gi, 'fd77::1')
        // Of sections that are not the relay's: elsewhere it is a word like others.
        .replace(/^a=path:.*\n/gm, ''),
    );
});

type Pick = (below: number) => number;

const mutations: readonly ((lines: string[], pick: Pick) => void)[] = [
  (lines, pick) => lines.splice(pick(lines.length), 1 + pick(3)),
  (lines, pick) => lines.splice(pick(lines.length), 0, lines[pick(lines.length)]!),
  (lines, pick) => lines.push(...lines.splice(pick(lines.length), 1)),
  (lines, pick) => {
    const [from, to] = [pick(lines.length), pick(lines.length)];
    [lines[from], lines[to]] = [lines[to]!, lines[from]!];
  },
  (lines) => lines.reverse(),
  (lines, pick) => lines.splice(pick(lines.length)),
  (lines, pick) => {
    const at = pick(lines.length);
    lines[at] = lines[at]!.slice(0, pick(lines[at]!.length + 1));
  },
  (lines, pick) => {
    const huge = ['0', '1', '65535', '65536', '4294967296', '-1', '9'.repeat(30), '9'.repeat(3000)];
    const at = pick(lines.length);
    const found = [...lines[at]!.matchAll(/\d+/g)];
    const number = found[pick(Math.max(1, found.length))];
    // An address with such a number is none any more, though what is left of it still tells of the host.
    if (number)
      lines[at] =
        lines[at]!.slice(0, number.index) +
        huge[pick(huge.length)]! +
        lines[at]!.slice(number.index + number[0].length);
  },
  (lines, pick) => {
    const other = corpus[pick(corpus.length)]!.split('\n');
    lines.splice(pick(lines.length), 0, ...other.slice(pick(other.length)).slice(0, 1 + pick(20)));
  },
  (lines, pick) => {
    const at = pick(lines.length);
    const part = lines.slice(at, at + 1 + pick(8));
    for (let copies = 1 + pick(30); copies > 0; copies--) lines.splice(at, 0, ...part);
  },
  (lines, pick) => {
    lines.splice(
      pick(lines.length),
      0,
      ['', ' ', '=', 'x', '\t=\t', 'c', 'm=', 'c=IN IP4', 'a=rtcp:'][pick(9)]!,
    );
  },
];

function mutated(text: string, pick: Pick): string {
  const lines = text.split('\n');
  for (let count = 1 + pick(4); count > 0 && lines.length > 0; count--) {
    mutations[pick(mutations.length)]!(lines, pick);
  }
  // A datagram holds no more.
  return lines.join(pick(10) === 0 ? '\n' : '\r\n').slice(0, 60_000);
}

/** Without the sections that are none of the relay's, and what they alone live by. */
function relayedPart(body: string): string {
  if (body === '') return '';
  const { text, media } = parseSessionDescription(body);
  if (media.length > 0 && !media.some(isRelayed)) return '';
  let kept = text.slice(0, media[0]?.line.start);
  media.forEach((section, index) => {
    if (isRelayed(section)) kept += text.slice(section.line.start, media[index + 1]?.line.start);
  });
  return kept;
}

interface Office {
  readonly relay: MediaRelay;
  readonly anchor: MediaAnchor;
  /** Gives it to the agent; what leaves then may show no hidden address. The kinds of what left. */
  give(text: string, from: string): { kind: string; text: string }[];
}

async function open(t: TestContext): Promise<Office> {
  const { relay } = await relayFor(t);
  let anchor: MediaAnchor | undefined;
  const harness = new ProxyHarness({
    listeners: [`udp:${relayAddress}:5060 as 203.0.113.5:5060`],
    localNetworks: ['127.0.0.0/8'],
    media: (identity) => (anchor = new MediaAnchor(relay, identity)),
  });
  harness.bind('bob', `sip:bob@${bob}`, bob);
  return {
    relay,
    anchor: anchor!,
    give: (text, from) => {
      const started = process.threadCpuUsage();
      harness.receive(text, from);
      const sent = harness.take();
      const { user, system } = process.threadCpuUsage(started);
      assert.ok((user + system) / 1000 < maxMs, `took ${(user + system) / 1000} ms:\n${text}`);
      return sent.map(({ message }) => {
        const head = message.text.slice(0, message.bodyStart);
        // Who wrote it is told what is wrong with it.
        const told = from === carol && message.status === 488 ? head.replace(/^Warning: .*$/m, '') : head;
        const shown = told + relayedPart(message.body);
        assert.doesNotMatch(shown, hidden, `shown of what came:\n${text}`);
        return { kind: message.isRequest ? message.method : String(message.status), text: message.text };
      });
    },
  };
}

describe('descriptions that are not as they should be', () => {
  for (const seed of [1, 2]) {
    test(`end nothing, take no time and show no address that is hidden (${rounds} of seed ${seed})`, async (t) => {
      const { relay, anchor, give } = await open(t);
      const pick = numbers(seed);
      const seen = { refused: 0, relayed: 0, answerRefused: 0 };
      for (let round = 0; round < rounds; round++) {
        const [offer, answer] = [corpus[pick(corpus.length)]!, corpus[pick(corpus.length)]!];
        const dialog = { callId: `call-${round}`, branch: `z9hG4bKfuzz${round}` };
        // The offer as it was written or spoiled, so that spoiled answers get their turn.
        const body = pick(3) === 0 ? offer.replaceAll('\n', '\r\n') : mutated(offer, pick);
        const [invite] = give(requestText({ ...dialog, body }), carol).filter(({ kind }) => kind !== '100');
        assert.ok(invite, 'an INVITE is answered or goes on');
        if (invite.kind !== 'INVITE') {
          assert.match(invite.kind, /^(488|503)$/, invite.text);
          seen.refused++;
          continue;
        }
        seen.relayed++;
        const contact = `<sip:bob@${bob}>`;
        const ok = { status: 200, toTag: `bob${round}`, contact, body: mutated(answer, pick) };
        const answered = give(responseText(invite.text, ok), bob);
        const final = answered.find(({ kind }) => /^\d/.test(kind));
        assert.match(final?.kind ?? '', /^(200|488)$/, 'the caller is told');
        if (final!.kind === '488') {
          seen.answerRefused++;
          continue;
        }
        anchor.end(
          parseMessage(
            requestText({ ...dialog, method: 'BYE', to: `<sip:bob@example.com>;tag=bob${round}` }),
          )!,
        );
        if (round % 100 === 0) await relay.flush();
      }
      // Neither all nor nothing: so each way is walked often.
      for (const [what, count] of Object.entries(seen)) assert.ok(count > rounds / 20, `${what}: ${count}`);
      await relay.flush();
      assert.deepEqual([relay.stats.portsInUse, relay.stats.sessions, anchor.calls], [0, 0, 0]);
    });
  }

  test('are quoted to who wrote them, and to nobody else', async (t) => {
    const { give } = await open(t);
    const spoiled = corpus[0]!.replace(/^c=IN IP4/m, 'c=IN ATM').replaceAll('\n', '\r\n');
    const refused = give(requestText({ callId: 'one', body: spoiled }), carol).at(-1)!;
    assert.match(refused.text, /^Warning: 399 cloudsip "Expected c=IN IP4 .*, found 'c=IN ATM 10\.77\./m);
    const dialog = { callId: 'two', branch: 'z9hG4bKtwo' };
    const invite = give(requestText({ ...dialog, body: corpus[0]! }), carol).at(-1)!;
    const ok = { status: 200, contact: `<sip:bob@${bob}>`, body: spoiled };
    const told = give(responseText(invite.text, ok), bob).find(({ kind }) => kind === '488')!;
    assert.match(told.text, /^Warning: 399 cloudsip "Expected c=IN IP4 <address> \(or IP6\)"\r$/m);
  });

  test('without a stream show no address', async (t) => {
    const { give } = await open(t);
    const bare = corpus[0]!.split(/^m=/m, 1)[0]!.replaceAll('\n', '\r\n');
    const [invite] = give(requestText({ body: bare }), carol).filter(({ kind }) => kind === 'INVITE');
    assert.match(invite!.text, /^c=IN IP4 203\.0\.113\.5\r$/m);
  });
});
