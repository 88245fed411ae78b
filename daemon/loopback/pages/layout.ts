/**
 * The frame of every page: one heading, plain words, light and dark, no script, nothing loaded. The style is
 * inline and allowed by its hash, so that the Content-Security-Policy can forbid all the rest.
 */
import { createHash } from 'node:crypto';
import { Html, html } from './html.ts';

export type Tone = 'good' | 'warn' | 'bad' | 'calm' | 'stop';
/** A line of the table: what it is, and its value. */
export type Fact = { readonly term: string; readonly value: Html };
export type PageContent = {
  readonly tone: Tone;
  readonly title: string;
  readonly heading: string;
  readonly lead: Html;
  readonly facts: readonly Fact[];
  /** What to do if something is not as expected. */
  readonly note: Html | null;
};

const STYLE = `
:root { color-scheme: light dark;
  --paper: #fbfaf8; --ink: #1d1c1a; --soft: #5f5b54; --line: #e3dfd8; --chip: #f1eee8;
  --good: #1b6b45; --warn: #8a4b00; --bad: #a3262a; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #161513; --ink: #eeece7; --soft: #aaa59b; --line: #37342f; --chip: #24221f;
  --good: #74cf9f; --warn: #efb366; --bad: #ff9c94; } }
*, ::before, ::after { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body { margin: 0; min-height: 100vh; min-height: 100dvh; display: flex; flex-direction: column;
  padding: clamp(1.5rem, 5vw, 3rem); background: var(--paper); color: var(--ink);
  font: 1.0625rem/1.6 ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", sans-serif;
  -webkit-font-smoothing: antialiased; }
header, main, footer { width: 100%; max-width: 34rem; margin-inline: auto; }
header { display: flex; align-items: center; gap: .6rem; font-size: .9375rem; font-weight: 600; letter-spacing: .005em; }
header svg { width: 1.375rem; height: 1.375rem; color: var(--soft); }
header p, footer p { margin: 0; }
main { margin-block: auto; padding-block: clamp(2.5rem, 9vh, 5rem); }
.mark { display: block; width: 2.75rem; height: 2.75rem; margin: 0 0 1.375rem -.125rem; }
.good { color: var(--good); } .warn { color: var(--warn); } .bad { color: var(--bad); } .calm, .stop { color: var(--soft); }
h1 { margin: 0; font-size: clamp(1.75rem, 1.35rem + 2vw, 2.25rem); line-height: 1.15; font-weight: 680;
  letter-spacing: -.022em; text-wrap: balance; overflow-wrap: break-word; }
.lead { margin: .875rem 0 0; color: var(--soft); font-size: 1.125rem; text-wrap: pretty; }
dl { margin: 2.25rem 0 0; border-top: 1px solid var(--line); }
dl div { display: grid; grid-template-columns: 8.5rem minmax(0, 1fr); gap: .125rem 1.25rem; padding: .8125rem 0;
  border-bottom: 1px solid var(--line); }
dt { color: var(--soft); }
dd { margin: 0; font-weight: 550; overflow-wrap: anywhere; }
.note { margin: 1.75rem 0 0; color: var(--soft); font-size: .9375rem; text-wrap: pretty; }
code { padding: .125em .4em; border-radius: .3rem; background: var(--chip); color: var(--ink); vertical-align: .04em;
  overflow-wrap: anywhere; -webkit-box-decoration-break: clone; box-decoration-break: clone;
  font: 500 .9em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
footer { padding-top: 1.125rem; border-top: 1px solid var(--line); color: var(--soft); font-size: .875rem; line-height: 1.5;
  text-wrap: balance; }
@media (max-width: 30rem) { dl div { grid-template-columns: minmax(0, 1fr); } }
@media (forced-colors: active) { code { border: 1px solid; } }
`;

/** The style in the Content-Security-Policy. */
export const STYLE_SOURCE = `'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`;

const KEY = new Html('<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.75" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><circle cx="7.5" cy="16.5" r="4.25"/><path d="M10.6 13.4 20 4m-3.25 3.25 2.75 2.75M13.5 10.5l2 2"/></svg>');

const STROKES: Readonly<Record<Tone, string>> = {
  good: '<path d="m14.5 24.5 6.5 6.5 12.5-13.5"/>',
  warn: '<path d="M24 13.5v13"/><path d="M24 34v.01" stroke-width="3.75"/>',
  bad: '<path d="m17 17 14 14m0-14L17 31"/>',
  stop: '<path d="M16 24h16"/>',
  calm: '<path d="M24 14.5V24l6 4.5"/>',
};

export function renderDocument(content: PageContent): string {
  const { tone, title, heading, lead, facts, note } = content;
  const mark = new Html(
    `<svg class="mark ${tone}" viewBox="0 0 48 48" fill="none" stroke="currentColor" stroke-width="2.75" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><circle cx="24" cy="24" r="21.5" stroke-width="2"/>${STROKES[tone]}</svg>`,
  );
  const rows = facts.map(({ term, value }) => html`<div><dt>${term}</dt><dd>${value}</dd></div>\n`);
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>${title} · Valetkey</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<style>${new Html(STYLE)}</style>
</head>
<body>
<header>${KEY}<p>Valetkey</p></header>
<main>
${mark}
<h1>${heading}</h1>
<p class="lead">${lead}</p>
${rows.length === 0 ? '' : html`<dl>\n${rows}</dl>`}
${note === null ? '' : html`<p class="note">${note}</p>`}
</main>
<footer><p>This page comes from your own computer, where Valetkey keeps your sign&#8209;ins and lends your tools short-lived access.</p></footer>
</body>
</html>
`.markup;
}
