/** The doctor judged: a machine where all is well has no finding, and with each thing broken in turn it has that one. */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { redact } from '../../../client/doctor/bundle.ts';
import { diagnose } from '../../../client/doctor/diagnose.ts';
import { tryDisk } from '../../../client/doctor/disk.ts';
import type { DoctorFacts, Host } from '../../../client/doctor/facts.ts';
import { FINDINGS } from '../../../client/doctor/finding.ts';
import type { Finding } from '../../../client/doctor/finding.ts';
import { checkLauncher } from '../../../client/doctor/launcher.ts';
import { findPlainText, PLAIN_TEXT_FILES } from '../../../client/doctor/plain-text-files.ts';
import { wrap } from '../../../client/fold.ts';
import { checkPlace, readPlaces } from '../../../client/doctor/places.ts';
import { findSync } from '../../../client/doctor/synced-folders.ts';
import { missingOfRecord, readUnits } from '../../../client/doctor/unit-files.ts';
import { environmentAdvice } from '../../../client/environment-advice.ts';
import { ValetkeyError } from '../../../client/valetkey-error.ts';
import type { DiagnosisReply, IssuerTrial } from '../../../shared/diagnosis-schemas.ts';
import type { StatusReply } from '../../../shared/schemas.ts';
import { flow, healthy, HOME, PATHS, well } from './doctor-facts.ts';
import { noApprovals, NOW, profile, run, status } from './fake-world.ts';
import { privateDirectory } from './stand-in.ts';

const trouble = (facts: DoctorFacts): readonly Finding[] => diagnose(facts).filter(({ level }) => level !== 'ok');

const onHost = (change: Partial<Host>): DoctorFacts => ({ ...healthy, host: { ...healthy.host, ...change } });
const inStatus = (change: Partial<StatusReply>): DoctorFacts => ({ ...healthy, daemon: { status: { ...status, ...change } } });
const failing = (code: Parameters<typeof ValetkeyError.local>[0], detail: string, hint?: string): DoctorFacts =>
  ({ ...healthy, daemon: { failure: ValetkeyError.local(code, detail, hint === undefined ? {} : { hint }) }, diagnosis: null, flows: [], approvals: null, profiles: [] });
const tried = (change: Partial<DiagnosisReply>): DoctorFacts => ({ ...healthy, diagnosis: { node: 'v20.20.2', keychain: { state: 'works', took_ms: 1 }, issuers: [well], ...change } });
const issuer = (change: Partial<IssuerTrial>): DoctorFacts => tried({ issuers: [{ ...well, skew_s: null, ...change }] });
const place = (id: string, found: Partial<NonNullable<Host['places'][number]['found']>>): DoctorFacts =>
  onHost({ places: healthy.host.places.map((each) => (each.id === id && each.found !== null ? { ...each, found: { ...each.found, ...found } } : each)) });
const proxied = (facts: DoctorFacts): DoctorFacts => ({ ...facts, advice: environmentAdvice({ HTTPS_PROXY: 'http://proxy.corp:3128', NODE_EXTRA_CA_CERTS: '/etc/corp.pem' }) });
const vault = (change: Partial<StatusReply['vault']>): DoctorFacts => inStatus({ vault: { backend: 'keychain', state: 'open', detail: '', ...change } });

const UNIT = { file: '/h/valetkeyd.service', missing: [], isEmpty: false, isMasked: false, isDropIn: false };

