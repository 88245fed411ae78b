import { describe, expect, it } from 'vitest';
import { bindLoopback } from '../../../../daemon/loopback/bind.ts';
import type { Listen } from '../../../../daemon/loopback/bind.ts';

/** A machine where binding fails as the table says. */
function machine(fails: (address: string, port: number) => string | null): { readonly listen: Listen; readonly tried: string[] } {
  const tried: string[] = [];
  const listen: Listen = async (address, port) => {
    tried.push(`${address} ${port}`);
    const code = fails(address, port);
    if (code !== null) throw Object.assign(new Error(code), { code });
    return port === 0 ? 40_123 : port;
  };
  return { listen, tried };
}

describe('binding the loopback address', () => {
  it('takes any free port of 127.0.0.1', async () => {
    const { listen, tried } = machine(() => null);
    expect(await bindLoopback(listen, [])).toEqual({ address: '127.0.0.1', port: 40_123 });
    expect(tried).toEqual(['127.0.0.1 0']);
  });

  it('tries the registered ports in order, past those that are taken or forbidden', async () => {
    const { listen, tried } = machine((_address, port) => ({ 80: 'EACCES', 8400: 'EADDRINUSE' })[port] ?? null);
    expect(await bindLoopback(listen, [80, 8400, 8401, 8402])).toEqual({ address: '127.0.0.1', port: 8401 });
    expect(tried).toEqual(['127.0.0.1 80', '127.0.0.1 8400', '127.0.0.1 8401']);
  });

  it.each(['EADDRNOTAVAIL', 'EAFNOSUPPORT'])('goes to ::1 where 127.0.0.1 answers %s', async (code) => {
    const { listen, tried } = machine((address) => (address === '127.0.0.1' ? code : null));
    expect(await bindLoopback(listen, [8400])).toEqual({ address: '::1', port: 8400 });
    expect(tried).toEqual(['127.0.0.1 8400', '::1 8400']);
  });

  it('does not go to ::1 because ports are taken: an issuer that compares the URI does not know it', async () => {
    const { listen, tried } = machine((address) => (address === '127.0.0.1' ? 'EADDRINUSE' : null));
    await expect(bindLoopback(listen, [8400, 8401])).rejects.toMatchObject({
      code: 'loopback_exhausted', message: 'The sign-in could not listen on 127.0.0.1 (port 8400, 8401): EADDRINUSE',
    });
    expect(tried).toEqual(['127.0.0.1 8400', '127.0.0.1 8401']);
  });

  it.each([[[]], [Array.from({ length: 40 }, (_, index) => 9000 + index)]])('gives up after ten tries', async (ports) => {
    const { listen, tried } = machine(() => 'EADDRINUSE');
    await expect(bindLoopback(listen, ports)).rejects.toMatchObject({ code: 'loopback_exhausted' });
    expect(tried).toHaveLength(10);
  });

  it('gives up at once on what another port would not mend, and keeps the cause', async () => {
    const { listen, tried } = machine(() => 'EMFILE');
    await expect(bindLoopback(listen, [])).rejects.toMatchObject({ code: 'loopback_exhausted', facts: { cause: { code: 'EMFILE' } } });
    expect(tried).toHaveLength(1);
  });

  it('says so where there is no loopback address at all', async () => {
    const { listen } = machine(() => 'EADDRNOTAVAIL');
    await expect(bindLoopback(listen, [])).rejects.toMatchObject({ code: 'loopback_exhausted', message: expect.stringContaining('127.0.0.1 or [::1]') });
  });
});
