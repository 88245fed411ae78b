/** The approval PIN and a consent beforehand with the built CLI and its real daemon: at a terminal, and without one. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { collectCanaries, searchTree } from '../support/canaries.ts';
import { CLI, makeHome, needBuild } from './built-cli.ts';
import type { Home } from './built-cli.ts';

const PIN = 'approval-pin-EXAMPLE';
let home: Home;

beforeAll(() => {
  needBuild();
  home = makeHome();
  mkdirSync(join(home.base, 'config/valetkey'), { mode: 0o700 });
  writeFileSync(join(home.base, 'config/valetkey/config.toml'), 'v = 1\n[profiles.work]\nissuer = "https://issuer.example"\nclient_id = "cli"\n', { mode: 0o600 });
});
afterAll(() => home.leave());

it('[IP-10] is asked of a person at a terminal, given to no script, and is nowhere in files or output', async () => {
  const scripted = await home.unattended(['approvals', 'pin', 'set'], { stdin: `${PIN}\n${PIN}\n` });
  expect([scripted.exit, scripted.stderr]).toEqual([5, expect.stringMatching(/may not set the approval PIN: it (runs outside of a login session|is not in the foreground of a terminal|was started by)/) as string]);
  const set = await home.atTerminal(['approvals', 'pin', 'set'], { typed: [{ after: /New approval PIN: /, text: `${PIN}\r` }, { after: /Once more: /, text: `${PIN}\r` }] });
  expect([set.exit, set.stdout]).toEqual([0, expect.stringContaining('The approval PIN is set.') as string]);
  const doctor = await home.valetkey(['doctor']);
  expect(doctor.stdout).toContain('the approval PIN is set');
  expect(doctor.stdout).toMatch(/approvals +questions are asked at (the desktop by|terminals by valetkey approve)/);
  const given = await home.atTerminal(['approve', '--caller-exe', process.execPath, '--caller-script', CLI, '--profile', 'work', '--for', '1h'], { typed: { after: /Approval PIN: /, text: `${PIN}\r` } });
  expect([given.exit, given.stdout]).toEqual([0, expect.stringContaining('may use work: its usual scopes') as string]);
  const active = await home.valetkey(['approvals', '--active', '--json']);
  expect(JSON.parse(active.stdout)).toMatchObject({ active: [{ profile: 'work', binding: 'program', rule: 'any' }] });
  for (const { stdout, stderr } of [scripted, set, doctor, given, active]) expect(stdout + stderr).not.toContain(PIN);
  expect(searchTree(home.base, collectCanaries([], { more: [PIN] }))).toEqual([]);
  expect((await home.valetkey(['approvals', 'revoke', '--all'])).stderr).toContain('1 consent taken back');
});