/** What is broken, the facts then, the one finding, and its command. */
const BROKEN: readonly (readonly [string, DoctorFacts, Finding['id'], string])[] = [
  ['a runtime directory that others may enter', place('runtime_directory', { mode: 0o755 }), 'runtime_directory', `chmod 0700 ${PATHS.runtimeDir}`],
  ['a socket that others may use', place('socket', { mode: 0o666 }), 'socket', `chmod 0600 ${PATHS.socket}`],
  ['a socket of another user', place('socket', { uid: 1001 }), 'socket', `sudo chown -R 1000 ${PATHS.socket}`],
  ['a state directory that is a link', place('state_directory', { isLink: true }), 'state_directory', `behind=$(readlink -e ${PATHS.stateDir}) && rm ${PATHS.stateDir} && mv "$behind" ${PATHS.stateDir}`],
  ['a state that a link takes to Dropbox', onHost({ synced: [{ what: 'state', path: `${HOME}/Dropbox/s`, by: 'Dropbox', root: `${HOME}/Dropbox`, link: PATHS.stateDir }] }), 'synced_folder', `behind=$(readlink -e ${PATHS.stateDir}) && rm ${PATHS.stateDir} && mv "$behind" ${PATHS.stateDir}`],
  ['a configuration that nobody may read', place('config_file', { mode: 0 }), 'config_file', `chmod u+r ${PATHS.configFile}`],
  ['a configuration that the group may write', place('config_file', { mode: 0o664 }), 'config_file', `chmod 0644 ${PATHS.configFile}`],
  ['a socket path that is too long', { ...healthy, paths: { ...PATHS, socket: `/${'x'.repeat(103)}` } }, 'socket_path', 'export XDG_RUNTIME_DIR=/run/user/$(id -u)'],
  ['a state in Dropbox', onHost({ synced: [{ what: 'state', path: `${HOME}/Dropbox/s/valetkey`, by: 'Dropbox', root: `${HOME}/Dropbox`, link: null }] }), 'synced_folder', 'export XDG_STATE_HOME=$HOME/.local/state'],
  ['a configuration in OneDrive', onHost({ synced: [{ what: 'config', path: `${HOME}/OneDrive/valetkey`, by: 'OneDrive', root: `${HOME}/OneDrive`, link: null }] }), 'synced_folder', 'export XDG_CONFIG_HOME=$HOME/.config'],
  ['a state in a dotfile repository', onHost({ synced: [{ what: 'state', path: PATHS.stateDir, by: 'a git repository', root: HOME, link: null }] }), 'synced_folder', `echo /.local/state/valetkey/ >> ${HOME}/.gitignore`],
  ['a unit whose Node is gone', onHost({ units: [{ ...UNIT, missing: ['/opt/node20/bin/node'] }], service: [{ path: UNIT.file, state: 'ours' }] }), 'unit_file', 'valetkey service install'],
  ['a unit that was changed by hand, and whose Node is gone', onHost({ units: [{ ...UNIT, missing: ['/opt/node20/bin/node'] }], service: [{ path: UNIT.file, state: 'edited' }] }), 'unit_file', `mv ${UNIT.file} ${UNIT.file}.mine && valetkey service install`],
  ['a unit that somebody wrote, and that starts nothing', onHost({ units: [{ ...UNIT, isEmpty: true }], service: [{ path: UNIT.file, state: 'foreign' }] }), 'unit_file', `mv ${UNIT.file} ${UNIT.file}.mine && valetkey service install`],
  ['settings beside the unit that start what is gone', onHost({ units: [{ ...UNIT, missing: ['/opt/gone'], isDropIn: true }], service: [{ path: UNIT.file, state: 'ours' }] }), 'unit_file', 'systemctl --user edit valetkeyd.service'],
  ['a unit of a package whose program is gone', onHost({ units: [{ ...UNIT, file: '/usr/lib/systemd/user/valetkeyd.service', missing: ['/usr/lib/valetkey/valetkeyd.cjs'] }] }), 'unit_file', 'sudo apt-get install --reinstall valetkey'],
  ['a unit that is masked', onHost({ units: [{ ...UNIT, isMasked: true }], service: [{ path: UNIT.file, state: 'foreign' }] }), 'unit_file', 'systemctl --user unmask valetkeyd.service'],
  ['a unit of an earlier installation', onHost({ units: [UNIT], service: [{ path: UNIT.file, state: 'older' }] }), 'unit_file', 'valetkey service install'],
  ['a unit that was changed by hand', onHost({ units: [UNIT], service: [{ path: UNIT.file, state: 'edited' }] }), 'unit_file', `mv ${UNIT.file} ${UNIT.file}.mine && valetkey service install`],
  ['a service that is there in part', onHost({ units: [UNIT], service: [{ path: UNIT.file, state: 'ours' }, { path: '/h/valetkeyd.socket', state: 'absent' }] }), 'unit_file', 'valetkey service install'],
  ['a record of a Node that has moved', onHost({ recordMissing: ['/opt/node20/bin/node'] }), 'unit_file', 'valetkey service install'],
  ['a disk that is full', onHost({ disks: [{ path: PATHS.stateDir, code: 'ENOSPC' }] }), 'disk', `df -h ${PATHS.stateDir} && df -i ${PATHS.stateDir}`],
  ['a disk that is read-only', onHost({ disks: [{ path: PATHS.stateDir, code: 'EROFS' }] }), 'disk', `findmnt -T ${PATHS.stateDir}`],
  ['a state directory that may not be written', onHost({ disks: [{ path: PATHS.stateDir, code: 'EACCES' }] }), 'disk', `chmod u+rwx ${PATHS.stateDir}`],
  ['a disk that fails', onHost({ disks: [{ path: PATHS.stateDir, code: 'EIO' }] }), 'disk', `df -h ${PATHS.stateDir}`],
  ['a token of another tool', onHost({ plainText: [{ tool: 'codex', path: `${HOME}/.codex/auth.json` }] }), 'plain_text_tokens', `ls -l ${HOME}/.codex/auth.json`],
  ['no daemon, and none that starts', failing('daemon_start_failed', 'it ended with status 9'), 'daemon', 'valetkeyd'],
  ['a state that the daemon cannot write', failing('vault_unwritable', 'lock cannot be opened for writing: EROFS'), 'disk', `df -h ${PATHS.stateDir}`],
  ['a daemon that does not answer', failing('daemon_unreachable', 'no daemon answers'), 'daemon', 'valetkey daemon start'],
  ['a daemon that hangs', failing('deadline_exceeded', 'the daemon did not answer within 15 s'), 'daemon', 'kill -9 4242'],
  ['a daemon whose socket does not lead to it', failing('daemon_unreachable', 'daemon 7 runs, but its socket is gone', 'If it is ending it is gone within a minute; else run: kill 7, then the command again'), 'daemon', 'kill 7'],
  ['a configuration with a mistake', failing('config_invalid', 'config.toml:3:1: unknown key'), 'config', `"\${EDITOR:-vi}" ${PATHS.configFile}`],
  ['a configuration of a newer version', failing('file_too_new', 'config.toml has version 9'), 'config', `"\${EDITOR:-vi}" ${PATHS.configFile}`],
  ['a configuration that others own', failing('config_untrusted', 'config.toml belongs to user 7'), 'config_file', `ls -ld ${PATHS.configDir} ${PATHS.configFile}`],
  ['a runtime directory that the daemon refuses', failing('runtime_dir_untrusted', 'it is a link'), 'runtime_directory', `ls -ld ${PATHS.runtimeDir} ${PATHS.stateDir}`],
  ['a socket that is somebody else\'s', failing('server_untrusted', 'user 7 listens'), 'socket', `ls -ld ${PATHS.runtimeDir} ${PATHS.socket}`],
  ['an older daemon', inStatus({ version: '0.0.9' }), 'version', 'valetkey daemon upgrade'],
  ['an old Node', onHost({ node: 'v18.20.4' }), 'node', 'node --version'],
  ['an old Node under the daemon', tried({ node: 'v20.9.0' }), 'node', 'node --version'],
  ['a configuration that was changed since', onHost({ configChangedAt: NOW - 10 }), 'config', 'valetkey daemon reload'],
  ['a configuration that was broken under the daemon', tried({ unread: [{ file: 'config', state: 'invalid', detail: 'config.toml:4:1: invalid value' }] }), 'config', `"\${EDITOR:-vi}" ${status.config.file}`],
  ['a configuration that a reload would change', tried({ unread: [{ file: 'config', state: 'changed', detail: null }] }), 'config', 'valetkey daemon reload'],
  ['a policy that was broken under the daemon', tried({ unread: [{ file: 'policy', state: 'invalid', detail: 'policy.toml:4: unknown key' }] }), 'policy', 'valetkey policy check'],
  ['hooks that were broken under the daemon', tried({ unread: [{ file: 'hooks', state: 'invalid', detail: 'hooks.toml:4: unknown key' }] }), 'hooks', `"\${EDITOR:-vi}" ${PATHS.hooksFile}`],
  ['hooks that the daemon could not read', inStatus({ warnings: ['hooks: hooks.toml:4: unknown key; no hook runs'] }), 'hooks', `"\${EDITOR:-vi}" ${PATHS.hooksFile}`],
  ['a policy that nothing can be decided by', inStatus({ warnings: ['policy: policy.toml:4: unknown key'] }), 'policy', 'valetkey policy check'],
  ['a vault that the user locked', inStatus({ locked: true }), 'vault', 'valetkey unlock'],
  ['a lockout', inStatus({ locked_out_since: NOW - 5 }), 'vault', 'valetkey unlock'],
  ['a keychain that is locked', { ...vault({ state: 'locked', detail: 'the keychain is locked.' }), diagnosis: { node: 'v20.20.2', keychain: { state: 'locked', took_ms: 0 }, issuers: [well] } }, 'vault', 'valetkey unlock'],
  ['a vault without its key', { ...vault({ state: 'unavailable', detail: 'the keychain does not hold the key.' }) }, 'vault', 'valetkey unlock'],
  ['a vault in memory, for want of a keychain', { ...vault({ backend: 'memory', detail: 'no keychain answers.' }), diagnosis: { node: 'v20.20.2', keychain: { state: 'absent', took_ms: 9 }, issuers: [well] } }, 'vault', 'valetkey unlock --create'],
  ['a vault in memory, as nobody asked for', { ...vault({ backend: 'memory', detail: 'no keychain answered.' }) }, 'vault', 'valetkey unlock --create'],
  ['a keychain that went away', tried({ keychain: { state: 'absent', took_ms: 3 } }), 'keychain', 'busctl --user --timeout=2 call org.freedesktop.secrets /org/freedesktop/secrets org.freedesktop.DBus.Peer Ping'],
  ['a keychain that hangs', tried({ keychain: { state: 'frozen', took_ms: 2_500 } }), 'keychain', 'busctl --user --timeout=2 call org.freedesktop.secrets /org/freedesktop/secrets org.freedesktop.DBus.Peer Ping'],
  ['a keychain that takes nothing', tried({ keychain: { state: 'refused', took_ms: 3_000 } }), 'keychain', 'busctl --user --timeout=2 get-property org.freedesktop.secrets /org/freedesktop/secrets/aliases/default org.freedesktop.Secret.Collection Locked'],
  ['a keychain library that does not load', tried({ keychain: { state: 'unloadable', took_ms: 3 } }), 'keychain', 'npm i -g valetkey --include=optional'],
  ['a warning of the daemon', inStatus({ warnings: ['work: the sign-in ends in 5 minutes, whatever is refreshed; run: valetkey login work'] }), 'daemon_warning', 'valetkey login work'],
  ['a detector\'s finding', inStatus({ warnings: ['noticed: ten refusals in a minute (valetkey audit search --event detected)'] }), 'daemon_warning', 'valetkey audit search --event detected'],
  ['privileged access without a PIN', { ...healthy, profiles: [{ ...profile, tier: 'privileged' }], approvals: { ...noApprovals, channels: { ...noApprovals.channels, pin: 'not_set' } } }, 'approval_pin', 'valetkey approvals pin set'],
  ['DNS', issuer({ state: 'unreachable', cause: 'dns' }), 'issuer_dns', 'getent hosts login.example.com'],
  ['DNS of the proxy', issuer({ state: 'unreachable', cause: 'dns', proxy: 'http://proxy.corp:3128' }), 'issuer_dns', 'getent hosts proxy.corp'],
  ['a proxy that the profile does not know', proxied(issuer({ state: 'unreachable', cause: 'dns' })), 'issuer_dns', `"\${EDITOR:-vi}" ${PATHS.configFile}`],
  ['an issuer that refuses connections', issuer({ state: 'unreachable', cause: 'refused' }), 'issuer_unreachable', 'curl -sv --max-time 10 --noproxy \'*\' https://login.example.com'],
  ['an issuer that is out of order', issuer({ state: 'unreachable', cause: 'http_503' }), 'issuer_unreachable', 'curl -sv --max-time 10 --noproxy \'*\' https://login.example.com'],
  ['an issuer that hangs', issuer({ state: 'unreachable', cause: 'timeout' }), 'issuer_timeout', 'curl -sv --max-time 10 --noproxy \'*\' https://login.example.com'],
  ['a certificate of an unknown CA', issuer({ state: 'unreachable', cause: 'tls' }), 'issuer_ca', 'openssl s_client -connect login.example.com:443 -servername login.example.com -showcerts </dev/null'],
  ['a CA that the profile does not know', proxied(issuer({ state: 'unreachable', cause: 'tls' })), 'issuer_ca', `"\${EDITOR:-vi}" ${PATHS.configFile}`],
  ['a proxy that does not pass on', issuer({ state: 'unreachable', cause: 'proxy', proxy: 'http://proxy.corp:3128' }), 'issuer_proxy', 'curl -sv --max-time 10 --proxy http://proxy.corp:3128 https://login.example.com'],
  ['metadata without S256', issuer({ state: 'refused', cause: 'as_no_s256', detail: 'it does not list S256' }), 'issuer_metadata', 'curl -s https://login.example.com/.well-known/openid-configuration'],
  ['metadata of another issuer', issuer({ state: 'refused', cause: 'as_metadata_invalid', detail: 'the metadata names another' }), 'issuer_metadata', 'curl -s https://login.example.com/.well-known/openid-configuration'],
  ['a sign-in that is refused here', { ...inStatus({ standings: [{ profile: 'work', state: 'login_required', reason: 'expired', session_ends_at: null, idle_ends_at: null, token_ends_at: null }] }), flows: [{ ...flow, outcome: 'refuse', reason: 'ssh_no_forward', hint: 'Run: ssh -L' }] }, 'flow', 'valetkey login work --explain'],
  ['a clock of long ago', { ...healthy, now: 1_000_000 }, 'clock', 'sudo timedatectl set-ntp true'],
  ['a clock that was set back', inStatus({ started_at: NOW + 900 }), 'clock', 'valetkey daemon stop'],
  ['a clock that is behind that of the issuer', issuer({ skew_s: 312 }), 'clock', 'sudo timedatectl set-ntp true'],
  ['a clock that nobody keeps', { ...issuer({ skew_s: 312 }), host: { ...healthy.host, hasSystemd: false } }, 'clock', 'sudo date -s "$(curl -sI https://login.example.com | sed -n \'s/^[Dd]ate: //p\')"'],
  ['a vault whose keychain hangs', { ...vault({ state: 'unavailable', detail: 'the keychain does not answer.' }), diagnosis: { node: 'v20.20.2', keychain: { state: 'frozen', took_ms: 2_500 }, issuers: [well] } }, 'vault', 'busctl --user --timeout=2 call org.freedesktop.secrets /org/freedesktop/secrets org.freedesktop.DBus.Peer Ping'],
  ['a certificate that the CA of the profile did not sign', issuer({ state: 'unreachable', cause: 'tls', ca_file: '/etc/corp.pem' }), 'issuer_ca', 'openssl s_client -connect login.example.com:443 -servername login.example.com -CAfile /etc/corp.pem -showcerts </dev/null'],
  ['the clock of one issuer of two', tried({ issuers: [well, { ...well, issuer: 'https://other.example.com', skew_s: -90 }] }), 'clock', 'curl -sI https://other.example.com'],
  ['Yama switched off', onHost({ ptraceScope: '0\n' }), 'ptrace', 'sudo sysctl kernel.yama.ptrace_scope=1'],
  ['a daemon whose memory can be read', onHost({ canReadMemory: true }), 'memory_access', 'valetkey daemon stop && valetkey daemon start'],
  ['core dumps', onHost({ coreLimits: 'Max core file size        0                    unlimited            bytes     \n' }), 'core_dumps', 'valetkey daemon stop && valetkey daemon start'],
  ['core limits that cannot be seen', onHost({ coreLimits: null }), 'core_dumps', 'cat /proc/4242/limits'],
  ['a launcher that is not used', onHost({ launcher: { ...healthy.host.launcher, calledAs: 'node' } }), 'launcher', 'mkdir -p ~/.local/bin && ln -sf /x/valetkey ~/.local/bin/valetkey'],
];

