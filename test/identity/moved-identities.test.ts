import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Identity } from '../../src/identity/identity.ts';
import { type Listener, listenerKey } from '../../src/net/listener.ts';

const outside = '198.51.100.1';
const neighbour = '10.0.0.77';
const localNetworks = ['10.0.0.0/16'];

const listener = (address: string, advertised?: string, port = 5060): Listener => ({
  transport: 'udp',
  bound: { address, port },
  advertised: advertised === undefined ? undefined : { address: advertised, port },
});

function show(of: Listener, advertised: string | undefined): void {
  of.advertised = advertised === undefined ? undefined : { address: advertised, port: of.bound.port };
}

describe('a public address that moves to another listener', () => {
  const build = () => {
    const [first, second, third] = [
      listener('10.0.0.15', '203.0.113.5'),
      listener('10.0.1.15', '203.0.113.7'),
      listener('10.0.0.16', '203.0.113.6'),
    ];
    const all = [first, third, second];
    const identity = new Identity({ listeners: all, localNetworks });
    return { first, second, third, all, identity, shown: first.advertised };
  };

  test('what was begun under it goes on by who has it, except for those who were shown the bound one', () => {
    const { first, second, all, identity, shown } = build();
    assert.equal(identity.holderOf(first, shown, outside), first);
    show(first, undefined);
    show(second, '203.0.113.5');
    identity.update(all, localNetworks);
    assert.equal(identity.holderOf(first, shown, outside), second);
    assert.equal(identity.holderOf(first, shown, neighbour), first);
    assert.equal(identity.holderOf(first, undefined, outside), first);
    // What begins now was shown what holds now.
    assert.equal(identity.holderOf(second, second.advertised, outside), second);
  });

  test('two that exchange their addresses exchange what was begun under them', () => {
    const { first, second, all, identity, shown } = build();
    const other = second.advertised;
    show(first, '203.0.113.7');
    show(second, '203.0.113.5');
    identity.update(all, localNetworks);
    assert.equal(identity.holderOf(first, shown, outside), second);
    assert.equal(identity.holderOf(second, other, outside), first);
    assert.equal(identity.heirOf(listenerKey(first)), undefined, 'who is public himself speaks for himself');
  });

  test('nobody has it any more, or several say so: then it goes on where it was begun', () => {
    const { first, second, third, all, identity, shown } = build();
    show(first, undefined);
    identity.update(all, localNetworks);
    assert.equal(identity.holderOf(first, shown, outside), first);
    assert.equal(identity.heirOf(listenerKey(first)), undefined);
    show(second, '203.0.113.5');
    show(third, '203.0.113.5');
    identity.update(all, localNetworks);
    assert.equal(identity.holderOf(first, shown, outside), first);
    assert.deepEqual([...identity.places], []);
  });

  test('requests to the internet that come in by a listener without one leave by its heir, before any other', () => {
    const { first, second, all, identity } = build();
    assert.ok(!identity.hasHeirs);
    show(first, undefined);
    show(second, '203.0.113.5');
    identity.update(all, localNetworks);
    assert.ok(identity.hasHeirs);
    assert.equal(identity.listenerFor(first, outside), second);
    assert.equal(identity.listenerFor(first, neighbour), first);
  });

  test('the heir of one that is gone is known by its key', () => {
    const { first, second, third, identity, shown } = build();
    show(second, '203.0.113.5');
    identity.update([third, second], localNetworks, new Map(), [first]);
    assert.equal(identity.holderOf(first, shown, outside), second, 'though it still serves');
    identity.update([third, second], localNetworks);
    assert.equal(identity.heirOf(listenerKey(first)), second);
    assert.deepEqual(
      [...identity.places],
      [
        ['203.0.113.6', '10.0.0.16'],
        ['203.0.113.5', '10.0.1.15'],
      ],
    );
  });

  test('two listeners of one address are one place', () => {
    const identity = new Identity({
      listeners: [listener('10.0.0.15', '203.0.113.5'), listener('10.0.0.15', '203.0.113.5', 5080)],
      localNetworks,
    });
    assert.deepEqual([...identity.places], [['203.0.113.5', '10.0.0.15']]);
  });
});
