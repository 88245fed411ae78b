import { describe, expect, it } from 'vitest';
import { programKey, programLabel } from '../../../../daemon/approvals/consent-key.ts';
import { someCaller, someOrigin } from '../../../support/builders.ts';

describe('the key of a consent', () => {
  const program = { executable: '/usr/bin/bash', script: null };

  it('tells what valetkey run starts from everything else', () => {
    const keys = [null, 'terraform', 'sh', '?', ''].map((run) => programKey(program, null, 'digest', run));
    expect(new Set(keys).size).toBe(keys.length);
    expect(programKey({ executable: '/usr/bin/bash', script: 'run' }, 'terraform', 'digest', null)).not.toBe(keys[1]);
  });

  it('is shown with both, cleaned', () => {
    const asker = (run: string | null) => ({ ...someCaller({ pid: 7 }), origin: someOrigin({ program, run }) });
    expect(programLabel(asker(null))).toBe('bash (pid 7)');
    expect(programLabel(asker('terra\u001b[2Jform'))).toMatch(/^terra[^\u001b]*form, by valetkey run of bash \(pid 7\),$/);
  });
});