describe('doctor, with each thing broken in turn', () => {
  it('finds nothing where nothing is wrong', () => {
    expect(trouble(healthy)).toEqual([]);
    expect(diagnose(healthy).length).toBeGreaterThan(20);
  });

  it('looks at policy and hooks where they are, and moves back what a link led away', () => {
    const base = privateDirectory();
    const paths = { ...PATHS, policyFile: join(base, 'policy.toml'), hooksFile: join(base, 'hooks.toml'), stateDir: join(base, 'state') };
    const uid = process.getuid?.() ?? 0;
    expect(readPlaces(paths).map(({ path }) => path)).not.toContain(paths.policyFile);
    for (const file of [paths.policyFile, paths.hooksFile]) {
      writeFileSync(file, '');
      chmodSync(file, 0o666);
    }
    mkdirSync(join(base, 'elsewhere'), { mode: 0o700 });
    writeFileSync(join(base, 'elsewhere/grant'), 'sealed');
    symlinkSync(join(base, 'elsewhere'), paths.stateDir);
    const findings = () => readPlaces(paths).filter(({ path }) => path.startsWith(base)).map((each) => checkPlace(each, uid));
    const wrong = findings();
    expect(wrong.map(({ id, level }) => [id, level])).toEqual([['state_directory', 'error'], ['config_file', 'error'], ['config_file', 'error']]);
    for (const { command } of wrong) expect(spawnSync('/bin/sh', ['-c', command ?? 'false']).status).toBe(0);
    expect(findings().filter(({ level }) => level !== 'ok')).toEqual([]);
    expect(readFileSync(join(paths.stateDir, 'grant'), 'utf8')).toBe('sealed');
  });

  it.each(BROKEN)('%s: that finding, with its command, and no other', (_, facts, id, command) => {
    const found = trouble(facts);
    expect(found.map((each) => ({ id: each.id, command: each.command }))).toEqual([{ id, command }]);
    expect(found[0]?.why).not.toBe('');
  });

  it('has broken everything that can be wrong', () => {
    const neverWrong = ['approvals', 'issuer', 'environment_proxy', 'environment_ca'];
    expect([...new Set(BROKEN.map(([, , id]) => id)), ...neverWrong].toSorted()).toEqual(Object.keys(FINDINGS).toSorted());
  });

  it('takes a vault in memory for well where the configuration says so', () => {
    expect(trouble({ ...vault({ backend: 'memory' }), diagnosis: { node: 'v20.20.2', keychain: { state: 'not_used', took_ms: 0 }, issuers: [well] } })).toEqual([]);
  });

  it('says what keeps the daemon from starting once', () => {
    const facts = { ...place('runtime_directory', { mode: 0o755 }), daemon: failing('runtime_dir_untrusted', 'mode 0755').daemon, diagnosis: null };
    expect(trouble(facts).map(({ id }) => id)).toEqual(['runtime_directory']);
  });

  it('leaves to the verbs of a later build what they do', () => {
    const verbs = ['doctor', 'adopt', 'service'];
    const facts = { ...onHost({ plainText: [{ tool: 'codex', path: '/a' }, { tool: 'gh', path: '/b' }], units: [{ ...UNIT, missing: ['/x'] }] }), verbs };
    expect(trouble(facts).map(({ command }) => command)).toEqual(['valetkey service install', 'valetkey adopt']);
    expect(trouble(facts).at(-1)?.what).toBe('2 files hold tokens of codex, gh in plain text');
  });
});

