import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { EpochMs } from '../../../../shared/names.ts';
import { readConfig } from '../../../../daemon/config/read.ts';
import { PRESETS } from '../../../../daemon/config/presets/index.ts';
import type { Preset } from '../../../../daemon/config/preset.ts';
import { CONFIG_KEYS } from '../../../../daemon/config/schema.ts';
import { CA_ONE } from './test-certificates.ts';

const TEXT = readFileSync(new URL('../../../../docs/configuration.md', import.meta.url), 'utf8');
const EXAMPLES = [...TEXT.matchAll(/^```toml\n([^]*?)^```$/gm)].map(([, example]) => example ?? '');

/** The text from the heading of a table to the next heading of the same depth. */
function section(heading: string): string {
  const start = TEXT.indexOf(`\n## ${heading}\n`);
  expect(start, heading).toBeGreaterThan(0);
  const end = TEXT.indexOf('\n## ', start + 1);
  return TEXT.slice(start, end < 0 ? undefined : end);
}

const HEADINGS: Readonly<Record<keyof typeof CONFIG_KEYS, string>> = {
  '': 'Top level', 'profiles.NAME': '`[profiles.NAME]`', 'workloads.NAME': '`[workloads.NAME]`', device: '`[device]`', vault: '`[vault]`', log: '`[log]`', limits: '`[limits]`', notifications: '`[notifications]`',
};

const code = (words: readonly string[]): string => words.map((word) => `\`${word}\``).join(', ');

/** A preset's row of the table, made from its data. */
function rowOf(name: string, { issuer, clientAuth, traits }: Preset): string {
  const from = issuer.kind === 'named' ? 'yours' : issuer.kind === 'tenant' ? (name === 'entra' ? 'by `tenant`' : 'by `tenant`, or yours') : `\`${issuer.url}\`${issuer.replaceable ? ', or yours' : ''}`;
  const refresh = [...(traits.offlineScope === null ? [] : [traits.offlineScope]), ...Object.entries(traits.authorizationParams).map(([key, value]) => `${key}=${value}`)];
  const cells = [
    `\`${name}\``, from, refresh.length === 0 ? 'the issuer\'s choice' : code(refresh), traits.pkce, traits.resourceStyle, clientAuth === 'none' ? 'no' : 'yes',
    traits.redirectPorts.length === 0 ? 'any' : traits.redirectPorts.join(', '), code(traits.deviceVerificationHosts),
  ];
  return `| ${cells.join(' | ')} |`.replace('|  |', '| |');
}

describe('docs/configuration.md', () => {
  it.each(Object.keys(HEADINGS) as (keyof typeof HEADINGS)[])('has a row for every key of [%s], and none for what does not exist', (table) => {
    const rows = [...section(HEADINGS[table]).matchAll(/^\| `([a-z_]+)` \|/gm)].map(([, key]) => key);
    expect(rows.toSorted()).toEqual([...CONFIG_KEYS[table]].toSorted());
  });

  it.each(EXAMPLES.map((example, i) => [i + 1, example] as const))('has an example %i that is a configuration without warnings', async (_, example) => {
    const config = await readConfig({
      file: '/example', now: 0 as EpochMs, uid: 1, home: '/home/ann',
      readFile: (path) => Promise.resolve({ text: path === '/example' ? example : CA_ONE, uid: 1, mode: 0o600 }),
    });
    const alone = config.warnings.filter((warning) => !(warning.startsWith('[device]') && config.profiles.size === 0));
    expect(alone).toEqual([]);
  });

  it('has an example for every key', () => {
    const written = EXAMPLES.join('\n');
    for (const key of Object.values(CONFIG_KEYS).flat()) expect(written, key).toMatch(new RegExp(`^(\\[+(profiles\\.[a-z]+\\.)?)?${key}\\b`, 'm'));
  });

  it.each([...PRESETS])('says of the preset %s what its data says', (name, preset) => {
    expect(section('Presets').split('\n')).toContain(rowOf(name, preset));
    for (const page of preset.vendorPages) expect(TEXT).toContain(`<${page}>`);
  });
});
