/** The report in real Chromium: it is whole at any width, readable in both schemes, and asks nobody for anything. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { auditFiles, readLines } from '../../client/audit/log-files.ts';
import { renderReport } from '../../client/audit/report/page.ts';
import { summarise } from '../../client/audit/report/summary.ts';
import { verifyAudit } from '../../client/audit/verify-log.ts';
import { writeWeek } from '../support/audit-week.ts';
import { hasChromium, launchChromium } from '../support/chromium.ts';
import { grant } from '../unit/client/fake-world.ts';

const UNTIL = Date.UTC(2026, 10, 23, 9, 30);
const VIEWS = [['light', 1280], ['dark', 1280], ['light', 400], ['dark', 400]] as const;

/** Text whose contrast with what is behind it is below 4.5. */
function tooFaint(page: Page): Promise<readonly string[]> {
  return page.evaluate(() => {
    const ground = (element: Element | null): string => {
      for (let at = element; at !== null; at = at.parentElement) {
        const colour = getComputedStyle(at).backgroundColor;
        if (!/rgba\(0, 0, 0, 0\)/.test(colour)) return colour;
      }
      return 'rgb(255, 255, 255)';
    };
    const context2d = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    // Through a pixel, since a mixed colour has no rgb() of its own.
    const light = (colour: string): number => {
      if (context2d === null) throw new Error('no canvas');
      context2d.fillStyle = colour;
      context2d.fillRect(0, 0, 1, 1);
      const [r = 0, g = 0, b = 0] = [...context2d.getImageData(0, 0, 1, 1).data].map((part) => (part / 255 <= 0.03928 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const found: string[] = [];
    for (const element of document.querySelectorAll('body *')) {
      const words = [...element.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE && (node.textContent ?? '').trim() !== '');
      if (words.length === 0 || element.closest('title, .none, style') !== null) continue;
      const isDrawn = element instanceof SVGElement;
      const [a, b] = [light(isDrawn ? getComputedStyle(element).fill : getComputedStyle(element).color), light(ground(element))];
      const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      if (ratio < 4.5) found.push(`${ratio.toFixed(2)} ${element.tagName}.${element.getAttribute('class') ?? ''} ${(words[0]?.textContent ?? '').slice(0, 30)}`);
    }
    return [...new Set(found)];
  });
}

describe.skipIf(!hasChromium)('the report in Chromium', () => {
  let browser: Browser;
  let dir: string;
  let url: string;

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'vk-report-'));
    const { path } = writeWeek(join(dir, 'audit'), UNTIL);
    const now = UNTIL / 1000;
    const summary = await summarise(readLines(await auditFiles(join(dir, 'audit'))), { since: UNTIL - 7 * 86_400_000, until: UNTIL });
    const page = renderReport({ summary, verdict: await verifyAudit(path), grants: [{ ...grant, profile: 'github', signed_in_at: now - 86_400 }, { ...grant, profile: 'old', signed_in_at: now - 90 * 86_400 }], host: 'ann-laptop', now });
    writeFileSync(join(dir, 'report.html'), page);
    url = `file://${join(dir, 'report.html')}`;
    browser = await launchChromium();
  });
  afterAll(async () => {
    await browser?.close();
    rmSync(dir, { recursive: true, force: true });
  });

  it.each(VIEWS)('is whole, readable and alone: %s, %i px', { timeout: 60_000 }, async (colorScheme, width) => {
    const context = await browser.newContext({ colorScheme, viewport: { width, height: 900 } });
    const page = await context.newPage();
    const complaints: string[] = [];
    const asked: string[] = [];
    page.on('console', (message) => complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('request', (request) => asked.push(request.url()));
    await page.goto(url);
    await page.locator('summary').click();
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(width);
    expect(await page.evaluate(() => [...document.querySelectorAll('h1, h2, h3')].map(({ tagName }) => tagName)[0])).toBe('H1');
    expect(await tooFaint(page)).toEqual([]);
    expect(await page.locator('svg[role=img]:not([aria-label])').count()).toBe(0);
    expect(await page.locator('.strip title').count()).toBeGreaterThan(100);
    expect(await page.getByText('/tmp/.cache/up<date>', { exact: true }).first().isVisible()).toBe(true);
    expect(complaints).toEqual([]);
    expect(asked).toEqual([url]);
    await context.close();
  });

  it.each(['light', 'dark'] as const)('is whole on paper, and light, whatever the screen is: %s', { timeout: 60_000 }, async (colorScheme) => {
    // The breadth of A4 between its margins.
    const context = await browser.newContext({ colorScheme, viewport: { width: 688, height: 1_000 } });
    const page = await context.newPage();
    await page.goto(url);
    await page.emulateMedia({ media: 'print', colorScheme });
    expect(await page.evaluate(() => ['html', 'section', '.figures'].map((name) => getComputedStyle(document.querySelector(name) ?? document.body).backgroundColor))).toEqual(Array.from({ length: 3 }, () => 'rgb(255, 255, 255)'));
    expect(await tooFaint(page)).toEqual([]);
    // Nothing is cut off: neither a table that a screen would scroll, nor a path that it would shorten, nor what it folds away.
    expect(await page.evaluate(() => [...document.querySelectorAll('.scroll, .lane .path, table')].filter((each) => each.scrollWidth > each.clientWidth + 1 || each.getBoundingClientRect().right > 689).map(({ outerHTML }) => outerHTML.slice(0, 80)))).toEqual([]);
    expect(await page.locator('details table').isVisible()).toBe(true);
    const pdf = (await page.pdf({ format: 'A4' })).toString('latin1');
    expect(pdf.match(/\/Type \/Page\b/g)?.length).toBeGreaterThan(2);
    await context.close();
  });

  it('its policy lets nothing run and nothing be loaded, even if markup had come in', async () => {
    const page = await browser.newPage();
    await page.goto(url);
    const blocked = await page.evaluate(async () => {
      const violations: string[] = [];
      document.addEventListener('securitypolicyviolation', (event) => violations.push(event.effectiveDirective));
      document.body.insertAdjacentHTML('beforeend', '<img src="http://127.0.0.1:9/x"><style>body { display: none }</style><p id="styled" style="color: red">x</p>');
      const script = document.createElement('script');
      script.textContent = 'window.ran = true';
      document.body.append(script);
      await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
      return { violations: violations.toSorted(), ran: 'ran' in window, shown: getComputedStyle(document.body).display };
    });
    expect(blocked.ran).toBe(false);
    expect(blocked.shown).toBe('block');
    expect(blocked.violations).toEqual(['img-src', 'script-src-elem', 'style-src-attr', 'style-src-elem']);
    await page.close();
  });
});
