import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readBootId } from '../../../../daemon/platform/boot-id.ts';

it.runIf(process.platform === 'linux')('names this boot, the same each time', () => {
  expect(readBootId()).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  expect(readBootId()).toBe(readBootId());
});
if (process.platform !== 'linux') console.warn('the boot id is not tested: this system has none');

it('is null where the system gives no name', () => {
  const dir = mkdtempSync(join(tmpdir(), 'valetkey-boot-'));
  expect(readBootId(join(dir, 'boot_id'))).toBeNull();
  writeFileSync(join(dir, 'boot_id'), '\n');
  expect(readBootId(join(dir, 'boot_id'))).toBeNull();
  rmSync(dir, { recursive: true });
});
