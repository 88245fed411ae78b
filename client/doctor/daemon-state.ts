/** The daemon: does it start and answer, is it of this build, did it read the configuration, is the vault open. */
import type { DiagnosisReply, UnreadFile } from '../../shared/diagnosis-schemas.ts';
import type { Paths } from '../../shared/paths.ts';
import type { StatusReply } from '../../shared/schemas.ts';
import { buildGap } from '../builds.ts';
import { count } from '../time-words.ts';
import type { ValetkeyError } from '../valetkey-error.ts';
import { edit, failure, ok, warning, word } from './finding.ts';
import type { Finding, FindingId } from './finding.ts';

/** What a start or a request that failed is about, and what shows or mends it. */
function aboutFailure({ code, hint }: ValetkeyError, paths: Paths, pid: number | null): { readonly id: FindingId; readonly command: string } {
  switch (code) {
    case 'config_invalid': case 'file_too_new': return { id: 'config', command: edit(paths.configFile) };
    case 'config_untrusted': return { id: 'config_file', command: `ls -ld ${word(paths.configDir)} ${word(paths.configFile)}` };
    case 'server_untrusted': return { id: 'socket', command: `ls -ld ${word(paths.runtimeDir)} ${word(paths.socket)}` };
    case 'runtime_dir_untrusted': return { id: 'runtime_directory', command: `ls -ld ${word(paths.runtimeDir)} ${word(paths.stateDir)}` };
    case 'socket_path_invalid': return { id: 'socket_path', command: 'export XDG_RUNTIME_DIR=/run/user/$(id -u)' };
    case 'vault_unwritable': return { id: 'disk', command: `df -h ${word(paths.stateDir)}` };
    // One that hangs hears no other signal.
    case 'deadline_exceeded': return { id: 'daemon', command: pid === null ? 'valetkey daemon start' : `kill -9 ${pid}` };
    default: return { id: 'daemon', command: /^Run: (valetkeyd?\b[^,;]*)/.exec(hint)?.[1] ?? /\brun: (kill \d+)/.exec(hint)?.[1] ?? 'valetkeyd' };
  }
}

/** A start or a request that failed is itself the finding. @param pid - of the daemon that the lock names, if it lives */
export function checkFailure(error: ValetkeyError, paths: Paths, pid: number | null): Finding {
  const { id, command } = aboutFailure(error, paths, pid);
  if (error.code === 'deadline_exceeded') return failure(id, error.detail, 'Nobody gets a token', command, 'The next command starts another one; what was saved stays');
  return failure(id, `${error.detail} (${error.code})`, error.title, command, error.hint === `Run: ${command}` ? null : error.hint);
}

function checkVersion(status: StatusReply): Finding {
  const gap = buildGap(status);
  if (gap !== null) return warning('version', gap.what, gap.why, gap.command);
  return status.upgrade?.state === 'failed'
    ? warning('version', `the daemon was to be replaced, and goes on as before: ${status.upgrade.detail}`, 'The program that is installed by now is not in effect', 'valetkey daemon upgrade')
    : ok('version', `${status.version}, here and in the daemon`);
}

function checkVault({ vault, locked, locked_out_since: lockedOutSince, screen }: StatusReply, diagnosis: DiagnosisReply | null, platform: string): Finding {
  const words = `${vault.backend}, ${vault.state}`;
  const why = 'Nothing is handed out';
  if (lockedOutSince !== null) return warning('vault', 'everything was ended by valetkey panic', why, 'valetkey unlock');
  if (locked) return warning('vault', 'it was locked by valetkey lock', why, 'valetkey unlock');
  if (screen === 'locked') return ok('vault', `${words}; nothing is handed out while the screen is locked`);
  if (vault.state === 'unavailable') {
    // Unlocking would fail as long as the keychain does.
    const state = diagnosis?.keychain.state ?? 'not_used';
    const command = vault.backend !== 'keychain' || state === 'works' || state === 'not_used' || state === 'locked' ? 'valetkey unlock' : keychainCommand(state, platform);
    return failure('vault', words, 'No sign-in can be read or saved', command, vault.detail);
  }
  if (vault.state === 'locked') return warning('vault', words, why, 'valetkey unlock', vault.detail);
  // Somebody wrote that into the configuration, and knows.
  if (vault.backend === 'memory' && diagnosis?.keychain.state === 'not_used') return ok('vault', 'in memory, as the configuration says: every sign-in ends with the daemon');
  if (vault.backend === 'memory') return warning('vault', words, 'Every sign-in ends with the daemon', 'valetkey unlock --create', vault.detail);
  return ok('vault', words);
}

const SECRETS = 'busctl --user --timeout=2';
const PLACE = 'org.freedesktop.secrets /org/freedesktop/secrets';
type Unusable = Exclude<DiagnosisReply['keychain']['state'], 'works' | 'not_used' | 'locked'>;

