/**
 * Where other tools keep long-lived tokens in plain text, as data. A file that may be harmless counts only with the
 * word beside it inside. Nothing of a file is ever shown, kept or compared but that word.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ok, warning, word } from './finding.ts';
import type { Finding } from './finding.ts';

/** Below the home directory; of a folder, the JSON files in it and one below. */
type Known = { readonly tool: string; readonly path: string; readonly marker: string | null };

export const PLAIN_TEXT_FILES: readonly Known[] = [
  { tool: 'gcloud', path: '.config/gcloud/credentials.db', marker: null },
  { tool: 'gcloud', path: '.config/gcloud/application_default_credentials.json', marker: '"refresh_token"' },
  { tool: 'aws', path: '.aws/sso/cache', marker: '"accessToken"' },
  { tool: 'az', path: '.azure/msal_token_cache.json', marker: null },
  { tool: 'gh', path: '.config/gh/hosts.yml', marker: 'oauth_token:' },
  { tool: 'glab', path: '.config/glab-cli/config.yml', marker: 'oauth2_refresh_token:' },
  { tool: 'kubelogin', path: '.kube/cache/oidc-login', marker: null },
  { tool: 'mcp-remote', path: '.mcp-auth', marker: '"refresh_token"' },
  { tool: 'codex', path: '.codex/auth.json', marker: '"refresh_token"' },
  { tool: 'claude', path: '.claude/.credentials.json', marker: '"refreshToken"' },
  { tool: 'gemini', path: '.gemini/oauth_creds.json', marker: '"refresh_token"' },
  { tool: 'copilot', path: '.config/github-copilot/apps.json', marker: 'oauth_token' },
  { tool: 'docker', path: '.docker/config.json', marker: '"auth"' },
  { tool: 'npm', path: '.npmrc', marker: '_authToken=' },
  { tool: 'git', path: '.git-credentials', marker: '@' },
];

const FILE_MAX = 1_048_576;
const FILES_MAX = 200;

export type PlainText = { readonly tool: string; readonly path: string };

export function findPlainText(home: string): readonly PlainText[] {
  return PLAIN_TEXT_FILES.flatMap(({ tool, path, marker }) => filesAt(join(home, path)).filter((file) => holds(file, marker)).map((file) => ({ tool, path: file })));
}

function filesAt(path: string, depth = 0): readonly string[] {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return [];
  if (stats.isFile()) return [path];
  if (!stats.isDirectory() || depth > 1) return [];
  try {
    const below = readdirSync(path).slice(0, FILES_MAX).flatMap((name) => filesAt(join(path, name), depth + 1));
    return below.filter((file) => depth > 0 || file.endsWith('.json') || !file.includes('.')).slice(0, FILES_MAX);
  } catch {
    return []; // not ours to read: then it is no file of this person
  }
}

function holds(file: string, marker: string | null): boolean {
  try {
    if (marker === null || statSync(file).size > FILE_MAX) return true;
    return readFileSync(file, 'utf8').includes(marker);
  } catch {
    return false; // not ours to read, or gone since
  }
}

/** @param canAdopt - this build has a verb that takes care of them */
export function checkPlainText(found: readonly PlainText[], canAdopt: boolean): Finding {
  const [first] = found;
  if (first === undefined) return ok('plain_text_tokens', 'no tokens of other tools were found in plain text');
  const tools = [...new Set(found.map(({ tool }) => tool))];
  const more = found.length === 1 ? '' : `, and ${found.length - 1} more of ${tools.join(', ')}`;
  const why = 'Any program that you run can read them, and malware looks for exactly these files';
  return canAdopt
    ? warning('plain_text_tokens', `${found.length === 1 ? '1 file holds' : `${found.length} files hold`} tokens of ${tools.join(', ')} in plain text`, why, 'valetkey adopt')
    : warning('plain_text_tokens', `${first.path} holds tokens of ${first.tool} in plain text${more}`, why, `ls -l ${word(first.path)}`);
}
