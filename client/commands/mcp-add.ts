/** From the URL of an MCP server to a profile: who its issuer is, which scopes it wants, and as which client to come. */
import type { ProfileTable } from '../../shared/profile-schemas.ts';
import type { ResourceReply, ResourceRequest } from '../../shared/resource-schemas.ts';
import { collect, examples } from '../command.ts';
import type { CommandContext, Declare } from '../command.ts';
import { parseResource, parseScopeFlags } from '../parse-flags.ts';
import { checkProfileName } from '../profile-choice.ts';
import { ValetkeyError } from '../valetkey-error.ts';

type Options = {
  readonly name?: string;
  readonly issuer?: string;
  readonly clientId?: string;
  readonly clientIdMetadata?: string;
  readonly register?: true;
  readonly resource?: string;
  readonly scope?: readonly string[];
  readonly browser?: readonly string[];
  readonly caFile?: string;
  readonly proxy?: string;
  readonly redirectPath?: string;
  readonly allowLoopbackHttp?: true;
  readonly dryRun?: true;
};

const HOW = { request: 'as asked for', challenge: 'the server asks for them', metadata: 'the server lists them', nobody: 'the server names none' } as const;
/** Until it is registered. */
const UNREGISTERED = 'unregistered';

function requestOf(url: string, name: string, options: Options): ResourceRequest {
  return {
    name, url,
    ...(options.resource === undefined ? {} : { resource: parseResource(options.resource) }),
    ...(options.issuer === undefined ? {} : { issuer: options.issuer }),
    ...(options.scope === undefined ? {} : { scopes: [...parseScopeFlags(options.scope)] }),
    ...(options.caFile === undefined ? {} : { ca_file: options.caFile }),
    ...(options.proxy === undefined ? {} : { proxy: options.proxy }),
    ...(options.allowLoopbackHttp === undefined ? {} : { allow_loopback_http: true }),
  };
}

/** The order of MCP: registered beforehand, a document, registered now; the person says which. */
function waysOf({ takes }: ResourceReply): string {
  return ['--client-id ID of one that is registered there', ...(takes.includes('metadata_document') ? ['--client-id-metadata URL of its document'] : []), ...(takes.includes('registration') ? ['--register'] : [])].join(', or ');
}

async function clientOf({ daemon: { api }, signal }: CommandContext, request: ResourceRequest, found: ResourceReply, options: Options): Promise<{ readonly id: string; readonly path: string | null; readonly how: string }> {
  const { clientId, clientIdMetadata: document, register, dryRun } = options;
  if (clientId !== undefined) return { id: clientId, path: null, how: 'registered beforehand' };
  if (document !== undefined) return { id: document, path: (await api.findResource({ ...request, client_id_metadata: document }, signal)).redirect_path, how: 'its document was read' };
  if (register === undefined && dryRun === true) return { id: UNREGISTERED, path: null, how: `none is named: ${waysOf(found)}` };
  if (register === undefined) throw ValetkeyError.local('bad_request', `no client is named for ${found.issuer ?? 'the issuer'}`, { hint: `Run the command again with ${waysOf(found)}` });
  if (!found.takes.includes('registration')) throw ValetkeyError.local('registration_refused', `${found.issuer ?? 'the issuer'} registers no clients by itself`);
  if (dryRun === true) return { id: UNREGISTERED, path: null, how: 'would be registered' };
  const { client_id: id, redirect_path: path } = await api.findResource({ ...request, register: true }, signal);
  if (id === null) throw ValetkeyError.local('protocol_mismatch', 'the daemon names no client');
  return { id, path, how: 'registered just now' };
}

