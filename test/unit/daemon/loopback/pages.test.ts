import { describe, expect, it } from 'vitest';
import { html } from '../../../../daemon/loopback/pages/html.ts';
import { refusalPage } from '../../../../daemon/loopback/pages/refusal.ts';
import { renderPage } from '../../../../daemon/loopback/pages/render.ts';
import { REFUSALS } from '../../../../daemon/loopback/refusals.ts';
import type { RefusalReason } from '../../../../daemon/loopback/refusals.ts';

const HOSTILE = `<script>alert(1)</script>"'&\u202Egnp.exe\u0007`;

describe('pages', () => {
  it('escapes every value and takes control and direction marks out', () => {
    const page = renderPage({ kind: 'success', subject: HOSTILE, profile: HOSTILE, caller: HOSTILE }).html;
    expect(page).not.toContain('<script');
    expect(page).not.toMatch(/[\u202e\u0007]/);
    expect(page.match(/&lt;script&gt;alert\(1\)&lt;\/script&gt;&quot;&#39;&amp; gnp\.exe/g)).toHaveLength(4);
    for (const hostile of [renderPage({ kind: 'refused', profile: HOSTILE, title: HOSTILE }), renderPage({ kind: 'wrong_account', subject: HOSTILE, profile: HOSTILE }), renderPage({ kind: 'signed_out', profile: HOSTILE })]) {
      expect(hostile.html).not.toContain('<script');
    }
  });

  it('shows the account and the tool that asked', () => {
    const page = renderPage({ kind: 'success', subject: 'alice@example.com', profile: 'work', caller: 'git' }).html;
    for (const shown of ['alice@example.com', 'work', 'git', 'valetkey logout work']) expect(page).toContain(shown);
    expect(renderPage({ kind: 'success', subject: null, profile: 'work', caller: 'git' }).html).toContain('not named by the issuer');
  });

  it('has a page for every refusal, none a success', () => {
    for (const [reason, { status, heading }] of Object.entries(REFUSALS)) {
      expect(status).toBeGreaterThanOrEqual(400);
      expect(refusalPage(reason as RefusalReason)).toContain(`<h1>${heading}</h1>`);
    }
  });

  it('has nothing that loads or runs', () => {
    for (const kind of ['expired', 'still_finishing', 'iss_mismatch'] as const) {
      expect(renderPage({ kind }).html).not.toMatch(/<script|<link|<img|<iframe|<form|\son\w+=|src=|href=|url\(|@import/i);
    }
  });

  it('nests templates without escaping twice', () => {
    expect(html`<p>${[html`<b>${'<'}</b>`, html`<i>&amp;</i>`]}</p>`.markup).toBe('<p><b>&lt;</b><i>&amp;</i></p>');
  });
});