const KEYCHAIN_WORDS: Readonly<Record<Unusable, { readonly what: string; readonly linux: string }>> = {
  // The bus itself answers whoever asks it for a name, also that of a keychain that hangs: the keychain has to.
  absent: { what: 'no keychain answers on the session bus any more', linux: `${SECRETS} call ${PLACE} org.freedesktop.DBus.Peer Ping` },
  frozen: { what: 'the keychain does not answer', linux: `${SECRETS} call ${PLACE} org.freedesktop.DBus.Peer Ping` },
  refused: { what: 'the keychain does not take an item: it is locked, or has no default collection', linux: `${SECRETS} get-property ${PLACE}/aliases/default org.freedesktop.Secret.Collection Locked` },
  unloadable: { what: 'the keychain library @napi-rs/keyring does not load', linux: 'npm i -g valetkey --include=optional' },
};

function keychainCommand(state: Unusable, platform: string): string {
  return platform === 'darwin' && state !== 'unloadable' ? 'security show-keychain-info' : KEYCHAIN_WORDS[state].linux;
}

/** A vault that says why it is closed, or in memory only, has said it already. */
function checkKeychain({ vault }: StatusReply, { keychain }: DiagnosisReply, platform: string): readonly Finding[] {
  const { state, took_ms: tookMs } = keychain;
  if (state === 'works') return [ok('keychain', `an item was stored, read back and removed, in ${tookMs} ms`)];
  if (vault.backend !== 'keychain') return [ok('keychain', `not used: the vault is ${vault.backend === 'memory' ? 'in memory' : 'sealed under a passphrase'}`)];
  if (state === 'not_used' || state === 'locked' || vault.state !== 'open') return [ok('keychain', 'not tried: the vault is closed')];
  return [failure('keychain', KEYCHAIN_WORDS[state].what, 'After the next start of the daemon the vault stays closed', keychainCommand(state, platform))];
}

const CHANGED = 'was changed after the daemon read it';
const OLD = 'The daemon still works by the old one';

/**
 * Of the very file: a change that comes to nothing is none, and one that no daemon starts with is an error already now.
 * @param changedAt - when the file was last written, in seconds, for a daemon that tells no more; null: there is none
 */
function checkConfig({ config }: StatusReply, unread: readonly UnreadFile[] | undefined, changedAt: number | null): Finding {
  const found = unread?.find(({ file }) => file === 'config');
  if (found?.state === 'invalid') return failure('config', found.detail ?? `${config.file} cannot be read`, `${OLD}; it cannot be reloaded, and after its end none starts`, edit(config.file));
  const isChanged = unread === undefined ? changedAt !== null && changedAt > config.loaded_at : found !== undefined;
  return isChanged
    ? warning('config', `${config.file} ${CHANGED}`, OLD, 'valetkey daemon reload')
    : ok('config', `${config.file}: ${count(config.profiles, 'profile')}`);
}

/** Null: it can be decided by. */
export function policyTrouble({ warnings }: StatusReply): string | null {
  return warnings.find((text) => text.startsWith('policy: ')) ?? null;
}

function checkPolicy(status: StatusReply, unread: readonly UnreadFile[] | undefined): Finding {
  const policy = policyTrouble(status);
  if (policy !== null) return failure('policy', policy.slice('policy: '.length), 'Nothing is handed out, or by an older policy', 'valetkey policy check');
  const found = unread?.find(({ file }) => file === 'policy');
  return found === undefined
    ? ok('policy', 'it can be decided by')
    : failure('policy', found.detail ?? 'it cannot be read', `${OLD}; after its next start nothing is handed out`, 'valetkey policy check');
}

const HOOKS = 'hooks: ';

/** Null: there are none, or they can be read. */
function checkHooks({ warnings }: StatusReply, unread: readonly UnreadFile[] | undefined, file: string): Finding | null {
  const said = warnings.find((text) => text.startsWith(HOOKS))?.slice(HOOKS.length) ?? unread?.find((each) => each.file === 'hooks')?.detail;
  return said === undefined || said === null ? null : warning('hooks', said, 'After the next start of the daemon no hook runs', edit(file));
}

/** What the daemon warns of, with the command that stands in it. */
function checkWarnings(status: StatusReply): readonly Finding[] {
  const policy = policyTrouble(status);
  return [
    ...status.warnings.filter((text) => text !== policy && !text.startsWith(HOOKS)).map((text) => {
      const command = /(?:run: |\()(valetkey [^;()]+?)(?:\)|;|$)/i.exec(text)?.[1] ?? 'valetkey status';
      return warning('daemon_warning', text, 'The daemon says so', command);
    }),
  ];
}

export function checkStatus(status: StatusReply, diagnosis: DiagnosisReply | null, { configChangedAt, platform }: { readonly configChangedAt: number | null; readonly platform: string }, hooksFile: string): readonly Finding[] {
  const hooks = checkHooks(status, diagnosis?.unread, hooksFile);
  return [
    ok('daemon', `it answers, pid ${status.pid}, started by ${status.started_by}`),
    checkVersion(status),
    checkConfig(status, diagnosis?.unread, configChangedAt),
    checkVault(status, diagnosis, platform),
    ...(diagnosis === null ? [] : checkKeychain(status, diagnosis, platform)),
    checkPolicy(status, diagnosis?.unread),
    ...(hooks === null ? [] : [hooks]),
    ...checkWarnings(status),
  ];
}
