/**
 * The documents' Markdown as man(7): headings, paragraphs, lists, code, and tables, which become terms with what they
 * mean, since no table of theirs fits into eighty columns. What it does not know is an error, not a page that reads badly.
 */
import { argument, bold, definition, escaped, italic, literal, plainLine, prose, shellLines } from './roff.mjs';

/** Pages that documents of their own have. */
const PAGES = { 'configuration.md': 'valetkey-config(5)', 'policy.md': 'valetkey-policy(5)' };
const INLINE = /`([^`]+)`|\*\*(.+?)\*\*|\*([^*]+)\*|\[((?:`[^`]*`|[^[\]`])+)\]\(([^)\s]+)\)/g;

/** @param {string} text */
function link(text, target) {
  if (/^https?:/.test(target)) return `${inline(text)} (${escaped(target)})`;
  const page = PAGES[target.split('#')[0]];
  return page === undefined || text.includes('(5)') ? inline(text) : `${inline(text)} (${bold(page.slice(0, -3))}${page.slice(-3)})`;
}

/** @param {string} text */
export function inline(text) {
  let at = 0;
  let out = '';
  for (const match of text.matchAll(INLINE)) {
    const [whole, code, strong, weak, label, target] = match;
    out += prose(text.slice(at, match.index));
    if (code !== undefined) out += bold(code);
    else if (strong !== undefined) out += `\\fB${inline(strong).replaceAll('\\fP', '\\fB')}\\fP`;
    else if (weak !== undefined) out += italic(weak);
    else out += link(label, target);
    at = match.index + whole.length;
  }
  return out + prose(text.slice(at));
}

/** A sentence a line, as man-pages(7) asks for. @param {string} text */
function sentences(text) {
  return inline(text).replace(/([.!?:]\)?) +(?=[A-Z\\])/g, (all, end) => (/\b(?:e\.g|i\.e|etc)\.$/.test(end) ? all : `${end}\n`)).split('\n').map(plainLine);
}

/** Code keeps its letters. */
function headingOf(title, isSection) {
  return title.split(/(`[^`]+`)/).map((part) => inline(isSection && !part.startsWith('`') ? part.toUpperCase() : part)).join('').replace(/\\f[BIP]/g, '');
}

/** @param {string} row */
function cells(row) {
  return row.replace(/^\|/, '').replace(/\|\s*$/, '').split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll('\\|', '|'));
}

/** @param {readonly string[]} rows */
function table([head = '', , ...rows]) {
  const headers = cells(head);
  return rows.flatMap((row) => {
    const [term = '', ...rest] = cells(row);
    const last = rest.at(-1) ?? '';
    const between = rest.slice(0, -1).map((cell, i) => [headers[i + 1] ?? '', cell]).filter(([, cell]) => cell !== '');
    const facts = between.map(([name, cell]) => `${name === '' || cell === name || cell === 'required' ? '' : `${name}: `}${cell}`).join('; ');
    return definition(inline(term), [...(facts === '' ? [] : [`(${plainLine(inline(facts))})`]), ...(last === '' ? (facts === '' ? ['\\&'] : []) : sentences(last))]);
  });
}

/** @param {string} kind @param {readonly string[]} lines */
function list(kind, lines) {
  const items = lines.join('\n').split(kind === 'bullets' ? /^- /m : /^\d+\. /m).slice(1);
  return items.flatMap((item, i) => ['.IP', ...sentences(item.replaceAll(/\n\s*/g, ' ').trim())].toSpliced(0, 1, kind === 'bullets' ? '.IP \\(bu 2' : `.IP ${i + 1}. 4`));
}

/** @param {string} text Markdown, without its first heading @returns {readonly string[]} lines of roff */
export function roffOf(text) {
  const lines = text.split('\n');
  const out = [];
  let i = 0;
  const take = (/** @type {(line: string) => boolean} */ goesOn) => {
    const from = i;
    while (i < lines.length && goesOn(lines[i])) i += 1;
    return lines.slice(from, i);
  };
  while (i < lines.length) {
    const line = lines[i];
    const heading = /^(#{2,4}) (.*)/.exec(line);
    if (line.trim() === '') i += 1;
    else if (heading !== null) {
      const [, marks, title] = heading;
      out.push(`${marks.length === 2 ? '.SH' : '.SS'} ${argument(headingOf(title, marks.length === 2))}`);
      i += 1;
    } else if (line.startsWith('```')) {
      i += 1;
      const code = take((each) => !each.startsWith('```'));
      out.push(...literal((line === '```sh' ? code.flatMap(shellLines) : code).join('\n')));
      i += 1;
    } else if (line.startsWith('|')) out.push(...table(take((each) => each.startsWith('|'))), '.PP');
    else if (line.startsWith('- ')) out.push(...list('bullets', take((each) => /^(?:- | {2,}\S)/.test(each))), '.PP');
    else if (/^\d+\. /.test(line)) out.push(...list('numbers', take((each) => /^(?:\d+\. | {2,}\S)/.test(each))), '.PP');
    else if (/^(?:>|!\[|<|\s)/.test(line)) throw new Error(`no manual page can be made of: ${line}`);
    else out.push('.PP', ...sentences(take((each) => each.trim() !== '' && !/^(?:[|#]|```|- |\d+\. )/.test(each)).join(' ')));
  }
  return out;
}
