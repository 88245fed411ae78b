/** Every page of the loopback listener in real Chromium: its structure, its contrast, and that it loads nothing. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sendPage, sendRefusal } from '../../daemon/loopback/answer.ts';
import { renderPage } from '../../daemon/loopback/pages/render.ts';
import type { AnyPage } from '../../daemon/loopback/pages/render.ts';
import { REFUSALS } from '../../daemon/loopback/refusals.ts';
import type { RefusalReason } from '../../daemon/loopback/refusals.ts';
import { hasChromium, launchChromium } from '../support/chromium.ts';

const LONG = 'a-subject-identifier-without-any-space-that-is-longer-than-a-line@subdomain.of.an.enterprise.example.com';
const PAGES: Readonly<Record<string, AnyPage>> = {
  success: { kind: 'success', subject: 'alice@example.com', profile: 'work', caller: 'git-credential-valetkey' },
  success_long: { kind: 'success', subject: LONG, profile: 'p'.repeat(64), caller: `/usr/local/lib/node_modules/@${LONG}/cli.js` },
  success_unnamed: { kind: 'success', subject: null, profile: 'work', caller: 'git' },
  refused: { kind: 'refused', profile: 'work', title: 'The sign-in was refused at the issuer' },
  wrong_account: { kind: 'wrong_account', subject: 'mallory@example.com', profile: 'work' },
  expired: { kind: 'expired' },
  still_finishing: { kind: 'still_finishing' },
  iss_mismatch: { kind: 'iss_mismatch' },
};
const REASONS = Object.keys(REFUSALS) as RefusalReason[];
const NAMES = [...Object.keys(PAGES), ...REASONS];
const VIEWS = [['light', 1280], ['dark', 1280], ['light', 360], ['dark', 360]] as const;

describe.skipIf(!hasChromium)('the pages in Chromium', () => {
  let browser: Browser;
  let server: Server;
  let origin: string;
  const asked: string[] = [];

  beforeAll(async () => {
    server = createServer((request, response) => {
      const name = (request.url ?? '').slice(1);
      asked.push(name);
      const page = PAGES[name];
      const reason = REASONS.find((one) => one === name);
      if (reason !== undefined) return sendRefusal(response, reason);
      const { status, html } = renderPage(page ?? { kind: 'expired' });
      sendPage(response, status, html);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    browser = await launchChromium();
  });
  afterAll(async () => {
    await browser.close();
    server.close();
  });

  it.each(VIEWS)('are whole, readable and alone: %s, %i px', { timeout: 60_000 }, async (colorScheme, width) => {
    asked.length = 0;
    const context = await browser.newContext({ colorScheme, viewport: { width, height: 740 } });
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on('console', (message) => {
      // Chromium notes each 4xx and 5xx of the main document.
      if (!message.text().startsWith('Failed to load resource')) complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(String(error)));
    for (const name of NAMES) {
      await page.goto(`${origin}/${name}`);
      const seen = await look(page);
      expect(seen, name).toMatchObject({ lang: 'en', headings: ['H1'], landmarks: ['HEADER', 'MAIN', 'FOOTER'], scripts: 0, h1InMain: true, unnamedImages: 0 });
      expect(seen.title, name).toMatch(/^.+ · Valetkey$/);
      expect(seen.overflow, `${name} is wider than the window`).toBeLessThanOrEqual(0);
      expect(seen.background, name).toBe(colorScheme === 'light' ? 'rgb(251, 250, 248)' : 'rgb(22, 21, 19)');
      // WCAG 2.2, 1.4.3 and 1.4.11: 4.5 for text, 3 for the sign of how it went.
      expect(seen.worstText.ratio, `${name}: ${seen.worstText.what}`).toBeGreaterThanOrEqual(4.5);
      expect(seen.worstSign, name).toBeGreaterThanOrEqual(3);
    }
    await page.waitForLoadState('networkidle');
    // No icon, font or style was fetched. (Chromium itself asks twice where it is answered 421.)
    expect(new Set(asked)).toEqual(new Set(NAMES));
    expect(complaints).toEqual([]);
    await context.close();
  });

  it('read well without their style: the facts are a list of names and values', async () => {
    const page = await browser.newPage();
    await page.goto(`${origin}/success`);
    const facts = await page.$$eval('main dl > div', (rows) => rows.map((row) => [row.querySelector('dt')?.textContent, row.querySelector('dd')?.textContent]));
    expect(facts).toEqual([['Account', 'alice@example.com'], ['Profile', 'work'], ['Asked by', 'git-credential-valetkey']]);
    await page.close();
  });
});

function look(page: Page) {
  return page.evaluate(() => {
    type Rgb = readonly [number, number, number];
    const rgbOf = (css: string): Rgb | null => {
      const [r = 0, g = 0, b = 0, a = 1] = (css.match(/[\d.]+/g) ?? []).map(Number);
      return a === 0 ? null : [r, g, b];
    };
    const luminance = (rgb: Rgb): number => {
      const [r = 0, g = 0, b = 0] = rgb.map((part) => part / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (element: Element | null): Rgb =>
      element === null ? [255, 255, 255] : rgbOf(getComputedStyle(element).backgroundColor) ?? behind(element.parentElement);
    const contrast = (element: Element): number => {
      const [high = 0, low = 0] = [luminance(rgbOf(getComputedStyle(element).color) ?? [0, 0, 0]), luminance(behind(element))].sort((a, b) => b - a);
      return (high + 0.05) / (low + 0.05);
    };
    const texts: { what: string; ratio: number }[] = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode() !== null) {
      const { textContent, parentElement } = walker.currentNode;
      if (parentElement !== null && (textContent ?? '').trim() !== '') texts.push({ what: textContent ?? '', ratio: contrast(parentElement) });
    }
    const all = (selector: string): Element[] => [...document.querySelectorAll(selector)];
    return {
      lang: document.documentElement.lang,
      title: document.title,
      headings: all('h1, h2, h3, h4, h5, h6').map(({ tagName }) => tagName),
      h1InMain: document.querySelector('main h1') !== null,
      landmarks: all('body > header, body > main, body > footer').map(({ tagName }) => tagName),
      scripts: all('script').length,
      unnamedImages: all('img, svg').filter((image) => image.getAttribute('aria-hidden') !== 'true').length,
      overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
      background: getComputedStyle(document.body).backgroundColor,
      worstText: texts.reduce((worst, text) => (text.ratio < worst.ratio ? text : worst), { what: '', ratio: 21 }),
      worstSign: Math.min(21, ...all('main svg').map(contrast)),
    };
  });
}
