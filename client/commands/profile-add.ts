import type { ProfileAddReply, ProfileAddRequest } from '../../shared/profile-schemas.ts';
import type { CommandContext } from '../command.ts';
import { environmentAdvice } from '../environment-advice.ts';
import { checkProfileName } from '../profile-choice.ts';
import { profileFacts } from '../profile-facts.ts';
import { ValetkeyError } from '../valetkey-error.ts';
import { profileTable } from './profile-add-flags.ts';
import type { AddOptions } from './profile-add-flags.ts';
import { inFlags } from './profile-add-hint.ts';

const SECRET_MAX = 4096;

async function readSecret(context: CommandContext): Promise<string> {
  const secret = (await context.readStdin(SECRET_MAX)).replace(/\r?\n$/, '');
  if (secret === '') throw ValetkeyError.local('bad_request', 'standard input holds no client secret');
  return secret;
}

function adviseOnEnvironment({ terminal, env }: CommandContext, options: AddOptions): void {
  for (const { variable, line, flag, caveat } of environmentAdvice(env)) {
    const given = flag === '--proxy' ? options.proxy : options.caFile;
    if (given === undefined) terminal.warn(`${variable} is set here, and the daemon ignores it. To accept it for this profile, give ${flag}, or write: ${line}.${caveat}`);
  }
}

function show({ terminal }: CommandContext, reply: ProfileAddReply): void {
  terminal.facts([
    ...profileFacts(reply.profile, reply.profile.signed_in),
    ...Object.entries(reply.server).map(([name, value]) => [name, value ?? '(none)'] as const),
  ]);
  terminal.line('');
  terminal.line('Register at the issuer, to the letter ({port} stands for any port):');
  for (const uri of reply.profile.redirect_uris) terminal.line(`  ${uri}`);
  for (const warning of reply.warnings) terminal.warn(warning);
  terminal.note(reply.written === null
    ? 'This was a dry run. Nothing was written. To add the profile, run it again without --dry-run.'
    : `Written to ${reply.written}. Next: valetkey login ${reply.profile.name}`);
}

/**
 * A secret needs a way to be sent. Presets know it for issuers that demand one; for the others it is HTTP
 * Basic, which every server must support (RFC 6749, section 2.3.1).
 */
async function withClientAuth({ daemon, signal }: CommandContext, request: ProfileAddRequest): Promise<ProfileAddRequest> {
  if (request.client_secret === undefined || request.profile.client_auth !== undefined) return request;
  const planned = await daemon.api.addProfile({ ...request, dry_run: true }, signal);
  return planned.profile.confidential ? request : { ...request, profile: { ...request.profile, client_auth: 'client_secret_basic' } };
}

export async function addProfile(context: CommandContext, name: string, options: AddOptions): Promise<void> {
  const { terminal, signal } = context;
  checkProfileName(name, 'NAME');
  const profile = profileTable(options);
  adviseOnEnvironment(context, options);
  const request: ProfileAddRequest = {
    name,
    profile,
    ...(options.clientSecretStdin === undefined ? {} : { client_secret: await readSecret(context) }),
    ...(options.dryRun === undefined ? {} : { dry_run: true }),
  };
  try {
    const reply = await context.daemon.api.addProfile(await withClientAuth(context, request), signal);
    if (terminal.json) terminal.document(reply);
    else show(context, reply);
  } catch (error) {
    throw inFlags(error);
  }
}
