import { describe, expect, it } from 'vitest';
import { DataKey, KEY_BYTES } from '../../../../daemon/vault/data-key.ts';

const bytesOf = (): Buffer => Buffer.alloc(KEY_BYTES, 7);
const ZEROES = Buffer.alloc(KEY_BYTES);

describe('the key of the vault', () => {
  it('is zeroed in the very buffer that held it, when it is closed', async () => {
    const buffer = bytesOf();
    const key = new DataKey(buffer);
    expect(await key.use(async (bytes) => bytes[0])).toBe(7);
    expect(buffer).toEqual(bytesOf());
    key.close();
    expect(buffer).toEqual(ZEROES);
    await expect(key.use(async () => null)).rejects.toMatchObject({ code: 'vault_locked' });
  });

  it('is whole until the last who works with it is done, and zeroed then', async () => {
    const buffer = bytesOf();
    const key = new DataKey(buffer);
    let seal: () => void = () => undefined;
    const sealing = key.use((bytes) => new Promise<number | undefined>((resolve) => { seal = () => resolve(bytes[31]); }));
    key.hold(); // a refresh that is on the wire
    key.close();
    expect(buffer).toEqual(bytesOf());
    seal();
    expect(await sealing).toBe(7);
    expect(buffer).toEqual(bytesOf());
    key.release();
    expect(buffer).toEqual(ZEROES);
    expect(() => key.hold()).toThrow('the vault is locked');
  });

  it('is no other number of bytes', () => {
    expect(() => new DataKey(Buffer.alloc(16))).toThrow('32 bytes');
  });
});
