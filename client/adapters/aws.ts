/**
 * credential_process of the AWS CLI and SDKs ("Sourcing credentials with an external process"), by
 * AssumeRoleWithWebIdentity of STS (API version 2011-06-15): the access token goes to STS alone, and what comes back has
 * an end. Nothing of it is kept here: the tool keeps it in memory until then.
 */
import { ValetkeyError } from '../valetkey-error.ts';

export type AwsKeys = { readonly accessKeyId: string; readonly secretAccessKey: string; readonly sessionToken: string; readonly expiration: string };

/** Partition, account and role: `arn:aws:iam::123456789012:role/path/name`. */
const ROLE_ARN = /^arn:aws[a-z-]*:iam::\d{12}:role\/[\w+=,.@/-]{1,512}$/;

/** @throws ValetkeyError bad_request for what is no role */
export function parseRole(text: string): string {
  if (!ROLE_ARN.test(text)) throw ValetkeyError.local('bad_request', `${JSON.stringify(text)} is no ARN of a role`, { hint: 'Name it: --role arn:aws:iam::123456789012:role/developer' });
  return text;
}

/** The body of the request; the session's name is what CloudTrail shows of who it was. */
export function assumeRole(role: string, profile: string, token: string): URLSearchParams {
  return new URLSearchParams({ Action: 'AssumeRoleWithWebIdentity', Version: '2011-06-15', RoleArn: role, RoleSessionName: `valetkey-${profile}`.slice(0, 64), WebIdentityToken: token });
}

/** The text of the first element of this name. STS writes no attributes, comments or CDATA into those that are read here. */
function element(xml: string, name: string): string | null {
  const [, text] = new RegExp(`<${name}>([^<>]{1,8192})</${name}>`).exec(xml) ?? [];
  return text === undefined ? null : text.trim().replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&quot;', '"').replaceAll('&#39;', '\'').replaceAll('&amp;', '&');
}

/** Null where the answer holds no keys, or keys without an end. */
export function readAwsKeys(xml: string): AwsKeys | null {
  const [accessKeyId, secretAccessKey] = [element(xml, 'AccessKeyId'), element(xml, 'SecretAccessKey')];
  const [sessionToken, expiration] = [element(xml, 'SessionToken'), element(xml, 'Expiration')];
  if (accessKeyId === null || secretAccessKey === null || sessionToken === null || expiration === null || Number.isNaN(Date.parse(expiration))) return null;
  return { accessKeyId, secretAccessKey, sessionToken, expiration };
}

/** Why STS refused, in its own words. */
export function readAwsError(xml: string): string | null {
  const [code, message] = [element(xml, 'Code'), element(xml, 'Message')];
  return code !== null && message !== null ? `${code}: ${message}` : code;
}

export function answerAws(keys: AwsKeys): string {
  return `${JSON.stringify({ Version: 1, AccessKeyId: keys.accessKeyId, SecretAccessKey: keys.secretAccessKey, SessionToken: keys.sessionToken, Expiration: keys.expiration })}\n`;
}
