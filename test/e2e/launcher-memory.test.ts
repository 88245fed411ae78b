/** The launcher's memory: the hot path under valgrind, and its readers under a fuzzer with ASan and UBSan. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { ROOT } from './built-cli.ts';
import { lineStandIn, TOKEN } from './line-stand-in.ts';
import { buildLauncher, launcherRoom, runProgram, sayingNode } from './token-programs.ts';

const room = launcherRoom();
afterAll(() => room.remove());
const launcher = buildLauncher(room, 'debug', { kind: 'debug', node: sayingNode(room) });
const valgrind = spawnSync('valgrind', ['--version']).error === undefined;
if (!valgrind) console.warn('not run: the launcher under valgrind (Debian package valgrind)');

describe.skipIf(launcher === null)('the launcher', () => {
  it.skipIf(!valgrind)('has no error and no leak in valgrind\'s eyes, with a token and without', async () => {
    const daemon = await lineStandIn();
    const watched = ['valgrind', '--quiet', '--error-exitcode=99', '--leak-check=full', '--show-leak-kinds=all', '--errors-for-leak-kinds=all', launcher ?? ''];
    for (const format of ['raw', 'header', 'env', 'json']) {
      const ended = await runProgram([...watched, 'token', 'work', '--format', format, '--scope', 'a b', '--min-ttl=90'], daemon.env);
      expect(ended).toEqual({ exit: 0, stdout: expect.stringContaining(TOKEN) as string, stderr: '' });
    }
    // What is handed over: a line, nothing, and a connection on which nothing came within five seconds.
    for (const [line, ends] of [['{}\n', true], [null, true], [null, false]] as const) {
      daemon.play({ line, ends });
      const ended = await runProgram([...watched, 'token', 'work'], daemon.env);
      expect(ended).toMatchObject({ exit: 0, stdout: expect.stringContaining('client/main.js') as string, stderr: '' });
    }
    await daemon.close();
  }, 60_000);

  it('reads a hundred thousand bad replies, records and command lines without a fault', () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(ROOT, 'scripts/fuzz-launcher.mjs'), '1', '1'], { encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: expect.not.stringContaining('ERROR') as string });
    expect(stdout).toMatch(/100000 inputs, .* replies taken|libFuzzer/);
  }, 60_000);
});
