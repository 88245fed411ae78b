import { describe, expect, it } from 'vitest';
import { pinnedLookup, refusedAddress } from '../../../../daemon/issuer/public-address.ts';

const PUBLIC = { allowPrivate: false, allowLoopback: false };
const ALL = { allowPrivate: true, allowLoopback: true };

describe('an address', () => {
  it.each(['93.184.216.34', '1.1.1.1', '172.15.255.255', '172.32.0.1', '2606:2800:220:1:248:1893:25c8:1946', '::ffff:1.1.1.1', '100.63.255.255', '100.128.0.1'])('%s is public', (address) => {
    expect(refusedAddress(address, PUBLIC)).toBeNull();
  });

  it.each(['10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', '100.64.0.1', 'fd12:3456::1', 'fc00::1', '::ffff:10.0.0.1', '::ffff:0a00:0001', '::10.0.0.1'])('%s is private, and may be spoken to where the profile says so', (address) => {
    expect(refusedAddress(address, PUBLIC)).toContain('private network');
    expect(refusedAddress(address, ALL)).toBeNull();
  });

  it.each(['127.0.0.1', '127.255.255.254', '::1', '::ffff:127.0.0.1', '::ffff:7f00:1', '::127.0.0.1'])('%s is this machine', (address) => {
    expect(refusedAddress(address, { ...PUBLIC, allowPrivate: true })).toBe('is this machine');
    expect(refusedAddress(address, ALL)).toBeNull();
  });

  it.each([
    '169.254.169.254', '169.254.0.1', '::ffff:169.254.169.254', '::ffff:a9fe:a9fe', 'fe80::1', 'fe80::1%eth0', 'fec0::1', '0.0.0.0', '0.1.2.3', '::', '224.0.0.1', '255.255.255.255', 'ff02::1',
    '100.100.100.200', '168.63.129.16', 'fd00:ec2::254', '64:ff9b::a9fe:a9fe', '2002:a9fe:a9fe::1', '2001:0:1::1', '2001:db8::1', '192.0.2.1', '198.18.0.1', 'not-an-address', '',
  ])('%s is never spoken to', (address) => {
    expect(refusedAddress(address, ALL)).not.toBeNull();
  });
});

describe('a name', () => {
  const found = (...addresses: readonly string[]) => async () => addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
  const all = { all: true } as const;

  it('is looked up once, and the connection goes to what was looked at, whatever the name says by then', async () => {
    const answers = [['93.184.216.34'], ['127.0.0.1']];
    let looks = 0;
    const { lookup } = await pinnedLookup('api.example.com', PUBLIC, async () => found(...(answers[looks++] ?? []))());
    const got: unknown[] = [];
    for (let i = 0; i < 2; i += 1) lookup('api.example.com', all, (error, addresses) => got.push([error, addresses]));
    lookup('api.example.com', {}, (error, address, family) => got.push([error, address, family]));
    expect(got).toEqual([[null, [{ address: '93.184.216.34', family: 4 }]], [null, [{ address: '93.184.216.34', family: 4 }]], [null, '93.184.216.34', 4]]);
    expect(looks).toBe(1);
  });

  it('that leads to one bad address among good ones is refused', async () => {
    await expect(pinnedLookup('api.example.com', PUBLIC, found('93.184.216.34', '169.254.169.254'))).rejects.toThrow('169.254.169.254');
  });

  it('that leads to this machine is refused even where the address itself may be written', async () => {
    await expect(pinnedLookup('localtest.example', ALL, found('127.0.0.1'))).rejects.toThrow('is this machine');
    await expect(pinnedLookup('127.0.0.1', ALL, found())).resolves.toMatchObject({ addresses: ['127.0.0.1'] });
  });
});
