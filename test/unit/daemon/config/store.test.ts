import { describe, expect, it } from 'vitest';
import { parseProfileName } from '../../../../shared/names.ts';
import type { EpochMs, ProfileName } from '../../../../shared/names.ts';
import type { TextFile } from '../../../../daemon/config/files.ts';
import { openConfigStore } from '../../../../daemon/config/store.ts';
import { CA_ONE } from './test-certificates.ts';

const name = (text: string): ProfileName => {
  const parsed = parseProfileName(text);
  if (parsed === null) throw new Error(`not a name: ${text}`);
  return parsed;
};
const WORK = 'v = 1\n[profiles.work] # mine\nissuer = "https://work.example.com"\nclient_id = "w"\n';

async function open(text: string | null) {
  const disk = new Map<string, TextFile>([['/ca.pem', { text: CA_ONE, uid: 0, mode: 0o644 }]]);
  const put = (content: string): void => void disk.set('/config.toml', { text: content, uid: 7, mode: 0o600 });
  if (text !== null) put(text);
  let now = 0;
  let full = false;
  const store = await openConfigStore({
    file: '/config.toml', uid: 7, home: '/home/ann', clock: { now: () => (now += 1) as EpochMs },
    readFile: (path) => Promise.resolve(disk.get(path) ?? null),
    writeFile: async (path, content) => {
      await Promise.resolve();
      if (full) throw new Error('ENOSPC');
      disk.set(path, { text: content, uid: 7, mode: 0o600 });
    },
  });
  return { store, put, disk, onDisk: () => disk.get('/config.toml')?.text, fill: () => { full = true; } };
}

describe('the configuration store', () => {
  it('does not open on a broken file', async () => {
    await expect(open('[')).rejects.toMatchObject({ code: 'config_invalid' });
  });

  it('reloads into a new Config and names the profiles that changed', async () => {
    const { store, put } = await open(WORK);
    const before = store.current();
    put(`# a comment\n${WORK}[profiles.new]\nissuer = "https://new.example.com"\nclient_id = "n"\n`);
    expect(store.current()).toBe(before);
    expect(await store.reload()).toEqual({ changed: ['new'] });
    expect([...store.current().profiles.keys()]).toEqual(['work', 'new']);
    expect([...before.profiles.keys()]).toEqual(['work']);
    put(WORK.replace('"w"', '"x"'));
    expect(await store.reload()).toEqual({ changed: ['work', 'new'] });
    expect(await store.reload()).toEqual({ changed: [] });
  });

  it.each([
    ['broken', { text: '[', uid: 7, mode: 0o600 }, 'config_invalid'],
    ['another user\'s', { text: WORK, uid: 8, mode: 0o600 }, 'config_untrusted'],
    ['open to others', { text: WORK, uid: 7, mode: 0o666 }, 'config_untrusted'],
    ['too new', { text: 'v = 2', uid: 7, mode: 0o600 }, 'file_too_new'],
  ])('keeps the old one where the file is %s', async (_, file, code) => {
    const { store, disk } = await open(WORK);
    const before = store.current();
    disk.set('/config.toml', file);
    await expect(store.reload()).rejects.toMatchObject({ code });
    expect(store.current()).toBe(before);
    await expect(store.add(name('new'), { client_id: 'n', issuer: 'https://new.example.com' })).rejects.toMatchObject({ code });
    expect(store.current()).toBe(before);
    expect(disk.get('/config.toml')).toBe(file);
  });

  it('plans a profile without writing it', async () => {
    const { store, onDisk } = await open(WORK);
    const plan = await store.plan(name('new'), { client_id: 'n', issuer: 'https://new.example.com', ca_file: '/ca.pem' });
    expect(plan).toMatchObject({ name: 'new', caPem: CA_ONE });
    expect(store.redirectUris(plan)).toEqual([`http://127.0.0.1:{port}${plan.redirectPath}`]);
    expect(onDisk()).toBe(WORK);
    await expect(store.plan(name('new'), { client_id: 'n', issuer: 'http://new.example.com' })).rejects.toMatchObject({ code: 'config_invalid', message: expect.stringMatching(/^"issuer" must begin with https:/) });
  });

  it('adds a profile to the file, keeps what else stands there, and has it at once', async () => {
    const { store, onDisk } = await open(WORK);
    const added = await store.add(name('new'), { client_id: 'n', issuer: 'https://new.example.com' });
    expect(store.current().profiles.get(name('new'))).toBe(added);
    expect(onDisk()).toBe(`${WORK}\n[profiles.new]\nclient_id = "n"\nissuer = "https://new.example.com"\n`);
    await store.remove(name('work'));
    expect([...store.current().profiles.keys()]).toEqual(['new']);
    await expect(store.remove(name('work'))).rejects.toMatchObject({ code: 'unknown_profile' });
    await expect(store.add(name('new'), { client_id: 'n', issuer: 'https://new.example.com' })).rejects.toMatchObject({ code: 'profile_exists' });
  });

  it('begins a file where there is none', async () => {
    const { store, onDisk } = await open(null);
    await store.add(name('new'), { client_id: 'n', preset: 'gitlab' });
    expect(onDisk()).toBe('v = 1\n\n[profiles.new]\nclient_id = "n"\npreset = "gitlab"\n');
  });

  it('edits what is on the disk now, not what was read at the start', async () => {
    const { store, put, onDisk } = await open(WORK);
    put(`${WORK}# written by hand meanwhile\n`);
    await store.add(name('new'), { client_id: 'n', preset: 'gitlab' });
    expect(onDisk()).toContain('# written by hand meanwhile');
  });

  it('loses none of many changes at once', async () => {
    const { store } = await open(null);
    const names = Array.from({ length: 20 }, (_, i) => name(`p${i}`));
    await Promise.all(names.map((each) => store.add(each, { client_id: 'n', preset: 'gitlab' })));
    expect([...store.current().profiles.keys()]).toEqual(names);
  });

  it('keeps the old one where the disk refuses, and goes on after it', async () => {
    const { store, fill, onDisk } = await open(WORK);
    const before = store.current();
    fill();
    await expect(store.add(name('new'), { client_id: 'n', preset: 'gitlab' })).rejects.toThrow('ENOSPC');
    expect(store.current()).toBe(before);
    expect(onDisk()).toBe(WORK);
    expect(await store.reload()).toEqual({ changed: [] });
  });
});
