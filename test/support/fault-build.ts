/**
 * The daemon built once more with its fault points live. In the source they are comments of their own line,
 * `// @fault NAME` (in an async function) or `// @fault-sync NAME`; here each becomes a call of a hook, which
 * kills, delays or fails at the step that the plan names. The copy lies beside the released files and is none
 * of them. Two more things are changed: where no session bus is named its keychain is a file, and its clock can be set.
 */
import { appendFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const LABEL = /^([ \t]*)\/\/ @fault(-sync)? (\S+)[ \t]*$/gm;
const HOOK = 'valetkey.fault';
/** Where a process finds its plan; no variable of this name is known to the released build. */
export const FAULT_DIR = 'VALETKEY_TEST_FAULTS';

/** `tear`: the next write to a file is cut in half, and the process killed. */
export type FaultAction = 'kill' | 'tear' | 'ENOSPC' | 'EIO' | 'sleep';
export type FaultPlan = { readonly label: string; readonly nth: number; readonly action: FaultAction; readonly ms?: number };

export type FaultBuild = { readonly dir: string; readonly daemon: string; readonly labels: readonly string[]; remove(): void };

export type Sources = ReadonlyMap<string, string>;

export function readTree(folder: string, ending: RegExp): Sources {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile() && ending.test(entry.name));
  return new Map(files.map((entry) => join(entry.parentPath, entry.name)).toSorted().map((path) => [path, readFileSync(path, 'utf8')]));
}

/** Labels of these files, as the source has them. */
export function labelsIn(files: Sources): readonly string[] {
  return [...files.values()].flatMap((text) => [...text.matchAll(LABEL)].map(([, , , name = '']) => name));
}

/** What must not be in a file that ships: the hook's name, or a label that is more than its comment. */
export function faultCodeIn(files: Sources, labels: readonly string[]): readonly string[] {
  return [...files].flatMap(([path, text]) => {
    const code = text.replaceAll(LABEL, '');
    const found = [HOOK, FAULT_DIR, ...labels.flatMap((label) => [`'${label}'`, `"${label}"`, `\`${label}\``])].filter((name) => code.includes(name));
    return found.map((name) => `${path}: ${name}`);
  });
}

function withCalls(text: string): string {
  const hook = `globalThis[Symbol.for('${HOOK}')]`;
  return text.replaceAll(LABEL, (_, indent: string, sync: string | undefined, name: string) =>
    `${indent}${sync === undefined ? `await ${hook}?.('${name}')` : `${hook}?.sync('${name}')`};`);
}

/**
 * The hook, as a module of the copy. Each hit is written down before anything happens, so that it outlives a
 * SIGKILL. The plan is read at every hit: it changes while the daemon runs.
 */
const HOOK_MODULE = `
import { appendFileSync, readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
const dir = process.env.${FAULT_DIR};
let planText = '';
let hits = new Map();
let tears = false;
const die = () => {
  process.kill(process.pid, 'SIGKILL');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
};
const handle = await open('/dev/null', 'w');
const prototype = Object.getPrototypeOf(handle);
await handle.close();
const { write } = prototype;
prototype.write = async function (bytes, offset, length, position) {
  if (!tears) return write.apply(this, arguments);
  const half = Math.ceil((length ?? bytes.length) / 2);
  await write.call(this, bytes, offset ?? 0, half, position ?? null);
  die();
};
/** @returns the plan, where this is the hit that it means */
function hit(label) {
  let text;
  try {
    text = readFileSync(dir + '/plan.json', 'utf8');
  } catch {
    return null;
  }
  if (text !== planText) {
    planText = text;
    hits = new Map();
  }
  const n = (hits.get(label) ?? 0) + 1;
  hits.set(label, n);
  const plan = JSON.parse(text);
  const meant = plan.label === label && plan.nth === n;
  appendFileSync(dir + '/hits', label + ' ' + n + (meant ? ' ' + plan.action : '') + '\\n');
  if (!meant) return null;
  if (plan.action === 'kill') die();
  if (plan.action === 'tear') tears = true;
  if (plan.action === 'ENOSPC' || plan.action === 'EIO') throw Object.assign(new Error(plan.action + ': planned at ' + label), { code: plan.action, syscall: 'write', errno: -1 });
  return plan;
}
if (dir !== undefined) {
  const hook = async (label) => {
    const plan = hit(label);
    if (plan?.action === 'sleep') await sleep(plan.ms);
  };
  hook.sync = hit;
  globalThis[Symbol.for('${HOOK}')] = hook;
}
`;

/**
 * In place of daemon/vault/keychain.js: items are files beside the plan, so that a start needs no desktop. Whatever
 * else the module has stays as it is; where the environment names a session bus, its keychain is the real one.
 */
