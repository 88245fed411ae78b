import type { Command } from 'commander';
import type { WorkloadTokenRequest } from '../../shared/workload-schemas.ts';
import { choice } from '../command.ts';
import type { CommandContext } from '../command.ts';
import { FORMATS, formatToken } from '../format-token.ts';
import type { Format } from '../format-token.ts';
import { parseResource, parseScopeFlags, parseWhole } from '../parse-flags.ts';
import { tellingOfQuestion } from '../tell-of-question.ts';
import { ValetkeyError } from '../valetkey-error.ts';

export type TokenOptions = {
  readonly scope?: readonly string[];
  readonly resource?: string;
  readonly minTtl?: string;
  readonly force?: true;
  readonly format?: Format;
};

export function declareTokenFlags(command: Command, collect: (value: string, before?: readonly string[]) => readonly string[]): Command {
  return command
    .option('--scope <SCOPE>', 'the token must hold this scope; may be repeated (default: those of the profile)', collect)
    .option('--resource <URI>', 'the API that the token is for (RFC 8707)')
    .option('--min-ttl <SECONDS>', 'the token must live at least so long (default: 60)')
    .option('--force', 'ask the issuer although a good token is cached')
    .addOption(choice('--format <FORMAT>', 'raw (default), json, header or env', FORMATS));
}

/** The name is an argument always: nothing of the directory or the environment decides what a script speaks as. */
export async function workloadToken(context: CommandContext, profile: string, options: TokenOptions): Promise<void> {
  const { terminal, daemon, signal } = context;
  const { format = terminal.json ? 'json' : 'raw' } = options;
  if (terminal.json && format !== 'json') throw ValetkeyError.local('bad_request', `--json and --format ${format} contradict each other`);
  const request: WorkloadTokenRequest = {
    profile,
    ...(options.scope === undefined ? {} : { scopes: [...parseScopeFlags(options.scope)] }),
    ...(options.resource === undefined ? {} : { resource: parseResource(options.resource) }),
    ...(options.minTtl === undefined ? {} : { min_ttl_s: parseWhole('--min-ttl', options.minTtl, { unit: 'seconds', min: 0, max: 86_400 }) }),
    ...(options.force === undefined ? {} : { force: true }),
  };
  const reply = await tellingOfQuestion(context, profile, daemon.api.workloadToken(request, signal));
  if (reply.granted_beyond.length > 0) terminal.note(`The issuer granted more than was asked for: ${reply.granted_beyond.join(' ')}`);
  if (format === 'json') return terminal.document(reply);
  const text = formatToken(reply, format);
  if (text === null) throw ValetkeyError.local('issuer_response_invalid', 'the access token holds characters that no token may hold (RFC 6749, appendix A.12)');
  terminal.raw(text);
  if (terminal.stdoutIsTerminal) terminal.warn('A token is now on your screen and in its scrollback; in scripts use $(valetkey workload token …)');
}
