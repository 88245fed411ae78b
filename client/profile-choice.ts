/**
 * Which profile a command means: the argument, else VALETKEY_PROFILE, else the directory's .valetkey.toml,
 * else the only one. There is no "current profile" of the user: two terminals would race on it, and a
 * command would mean something else than a minute ago.
 */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, join, relative, isAbsolute } from 'node:path';
import { parseProfileName } from '../shared/names.ts';
import { ValetkeyError } from './valetkey-error.ts';

export const DIRECTORY_FILE = '.valetkey.toml';
const FILE_MAX = 16 * 1024;
const FILE_VERSION = 1;

export type ProfileChoice = {
  readonly profile: string;
  readonly rule: 'argument' | 'environment' | 'directory' | 'only';
  /** One line for `token --why`. */
  readonly because: string;
};

export type ChoiceInputs = {
  readonly argument: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The working directory; asked for only where nothing before it decides. */
  readonly cwd: () => string;
  readonly owner: { readonly uid: number; readonly home: string };
  /** Names of all profiles; asked only where nothing else decides. */
  readonly listProfiles: () => Promise<readonly string[]>;
};

/** @throws ValetkeyError `no_profile` (lists what there is), `bad_request`, and those of the directory's file */
export async function chooseProfile(inputs: ChoiceInputs): Promise<ProfileChoice> {
  const { argument, env } = inputs;
  if (argument !== undefined) return { profile: checkProfileName(argument, 'the argument'), rule: 'argument', because: 'it is the argument' };
  const variable = env['VALETKEY_PROFILE'];
  if (variable !== undefined && variable !== '') {
    return { profile: checkProfileName(variable, 'VALETKEY_PROFILE'), rule: 'environment', because: 'VALETKEY_PROFILE names it' };
  }
  const directory = await directoryProfile(inputs);
  if (directory !== null) return { profile: directory.profile, rule: 'directory', because: `${directory.file} names it` };
  const names = await inputs.listProfiles();
  const [only] = names;
  if (only !== undefined && names.length === 1) return { profile: only, rule: 'only', because: 'it is the only one' };
  throw only === undefined
    ? ValetkeyError.local('no_profile', 'there is no profile yet', { hint: 'Run: valetkey profile add NAME --issuer URL --client-id ID' })
    : ValetkeyError.local('no_profile', `there are ${names.length} profiles: ${names.join(', ')}`, {
      hint: 'Name one, or run in this directory: valetkey profile default NAME',
    });
}

/** @throws ValetkeyError bad_request, which says `where` it stands */
export function checkProfileName(text: string, where: string): string {
  const profile = parseProfileName(text);
  if (profile === null) throw ValetkeyError.local('bad_request', `${where} is not a profile name: a-z, 0-9, dot, dash and underscore, a letter or digit first, 64 at most`);
  return profile;
}

/** From the directory upwards: to the home directory if it is inside, else to the root. */
export function searchPath(cwd: string, home: string): readonly string[] {
  const directories = [cwd];
  for (let directory = cwd; directory !== home && dirname(directory) !== directory;) {
    directory = dirname(directory);
    directories.push(directory);
  }
  const below = relative(home, cwd);
  const inside = below === '' || (!below.startsWith('..') && !isAbsolute(below));
  return inside ? directories.slice(0, directories.indexOf(home) + 1) : directories;
}

async function directoryProfile({ cwd, owner }: ChoiceInputs): Promise<{ profile: string; file: string } | null> {
  for (const directory of searchPath(cwd(), owner.home)) {
    const file = join(directory, DIRECTORY_FILE);
    const text = await readOwned(file, owner.uid);
    if (text !== null) return { profile: await parseDirectoryFile(file, text), file };
  }
  return null;
}

/** Another user who can write into a directory above must not choose for us whose token is handed out. */
async function readOwned(file: string, uid: number): Promise<string | null> {
  // Without O_NONBLOCK a FIFO of this name would hold us for ever.
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT' || cause.code === 'ENOTDIR' || cause.code === 'EACCES') return null;
    throw ValetkeyError.local('config_invalid', `${file} cannot be read (${cause.code})`, { cause, hint: `See what it is: ls -l ${file}` });
  });
  if (handle === null) return null;
  try {
    const stats = await handle.stat();
    if (!stats.isFile() || stats.size > FILE_MAX) throw ValetkeyError.local('config_invalid', `${file} is not a small file`, { hint: `See what it is: ls -l ${file}` });
    if (stats.uid !== uid && stats.uid !== 0) throw ValetkeyError.local('config_untrusted', `${file} belongs to user ${stats.uid}`, { hint: `Run: ls -l ${file}` });
    if ((stats.mode & 0o002) !== 0) throw ValetkeyError.local('config_untrusted', `${file} can be written by everybody`, { hint: `Run: chmod o-w ${file}` });
    return await handle.readFile('utf8');
  } finally {
    await handle.close();
  }
}

async function parseDirectoryFile(file: string, text: string): Promise<string> {
  const { parse, TomlError } = await import('smol-toml');
  const invalid = (detail: string, cause?: unknown) => ValetkeyError.local('config_invalid', detail, {
    hint: `${file} takes two lines: v = 1 and profile = "NAME"`, ...(cause === undefined ? {} : { cause }),
  });
  let table: Record<string, unknown>;
  try {
    table = parse(text);
  } catch (cause) {
    if (cause instanceof TomlError) throw invalid(`${file}:${cause.line}:${cause.column} is not TOML`, cause);
    throw cause;
  }
  const { v = FILE_VERSION, profile, ...unknown } = table;
  if (typeof v === 'number' && v > FILE_VERSION) throw ValetkeyError.local('file_too_new', `${file} has version ${v}`);
  if (v !== FILE_VERSION) throw invalid(`${file}: v is not ${FILE_VERSION}`);
  const [key] = Object.keys(unknown);
  if (key !== undefined) throw invalid(`${file}: unknown key ${JSON.stringify(key)}`);
  if (typeof profile !== 'string' || parseProfileName(profile) === null) throw invalid(`${file}: profile is not a profile name`);
  return profile;
}
