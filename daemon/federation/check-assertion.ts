/**
 * What can be told of an assertion without the keys of who made it: that it is a signed JWT, for the one audience
 * that it is sent to, by whom and about whom it has to be, and not over. Whether the signature holds is for the issuer
 * to say. No message quotes it.
 */
import { BrokerError } from '../core/errors.ts';
import { cleanText } from '../core/text.ts';
import type { Federated } from '../core/workload.ts';

/** Clocks differ; an assertion from a little in the future is none to refuse. */
const SKEW_S = 60;
/** One that ends on its way would only be refused later. */
const LEFT_S = 5;

const FROM_ITS_MAKER = 'Have whoever makes it make a signed one for this workload';
const ANEW = 'Have it made anew: what stands there is read each time';

type Part = Readonly<Record<string, unknown>>;

/** @param nowS - by this machine's clock. Throws assertion_invalid. */
export function checkAssertion(text: string, { audience, issuer, subject, subjectPrefix }: Federated, nowS: number): void {
  const refuse = (why: string, hint = FROM_ITS_MAKER): never => {
    throw new BrokerError('assertion_invalid', `the assertion ${why}`, { hint });
  };
  const [header, claims] = partsOf(text) ?? refuse('is not a signed JWT (RFC 7519)');
  const { alg } = header;
  if (typeof alg !== 'string' || /^none$/i.test(alg) || alg.startsWith('HS')) refuse('is not signed by a key of who made it');
  const { aud, exp, nbf, iss, sub } = claims;
  const named = Array.isArray(aud) ? aud : [aud];
  // RFC 7523, section 3, and RFC 10070: whoever else it is for could use it here, or has it from there.
  if (named.length !== 1 || named[0] !== audience) refuse(`is for ${shown(aud)}, and has to be for ${audience} alone`, 'Let whoever makes it name the issuer of the profile as its only audience');
  if (typeof exp !== 'number') refuse('does not say when it ends');
  else if (exp - LEFT_S <= nowS) refuse('is over', ANEW);
  if (nbf !== undefined && !(typeof nbf === 'number' && nbf <= nowS + SKEW_S)) refuse('does not hold yet', 'Set the clock of this machine, or of whoever makes it');
  if (issuer !== null && iss !== issuer) refuse(`is of ${shown(iss)}, and has to be of ${issuer}`, 'If that is who vouches, write it to assertion_issuer of the workload');
  if (typeof sub !== 'string' || sub === '') return refuse('names no subject');
  if (subject !== null && sub !== subject) refuse(`is about ${shown(sub)}, and has to be about ${subject}`, 'If that is the workload, write it to assertion_subject');
  if (subjectPrefix !== null && !sub.startsWith(subjectPrefix)) refuse(`is about ${shown(sub)}, which does not begin with ${subjectPrefix}`);
}

const shown = (value: unknown): string => (value === undefined ? 'nobody' : cleanText(Array.isArray(value) ? value.join(', ') : String(value), 120));

function partsOf(text: string): readonly [Part, Part] | null {
  const match = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+$/.exec(text);
  const [header, claims] = [match?.[1], match?.[2]].map((part) => (part === undefined ? null : objectIn(part)));
  return header === null || header === undefined || claims === null || claims === undefined ? null : [header, claims];
}

function objectIn(part: string): Part | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString());
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : null;
  } catch {
    return null; // no JSON: no JWT
  }
}
