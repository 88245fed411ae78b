/**
 * vault.json: which key store seals this directory, and a sealed value that only the right key opens. It makes
 * the choice sticky, and a wrong key is known as such before any file is judged by it.
 */
import { join } from 'node:path';
import { isJsonObject, parseJsonObject } from '../../shared/json-object.ts';
import { BrokerError } from '../core/errors.ts';
import type { Log, Random } from '../core/ports.ts';
import type { DataKey } from './data-key.ts';
import { listDir, makePrivateDir, onDisk, readPrivate, removeDurable, writeDurable } from './private-files.ts';
import { plainBinding, refuseNewer, seal, unseal } from './seal.ts';
import { FOLDERS } from './folders.ts';

const HEADER_VERSION = 1;
const FILE = 'vault.json';
const CHECK = 'valetkey';

export type ScryptParameters = { readonly N: number; readonly r: number; readonly p: number; readonly salt: string };

export type VaultHeader = {
  /** Names the vault in its seals and its key in the keychain. */
  readonly id: string;
  /** Opens under the data key only. */
  readonly check: string;
  readonly keyedBy:
    | { readonly backend: 'keychain' }
    /** `wrapped`: the data key, sealed under the key that the passphrase derives. */
    | { readonly backend: 'passphrase'; readonly scrypt: ScryptParameters; readonly wrapped: string };
};

export function headerPath(stateDir: string): string {
  return join(stateDir, FILE);
}

/** Null where there is no vault yet. Throws file_too_new, vault_corrupt, runtime_dir_untrusted. */
export async function readHeader(stateDir: string, log: Log): Promise<VaultHeader | null> {
  const path = headerPath(stateDir);
  const found = await onDisk(stateDir, () => readPrivate(path));
  if (found === null) return null;
  if (found.modeMended) log.warn('vault_file_mode_mended', { path });
  const header = parseHeader(found.bytes.toString(), path);
  if (header === null) {
    throw new BrokerError('vault_corrupt', `${path} is damaged`, { hint: `Restore ${path} from a backup, or remove the directory and sign in again` });
  }
  return header;
}

export async function writeHeader(stateDir: string, header: VaultHeader, random: Random): Promise<void> {
  const text = JSON.stringify({ v: HEADER_VERSION, ...header }, null, 2);
  await onDisk(stateDir, async () => {
    await makePrivateDir(stateDir);
    // @fault vault.header.begun
    await writeDurable(stateDir, FILE, Buffer.from(`${text}\n`), random.token(9));
    // @fault vault.header.written
  });
}

export async function removeHeader(stateDir: string): Promise<void> {
  await onDisk(stateDir, async () => {
    if ((await listDir(stateDir)).includes(FILE)) await removeDurable(stateDir, [FILE]);
  });
}

/** Whether sealed files are there; without a header nothing can open them. */
export async function hasSealedFiles(stateDir: string): Promise<boolean> {
  for (const folder of FOLDERS) {
    const files = await onDisk(stateDir, () => listDir(join(stateDir, folder)));
    if (files.some((file) => file.endsWith('.jwe'))) return true;
  }
  return false;
}

export function sealCheck(key: DataKey, id: string): Promise<string> {
  return key.use((bytes) => seal(bytes, plainBinding('check', id, CHECK), Buffer.from(CHECK)));
}

/** Whether the key is this vault's. */
export async function isRightKey(key: DataKey, header: VaultHeader, path: string): Promise<boolean> {
  const opened = await key.use((bytes) => unseal(bytes, header.check, path));
  return opened?.isBoundTo(plainBinding('check', header.id, CHECK)) === true;
}

function parseHeader(text: string, path: string): VaultHeader | null {
  const json = parseJsonObject(text);
  if (json === null) return null;
  refuseNewer(json['v'], path, HEADER_VERSION);
  const { id, check } = json;
  const keyedBy = parseKeyedBy(json['keyedBy']);
  if (json['v'] !== HEADER_VERSION || typeof id !== 'string' || typeof check !== 'string' || keyedBy === null) return null;
  return { id, check, keyedBy };
}

function parseKeyedBy(value: unknown): VaultHeader['keyedBy'] | null {
  if (!isJsonObject(value)) return null;
  if (value['backend'] === 'keychain') return { backend: 'keychain' };
  const { backend, scrypt, wrapped } = value;
  if (backend !== 'passphrase' || typeof wrapped !== 'string' || !isJsonObject(scrypt)) return null;
  const { N, r, p, salt } = scrypt;
  // A changed header may neither weaken the derivation nor take all memory: 128 * N * r bytes.
  const isSane = (N === 2 ** 17 || N === 2 ** 18) && r === 8 && (p === 1 || p === 2);
  return isSane && typeof salt === 'string' ? { backend, scrypt: { N, r, p, salt }, wrapped } : null;
}
