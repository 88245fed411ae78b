/** The flags of `profile add`, and the table of the profile that they say. */
import type { Command } from 'commander';
import type { ProfileTable } from '../../shared/profile-schemas.ts';
import { choice, collect } from '../command.ts';
import { parseResource, parseScopeFlags, parseWhole } from '../parse-flags.ts';
import { ValetkeyError } from '../valetkey-error.ts';

export type AddOptions = {
  readonly preset?: string;
  readonly issuer?: string;
  readonly clientId: string;
  readonly clientAuth?: 'basic' | 'post';
  readonly clientSecretStdin?: true;
  readonly tenant?: string;
  readonly scope?: readonly string[];
  readonly extraScopes?: 'allow' | 'refuse';
  readonly resource?: string;
  readonly flow?: 'auto' | 'pkce' | 'device';
  readonly browser?: readonly string[];
  readonly caFile?: string;
  readonly proxy?: string;
  readonly redirectPort?: readonly string[];
  readonly redirectPath?: string;
  readonly allowLoopbackHttp?: true;
  readonly pkce?: 'listed' | 'asserted';
  readonly defaultExpiresIn?: string;
  readonly authorizationEndpoint?: string;
  readonly tokenEndpoint?: string;
  readonly revocationEndpoint?: string;
  readonly deviceAuthorizationEndpoint?: string;
  readonly tier?: 'low' | 'normal' | 'high' | 'privileged';
  readonly dryRun?: true;
};

export function declareAddFlags(command: Command): Command {
  return command
    .option('--preset <PRESET>', 'a known issuer: google, entra, github, gitlab, okta, auth0, keycloak, atlassian, …; oauth: one without metadata')
    .option('--issuer <URL>', 'issuer identifier, to the letter')
    .requiredOption('--client-id <ID>', 'client identifier that the issuer gave')
    .option('--client-secret-stdin', 'read the client secret from standard input and seal it in the vault')
    .addOption(choice('--client-auth <METHOD>', 'how the secret is sent (default: as the preset says, else basic)', ['basic', 'post']))
    .option('--tenant <TENANT>', 'tenant, organisation or realm, where the preset has one')
    .option('--scope <SCOPE>', 'default scope; may be repeated', collect)
    .addOption(choice('--extra-scopes <RULE>', 'when the issuer grants scopes that nobody asked for', ['allow', 'refuse']))
    .option('--resource <URI>', 'the API that the tokens are for (RFC 8707)')
    .addOption(choice('--flow <FLOW>', 'how to sign in (default: auto)', ['auto', 'pkce', 'device']))
    .option('--browser <WORD>', 'browser command, one word a flag; {url} stands for the link', collect)
    .option('--ca-file <FILE>', 'further certificates to trust for this issuer (PEM)')
    .option('--proxy <URL>', 'HTTP proxy to this issuer, without user and password')
    .option('--redirect-port <PORT>', 'loopback port for issuers that compare it; may be repeated', collect)
    .option('--redirect-path <PATH>', 'path of the redirect URI, for a client that is registered with another one')
    .option('--allow-loopback-http', 'accept http:// for an issuer on 127.0.0.1 or [::1]')
    .addOption(choice('--pkce <HOW>', 'asserted: the issuer is known to check PKCE with S256, although its metadata does not list it', ['listed', 'asserted']))
    .option('--default-expires-in <SECONDS>', 'how long a token lives whose lifetime the issuer does not state')
    .option('--authorization-endpoint <URL>', 'with --preset oauth')
    .option('--token-endpoint <URL>', 'with --preset oauth')
    .option('--revocation-endpoint <URL>', 'with --preset oauth, where there is one')
    .option('--device-authorization-endpoint <URL>', 'with --preset oauth, where there is one')
    .addOption(choice('--tier <TIER>', 'how much harm its tokens can do; the higher, the more policy asks for (default: normal)', ['low', 'normal', 'high', 'privileged']))
    .option('--dry-run', 'check and show, but write nothing');
}

const PATH = /^\/[A-Za-z0-9._~/-]{0,128}$/;

function parsePath(text: string): string {
  if (PATH.test(text)) return text;
  throw ValetkeyError.local('bad_request', '--redirect-path takes a path such as /callback, of letters, digits and . _ ~ - /');
}

/** Without what was not given: the keys of a profile are optional, and undefined is no value of theirs. */
function given<T extends object>(table: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(table).filter(([, value]) => value !== undefined)) as { [K in keyof T]?: Exclude<T[K], undefined> };
}

/** @throws ValetkeyError bad_request in the words of the command line */
export function profileTable(options: AddOptions): ProfileTable {
  const { preset, issuer, scope, resource, browser, redirectPort, redirectPath, defaultExpiresIn, clientAuth } = options;
  if (preset === undefined && issuer === undefined) throw ValetkeyError.local('bad_request', 'give --preset or --issuer');
  return {
    client_id: options.clientId,
    ...given({
      preset,
      issuer,
      tenant: options.tenant,
      client_auth: clientAuth === undefined ? undefined : (`client_secret_${clientAuth}` as const),
      scopes: scope === undefined ? undefined : [...parseScopeFlags(scope)],
      extra_scopes: options.extraScopes,
      resource: resource === undefined ? undefined : parseResource(resource),
      flow: options.flow,
      browser: browser === undefined ? undefined : [...browser],
      ca_file: options.caFile,
      proxy: options.proxy,
      redirect_ports: redirectPort?.map((port) => parseWhole('--redirect-port', port, { unit: 'a port', min: 1024, max: 65_535 })),
      redirect_path: redirectPath === undefined ? undefined : parsePath(redirectPath),
      allow_loopback_http: options.allowLoopbackHttp,
      pkce: options.pkce,
      tier: options.tier,
      default_expires_in_s: defaultExpiresIn === undefined ? undefined : parseWhole('--default-expires-in', defaultExpiresIn, { unit: 'seconds', min: 0, max: 86_400 }),
      authorization_endpoint: options.authorizationEndpoint,
      token_endpoint: options.tokenEndpoint,
      revocation_endpoint: options.revocationEndpoint,
      device_authorization_endpoint: options.deviceAuthorizationEndpoint,
    }),
  };
}