const FILE_KEYCHAIN = `
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createKeychain as real } from './keychain-real.js';
export * from './keychain-real.js';
const path = (account) => process.env.${FAULT_DIR} + '/' + account;
const item = (account) => {
  try {
    return readFileSync(path(account));
  } catch {
    return null;
  }
};
const files = {
  read: async (account, beside) => {
    const secret = item(account);
    return secret === null ? { kind: 'missing' } : { kind: 'found', secret, beside: item(beside) };
  },
  store: async (account, secret) => {
    writeFileSync(path(account), secret, { mode: 0o600 });
    return { kind: 'stored' };
  },
  remove: async (account, beside) => {
    for (const each of [account, beside]) rmSync(path(each), { force: true });
    return { kind: 'removed' };
  },
};
export const createKeychain = (clock) => (process.env.DBUS_SESSION_BUS_ADDRESS === undefined ? files : real(clock));
`;

/** Names a file with `{"wallMs": 0, "bootMs": 0}`: how far this process's clocks are ahead of the machine's. */
export const CLOCK_FILE = 'VALETKEY_TEST_CLOCK';

/** In place of daemon/platform/clock.js, where the environment names such a file: nobody else's clock is touched. */
const SHIFTED_CLOCK = `
import { readFileSync } from 'node:fs';
import { createClock as real } from './clock-real.js';
import { loadNative } from './native.js';
export * from './clock-real.js';
const file = process.env.${CLOCK_FILE};
const shift = () => JSON.parse(readFileSync(file, 'utf8'));
export function createClock(native = loadNative()) {
  if (file === undefined) return real(native);
  const call = (signature, ...args) => {
    const result = native.call(signature, ...args);
    if (signature.includes('clock_gettime')) new BigInt64Array(args[1].buffer)[0] += BigInt(Math.round(shift().bootMs / 1000));
    return result;
  };
  const clock = real({ platform: native.platform, call });
  return { ...clock, now: () => clock.now() + shift().wallMs };
}
`;

const SHIPPED = ['shared', 'daemon'] as const;

/** From dist/ as it is: run tsc -b before. */
export function buildFaulty(): FaultBuild {
  const dist = join(ROOT, 'dist');
  mkdirSync(dist, { recursive: true });
  const dir = mkdtempSync(join(dist, 'faulty-'));
  const labels = new Set<string>();
  for (const folder of SHIPPED) {
    const files = readTree(join(dist, folder), /\.js$/);
    for (const label of labelsIn(files)) labels.add(label);
    for (const [path, text] of files) {
      const to = join(dir, path.slice(dist.length));
      mkdirSync(dirname(to), { recursive: true });
      writeFileSync(to, withCalls(text));
    }
  }
  writeFileSync(join(dir, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(dir, 'fault-hook.js'), HOOK_MODULE);
  for (const [module, text] of [['daemon/vault/keychain', FILE_KEYCHAIN], ['daemon/platform/clock', SHIFTED_CLOCK]] as const) {
    renameSync(join(dir, `${module}.js`), join(dir, `${module}-real.js`));
    writeFileSync(join(dir, `${module}.js`), text);
  }
  const daemon = join(dir, 'daemon/main.js');
  writeFileSync(daemon, readFileSync(daemon, 'utf8').replace(/^(#!.*\n)?/, `$1import '../fault-hook.js';\n`));
  return { dir, daemon, labels: [...labels].toSorted(), remove: () => rmSync(dir, { recursive: true, force: true }) };
}

export type Hit = { readonly label: string; readonly nth: number; readonly action: FaultAction | null };

/** The plan and the hits of one daemon, in a directory of its own. */
export class FaultDesk {
  readonly dir: string;
  #read = 0;
  #plans = 0;

  constructor(dir: string) {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    this.dir = dir;
    this.disarm();
    appendFileSync(join(dir, 'hits'), '');
  }

  /** Hits are counted from here. */
  arm(plan: FaultPlan): void {
    this.#plans += 1;
    // In one step: the daemon reads it at any moment.
    writeFileSync(join(this.dir, 'plan.new'), JSON.stringify({ ...plan, number: this.#plans }));
    renameSync(join(this.dir, 'plan.new'), join(this.dir, 'plan.json'));
  }

  disarm(): void {
    this.arm({ label: '', nth: 0, action: 'kill' });
  }

  /** Hits since this was asked last. */
  take(): readonly Hit[] {
    const text = readFileSync(join(this.dir, 'hits'), 'utf8');
    const fresh = text.slice(this.#read);
    this.#read = text.length;
    return fresh.split('\n').filter((line) => line !== '').map((line) => {
      const [label = '', nth = '', action] = line.split(' ');
      return { label, nth: Number(nth), action: (action ?? null) as FaultAction | null };
    });
  }
}
