/** Debian's Chromium, quiet: nothing of it talks to anybody but the page under test. */
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';
import type { Browser } from 'playwright-core';

const EXECUTABLE = '/usr/bin/chromium';
export const hasChromium = existsSync(EXECUTABLE);
if (!hasChromium) console.warn(`not run: ${EXECUTABLE} is missing (apt-get install chromium)`);

export function launchChromium(): Promise<Browser> {
  return chromium.launch({
    executablePath: EXECUTABLE,
    args: [
      // A sandbox of its own is not to be had as root and in containers; every page here is ours.
      '--no-sandbox', '--headless', '--disable-background-networking', '--disable-component-update', '--disable-sync',
      '--disable-default-apps', '--disable-domain-reliability', '--disable-client-side-phishing-detection', '--no-first-run',
      '--no-pings', '--metrics-recording-only', '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE *.localhost',
    ],
  });
}
