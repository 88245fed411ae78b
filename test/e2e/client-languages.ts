/** Each client of ours as a program of its own that asks for one token, and tells what became of it in one form. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ROOT } from './built-cli.ts';

export type Asked = { readonly profile: string; readonly scopes?: readonly string[] };
/** Of the shell there are words for people and a status, and no more. */
export type Told =
  | { readonly token: string }
  | { readonly error: { readonly code: string; readonly detail: string; readonly hint: string; readonly retryable: boolean } }
  | { readonly words: string; readonly exit: number | null };

export type Client = { readonly name: string; ask(asked: Asked, env: Readonly<Record<string, string>>): Promise<Told> };
type Ended = { readonly exit: number | null; readonly stdout: string; readonly stderr: string };

export function runWith(file: string, args: readonly string[], env: Readonly<Record<string, string>>, stdin = ''): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { env: { ...env }, cwd: '/', stdio: ['pipe', 'pipe', 'pipe'] });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => { stdout += text; });
    child.stderr.setEncoding('utf8').on('data', (text: string) => { stderr += text; });
    child.once('error', reject);
    child.once('close', (exit) => resolve({ exit, stdout, stderr }));
    child.stdin.on('error', () => undefined); // it may end without reading
    child.stdin.end(stdin);
  });
}

const TYPESCRIPT = `
import { connect } from ${JSON.stringify(pathToFileURL(join(ROOT, 'dist/client/index.js')).href)};
const { profile, ...wanted } = JSON.parse(process.argv[1]);
const told = await connect().getToken(profile, wanted).then(
  ({ access_token }) => ({ token: access_token }),
  ({ code, detail, hint, retryable }) => ({ error: { code, detail, hint, retryable } }),
);
console.log(JSON.stringify(told));
process.exit(0);
`;

const PYTHON = `
import json, sys
sys.path.insert(0, ${JSON.stringify(join(ROOT, 'client/python'))})
sys.dont_write_bytecode = True
import valetkey
asked = json.loads(sys.argv[1])
try:
    told = {"token": valetkey.get_token(asked.pop("profile"), **asked).access_token}
except valetkey.ValetkeyError as error:
    told = {"error": {"code": error.code, "detail": error.detail, "hint": error.hint, "retryable": error.retryable}}
print(json.dumps(told))
`;

async function told(ended: Promise<Ended>): Promise<Told> {
  const { exit, stdout, stderr } = await ended;
  if (exit !== 0 || stderr !== '') throw new Error(`status ${exit}: ${stderr}`);
  return JSON.parse(stdout) as Told;
}

function shell(name: string): Client {
  return {
    name: `the shell function in ${name}`,
    async ask({ profile, scopes = [] }, env) {
      const { exit, stdout, stderr } = await runWith(name, ['-c', `. '${join(ROOT, 'client/shell/valetkey.sh')}' && valetkey_token "$@"`, name, profile, ...scopes], env);
      if (exit === 0 && stderr === '') return { token: stdout.replace(/\n$/, '') };
      if (stdout !== '') throw new Error(`status ${exit}, and a token all the same: ${stderr}`);
      return { words: stderr, exit };
    },
  };
}

export const CLIENTS: readonly Client[] = [
  { name: 'the library in TypeScript', ask: (asked, env) => told(runWith(process.execPath, ['--input-type=module', '-e', TYPESCRIPT, JSON.stringify(asked)], env)) },
  { name: 'the module in Python', ask: (asked, env) => told(runWith('python3', ['-W', 'error', '-c', PYTHON, JSON.stringify(asked)], env)) },
  shell('sh'),
  shell('bash'),
];
