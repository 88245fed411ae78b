/**
 * A configuration for `curl --config -` (curl(1)): the URL stands beside its token, so that one is not given for another,
 * and curl may speak nothing but the protocol of that URL, redirects included. Nothing of it is on a command line.
 */
import type { PrintedFacts } from '../format-token.ts';

/** Within double quotes, `\` and `"` are the only characters of a token or URL that curl reads as more than themselves. */
const quote = (text: string): string => `"${text.replaceAll(/[\\"]/g, '\\$&')}"`;

export function answerCurl(url: URL, token: PrintedFacts): string {
  return [
    // Or curl would make many URLs of one that holds brackets.
    'globoff',
    `url = ${quote(url.href)}`,
    `proto = ${quote(`=${url.protocol.slice(0, -1)}`)}`,
    `oauth2-bearer = ${quote(token.access_token)}`, '',
  ].join('\n');
}