describe('what the shell of the caller would have changed', () => {
  it.each([
    ['a proxy', issuer({ state: 'unreachable', cause: 'refused' }), 'proxy = "http://proxy.corp:3128"'],
    ['a CA file', issuer({ state: 'unreachable', cause: 'tls' }), 'ca_file = "/etc/corp.pem"'],
  ])('%s: the line to write stands in the finding that it would mend', (_, facts, line) => {
    expect(trouble(proxied(facts))[0]?.advice).toContain(`Write into [profiles.work]:\n${line}`);
  });

  it('is no trouble where every issuer is reached without it, and the line is there all the same', () => {
    const facts = proxied(healthy);
    expect(trouble(facts)).toEqual([]);
    expect(diagnose(facts).filter(({ id }) => id.startsWith('environment_')).map(({ what, advice }) => ({ what, advice }))).toEqual([
      { what: 'HTTPS_PROXY is set here, and the daemon ignores it; work goes without it', advice: 'To accept it, write into the profile:\nproxy = "http://proxy.corp:3128"' },
      { what: 'NODE_EXTRA_CA_CERTS is set here, and the daemon ignores it; work goes without it', advice: 'To accept it, write into the profile:\nca_file = "/etc/corp.pem"' },
    ]);
  });

  it.each([['login.example.com', false], ['.example.com', false], ['*', false], ['other.com', true]])('NO_PROXY=%s counts', (noProxy, isNamed) => {
    const [proxy] = diagnose({ ...proxied(healthy), noProxy }).filter(({ id }) => id === 'environment_proxy');
    expect(proxy?.what.includes('work goes without it')).toBe(isNamed);
  });

  it('repeats no password', () => {
    const facts = { ...issuer({ state: 'unreachable', cause: 'dns' }), advice: environmentAdvice({ HTTPS_PROXY: 'http://ada:hunter2-EXAMPLE@proxy.corp:3128' }) };
    expect(JSON.stringify(diagnose(facts))).not.toContain('hunter2');
  });
});

