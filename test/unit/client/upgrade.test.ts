/** What a client says and does where the daemon is of another build: `valetkey daemon upgrade`, `stop`, `status`. */
import { afterEach, describe, expect, it } from 'vitest';
import { openApi } from '../../../client/api.ts';
import { buildGap, isOlder } from '../../../client/builds.ts';
import { openConnection } from '../../../client/connection.ts';
import { ValetkeyError } from '../../../client/index.ts';
import { BUILD_VERSION } from '../../../shared/version.ts';
import { run, status } from './fake-world.ts';
import { standIn } from './stand-in.ts';
import type { StandIn } from './stand-in.ts';

const PROGRAM = '/usr/bin/valetkeyd';
const after = { ...status, pid: 4343 };
const takeOver = { how: 'take_over', pid: 4343, program: PROGRAM } as const;
const fails = (code: 'not_found' | 'protocol_mismatch' | 'upgrade_failed' | 'daemon_unreachable') => (): never => { throw ValetkeyError.local(code, 'as it is told'); };
let servers: StandIn[] = [];

afterEach(async () => {
  await Promise.all(servers.map((server) => server.close()));
  servers = [];
});

describe('a daemon of another protocol', () => {
  async function daemonOf(protocol: string): Promise<{ readonly api: ReturnType<typeof openApi>; readonly named: (string | undefined)[] }> {
    const named: (string | undefined)[] = [];
    const server = await standIn((_, response, request) => {
      named.push(request.headers['valetkey-protocol']?.toString());
      response.setHeader('valetkey-protocol', protocol);
      response.setHeader('valetkey-build', '9.9.9');
      response.end(JSON.stringify({ ok: true, version: '9.9.9', ...takeOver }));
    });
    servers.push(server);
    return { api: openApi(openConnection({ socket: server.socket })), named };
  }

  it('can be ended, replaced and asked for its pid all the same', async () => {
    const { api, named } = await daemonOf('2');
    expect(await api.anyStatus()).toMatchObject({ version: '9.9.9' });
    expect(await api.upgrade()).toMatchObject({ how: 'take_over' });
    expect(await api.shutdown()).toMatchObject({ ok: true });
    expect(named).toEqual([undefined, undefined, undefined]);
  });

  it.each([
    ['2', 'This client is the older one: use, or install, that of 9.9.9'],
    ['0', 'Run: valetkey daemon upgrade'],
  ])('%s gives no other answer, and the error says which of the two is to be replaced', async (protocol, hint) => {
    const { api, named } = await daemonOf(protocol);
    await expect(api.status()).rejects.toMatchObject({ code: 'protocol_mismatch', hint });
    expect(named).toEqual(['1']);
  });

  it('is stopped by daemon stop, which cannot tell what it would lose', async () => {
    const { exit, stderr, calls } = await run(['daemon', 'stop'], { base: '/nonexistent', api: { status: fails('protocol_mismatch'), shutdown: fails('daemon_unreachable') } });
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: 'The daemon does not run.\n' });
    expect(calls.map(([name]) => name)).toEqual(['status', 'shutdown']);
  });
});

describe('daemon upgrade', () => {
  it('waits until another has taken its place, and says which', async () => {
    const answers = [() => status, () => ({ ...status, upgrade: { state: 'waiting', detail: 'for a moment' } as const }), fails('daemon_unreachable'), () => after];
    const { exit, stderr, mayStart } = await run(['daemon', 'upgrade'], { api: { anyStatus: () => (answers.shift() ?? (() => after))(), upgrade: () => takeOver } });
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: `Daemon 4343, 0.1.0, has taken the place of 4242, 0.1.0: ${PROGRAM}.\n` });
    expect(mayStart).toEqual([false]);
    const again = [status];
    const { stdout } = await run(['daemon', 'upgrade', '--json'], { api: { anyStatus: () => again.shift() ?? after, upgrade: () => takeOver } });
    expect(JSON.parse(stdout)).toEqual({ how: 'take_over', program: PROGRAM, from: { pid: 4242, version: '0.1.0' }, to: { pid: 4343, version: '0.1.0' } });
  });

  it('says why the daemon goes on as before', async () => {
    const answers = [status];
    const failed = { ...status, upgrade: { state: 'failed', detail: 'it ended with exit status 1' } as const };
    const { exit, stderr } = await run(['daemon', 'upgrade'], { api: { anyStatus: () => answers.shift() ?? failed, upgrade: () => takeOver } });
    expect({ exit, stderr }).toEqual({ exit: 9, stderr: expect.stringContaining('it ended with exit status 1') as string });
    expect(await run(['daemon', 'upgrade'], { api: { anyStatus: () => status, upgrade: fails('upgrade_failed') } })).toMatchObject({ exit: 9 });
    expect(await run(['daemon', 'upgrade'], { api: { anyStatus: fails('daemon_unreachable') } })).toMatchObject({ exit: 9 });
  });

  it('says what to do where the daemon is of a time before upgrades', async () => {
    const { exit, stderr } = await run(['daemon', 'upgrade'], { api: { anyStatus: () => status, upgrade: fails('not_found') } });
    expect({ exit, stderr }).toEqual({ exit: 9, stderr: expect.stringMatching(/pid 4242, version 0\.1\.0[^]*Run: valetkey daemon stop/) as string });
  });

  it('warns where the recorded program is older than this client', async () => {
    const upgradeTo = async (version: string): Promise<string> => {
      const answers = [status];
      return (await run(['daemon', 'upgrade'], { api: { anyStatus: () => answers.shift() ?? { ...after, version }, upgrade: () => takeOver } })).stderr;
    };
    expect(await upgradeTo('0.0.9')).toContain('run: valetkey service install');
    expect(await upgradeTo(BUILD_VERSION)).not.toContain('warning');
    expect(await upgradeTo('9.9.9')).not.toContain('warning');
  });
});

describe('status', () => {
  it.each(['status', 'daemon status'])('warns by `%s` of another build, and names the command', async (verb) => {
    const shown = async (version: string): Promise<string> => (await run(verb.split(' '), { api: { status: () => ({ ...status, version }) } })).stderr;
    expect(await shown(BUILD_VERSION)).toBe('');
    expect(await shown('0.0.9')).toContain('the daemon, pid 4242, has version 0.0.9, and this client 0.1.0; run: valetkey daemon upgrade');
    expect(await shown('9.9.9')).toContain('run: type -a valetkey');
  });

  it('says for what an upgrade waits, or why it failed', async () => {
    for (const [state, detail] of [['waiting', 'for a moment'], ['failed', 'it ended']] as const) {
      expect((await run(['daemon', 'status'], { api: { status: () => ({ ...status, upgrade: { state, detail } }) } })).stdout).toMatch(new RegExp(`Upgrade +${state}:? ${detail}`));
    }
  });
});

it.each([
  ['0.1.0', '0.2.0', true], ['0.9.0', '0.10.0', true], ['1.0.0', '0.9.9', false], ['0.2.0', '0.2.0', false], ['0.2.0-rc.1', '0.2.0', false], ['0.2', '0.2.1', false], ['unknown', '0.1.0', false],
])('%s is older than %s: %s', (version, than, expected) => {
  expect(isOlder(version, than)).toBe(expected);
});

it('sees no gap between one build and itself', () => {
  expect(buildGap({ version: BUILD_VERSION, pid: 1 })).toBeNull();
});
