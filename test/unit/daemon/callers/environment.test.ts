import { expect, it } from 'vitest';
import { environmentOf } from '../../../../daemon/callers/environment.ts';

it('keeps what says where a caller runs, and nothing else', () => {
  const environment = environmentOf(['CI=true', 'AWS_SECRET_ACCESS_KEY=secretEXAMPLE', 'DISPLAY=:0', 'ViewClient_Type=PCoIP', 'BROWSER=a=b', '', 'CI', '=x', 'LANG=C']);
  expect([...environment].toSorted()).toEqual([['BROWSER', 'a=b'], ['CI', 'true'], ['DISPLAY', ':0'], ['ViewClient_Type', 'PCoIP']]);
});

it('takes the first of two, as getenv does', () => {
  expect(environmentOf(['CI=', 'CI=true']).get('CI')).toBe('');
});
