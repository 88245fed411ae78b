/**
 * How the page looks. No font, image or script from anywhere; light and dark by the reader's choice. On paper it is
 * always light, without boxes, with every path whole, and with the tables that a screen folds away. Colours of text have a contrast of 4.5 at least on both grounds, those of marks 3; nothing is told by
 * colour alone.
 */
export const STYLE = `
:root { color-scheme: light dark;
  --ground: #f7f6f2; --card: #ffffff; --ink: #1c1d21; --soft: #5c5f66; --line: #e3e1da; --grid: #ecebe5;
  --accent: #0b6e63; --bad: #b3261e; --bad-soft: #fbe9e7; --warn: #8a5300; --warn-soft: #fdf1dc; --good: #1b6b3a; --good-soft: #e4f3e9;
  --c0: #85888f; --c1: #2563c9; --c2: #c2570c; --c3: #0e8074; --c4: #8a3fc7; --c5: #7a7000; --c6: #c02e6f; }
@media screen and (prefers-color-scheme: dark) { :root {
  --ground: #131418; --card: #1c1e24; --ink: #e9e8e3; --soft: #a3a6ae; --line: #30333b; --grid: #282b32;
  --accent: #52c7b8; --bad: #ff8a80; --bad-soft: #3a2020; --warn: #f5c26b; --warn-soft: #352a17; --good: #7fd59b; --good-soft: #1b3124;
  --c0: #8d9098; --c1: #6ea3ff; --c2: #f59a56; --c3: #45c4b4; --c4: #c193f2; --c5: #cfc24a; --c6: #f582b0; } }
* { box-sizing: border-box; }
html { background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; max-width: 1160px; padding: 36px 24px 64px; }
h1 { font-size: 27px; line-height: 1.2; margin: 0; font-weight: 650; letter-spacing: -.015em; }
h2 { font-size: 17px; line-height: 1.3; margin: 0 0 2px; font-weight: 650; letter-spacing: -.005em; }
p { margin: 0; }
.lead { color: var(--soft); margin: 0 0 16px; max-width: 74ch; }
header { display: flex; flex-wrap: wrap; gap: 12px 24px; justify-content: space-between; align-items: flex-end; margin-bottom: 22px; }
header .lead { margin: 6px 0 0; }
.seal { display: flex; gap: 10px; align-items: center; border: 1px solid var(--line); border-radius: 10px; padding: 9px 14px; background: var(--card); max-width: 420px; }
.seal svg { flex: none; width: 26px; height: 26px; }
.seal b { display: block; line-height: 1.3; }
.seal span { color: var(--soft); font-size: 13px; line-height: 1.35; display: block; }
.seal.good { color: var(--good); } .seal.bad { color: var(--bad); background: var(--bad-soft); } .seal.warn { color: var(--warn); }
section, .figures { background: var(--card); border: 1px solid var(--line); border-radius: 14px; margin: 0 0 18px; }
section { padding: 20px 22px 22px; }
.figures { display: grid; grid-template-columns: repeat(6, 1fr); overflow: hidden; padding: 0; }
.figures div { padding: 15px 18px 13px; border-left: 1px solid var(--line); margin-left: -1px; }
.figures b { display: block; font-size: 27px; line-height: 1.15; font-weight: 600; font-variant-numeric: tabular-nums; letter-spacing: -.02em; }
.figures span { color: var(--soft); font-size: 13px; }
.figures .hot b { color: var(--bad); } .figures .warm b { color: var(--warn); }
.look { list-style: none; margin: 8px 0 0; padding: 0; }
.look li { display: grid; grid-template-columns: 168px 1fr; gap: 2px 16px; padding: 9px 0 9px 14px; border-top: 1px solid var(--line); border-left: 3px solid var(--warn); margin-left: -14px; }
.look li:first-child { border-top: 0; } .look li.bad { border-left-color: var(--bad); }
.look time, .when { color: var(--soft); font-variant-numeric: tabular-nums; font-size: 13px; white-space: nowrap; }
.look small { display: block; color: var(--soft); font-size: 13px; }
.calm { color: var(--good); }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; list-style: none; padding: 0; margin: 0 0 10px; font-size: 13px; color: var(--soft); }
.legend svg { width: 11px; height: 11px; margin-right: 6px; vertical-align: -1px; }
.lane { display: grid; grid-template-columns: 232px 1fr 76px; gap: 0 16px; align-items: center; border-top: 1px solid var(--grid); padding: 5px 0; }
.lane .who { min-width: 0; } .lane .who b { font-weight: 600; overflow-wrap: anywhere; } .lane .path { display: block; color: var(--soft); font-size: 12px; line-height: 1.3; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.lane .sum { text-align: right; font-variant-numeric: tabular-nums; line-height: 1.25; } .lane .sum small { display: block; color: var(--bad); font-size: 12px; }
.lane.foot { border-top: 0; padding: 0; }
.group { font-size: 12px; color: var(--soft); letter-spacing: .02em; margin: 14px 0 4px; font-weight: 600; }
.strip, .area, .axis { display: block; width: 100%; } .strip { height: 40px; } .area { height: 132px; }
.axis text { font-size: 11px; fill: var(--soft); font-variant-numeric: tabular-nums; }
.grid { stroke: var(--grid); stroke-width: 1; vector-effect: non-scaling-stroke; } .base { stroke: var(--line); stroke-width: 1; vector-effect: non-scaling-stroke; }
.c0 { fill: var(--c0); } .c1 { fill: var(--c1); } .c2 { fill: var(--c2); } .c3 { fill: var(--c3); } .c4 { fill: var(--c4); } .c5 { fill: var(--c5); } .c6 { fill: var(--c6); }
.refused { fill: var(--bad); } .fill { fill: var(--accent); fill-opacity: .24; stroke: var(--accent); stroke-width: 1.3; vector-effect: non-scaling-stroke; } .hit { fill: transparent; } .hit:hover { fill: var(--accent); fill-opacity: .2; }
.tag { display: inline-block; font-size: 11.5px; line-height: 1.45; padding: 0 6px; border-radius: 5px; border: 1px solid currentColor; color: var(--soft); margin-left: 6px; white-space: nowrap; }
.tag.agent { color: var(--c4); } .tag.workload { color: var(--c2); } .tag.bad { color: var(--bad); } .tag.warn { color: var(--warn); } .tag.good { color: var(--good); } .tag.lone { margin-left: 0; }
.scroll { overflow-x: auto; margin: 0 -22px; padding: 0 22px; } .scroll:focus-visible { outline: 2px solid var(--accent); outline-offset: -2px; }
table { border-collapse: collapse; width: 100%; font-size: 14px; } th { text-align: left; font-weight: 600; font-size: 13px; color: var(--soft); }
th, td { padding: 7px 18px 7px 0; border-top: 1px solid var(--grid); vertical-align: top; } thead th { border-top: 0; padding-top: 4px; white-space: nowrap; } td:last-child, th:last-child { padding-right: 0; }
tr.note td { background: var(--warn-soft); } tr.note td:first-child { box-shadow: -8px 0 0 var(--warn-soft), -11px 0 0 var(--warn); }
td .why { display: block; color: var(--soft); font-size: 13px; max-width: 52ch; }
.matrix td, .matrix th { text-align: center; padding: 4px 6px; min-width: 72px; font-variant-numeric: tabular-nums; } .matrix th:first-child { text-align: left; min-width: 150px; padding-left: 0; color: var(--ink); } .matrix tbody th { font-weight: 400; font-size: 14px; overflow-wrap: anywhere; } .matrix thead th { white-space: normal; overflow-wrap: anywhere; vertical-align: bottom; }
.matrix tbody td, .matrix tbody th { vertical-align: middle; } .matrix .none { color: var(--line); } .heat { display: block; border-radius: 6px; padding: 3px 0; background: var(--grid); }
.heat.h2 { background: color-mix(in srgb, var(--accent) 16%, var(--card)); } .heat.h3 { background: color-mix(in srgb, var(--accent) 28%, var(--card)); } .heat.h4 { background: color-mix(in srgb, var(--accent) 42%, var(--card)); font-weight: 600; }
h2 + .scroll { margin-top: 8px; } details { margin-top: 14px; } summary { cursor: pointer; color: var(--soft); font-size: 13px; } summary:focus-visible { outline: 2px solid var(--accent); outline-offset: 3px; border-radius: 3px; } details .scroll { margin-top: 8px; }
code { font: 13px/1.5 ui-monospace, "SF Mono", "DejaVu Sans Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: 168px 1fr; gap: 5px 16px; margin: 10px 0 0; } dt { color: var(--soft); } dd { margin: 0; min-width: 0; overflow-wrap: anywhere; }
footer { color: var(--soft); font-size: 13px; margin-top: 22px; }
.num { text-align: right; font-variant-numeric: tabular-nums; }
@media screen and (max-width: 760px) { body { padding: 22px 14px 44px; } section { padding: 16px 16px 18px; } .scroll { margin: 0 -16px; padding: 0 16px; }
  .figures { grid-template-columns: repeat(2, 1fr); } .figures div { border-top: 1px solid var(--line); margin-top: -1px; padding: 12px 16px; }
  .lane { grid-template-columns: 1fr auto; padding: 8px 0; } .lane .draw { grid-column: 1 / -1; grid-row: 2; } .lane.foot .draw { grid-row: 1; } .lane.foot { padding: 2px 0; }
  .look li { grid-template-columns: 1fr; } dl { grid-template-columns: 1fr; gap: 0; }
  .stack thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); } .stack tr { display: block; padding: 9px 0; border-top: 1px solid var(--grid); } .stack td { display: block; border: 0; padding: 1px 0; } .stack td.num { display: inline-block; text-align: left; margin-right: 18px; }
  .stack td[data-label]::before { content: attr(data-label) " "; color: var(--soft); font-size: 13px; } .stack tr.note { background: var(--warn-soft); margin: 0 -16px; padding: 9px 16px; } .stack tr.note td { background: none; box-shadow: none; }
  dd { margin-bottom: 8px; } .dow { display: none; } .seal { max-width: none; } }
@page { margin: 15mm 14mm 17mm; @bottom-left { content: "Valetkey audit"; font: 8.5pt system-ui, sans-serif; color: #5c5f66; } @bottom-right { content: counter(page) " / " counter(pages); font: 8.5pt system-ui, sans-serif; color: #5c5f66; } }
@media print { :root { color-scheme: light; --ground: #fff; --card: #fff; --line: #cfcdc6; --grid: #e6e4de; } html { font-size: 12.5px; } body { max-width: none; padding: 0; } * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  header { margin-bottom: 14px; } .seal { max-width: 300px; } .lead { max-width: none; margin-bottom: 10px; }
  section { border: 0; border-top: 1px solid var(--line); border-radius: 0; padding: 13px 0 0; margin-bottom: 20px; } .figures { border-width: 1px 0; border-radius: 0; margin-bottom: 20px; } .figures div { padding: 9px 10px 8px; } .figures div:first-child { border-left: 0; padding-left: 1px; } .figures b { font-size: 21px; } .figures span { font-size: 11.5px; }
  h2, h3, .lead, .legend { break-after: avoid; } p { orphans: 3; widows: 3; } header, .figures, .lane, tr, .look li, .legend, .area, .axis, dl, footer { break-inside: avoid; } .lane.foot, .axis { break-before: avoid; } .area { break-after: avoid; } thead { display: table-header-group; }
  .lane { grid-template-columns: 178px 1fr 72px; gap: 0 12px; } .lane .path { white-space: normal; overflow-wrap: anywhere; } .look li { grid-template-columns: 152px 1fr; margin-left: 0; } .strip { height: 32px; } .area { height: 110px; }
  .scroll { overflow: visible; margin: 0; padding: 0; } table { font-size: 12px; } th, td { padding-right: 12px; } td .why { overflow-wrap: anywhere; font-size: 11.5px; } td[data-label="Signed in"] .why { overflow-wrap: normal; } td code { font-size: 11px; white-space: nowrap; } details td:first-child { width: 36%; } tr.note td:first-child { box-shadow: inset 3px 0 0 var(--warn); padding-left: 9px; }
  .matrix { table-layout: fixed; } .matrix td, .matrix th { min-width: 0; padding: 3px; } .matrix thead th { font-size: 11px; overflow-wrap: break-word; } .matrix th:first-child { width: 24%; min-width: 0; }
  details { margin-top: 16px; } details > summary { display: none; } details::details-content { content-visibility: visible; display: block; } footer { margin-top: 14px; } }
`;
