/** The issuers as the daemon reached them, and the sign-in that would be chosen from here. */
import type { IssuerTrial } from '../../shared/diagnosis-schemas.ts';
import { ERRORS, isErrorCode } from '../../shared/errors.ts';
import type { LoginExplanation } from '../../shared/explain-schemas.ts';
import type { StandingView } from '../../shared/standing-schemas.ts';
import type { Advice } from '../environment-advice.ts';
import { outcomeWords } from '../explain-words.ts';
import { edit, failure, ok, warning, word } from './finding.ts';
import type { Finding, FindingId } from './finding.ts';

const WHY_UNREACHABLE = 'Nobody can sign in there, and no token is refreshed; those that live are handed out';

/** What became of a connection, by the daemon's word for it. */
const BY_CAUSE: Readonly<Record<string, { readonly id: FindingId; readonly what: string }>> = {
  dns: { id: 'issuer_dns', what: 'its name is not found' },
  tls: { id: 'issuer_ca', what: 'its certificate is not trusted' },
  proxy: { id: 'issuer_proxy', what: 'the proxy does not pass on' },
  timeout: { id: 'issuer_timeout', what: 'it does not answer in time' },
  refused: { id: 'issuer_unreachable', what: 'the connection is refused' },
  unreachable: { id: 'issuer_unreachable', what: 'there is no way to it' },
  reset: { id: 'issuer_unreachable', what: 'the connection breaks' },
};

export type EnvironmentAdvice = readonly Advice[];

export function checkIssuer(trial: IssuerTrial, advice: EnvironmentAdvice, configFile: string): Finding {
  const { issuer, profiles, proxy, state, cause, detail, took_ms: tookMs } = trial;
  const whose = `${issuer} (${profiles.join(', ')})`;
  if (state === 'well') return ok('issuer', `${whose} answers${proxy === null ? '' : ` through ${proxy}`}, in ${tookMs} ms`);
  if (state === 'refused') {
    const hint = cause !== null && isErrorCode(cause) ? ERRORS[cause].hint : null;
    return failure('issuer_metadata', `${whose}: ${detail ?? 'its metadata may not be used'}`, 'Nobody can sign in there', `curl -s ${word(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`)}`, hint);
  }
  const { id, what } = BY_CAUSE[cause ?? ''] ?? { id: 'issuer_unreachable', what: `it fails (${cause ?? 'unknown'})` };
  const told = `${whose}: ${what}${proxy === null ? '' : `, through the proxy ${proxy}`}`;
  const line = lineFor(trial, id, advice);
  return line === null
    ? failure(id, told, WHY_UNREACHABLE, commandFor(trial, id))
    : failure(id, told, WHY_UNREACHABLE, edit(configFile), `${line.variable} is set here, and the daemon ignores it. Write into [profiles.${profiles[0] ?? 'NAME'}]:\n${adviceLines(line)}`);
}

/** The line stands alone, to be pasted. */
function adviceLines({ line, caveat }: Pick<Advice, 'line' | 'caveat'>): string {
  return caveat === '' ? line : `${line}\n${caveat.trim()}`;
}

/** What this shell would have done otherwise, where that may be why. */
function lineFor({ proxy, ca_file: caFile }: IssuerTrial, id: FindingId, advice: EnvironmentAdvice): Advice | null {
  const of = (flag: Advice['flag']): Advice | null => advice.find((each) => each.flag === flag) ?? null;
  if (id === 'issuer_ca') return caFile === null ? of('--ca-file') : null;
  return proxy === null ? of('--proxy') : null;
}

/** Shows more of what is wrong, by programs that everybody has. */
function commandFor({ issuer, proxy, ca_file: caFile }: IssuerTrial, id: FindingId): string {
  const { hostname, port, protocol } = new URL(issuer);
  const at = proxy === null ? hostname : new URL(proxy).hostname;
  if (id === 'issuer_dns') return `getent hosts ${word(at)}`;
  if (id === 'issuer_ca') return `openssl s_client -connect ${word(`${hostname}:${port === '' ? 443 : port}`)} -servername ${word(hostname)} ${caFile === null ? '' : `-CAfile ${word(caFile)} `}-showcerts </dev/null`;
  const through = proxy === null ? '--noproxy \'*\'' : `--proxy ${word(proxy)}`;
  return `curl -sv --max-time 10 ${through} ${word(protocol === 'https:' || proxy === null ? issuer : `https://${hostname}`)}`;
}

/** NO_PROXY as curl reads it: names and their subdomains, and * for all. */
function goesDirect(issuer: string, noProxy: string): boolean {
  const { hostname } = new URL(issuer);
  const isHere = ['localhost', '127.0.0.1', '[::1]'].includes(hostname);
  return isHere || noProxy.split(/[\s,]+/).some((each) => each === '*' || (each !== '' && (hostname === each.replace(/^\./, '') || hostname.endsWith(`.${each.replace(/^\./, '')}`))));
}

/** Variables that the daemon ignores: harmless where every issuer is reached without them, and then the line is there to take over all the same. */
export function checkEnvironment(advice: EnvironmentAdvice, issuers: readonly IssuerTrial[] | null, noProxy: string): readonly Finding[] {
  return advice.map(({ variable, line, flag, caveat }) => {
    const id = flag === '--proxy' ? 'environment_proxy' : 'environment_ca';
    const without = (issuers ?? []).filter(({ proxy, ca_file: ca, issuer }) => (flag === '--proxy' ? proxy === null && !goesDirect(issuer, noProxy) : ca === null && issuer.startsWith('https:')));
    const names = without.flatMap(({ profiles }) => profiles);
    const who = names.length === 0 ? '' : `; ${names.join(', ')} ${names.length === 1 ? 'goes' : 'go'} without it`;
    return ok(id, `${variable} is set here, and the daemon ignores it${who}`, `To accept it, write into the profile:\n${adviceLines({ line, caveat })}`);
  });
}

/** Where somebody is signed in already, or nothing is decided at all, a sign-in that would be refused here is nothing to act on. */
export function checkFlow(told: LoginExplanation, standing: StandingView | null, isDecided: boolean): Finding {
  const { profile, rule, reason, outcome, hint } = told;
  const how = `${profile}: ${outcomeWords(told)}, by rule ${rule} (${reason})`;
  return (outcome === 'refuse' || outcome === 'forward_broker') && isDecided && standing?.state === 'login_required'
    ? warning('flow', how, 'Nobody can sign in from this terminal or program', `valetkey login ${profile} --explain`, hint)
    : ok('flow', how);
}
