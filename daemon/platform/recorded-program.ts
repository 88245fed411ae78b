/**
 * The program that `valetkey service install` recorded: the only one that may take this daemon's place. No client
 * names it. Record, Node and program are looked at again at every upgrade, since what runs gets the sign-ins.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync, realpathSync } from 'node:fs';
import { basename } from 'node:path';
import { BrokerError } from '../core/errors.ts';
import { isHarmlessFlag } from './harden.ts';
import { whyUntrusted } from './trusted-path.ts';

export type RecordedProgram = { readonly node: string; readonly flags: readonly string[]; readonly program: string; readonly version: string };

const BYTES_MAX = 65_536;
const AGAIN = 'Run: valetkey service install';

/**
 * Null where nothing was recorded. Throws BrokerError upgrade_failed, or file_too_new.
 * @param running - the file that runs as the daemon; null: unknown
 */
export function readRecordedProgram(path: string, uid: number, running: string | null): RecordedProgram | null {
  const text = readOwn(path, uid);
  if (text === null) return null;
  const record = parse(text, path);
  for (const file of [record.node, record.program]) {
    const why = whyUntrusted(file, uid);
    if (why !== null) throw refuse(why);
  }
  if (uid !== 0 && running !== null && whyUntrusted(running, 0) === null) refuseWeaker(record, running, path);
  return record;
}

/**
 * What root installed no program of the user can change, but it could write a record, and be given the key of the vault.
 * So there only the same program may follow, by a Node of root's. What the user installed is as open as the record.
 */
function refuseWeaker({ node, program }: RecordedProgram, running: string, path: string): void {
  const why = realpathSync(program) === running ? whyUntrusted(node, 0) : `${program} is another program`;
  if (why === null && /^node(?:js)?[\d.-]*$/.test(basename(realpathSync(node)))) return;
  throw new BrokerError('upgrade_failed', `the daemon that runs is root's, and ${path} names what is not: ${why ?? `${node} is no Node`}`, {
    hint: 'Run: valetkey daemon stop, and the next command starts the other one',
  });
}

function readOwn(path: string, uid: number): string | null {
  const why = whyUntrusted(path, uid);
  if (why?.endsWith('is not there') === true) return null;
  if (why !== null) throw refuse(why);
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    if (fstatSync(fd).size > BYTES_MAX) throw refuse(`${path} is no record of the service`);
    return readFileSync(fd, 'utf8');
  } finally {
    closeSync(fd);
  }
}

function parse(text: string, path: string): RecordedProgram {
  const { v, node, flags, program, version } = parseObject(text);
  if (typeof v === 'number' && v > 1) throw new BrokerError('file_too_new', `${path} has version ${v}; this build reads 1`, { hint: 'Run: valetkey daemon stop, and the next command starts the newer one' });
  const isWhole = v === 1 && typeof node === 'string' && typeof program === 'string' && Array.isArray(flags) && flags.every((flag) => typeof flag === 'string');
  if (!isWhole) throw refuse(`${path} is no record of the service`);
  // A flag could load code before the program has a say.
  const unsafe = flags.find((flag) => !isHarmlessFlag(flag));
  if (unsafe !== undefined) throw refuse(`${path} has Node start with ${unsafe.replace(/=.*/s, '')}`);
  return { node, flags, program, version: typeof version === 'string' ? version : 'unknown' };
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch (cause) {
    if (cause instanceof SyntaxError) return {};
    throw cause;
  }
}

function refuse(fact: string): BrokerError {
  return new BrokerError('upgrade_failed', fact, { hint: AGAIN });
}
