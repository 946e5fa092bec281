import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { parseSessionDescription } from '../../src/sdp/parse-session-description.ts';
import { readdress, type SectionPort } from '../../src/sdp/readdress.ts';

const folder = new URL('../fixtures/sdp/', import.meta.url);

/** Conditions, a description and what it shall become, parted by dashes. */
interface Case {
  readonly title: string;
  readonly advertised: string;
  readonly ports: SectionPort[];
  readonly input: string;
  readonly expected: string;
}

function readCase(file: string): Case {
  const [head = '', input = '', expected = ''] = readFileSync(new URL(file, folder), 'latin1').split(
    /^-{8}\n/m,
  );
  const [title = '', ...rest] = head.trimEnd().split('\n');
  const conditions = new Map(rest.map((line) => line.split(': ') as [string, string]));
  return {
    title,
    advertised: conditions.get('advertised')!,
    ports: conditions
      .get('ports')!
      .split(' ')
      .map((port) => (port === 'untouched' ? port : Number(port))),
    input,
    expected,
  };
}

const crlf = (text: string): string => text.replaceAll('\n', '\r\n');

describe('a session description is written anew for the relay', () => {
  for (const file of readdirSync(folder)
    .filter((name) => name.endsWith('.txt'))
    .sort()) {
    const { title, advertised, ports, input, expected } = readCase(file);
    it(`${file}: ${title}`, () => {
      const run = (text: string): string => readdress(parseSessionDescription(text), advertised, ports);
      assert.equal(run(input), expected);
      assert.equal(run(crlf(input)), crlf(expected), 'with CRLF');
      // Some phones leave the last line ending away.
      assert.equal(run(crlf(input).slice(0, -2)).trimEnd(), crlf(expected).trimEnd(), 'unfinished last line');
      assert.equal(run(expected).length, run(run(expected)).length, 'twice is as good as once');
    });
  }

  const cut = 'v=0\r\no=- 1 1 IN IP4 10.0.0.5\r\ns=-\r\nc=IN IP4 10.0.0.5\r\nm=audio 4000 RTP/AVP 0\r\n';
  for (const [name, ending, added] of [
    ['without an end', 'a=sendrecv', 'a=sendrecv\r\na=new'],
    ['with half an end', 'a=sendrecv\r', 'a=sendrecv\r\na=new'],
    ['that goes, without an end', 'a=end-of-candidates', 'a=new\r\n'],
    ['as it should be', 'a=sendrecv\r\n', 'a=sendrecv\r\na=new\r\n'],
  ] as const) {
    it(`adds lines behind a last one ${name}`, () => {
      const description = parseSessionDescription(cut + ending);
      const written = readdress(description, '10.0.0.5', [4000], { sections: [['a=new']] });
      assert.equal(written, cut + added);
    });
  }

  it('keeps bytes that are not ASCII', () => {
    const name = Buffer.from('Grüße, Jürgen 你好').toString('latin1');
    const text = `v=0\r\no=- 1 1 IN IP4 10.0.0.5\r\ns=${name}\r\nc=IN IP4 10.0.0.5\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\na=x:\x00\xff\r\n`;
    const written = readdress(parseSessionDescription(text), '198.51.100.7', [10_000]);
    assert.ok(written.includes(`s=${name}\r\n`));
    assert.ok(written.endsWith('a=x:\x00\xff\r\n'));
  });
});