describe('what the doctor reads of this machine', () => {
  it.each([
    ['Dropbox', 'Dropbox'], ['OneDrive - Corp', 'OneDrive'], ['Library/Mobile Documents', 'iCloud'], ['Nextcloud', 'Nextcloud'], ['Sync', 'Syncthing'], ['Google Drive', 'Google Drive'], ['Dropboxes', null],
  ])('[ST-04] a state below %s: %s', (folder, by) => {
    const path = join(privateDirectory(), folder, 'state/valetkey');
    mkdirSync(path, { recursive: true });
    expect(findSync('state', path)?.by ?? null).toBe(by);
    expect(findSync('state', join(path, 'not/there/yet'))?.by ?? null).toBe(by);
  });

  it.each([['.stfolder', 'Syncthing'], ['.nextcloudsync.log', 'Nextcloud'], ['.dropbox', 'Dropbox'], ['.git', 'a git repository']])('[ST-04] a folder with %s in it: %s', (mark, by) => {
    const base = privateDirectory();
    mkdirSync(join(base, 'state/valetkey'), { recursive: true });
    mkdirSync(join(base, mark));
    symlinkSync(base, join(base, 'link'));
    expect(findSync('state', join(base, 'link/state/valetkey'))).toMatchObject({ by, root: base, path: join(base, 'state/valetkey') });
  });

  it.each([['/state/valetkey/', true], ['state', true], ['*', true], ['/state/other/', false], ['# state', false]])('a repository whose .gitignore says %s keeps it out: %s', (line, isOut) => {
    const base = privateDirectory();
    mkdirSync(join(base, '.git'));
    mkdirSync(join(base, 'state/valetkey'), { recursive: true });
    writeFileSync(join(base, '.gitignore'), `# mine\n${line}\n`);
    expect(findSync('state', join(base, 'state/valetkey')) === null).toBe(isOut);
  });

  it('units: the executable, its script, quotes, prefixes, continued lines', () => {
    const base = privateDirectory();
    const [node, script] = [join(base, 'node'), join(base, 'valetkeyd.cjs')];
    const unit = (text: string) => {
      writeFileSync(join(base, 'valetkeyd.service'), `[Service]\n${text}\n`);
      return readUnits([join(base, 'nowhere'), base], base)[0];
    };
    writeFileSync(node, '');
    expect(unit(`ExecStart=${node} ${script}`)?.missing).toEqual([node, script]);
    chmodSync(node, 0o755);
    writeFileSync(script, '');
    expect(unit(`ExecStart=-@"${node}" \\\n  %h/valetkeyd.cjs`)).toMatchObject({ missing: [], isEmpty: false });
    expect(unit('Type=notify')).toMatchObject({ missing: [], isEmpty: true });
    expect(readUnits([join(base, 'nowhere')], base)).toEqual([]);
    mkdirSync(join(base, 'valetkeyd.service.d'));
    writeFileSync(join(base, 'valetkeyd.service.d/override.conf'), `[Service]\nExecStart=\nExecStart=/opt/gone/node ${script}\n`);
    expect(unit(`ExecStart=${node} ${script}`)).toMatchObject({ missing: ['/opt/gone/node'], isDropIn: true });
    rmSync(join(base, 'valetkeyd.service.d'), { recursive: true });
    rmSync(join(base, 'valetkeyd.service'));
    symlinkSync('/dev/null', join(base, 'valetkeyd.service'));
    expect(readUnits([base], base)).toEqual([{ file: join(base, 'valetkeyd.service'), missing: [], isEmpty: false, isMasked: true, isDropIn: false }]);
  });

  it('the record of the service: what an upgrade would start', () => {
    const base = privateDirectory();
    const file = join(base, 'service.json');
    expect(missingOfRecord(file)).toEqual([]);
    writeFileSync(file, JSON.stringify({ v: 1, node: process.execPath, program: join(base, 'gone.cjs') }));
    expect(missingOfRecord(file)).toEqual([join(base, 'gone.cjs')]);
    writeFileSync(file, 'nonsense');
    expect(missingOfRecord(file)).toEqual([]);
  });

  it('a disk, by writing to it and leaving nothing', () => {
    const base = privateDirectory();
    expect(tryDisk(base)).toEqual({ path: base, code: null });
    expect(readdirSync(base)).toEqual([]);
    expect(tryDisk(join(base, 'nowhere'))).toBeNull();
    expect(tryDisk('/proc/self')?.code).toMatch(/^E/);
  });

  it('files of other tools: by their place and, where they may be harmless, by a word in them', () => {
    const home = privateDirectory();
    for (const { path, marker } of PLAIN_TEXT_FILES) {
      const file = path.includes('.') && !path.endsWith('.mcp-auth') && !/cache$|oidc-login$/.test(path) ? join(home, path) : join(home, path, 'one.json');
      mkdirSync(join(file, '..'), { recursive: true });
      writeFileSync(file, `secret-EXAMPLE ${marker ?? ''}`);
    }
    expect(findPlainText(home).map(({ tool }) => tool)).toEqual(PLAIN_TEXT_FILES.map(({ tool }) => tool));
    writeFileSync(join(home, '.docker/config.json'), '{"credsStore":"pass"}');
    expect(findPlainText(home).map(({ tool }) => tool)).not.toContain('docker');
    expect(JSON.stringify(findPlainText(home))).not.toContain('secret-EXAMPLE');
    expect(findPlainText(privateDirectory())).toEqual([]);
  });

  it.each([
    [{ calledAs: 'valetkey' }, 'ok', null],
    [{ calledAs: '/usr/bin/node' }, 'warning', 'mkdir -p ~/.local/bin && ln -sf /x/valetkey ~/.local/bin/valetkey'],
    [{ built: null }, 'warning', 'sudo apt-get install gcc libc6-dev musl-tools && npm run build'],
    [{ built: null, buildable: false }, 'ok', null],
    [{ platform: 'darwin' }, 'ok', null],
  ])('who prints tokens, where %j: %s', (facts, level, command) => {
    expect(checkLauncher({ platform: 'linux', calledAs: 'node', built: '/x/valetkey', buildable: true, ...facts })).toMatchObject({ id: 'launcher', level, command });
  });
});

