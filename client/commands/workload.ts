/** Verbs for workloads. Of a key only the public half is ever printed: the private one never leaves the daemon. */
import type { KeyAlg, WorkloadKeysReply, WorkloadRemoveReply, WorkloadKeysRequest, WorkloadView } from '../../shared/workload-schemas.ts';
import { choice, collect, examples } from '../command.ts';
import type { CommandContext, Declare } from '../command.ts';
import { ago, count, remaining } from '../time-words.ts';
import { ValetkeyError } from '../valetkey-error.ts';
import { declareTokenFlags, workloadToken } from './workload-token.ts';
import type { TokenOptions } from './workload-token.ts';

const jwksOf = ({ keys }: WorkloadView): object => ({ keys: keys.map(({ jwk }) => jwk) });

async function step(context: CommandContext, profile: string, request: WorkloadKeysRequest, next: (workload: WorkloadView) => string): Promise<void> {
  const { terminal, daemon, signal } = context;
  const reply: WorkloadKeysReply = await daemon.api.changeWorkloadKeys(profile, request, signal);
  if (terminal.json) return terminal.document({ ...reply, jwks: jwksOf(reply.workload) });
  terminal.document(jwksOf(reply.workload));
  terminal.note(next(reply.workload));
  if (!reply.lasting) terminal.warn('The vault is in memory: this key ends with the daemon. For one that lasts: valetkey unlock --create');
}

async function rotate(context: CommandContext, profile: string, { activate = false, retire = false, alg }: { readonly activate?: boolean; readonly retire?: boolean; readonly alg?: KeyAlg }): Promise<void> {
  if (activate && retire) throw ValetkeyError.local('bad_request', 'give one of --activate and --retire, each after the step before it');
  if (activate) return step(context, profile, { step: 'activate' }, () => `The new key signs from now on. What the old one signed is over in a minute; then run: valetkey workload rotate ${profile} --retire`);
  if (retire) return step(context, profile, { step: 'retire' }, ({ issuer }) => `The old key is gone. Take it out at ${issuer} as well: these are all that are left`);
  return step(context, profile, { step: 'rotate', ...(alg === undefined ? {} : { alg }) }, ({ issuer, client_id }) =>
    `Register both for client ${client_id} at ${issuer}; the old one signs until then. Next: valetkey workload rotate ${profile} --activate`);
}

async function find({ daemon, signal }: CommandContext, profile: string): Promise<WorkloadView> {
  const { workloads } = await daemon.api.workloads(signal);
  const found = workloads.find((each) => each.profile === profile);
  if (found !== undefined) return found;
  const names = workloads.map((each) => each.profile);
  throw ValetkeyError.local('unknown_profile', `there is no workload ${profile}${names.length === 0 ? ', nor any other' : `; there are: ${names.join(', ')}`}`, {
    hint: `Write [workloads.${/^[a-z0-9_-]+$/.test(profile) ? profile : 'NAME'}] into the configuration, then run: valetkey daemon reload`,
  });
}

async function show(context: CommandContext, profile: string, { jwks = false }: { readonly jwks?: boolean }): Promise<void> {
  const { terminal, now } = context;
  const workload = await find(context, profile);
  if (jwks) return terminal.document(jwksOf(workload));
  if (terminal.json) return terminal.document(workload);
  const { issuer, client_id, scopes, resource, auth, assertion, owner, purpose, expires_at, last_used_at, tier, keys, flags } = workload;
  terminal.facts([
    ['Workload', profile], ['Issuer', issuer], ['Client', client_id], ['Scopes', scopes.join(' ') || '(the issuer\'s choice)'], ['Resource', resource ?? '(none)'], ['Tier', tier],
    ['Proves itself by', auth === 'federated' ? `an assertion from ${assertion ?? '?'}` : 'a key of its own (private_key_jwt)'],
    ['Owner', owner ?? '(nobody)'], ['Purpose', purpose ?? '(none)'],
    ['Expires', expires_at === null ? 'never' : remaining(expires_at, now())], ['Last used', last_used_at === null ? 'never' : ago(last_used_at, now())],
    ...keys.map(({ kid, alg, state, made_at }) => ['Key', `${kid}, ${alg}, ${state}, made ${ago(made_at, now())}`] as const),
    ...flags.map((flag) => ['Look at', flag] as const),
  ]);
}