async function add(context: CommandContext, url: string, options: Options): Promise<void> {
  const { daemon: { api }, terminal, signal } = context;
  if ([options.clientId, options.clientIdMetadata, options.register].filter((each) => each !== undefined).length > 1) {
    throw ValetkeyError.local('bad_request', '--client-id, --client-id-metadata and --register contradict each other', { hint: 'Keep one of them' });
  }
  if (!URL.canParse(url)) throw ValetkeyError.local('bad_request', 'the address of an MCP server is an https:// URL');
  const name = options.name ?? new URL(url).hostname.replaceAll(/[^a-z0-9._-]/g, '');
  checkProfileName(name, '--name');
  const asked = requestOf(url, name, options);
  const found = await api.findResource(asked, signal);
  if (found.issuer === null) {
    throw ValetkeyError.local('bad_request', `the server names several issuers: ${found.authorization_servers.join(' and ')}`, { hint: `Choose one: valetkey mcp add ${url} --issuer ISSUER` });
  }
  const request = { ...asked, issuer: found.issuer };
  const client = await clientOf(context, request, found, options);
  const redirectPath = options.redirectPath ?? client.path;
  const profile: ProfileTable = {
    issuer: found.issuer, client_id: client.id, resource: found.resource, scopes: found.scopes, public_hosts_only: found.public_hosts_only,
    ...(redirectPath === null ? {} : { redirect_path: redirectPath }),
    ...(options.browser === undefined ? {} : { browser: [...options.browser] }),
    ...(options.caFile === undefined ? {} : { ca_file: options.caFile }),
    ...(options.proxy === undefined ? {} : { proxy: options.proxy }),
    ...(options.allowLoopbackHttp === undefined ? {} : { allow_loopback_http: true }),
  };
  const reply = await api.addProfile({ name, profile, ...(options.dryRun === undefined ? {} : { dry_run: true }) }, signal);
  if (terminal.json) return terminal.document({ ...reply, found });
  terminal.facts([
    ['Profile', name], ['Server', found.resource], ['Said by', found.metadata], ['Issuer', found.issuer], ['Client', client.id === UNREGISTERED ? client.how : `${client.id} (${client.how})`],
    ['Scopes', `${found.scopes.join(' ') || '(none)'} (${HOW[found.scopes_from]})`],
    ['Redirect', reply.profile.redirect_uris.join(' ')],
  ]);
  for (const warning of reply.warnings) terminal.warn(warning);
  if (reply.written === null) return terminal.note('This was a dry run. Nothing was written, and no client registered.');
  terminal.note(`Written to ${reply.written}. Next: valetkey login ${name}`);
  return terminal.note(`The host then starts: valetkey mcp connect ${url}`);
}

export const declare: Declare = (command, context) => {
  command
    .description('Find out who signs people in to an MCP server, and write a profile for it')
    .argument('<URL>', 'of the server')
    .option('--name <PROFILE>', 'of the profile (default: the name of the host)')
    .option('--issuer <ISSUER>', 'the one to sign in at, where the server names several')
    .option('--client-id <ID>', 'of a client that is registered at the issuer')
    .option('--client-id-metadata <URL>', 'of a document that describes the client, and is its id')
    .option('--register', 'register a client there (RFC 7591)')
    .option('--resource <URI>', 'what the server calls itself, where that is more than the URL')
    .option('--scope <SCOPE>', 'in the place of those that the server names; may be repeated', collect)
    .option('--browser <WORD>', 'browser command, one word a flag; {url} stands for the link', collect)
    .option('--ca-file <FILE>', 'further certificates to trust (PEM)')
    .option('--proxy <URL>', 'HTTP proxy, without user and password')
    .option('--redirect-path <PATH>', 'path of the redirect URI of a client that is registered with another one')
    .option('--allow-loopback-http', 'accept http:// on 127.0.0.1 and [::1]')
    .option('--dry-run', 'look and show, but write and register nothing')
    .addHelpText('after', examples('valetkey mcp add https://mcp.example.com/mcp --dry-run', 'valetkey mcp add https://mcp.example.com/mcp --client-id 4711', 'valetkey mcp add https://mcp.example.com/mcp --register'))
    .action(async (url: string, options: Options) => add(context, url, options));
};
