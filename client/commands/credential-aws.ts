/** The AWS CLI and SDKs: a profile's token becomes keys of a role, at STS; the protocol itself is adapters/aws.ts. */
import { answerAws, assumeRole, parseRole, readAwsError, readAwsKeys } from '../adapters/aws.ts';
import type { CommandContext } from '../command.ts';
import { ValetkeyError } from '../valetkey-error.ts';
import { parseOrigin, tokenFor } from './credential-token.ts';

export type AwsOptions = { readonly profile: string; readonly role: string; readonly url?: string };

/** SDKs give a credential_process a minute. */
const STS_TIMEOUT_MS = 20_000;
const ANSWER_MAX = 65_536;

/** One request, and no redirect: a token goes where it was sent, or nowhere. */
async function askSts({ signal }: CommandContext, origin: string, body: URLSearchParams): Promise<{ readonly ok: boolean; readonly status: number; readonly text: string }> {
  try {
    const response = await fetch(`${origin}/`, { method: 'POST', body, redirect: 'error', headers: { accept: 'text/xml' }, signal: AbortSignal.any([signal, AbortSignal.timeout(STS_TIMEOUT_MS)]) });
    const parts: Buffer[] = [];
    let size = 0;
    for await (const part of response.body ?? []) {
      size += part.length;
      if (size > ANSWER_MAX) throw new Error(`the answer is longer than ${ANSWER_MAX} bytes`);
      parts.push(Buffer.from(part));
    }
    return { ok: response.ok, status: response.status, text: Buffer.concat(parts).toString('utf8') };
  } catch (cause) {
    if (signal.aborted) throw signal.reason;
    const { message, cause: deeper } = cause instanceof Error ? cause : new Error(String(cause));
    throw ValetkeyError.local('exchange_unreachable', `${origin}: ${deeper instanceof Error ? deeper.message : message}`, { cause });
  }
}

export async function run(context: CommandContext, { profile, role, url = 'https://sts.amazonaws.com' }: AwsOptions): Promise<void> {
  const [arn, origin] = [parseRole(role), parseOrigin(url)];
  const { access_token: token } = await tokenFor(context, profile);
  const { ok, status, text } = await askSts(context, origin, assumeRole(arn, profile, token));
  const keys = ok ? readAwsKeys(text) : null;
  if (keys === null) {
    const why = ok ? 'its answer holds no keys' : readAwsError(text) ?? `it answered with HTTP ${status}`;
    // What a program writes to standard error is logged by SDKs.
    throw ValetkeyError.local('exchange_refused', `${origin}: ${why.replaceAll(token, '[token]')}`, { hint: 'See docs/credentials.md: the token has to be a JWT whose issuer and audience the role trusts' });
  }
  context.terminal.raw(answerAws(keys));
}
