/** The whole sign-in with a real browser. */
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer } from '../../demo/issuer.ts';
import { profileToml, startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';

const EXECUTABLE = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) => existsSync(path)) ?? null;
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
if (EXECUTABLE === null) console.log('skipped: sign-in with a real browser; there is no chromium (Debian package chromium)');

describe.skipIf(EXECUTABLE === null)('in a real Chromium', () => {
  let issuer: EmbeddedIssuer;
  let vk: InProcess;
  let browser: Browser;
  beforeAll(async () => {
    issuer = await startIssuer();
    vk = await startInProcess({ config: profileToml('work', issuer.url) });
    browser = await chromium.launch({ executablePath: EXECUTABLE ?? '', args: FLAGS });
  });
  afterAll(async () => {
    await browser?.close();
    await vk?.stop();
    await issuer?.close();
  });

  it('[FC-01, LB-08] a person signs in at a local desktop; no code is left in the address or the history, and no device endpoint is asked', async () => {
    const started = (await vk.api('POST', '/v1/logins', { profile: 'work' })).body;
    expect(started.reason).toBe('local_gui_ok');
    const context = await browser.newContext();
    const page = await context.newPage();
    const seen: string[] = [];
    page.on('framenavigated', (frame) => { if (frame === page.mainFrame()) seen.push(frame.url()); });
    await page.goto(started.start_url);
    await page.getByLabel('Name').fill('alice');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('button', { name: 'Allow' }).click();
    await page.getByRole('heading', { level: 1 }).waitFor();
    expect(await page.textContent('main')).toContain('alice');
    expect(page.url()).toMatch(/\/callback\/done\/[\w-]+$/);
    expect(seen.filter((url) => url.includes('code='))).toEqual([]);
    const { entries } = await (await context.newCDPSession(page)).send('Page.getNavigationHistory');
    expect(entries.length).toBeGreaterThan(1);
    expect(entries.filter((entry) => entry.url.includes('code='))).toEqual([]);
    expect((await vk.api('GET', `/v1/logins/${started.id}?wait_s=5`)).body).toMatchObject({ state: 'complete', subject: { sub: 'alice' } });
    expect(issuer.count('device')).toBe(0);
    await context.close();
  });

  it('a person who refuses sees that, and so does the asking tool', async () => {
    const started = (await vk.api('POST', '/v1/logins', { profile: 'work' })).body;
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(started.start_url);
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.getByRole('heading', { level: 1 }).waitFor();
    expect(page.url()).toMatch(/\/done\//);
    expect((await vk.api('GET', `/v1/logins/${started.id}?wait_s=5`)).body).toMatchObject({ state: 'failed', error: { code: 'access_denied' } });
    await context.close();
  });
});