const allWell = { status: () => status, approvals: () => noApprovals, profiles: () => ({ profiles: [profile] }), diagnosis: () => healthy.diagnosis ?? (undefined as never), explainLogin: () => flow };

describe('valetkey doctor', () => {
  it('has stable ids in JSON, and ends with the status of a configuration where something is an error', async () => {
    const base = privateDirectory();
    mkdirSync(join(base, 'r/valetkey'), { recursive: true });
    chmodSync(join(base, 'r/valetkey'), 0o755);
    const { stdout, exit } = await run(['doctor', '--json'], { base, api: allWell });
    const { findings } = JSON.parse(stdout) as { findings: readonly Finding[] };
    expect(findings.find(({ id }) => id === 'runtime_directory')).toMatchObject({ level: 'error', command: `chmod 0700 ${base}/r/valetkey` });
    expect(exit).toBe(8);
  });

  it('works without a daemon, and asks it nothing more', async () => {
    const { stdout, exit, calls } = await run(['doctor', '--quiet'], { base: privateDirectory(), api: { status: () => { throw ValetkeyError.local('config_invalid', 'config.toml:3:1: unknown key'); } } });
    expect(exit).toBe(8);
    expect(calls.map(([name]) => name)).toEqual(['status']);
    expect(stdout).toMatch(/^error +config$/m);
    expect(stdout).toMatch(/^ +config\.toml:3:1: unknown key \(config_invalid\)\.$/m);
    expect(stdout).toMatch(/^ +Run {2}"\$\{EDITOR:-vi\}" /m);
  });

  it('works with a daemon that does not know what it is asked', async () => {
    const unknown = (): never => { throw ValetkeyError.local('not_found', 'there is no such path'); };
    const { exit, stdout } = await run(['doctor'], { base: privateDirectory(), api: { ...allWell, diagnosis: unknown, explainLogin: unknown, approvals: unknown } });
    expect(exit).toBe(0);
    expect(stdout).toContain('  version ');
  });

  it('exits 0 where there are warnings only, and shows them below what is well', async () => {
    const { exit, stdout, stderr } = await run(['doctor'], { base: privateDirectory(), api: { ...allWell, status: () => ({ ...status, locked: true }) } });
    expect(exit).toBe(0);
    expect(stderr).toMatch(/^0 errors, /);
    expect(stdout.indexOf('\nwarning  vault\n')).toBeGreaterThan(stdout.indexOf('\nMachine\n'));
  });

  it('keeps to 80 columns, but for commands and for what has no space', async () => {
    const { stdout } = await run(['doctor'], { base: privateDirectory(), env: { HTTPS_PROXY: 'http://proxy.corp:3128' }, api: { ...allWell, status: () => ({ ...status, warnings: ['word '.repeat(60).trim()], vault: { backend: 'memory', state: 'open', detail: 'long '.repeat(40).trim() } }) } });
    const long = stdout.split('\n').filter((line) => line.length > 80 && !/^ +Run /.test(line) && line.trim().includes(' ') && !/\S{40,}/.test(line));
    expect(long).toEqual([]);
    expect(wrap('a bb ccc', 4)).toEqual(['a bb', 'ccc']);
  });

  it('shows a line for the configuration whole, on a line of its own', async () => {
    const { stdout } = await run(['doctor'], { base: privateDirectory(), env: { HTTPS_PROXY: 'http://proxy.corp:3128' }, api: allWell });
    expect(stdout).toMatch(/^ +proxy = "http:\/\/proxy\.corp:3128"$/m);
  });

  it('[AL-04] what a stranger wrote cannot move the cursor', async () => {
    const { stdout } = await run(['doctor'], { base: privateDirectory(), api: { ...allWell, diagnosis: () => ({ node: 'v20.20.2', keychain: { state: 'works', took_ms: 1 }, issuers: [{ ...well, state: 'refused', cause: 'as_metadata_invalid', detail: 'it says \u001b[2Jhello\r\n\u202e' }] }) } });
    expect(stdout).toContain('hello');
    // oxlint-disable-next-line no-control-regex -- that is what is looked for
    expect(stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u202e]/);
  });
});

