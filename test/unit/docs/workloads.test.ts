import { describe, expect, it } from 'vitest';
import type { EpochMs } from '../../../shared/names.ts';
import { ASSERTION_KINDS } from '../../../daemon/config/assertion-kinds.ts';
import { parsePolicy } from '../../../daemon/config/policy/parse.ts';
import { readConfig } from '../../../daemon/config/read.ts';
import { blocksOf, codeOf, readDocument, rowsOf, sectionOf } from './markdown.ts';

const TEXT = readDocument('docs/workloads.md');
const TOML = blocksOf(TEXT).filter(({ language }) => language === 'toml').map(({ text }) => text);
const CONFIGS = TOML.filter((text) => text.startsWith('[workloads.'));
const none = Promise.resolve(null);

describe('docs/workloads.md', () => {
  it.each(CONFIGS)('has an example that is a configuration, and of which nothing is flagged: %s', async (text) => {
    const { workloads, warnings } = await readConfig({ file: '/c', now: 0 as EpochMs, uid: 1, home: '/home/ann', readFile: (path) => (path === '/c' ? Promise.resolve({ text, uid: 1, mode: 0o600 }) : none) });
    expect(warnings).toEqual([]);
    const [only, ...others] = workloads.values();
    expect(others).toEqual([]);
    expect(only).toMatchObject({ owner: expect.any(String), purpose: expect.any(String), expiresAt: Date.UTC(2027, 5, 30) });
  });

  it('has an example of each way, and a policy that is one', () => {
    expect(CONFIGS.length).toBe(4);
    const [policy = '', ...more] = TOML.filter((text) => text.startsWith('v = 1'));
    expect(more).toEqual([]);
    expect(parsePolicy(policy, '/p', 'admin').rules.map(({ name, when }) => [name, when.flow])).toEqual([['nightly-backup', ['client_credentials']], ['no-other-workloads', ['client_credentials']]]);
  });

  it('says of each kind of assertion what its data says', () => {
    const stated = rowsOf(sectionOf(TEXT, 'With somebody else\'s word')).filter(([, , , as]) => as !== undefined && as !== '---' && as !== 'sent as')
      .map(([from, prefix, issuer, as]) => [codeOf(from), codeOf(prefix), issuer?.startsWith('`') === true ? codeOf(issuer) : '', codeOf(as)]);
    expect(stated).toEqual([...ASSERTION_KINDS].map(([from, { subjectPrefix, issuer, type }]) => [from, subjectPrefix ?? '', issuer ?? '', type.split(':').at(-1)]));
  });
});
