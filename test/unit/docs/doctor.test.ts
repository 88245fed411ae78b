import { expect, it } from 'vitest';
import { FINDINGS } from '../../../client/doctor/finding.ts';
import { codeOf, readDocument, rowsOf, sectionOf } from './markdown.ts';

it('docs/doctor.md has every finding, in its order, and no other', () => {
  const stated = rowsOf(sectionOf(readDocument('docs/doctor.md'), 'Findings')).map(([id]) => codeOf(id)).filter((id) => id !== '');
  expect(stated).toEqual(Object.keys(FINDINGS));
});
