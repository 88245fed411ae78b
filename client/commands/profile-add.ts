import type { Command } from 'commander';
import type { ProfileAddReply, ProfileTable } from '../../shared/schemas.ts';
import { collect } from '../command.ts';
import type { CommandContext } from '../command.ts';
import { environmentAdvice } from '../environment-advice.ts';
import { profileFacts } from '../profile-facts.ts';
import { parseScopeFlags } from '../scope-flags.ts';
import { ValetkeyError } from '../valetkey-error.ts';

export type AddOptions = {
  readonly preset?: string;
  readonly issuer?: string;
  readonly clientId: string;
  readonly tenant?: string;
  readonly scope?: readonly string[];
  readonly resource?: string;
  readonly flow?: string;
  readonly browser?: readonly string[];
  readonly caFile?: string;
  readonly proxy?: string;
  readonly redirectPort?: readonly string[];
  readonly allowLoopbackHttp?: true;
  readonly clientSecretStdin?: true;
  readonly dryRun?: true;
};

const SECRET_MAX = 4096;

export function declareAddFlags(command: Command): Command {
  return command
    .option('--preset <PRESET>', 'a known issuer: google, entra, github, gitlab, okta, auth0, keycloak, atlassian, …')
    .option('--issuer <URL>', 'issuer identifier, to the letter')
    .requiredOption('--client-id <ID>', 'client identifier that the issuer gave')
    .option('--tenant <TENANT>', 'tenant, organisation or realm, where the preset has one')
    .option('--scope <SCOPE>', 'default scope; may be repeated', collect)
    .option('--resource <URI>', 'the API that the tokens are for (RFC 8707)')
    .option('--flow <FLOW>', 'auto, pkce or device (default: auto)')
    .option('--browser <WORD>', 'browser command, one word a flag; {url} stands for the link', collect)
    .option('--ca-file <FILE>', 'further certificates to trust for this issuer (PEM)')
    .option('--proxy <URL>', 'HTTP proxy to this issuer')
    .option('--redirect-port <PORT>', 'loopback port for issuers that compare it; may be repeated', collect)
    .option('--allow-loopback-http', 'accept http:// for an issuer on 127.0.0.1 or [::1]')
    .option('--client-secret-stdin', 'read the client secret from standard input and seal it in the vault')
    .option('--dry-run', 'check and show, but write nothing');
}

function parsePort(text: string): number {
  if (!/^\d{1,5}$/.test(text)) throw ValetkeyError.local('bad_request', '--redirect-port takes a port number');
  return Number(text);
}

function parseFlow(text: string): 'auto' | 'pkce' | 'device' {
  if (text === 'auto' || text === 'pkce' || text === 'device') return text;
  throw ValetkeyError.local('bad_request', '--flow takes auto, pkce or device');
}

function profileTable(options: AddOptions): ProfileTable {
  const { preset, issuer, tenant, scope, resource, flow, browser, caFile, proxy, redirectPort, allowLoopbackHttp } = options;
  if (preset === undefined && issuer === undefined) throw ValetkeyError.local('bad_request', 'give --preset or --issuer');
  return {
    client_id: options.clientId,
    ...(preset === undefined ? {} : { preset }),
    ...(issuer === undefined ? {} : { issuer }),
    ...(tenant === undefined ? {} : { tenant }),
    ...(scope === undefined ? {} : { scopes: [...parseScopeFlags(scope)] }),
    ...(resource === undefined ? {} : { resource }),
    ...(flow === undefined ? {} : { flow: parseFlow(flow) }),
    ...(browser === undefined ? {} : { browser: [...browser] }),
    ...(caFile === undefined ? {} : { ca_file: caFile }),
    ...(proxy === undefined ? {} : { proxy }),
    ...(redirectPort === undefined ? {} : { redirect_ports: redirectPort.map(parsePort) }),
    ...(allowLoopbackHttp === undefined ? {} : { allow_loopback_http: true }),
  };
}

async function readSecret(context: CommandContext): Promise<string> {
  const secret = (await context.readStdin(SECRET_MAX)).replace(/\r?\n$/, '');
  if (secret === '') throw ValetkeyError.local('bad_request', 'standard input holds no client secret');
  return secret;
}

function adviseOnEnvironment({ terminal, env }: CommandContext, options: AddOptions): void {
  for (const { variable, line, flag } of environmentAdvice(env)) {
    const given = flag === '--proxy' ? options.proxy : options.caFile;
    if (given === undefined) terminal.warn(`${variable} is set here, and the daemon ignores it. To accept it for this profile, give ${flag}, or write: ${line}`);
  }
}

function show({ terminal }: CommandContext, reply: ProfileAddReply): void {
  terminal.facts([
    ...profileFacts(reply.profile),
    ...Object.entries(reply.server).map(([name, value]) => [name, value ?? '(none)'] as const),
  ]);
  terminal.line('');
  terminal.line('Register at the issuer, to the letter ({port} stands for any port):');
  for (const uri of reply.profile.redirect_uris) terminal.line(`  ${uri}`);
  for (const warning of reply.warnings) terminal.warn(warning);
  terminal.note(reply.written === null ? 'Nothing was written.' : `Written to ${reply.written}. Next: valetkey login ${reply.profile.name}`);
}

export async function addProfile(context: CommandContext, name: string, options: AddOptions): Promise<void> {
  const { terminal, signal } = context;
  const profile = profileTable(options);
  adviseOnEnvironment(context, options);
  const reply = await context.daemon.api.addProfile({
    name,
    profile,
    ...(options.clientSecretStdin === undefined ? {} : { client_secret: await readSecret(context) }),
    ...(options.dryRun === undefined ? {} : { dry_run: true }),
  }, signal);
  if (terminal.json) terminal.document(reply);
  else show(context, reply);
}
