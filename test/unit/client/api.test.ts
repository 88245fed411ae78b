import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { toJsonSchema } from '@valibot/to-json-schema';
import { expect, it } from 'vitest';
import { openApi } from '../../../client/api.ts';
import { METHODS } from '../../../shared/methods.ts';

it('calls each method of the protocol by its verb and path', async () => {
  const called: string[] = [];
  const api = openApi({ call: async (verb, path) => { called.push(`${verb} ${path.replace(/\?.*$/, '')}`); return { access_token: 't' }; } });
  await Promise.all([
    api.token({}), api.startLogin({}), api.explainLogin({}), api.login('{id}', 1), api.cancelLogin('{id}'), api.confirmLogin('{id}', true), api.profiles(),
    api.addProfile({ name: 'a', profile: { client_id: 'c' } }), api.findResource({ name: 'a', url: 'https://a.example' }), api.removeProfile('{profile}'), api.grants(), api.logout('{profile}'),
    api.approvals(), api.askApproval({ profile: 'a' }), api.answerApproval('{id}', { allow: false }), api.revokeApproval('{id}'), api.revokeApprovals(), api.grantApproval({ executable: '/x', profile: 'a' }), api.setApprovalPin({ pin: null }), api.lock(), api.checkPolicy({}), api.explainPolicy({ profile: 'a' }),
    api.unlock({}), api.status(), api.prompt(null), api.diagnosis(), api.whoami(), api.reload(), api.shutdown(), api.upgrade(), api.purge(), api.audit(), api.trace('t'), api.panic(), api.endSession('{profile}', {}),
    api.workloadToken({ profile: 'a' }), api.workloads(), api.changeWorkloadKeys('{profile}', { step: 'init' }), api.removeWorkload('{profile}'),
  ]);
  const expected = Object.entries(METHODS).filter(([name]) => name !== 'events' && name !== 'metrics' && name !== 'openapi' && name !== 'fetch').map(([, { verb, path }]) => `${verb} ${path}`);
  expect(called.map((line) => decodeURIComponent(line)).sort()).toEqual(expected.sort());
});

/** Specifiers of all imports that exist at run time, static and dynamic, from a file on. */
function importsFrom(file: string, seen = new Map<string, readonly string[]>()): Map<string, readonly string[]> {
  if (seen.has(file)) return seen;
  const text = readFileSync(file, 'utf8').replace(/^(?:import|export) type [^;]*;$/gm, '').replace(/^ ?\*.*$/gm, '');
  const found = [...text.matchAll(/(?:from |import\()'([^']+)'/g)].map(([, specifier = '']) => specifier);
  seen.set(file, found);
  for (const specifier of found) if (specifier.startsWith('.')) importsFrom(resolve(dirname(file), specifier), seen);
  return seen;
}

it('the library loads node: and its own files only, and neither methods nor schemas', () => {
  const graph = importsFrom(resolve(import.meta.dirname, '../../../client/index.ts'));
  const foreign = [...graph.values()].flat().filter((specifier) => !specifier.startsWith('.') && !specifier.startsWith('node:'));
  expect(foreign).toEqual([]);
  expect([...graph.keys()].filter((file) => /shared\/(?:methods|schemas)\.ts$|client\/(?:cli\.ts|commands)/.test(file))).toEqual([]);
  expect(graph.size).toBeGreaterThan(8);
  // The same look does find a package where there is one.
  expect([...importsFrom(resolve(import.meta.dirname, '../../../client/cli.ts')).values()].flat()).toContain('commander');
});

function propertyPaths(schema: unknown, at = ''): readonly string[] {
  if (typeof schema !== 'object' || schema === null) return [];
  const properties = 'properties' in schema && typeof schema.properties === 'object' && schema.properties !== null ? schema.properties : {};
  return Object.entries(properties).flatMap(([name, value]) => [`${at}${name}`, ...propertyPaths(value, `${at}${name}.`)]);
}

it('[AZ-11] no method of the protocol takes an authorization code or a redirect URL', () => {
  const taken = Object.values(METHODS).flatMap(({ path, request }) => (request === null ? [] : propertyPaths(toJsonSchema(request, { errorMode: 'ignore' })).map((name) => `${path} ${name}`)));
  expect(taken).toContain('/v1/token profile');
  // The URL of a fetch is an API's, of an origin that the profile names, and that of a resource a server's that is to have a profile. The code of `consent` is the one that the daemon shows at the terminal before a device login.
  expect(taken.filter((name) => /code|redirect_uri$|callback|url$/i.test(name))).toEqual(['/v1/fetch url', '/v1/logins consent.code', '/v1/resources url']);
});