describe('valetkey doctor --bundle', () => {
  it('writes a file for its owner alone, once', async () => {
    const base = privateDirectory();
    const file = join(base, 'report.json');
    const first = await run(['doctor', '--bundle', file], { base, api: allWell });
    expect({ exit: first.exit, mode: statSync(file).mode & 0o777 }).toEqual({ exit: 0, mode: 0o600 });
    expect(first.stderr).toContain('read it before you hand it on');
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ v: 1, client: expect.any(String) as string, findings: expect.any(Array) as unknown[], status: { pid: 4242, grants: [{ profile: 'work', subject: null, claims: {} }] } });
    const text = readFileSync(file, 'utf8');
    expect(text).not.toContain('ada@example.com');
    const second = await run(['doctor', '--bundle', file], { base, api: allWell });
    expect(second).toMatchObject({ exit: 2, stderr: expect.stringContaining('is there already, and is not written over') as string });
    expect(readFileSync(file, 'utf8')).toBe(text);
  });

  it('follows no link that somebody has put there', async () => {
    const base = privateDirectory();
    symlinkSync(join(base, 'elsewhere'), join(base, 'report.json'));
    expect((await run(['doctor', '--bundle', join(base, 'report.json')], { base, api: allWell })).exit).toBe(2);
  });

  it.each([
    ['/home/ada/.config/x', '~/.config/x'], ['user ada on laptop-7', 'user USER on HOST'], ['adaptive', 'adaptive'], ['mail ada@example.com', 'mail <mail>'],
    ['https://ada:pw@host/x', 'https://<removed>@host/x'], [`t=eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.sig-EXAMPLE;`, 't=<removed>;'], [`got ${'Ab3'.repeat(15)}!`, 'got <removed>!'],
    ['https://login.example.com/realms/one', 'https://login.example.com/realms/one'],
  ])('takes out who the person is, and what looks like a token: %s', (text, expected) => {
    expect(redact({ deep: [text], n: 1, nothing: null }, { home: '/home/ada', user: 'ada', host: 'laptop-7' })).toEqual({ deep: [expected], n: 1, nothing: null });
  });
});
