/**
 * Has V8 compile the second file of the daemon's bundle ahead, for the Node that runs this: the daemon is started in
 * a home of its own, answers one request, and stops. What was compiled by then is what a start needs. What becomes
 * of it: compiled-ahead.cjs
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { arch, execPath, kill, platform, version } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';

const STEP_MS = 20;
const LIMIT_MS = 20_000;

/** Starts the daemon, and writes at its end what V8 then has of one of its files. */
const KEEPER = `
  const { writeFileSync } = require('node:fs');
  const vm = require('node:vm');
  const [, entry, file] = process.argv.splice(1, 3);
  process.argv[1] = entry;
  vm.Script = class extends vm.Script {
    constructor(source, options) {
      super(source, options);
      if (options.filename === file) process.on('exit', () => writeFileSync(file + '.v8', this.createCachedData()));
    }
  };
  require(entry);
`;

/**
 * @param {string} entry - of the bundle
 * @param {string} file - what the entry loads; both absolute, with no link in them
 * @returns {Promise<Record<string, string> | string>} the digests for requireCompiled(), or why there are none: the daemon does not run here
 */
export async function compileAhead(entry, file) {
  const home = mkdtempSync(join(tmpdir(), 'valetkey-build-'));
  const at = (name) => join(home, name);
  for (const name of ['run', 'state', 'config', 'config/valetkey']) mkdirSync(at(name), { mode: 0o700 });
  writeFileSync(at('config/valetkey/config.toml'), '[vault]\nbackend = "passphrase"\n', { mode: 0o600 });
  const env = { PATH: '/usr/bin:/bin', HOME: home, XDG_RUNTIME_DIR: at('run'), XDG_STATE_HOME: at('state'), XDG_CONFIG_HOME: at('config'), TMPDIR: at('run') };
  const child = spawn(execPath, ['-', entry, file], { env, cwd: '/', stdio: ['pipe', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk) => { said += chunk; });
  child.stdin.on('error', () => undefined).end(KEEPER);
  const ended = once(child, 'close');
  try {
    const deadline = Date.now() + LIMIT_MS;
    while (!await answers(at('run/valetkey/socket'))) {
      if (child.exitCode !== null || Date.now() > deadline) return said.trim();
      await sleep(STEP_MS);
    }
    kill(child.pid, 'SIGTERM');
    // The timer holds nobody back once the daemon has ended.
    await Promise.race([ended, sleep(LIMIT_MS, undefined, { ref: false })]);
    if (child.exitCode !== 0 || !existsSync(`${file}.v8`)) return said.trim();
    chmodSync(`${file}.v8`, 0o644);
    const digest = createHash('sha256').update(readFileSync(file)).update(readFileSync(`${file}.v8`)).digest('hex');
    return { [`${version} ${platform} ${arch}`]: digest };
  } finally {
    child.kill('SIGKILL');
    await ended;
    rmSync(home, { recursive: true });
  }
}

/** Whether a request is answered there. */
function answers(path) {
  return new Promise((resolve) => {
    const socket = connect(path, () => socket.write('{"type":"status","id":1}\n'));
    socket.once('data', () => socket.destroy().emit('answered'));
    socket.once('answered', () => resolve(true)).once('error', () => resolve(false)).once('close', () => resolve(false));
  });
}
