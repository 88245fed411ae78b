/**
 * The configuration's way to the disk. What is read comes with the owner and mode of the very file that was
 * opened, so that the checks cannot be raced. Writing replaces the whole file, durably, or changes nothing.
 */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, mkdir, open, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { BrokerError } from '../core/errors.ts';

export type TextFile = { readonly text: string; readonly uid: number; readonly mode: number };

/** Null: there is no such file. Throws BrokerError config_invalid where it cannot be read as text. */
export type ReadFile = (path: string) => Promise<TextFile | null>;

/** Far more than any configuration needs; a larger file is a mistake, such as a device or a log. */
const MAX_BYTES = 1024 * 1024;

const errnoOf = (error: unknown): string => (error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown');

export const readTextFile: ReadFile = async (path) => {
  let handle;
  try {
    // Without O_NONBLOCK a FIFO in the place of the file would hold the daemon for ever.
    handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    // A link that leads nowhere is no absence: what it stood for may have been stricter than nothing.
    if (errnoOf(error) === 'ENOENT' && !(await isThere(path))) return null;
    throw new BrokerError('config_invalid', `${path} cannot be read (${errnoOf(error)})`, { cause: error });
  }
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) throw new BrokerError('config_invalid', `${path} is not a regular file`);
    if (stat.size > MAX_BYTES) throw new BrokerError('config_invalid', `${path} is larger than ${MAX_BYTES / 1024} KiB`);
    const text = new TextDecoder('utf-8', { fatal: true }).decode(await handle.readFile());
    return { text, uid: stat.uid, mode: stat.mode };
  } catch (error) {
    if (error instanceof BrokerError) throw error;
    throw new BrokerError('config_invalid', `${path} is not UTF-8 text`, { cause: error });
  } finally {
    await handle.close();
  }
};

async function isThere(path: string): Promise<boolean> {
  return lstat(path).then(() => true, (error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return false;
    throw new BrokerError('config_invalid', `${path} cannot be read (${errnoOf(error)})`, { cause: error });
  });
}

/** Temporary file, fsync, rename, fsync of the directory. A new file is 0600 in a 0700 directory; an old one keeps its mode. */
export async function writeConfigFile(path: string, text: string): Promise<void> {
  const directory = dirname(path);
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const mode = await modeOf(path);
    const handle = await open(temporary, 'wx', 0o600);
    try {
      await handle.chmod(mode);
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary).catch((gone: unknown) => {
      // ENOENT: it was never made. Anything else leaves a stray file, and the first error says more.
      if (errnoOf(gone) !== 'ENOENT' && error instanceof Error) error.message += ` (and ${temporary} is left over)`;
    });
    if (error instanceof BrokerError) throw error;
    throw new BrokerError('config_invalid', `${path} cannot be written (${errnoOf(error)})`, { cause: error, hint: `Check the permissions of ${directory}` });
  }
  await syncDirectory(directory);
}

/** Mode for the new file. A link is refused: replacing it would cut it off from where it leads. */
async function modeOf(path: string): Promise<number> {
  try {
    const stat = await lstat(path);
    if (stat.isFile()) return stat.mode & 0o777;
    throw new BrokerError('config_untrusted', `${path} is ${stat.isSymbolicLink() ? 'a symbolic link' : 'not a regular file'}; it is not written through`, {
      hint: 'Edit the file that it leads to by hand, then run: valetkey daemon reload',
    });
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return 0o600;
    throw error;
  }
}

async function syncDirectory(directory: string): Promise<void> {
  // Windows cannot open a directory; there the rename is as durable as it gets.
  if (process.platform === 'win32') return;
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