async function list({ terminal, daemon, signal, now }: CommandContext): Promise<void> {
  const { workloads } = await daemon.api.workloads(signal);
  if (terminal.json) return terminal.document({ workloads });
  if (terminal.quiet) return workloads.forEach(({ profile }) => terminal.line(profile));
  if (workloads.length === 0) return terminal.note('There is no workload yet. Write one into the configuration: [workloads.NAME]; see docs/workloads.md');
  terminal.table(['WORKLOAD', 'ISSUER', 'PROOF', 'OWNER', 'EXPIRES', 'LAST USED', 'LOOK AT'], workloads.map(({ profile, issuer, auth, owner, expires_at, last_used_at, flags }) => [
    profile, issuer, auth, owner ?? '-', expires_at === null ? 'never' : remaining(expires_at, now()), last_used_at === null ? 'never' : ago(last_used_at, now()), flags.join('; ') || '-',
  ]));
}

function showLiving({ terminal, now }: CommandContext, revoked: WorkloadRemoveReply['revoked'] = []): void {
  for (const { outcome, until } of revoked.filter((each) => each.outcome !== 'revoked')) {
    terminal.warn(`A token of it ${outcome === 'unsupported' ? 'cannot be revoked at this issuer' : 'could not be revoked'}; it lives ${remaining(until, now())}`);
  }
}

async function remove(context: CommandContext, profile: string, { keepProfile = false }: { readonly keepProfile?: boolean }): Promise<void> {
  const { terminal, daemon, signal } = context;
  if (keepProfile) {
    const reply = await daemon.api.changeWorkloadKeys(profile, { step: 'forget' }, signal);
    if (terminal.json) return terminal.document(reply);
    showLiving(context, reply.revoked);
    return terminal.note(`The keys of ${profile} are gone. Take them out at ${reply.workload.issuer} as well.`);
  }
  const reply = await daemon.api.removeWorkload(profile, signal);
  if (terminal.json) return terminal.document(reply);
  showLiving(context, reply.revoked);
  const revoked = reply.revoked.filter(({ outcome }) => outcome === 'revoked').length;
  terminal.note(`Workload ${profile} was removed${revoked === 0 ? '' : `, and ${count(revoked, 'token')} of it revoked`}. Take its client out at the issuer as well.`);
}

export const declare: Declare = (command, context) => {
  const alg = () => choice('--alg <ALG>', 'how the key signs (default: ES256)', ['ES256', 'PS256', 'RS256'] satisfies readonly KeyAlg[]);
  command.addHelpText('after', examples('valetkey workload init backup', 'valetkey workload token backup', 'valetkey workload list'));
  command.command('init <PROFILE>').description('Make the key of a workload, and print its public half to be registered at the issuer').addOption(alg())
    .addHelpText('after', examples('valetkey workload init backup > jwks.json', 'valetkey workload init backup --alg PS256'))
    .action(async (profile: string, options: { readonly alg?: KeyAlg }) => step(context, profile, { step: 'init', ...options }, ({ issuer, client_id }) =>
      `Register this key for client ${client_id} at ${issuer} (private_key_jwt, client_credentials), then run: valetkey workload token ${profile}`));
  command.command('rotate <PROFILE>').description('Replace its key with overlap: make a new one, then --activate it, then --retire the old one').addOption(alg())
    .option('--activate', 'the new key signs from now on')
    .option('--retire', 'the old key is forgotten')
    .addHelpText('after', examples('valetkey workload rotate backup > jwks.json', 'valetkey workload rotate backup --activate', 'valetkey workload rotate backup --retire'))
    .action(async (profile: string, options: { readonly activate?: boolean; readonly retire?: boolean; readonly alg?: KeyAlg }) => rotate(context, profile, options));
  command.command('show <PROFILE>').description('Show one workload: owner, purpose, expiry, last use, keys')
    .option('--jwks', 'its public keys only, as a JWK set')
    .addHelpText('after', examples('valetkey workload show backup', 'valetkey workload show backup --jwks'))
    .action(async (profile: string, options: { readonly jwks?: boolean }) => show(context, profile, options));
  command.command('list').description('List the workloads, and what to look at')
    .addHelpText('after', examples('valetkey workload list', 'valetkey workload list --json'))
    .action(async () => list(context));
  declareTokenFlags(command.command('token <PROFILE>').description('Print an access token of a workload'), collect)
    .addHelpText('after', examples('curl -H "$(valetkey workload token backup --format header)" https://api.example.com/', 'valetkey workload token backup --scope read --min-ttl 300'))
    .action(async (profile: string, options: TokenOptions) => workloadToken(context, profile, options));
  command.command('remove <PROFILE>').description('Revoke its tokens, forget its keys, and take it out of the configuration')
    .option('--keep-profile', 'revoke its tokens and forget its keys only')
    .addHelpText('after', examples('valetkey workload remove backup'))
    .action(async (profile: string, options: { readonly keepProfile?: boolean }) => remove(context, profile, options));
};
