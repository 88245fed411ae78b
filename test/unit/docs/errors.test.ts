import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ERRORS, EXIT, LOGIN_REASONS } from '../../../shared/errors.ts';
import { codeOf, readDocument, ROOT, rowsOf, sectionOf } from './markdown.ts';

const TEXT = readDocument('docs/errors.md');
const firstColumn = (heading: string): readonly string[] => rowsOf(sectionOf(TEXT, heading)).map(([cell]) => codeOf(cell));

/** The rules of the chooser, as they stand in its source: outcome and the reasons that it may give. */
const RULES = [...readFileSync(`${ROOT}daemon/policy/chooser.ts`, 'utf8').matchAll(/^ {2}(?:rule|proved)\('[^']+', '(\w+)', (.*)$/gm)].map(([, outcome = '', rest = '']) => ({
  outcome, reasons: [...(/^(?:'(\w+)',|\(i\) => \(?(.*?\)?), \(i\))/.exec(rest)?.[0] ?? '').matchAll(/'(\w+)'/g)].map(([, word = '']) => word).filter((word) => word !== 'privileged'),
}));
const PROBES = [...readFileSync(`${ROOT}daemon/policy/chooser.ts`, 'utf8').matchAll(/^ {4}\[i\..*'(\w+)'\],$/gm)].map(([, name = '']) => name);
const reasonsOf = (...outcomes: readonly string[]): readonly string[] => [...new Set(RULES.filter(({ outcome }) => outcomes.includes(outcome)).flatMap(({ reasons }) => reasons))];

describe('docs/errors.md', () => {
  it('has a row for every code, with its exit status, HTTP status and whether to retry', () => {
    const stated = rowsOf(sectionOf(TEXT, 'Codes')).map(([code, exit, status, retry]) => [codeOf(code), Number(exit), Number(status), retry]);
    const table = Object.entries(ERRORS).map(([code, row]) => [code, row.exit, row.status, row.retryable ? 'yes' : 'no']);
    expect(stated.toSorted()).toEqual(table.toSorted());
  });

  it('says of each code what it means and what to do', () => {
    for (const [code, , , , meaning, remedy] of rowsOf(sectionOf(TEXT, 'Codes'))) {
      expect(meaning, code).toMatch(/\.$/);
      expect(remedy, code).not.toBe('');
    }
  });

  it('lists the exit statuses', () => {
    expect(rowsOf(sectionOf(TEXT, 'Exit statuses')).map(([exit, name]) => [codeOf(name), Number(exit)])).toEqual(Object.entries(EXIT));
  });

  it('lists the reasons of login_required', () => {
    expect(firstColumn('Reasons of `login_required`').toSorted()).toEqual([...LOGIN_REASONS].toSorted());
  });

  it('lists the reasons of flow_refused, as the chooser has them', () => {
    expect(RULES.length).toBeGreaterThan(20);
    expect(RULES.filter(({ reasons }) => reasons.length === 0)).toEqual([]);
    expect(firstColumn('Reasons of `flow_refused`').toSorted()).toEqual([...new Set([...reasonsOf('refuse', 'forward_broker'), 'undecidable', 'as_no_s256'])].toSorted()); // the last is what discovery says of the metadata
  });

  it('lists the reasons of a login, as the chooser has them', () => {
    expect(PROBES.length).toBeGreaterThan(5);
    const reasons = new Set([...reasonsOf('pkce_loopback', 'pkce_ssh_forward', 'device'), ...PROBES]);
    reasons.delete('undecidable');
    reasons.delete('loopback_exhausted'); // refused before
    reasons.add('start_awaited');
    expect(firstColumn('Reasons of a login').toSorted()).toEqual([...reasons].toSorted());
  });

  it('calls reserved what no code of the daemon gives', () => {
    const sources = ['tokens/token-source.ts', 'tokens/demands.ts', 'tokens/session.ts', 'tokens/refresh.ts', 'tokens/refresh-verdict.ts', 'tokens/refusals.ts', 'tokens/login-required.ts', 'tokens/grant-book.ts', 'core/ports.ts'].map((file) => readFileSync(`${ROOT}daemon/${file}`, 'utf8')).join('\n');
    const reserved = rowsOf(sectionOf(TEXT, 'Reasons of `login_required`')).filter(([, meaning]) => meaning?.startsWith('Reserved') === true).map(([reason]) => codeOf(reason));
    const given = LOGIN_REASONS.filter((reason) => new RegExp(`(loginRequired\\(.*|park\\(.*|parked\\(.*|absence.*|reason: )'${reason}'`).test(sources));
    expect([...given, ...reserved].toSorted()).toEqual([...LOGIN_REASONS].toSorted());
  });
});
