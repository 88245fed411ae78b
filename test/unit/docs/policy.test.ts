/** docs/policy.md against the schema, the tiers and the policy that ships. */
import { describe, expect, it } from 'vitest';
import { parsePolicy } from '../../../daemon/config/policy/parse.ts';
import { ASSURANCE, CEILING, DEVICE, POLICY, RULE, SESSION, TIER, WHEN } from '../../../daemon/config/policy/schema.ts';
import { TIERS } from '../../../daemon/core/policy-rules.ts';
import { SESSION_OF } from '../../../daemon/policy/assurance.ts';
import { SHIPPED, TIER_CEILINGS } from '../../../daemon/policy/shipped.ts';
import { blocksOf, codeOf, readDocument, rowsOf, sectionOf } from './markdown.ts';

const TEXT = readDocument('docs/policy.md');
const keysOf = (heading: string): readonly string[] => rowsOf(sectionOf(TEXT, heading)).map(([cell]) => codeOf(cell));

describe('docs/policy.md', () => {
  it.each([['`[[rules]]`', RULE], ['`when`', WHEN], ['`ceiling`', CEILING], ['`[[tiers]]`', TIER], ['`[device]`', DEVICE], ['`[session]`', SESSION], ['`[assurance]`', ASSURANCE]] as const)('has every key of %s, in its order', (heading, schema) => {
    expect(keysOf(heading)).toEqual(Object.keys(schema.entries));
  });

  it('has every table of the file', () => {
    expect(keysOf('The file').slice(0, Object.keys(POLICY.entries).length)).toEqual(Object.keys(POLICY.entries));
  });

  it('shows the policy that ships as it is', () => {
    const [block] = blocksOf(sectionOf(TEXT, 'The policy that ships')).filter(({ language }) => language === 'toml');
    expect(parsePolicy(block?.text ?? '', 'docs', 'admin').rules).toEqual(SHIPPED.rules);
  });

  it('shows policies that are valid, and cases that are none', () => {
    const blocks = blocksOf(TEXT).filter(({ language }) => language === 'toml').map(({ text }) => text);
    expect(blocks.length).toBeGreaterThan(2);
    for (const text of blocks.filter((each) => !each.includes('[[cases]]'))) expect(() => parsePolicy(text, 'docs', text.includes('[assurance]') ? 'admin' : 'user')).not.toThrow();
  });

  it('says what each tier sets', () => {
    const stated = rowsOf(sectionOf(TEXT, 'Tiers'));
    expect(stated.map(([tier]) => codeOf(tier))).toEqual([...TIERS]);
    const hours = (seconds: number | null): string => (seconds === null ? '' : seconds < 3_600 ? `${seconds / 60} min` : `${seconds / 3_600} h`);
    for (const [i, tier] of TIERS.entries()) {
      const { maxTokenLifeS, flows, maxAgeS } = TIER_CEILINGS[tier];
      const { maxSessionS, maxIdleS } = SESSION_OF[tier];
      const days = (maxSessionS ?? 0) / 86_400;
      const session = `${days > 1 ? `${days} d` : hours(maxSessionS)}${maxIdleS === null ? '' : `, ${hours(maxIdleS)} idle`}`;
      expect(stated[i]?.slice(1), tier).toEqual([hours(maxTokenLifeS) || 'as the issuer says', flows === null ? 'any flow' : 'PKCE only', hours(maxAgeS), flows === null ? 'where it is allowed' : 'never', session]);
    }
  });
});
