/** As much of AWS STS as a role by web identity needs: keys against a token that is good, and who has keys that it gave. */
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { listening } from './listening.ts';

export type StsServer = {
  readonly url: string;
  /** What was asked for, in order. */
  readonly seen: readonly URLSearchParams[];
  close(): Promise<void>;
};

const ROLE = 'arn:aws:iam::123456789012:role/developer';
const XMLNS = 'xmlns="https://sts.amazonaws.com/doc/2011-06-15/"';
const failure = (code: string, message: string): string => `<ErrorResponse ${XMLNS}><Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error><RequestId>1</RequestId></ErrorResponse>`;

/** @param editAnswer - changes the keys before they go */
export async function startSts(isGood: (token: string) => Promise<boolean>, editAnswer: (xml: string) => string = (xml) => xml): Promise<StsServer> {
  const seen: URLSearchParams[] = [];
  const given = new Map<string, { readonly session: string; readonly name: string }>();

  async function assume(asked: URLSearchParams): Promise<readonly [number, string]> {
    if (asked.get('RoleArn') !== ROLE) return [403, failure('AccessDenied', 'Not authorized to perform sts:AssumeRoleWithWebIdentity')];
    if (!(await isGood(asked.get('WebIdentityToken') ?? ''))) return [400, failure('InvalidIdentityToken', `No such token &lt;${asked.get('WebIdentityToken') ?? ''}&gt;`)];
    const [id, session] = [`ASIA${randomBytes(8).toString('hex').toUpperCase()}`, randomBytes(24).toString('base64')];
    given.set(id, { session, name: asked.get('RoleSessionName') ?? '' });
    const expiration = new Date(Date.now() + 3_600_000).toISOString().replace(/\.\d+Z/, 'Z');
    return [200, editAnswer(`<AssumeRoleWithWebIdentityResponse ${XMLNS}><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>${id}</AccessKeyId><SecretAccessKey>secret-EXAMPLE</SecretAccessKey><SessionToken>${session}</SessionToken><Expiration>${expiration}</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`)];
  }
  function whoAsks(authorization: string, session: string): readonly [number, string] {
    const [, id = ''] = /Credential=(\w+)\//.exec(authorization) ?? [];
    const keys = given.get(id);
    if (keys === undefined || keys.session !== session) return [403, failure('InvalidClientTokenId', 'The security token included in the request is invalid.')];
    return [200, `<GetCallerIdentityResponse ${XMLNS}><GetCallerIdentityResult><Arn>arn:aws:sts::123456789012:assumed-role/developer/${keys.name}</Arn><UserId>AROA:${keys.name}</UserId><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`];
  }
  const server = createServer((request, response) => {
    text(request).then(async (body) => {
      const asked = new URLSearchParams(body);
      seen.push(asked);
      const isAssume = asked.get('Action') === 'AssumeRoleWithWebIdentity';
      const [status, xml] = isAssume ? await assume(asked) : whoAsks(request.headers.authorization ?? '', String(request.headers['x-amz-security-token'] ?? ''));
      response.writeHead(status, { 'content-type': 'text/xml' }).end(xml);
    }).catch((cause: unknown) => response.writeHead(500).end(String(cause)));
  });
  const { port, close } = await listening(server);
  return {
    url: `http://127.0.0.1:${port}`, seen,
    close,
  };
}
