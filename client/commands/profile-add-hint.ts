/**
 * What to do where `profile add` was refused: in flags, since nothing was written yet that could be mended in
 * the configuration file.
 */
import { ValetkeyError, withHint } from '../valetkey-error.ts';

const FLAGS = new Map([['redirect_ports', '--redirect-port'], ['scopes', '--scope'], ['default_expires_in_s', '--default-expires-in'], ['client_auth', '--client-auth']]);
const PLAIN = [
  'preset', 'issuer', 'client_id', 'tenant', 'extra_scopes', 'resource', 'flow', 'browser', 'ca_file', 'proxy', 'redirect_path', 'allow_loopback_http', 'pkce',
  'authorization_endpoint', 'token_endpoint', 'revocation_endpoint', 'device_authorization_endpoint',
];
const HELP = 'valetkey help profile add';

function flagOf(key: string): string | null {
  return FLAGS.get(key) ?? (PLAIN.includes(key) ? `--${key.replaceAll('_', '-')}` : null);
}

/** The daemon names the key first, in quotes, where the fault is in what was sent and not in the file. */
function faultHint(detail: string): string | null {
  if (detail.includes('allow_loopback_http')) return 'If that is meant, run it again with --allow-loopback-http';
  const [, key = '', rest = ''] = /^"([a-z_]+)"(?: in \[\S+\])? (.*)/.exec(detail) ?? [];
  const flag = flagOf(key);
  if (flag === null) return null;
  if (key === 'pkce') return 'If the issuer documents PKCE with S256, run it again with --pkce asserted';
  return rest.startsWith('is missing') ? `Run it again with ${flag}; see: ${HELP}` : `Run it again with another ${flag}; see: ${HELP}`;
}

function hintOf({ code, detail }: ValetkeyError): string | null {
  switch (code) {
    case 'config_invalid': return faultHint(detail);
    case 'as_no_s256': return 'If the issuer is known to check PKCE with S256, run it again with --pkce asserted';
    case 'as_metadata_invalid': return 'Check --issuer, to the letter; for an issuer without metadata: --preset oauth, with its endpoints';
    case 'issuer_unreachable': return 'Check --issuer, the network, --proxy and --ca-file';
    default: return null;
  }
}

export function inFlags(error: unknown): unknown {
  const hint = error instanceof ValetkeyError ? hintOf(error) : null;
  return error instanceof ValetkeyError && hint !== null ? withHint(error, hint) : error;
}
