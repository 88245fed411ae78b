/** Text as man(7) takes it, in ASCII, so that it reads the same under every groff and mandoc. */

/** @param {string} text */
export function escaped(text) {
  return text.replaceAll('\\', '\\e').replaceAll('-', '\\-').replaceAll('\'', '\\(aq').replaceAll('`', '\\(ga').replaceAll('^', '\\(ha').replaceAll('~', '\\(ti')
    .replace(/[^\0-\x7f]/gu, (char) => `\\[u${(char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}]`);
}

/** Prose: a hyphen may be one, and an apostrophe is one. @param {string} text */
export function prose(text) {
  return escaped(text).replaceAll('\\(aq', '\'').replace(/(?<=\w)\\-(?=\w)/g, '-');
}

/** A line that begins like a request is none. @param {string} line */
export function plainLine(line) {
  return /^[.']/.test(line) ? `\\&${line}` : line;
}

export const bold = (/** @type {string} */ text) => `\\fB${escaped(text)}\\fP`;
export const italic = (/** @type {string} */ text) => `\\fI${escaped(text)}\\fP`;

/** An argument of a macro. @param {string} text */
export function argument(text) {
  return `"${text.replaceAll('"', '\\(dq')}"`;
}

/** Columns that are left of eighty behind the indent. */
const LITERAL_WIDTH = 69;

/** A command that is too long goes on behind a backslash, where a flag or a pipe begins; what it is about stands above it. */
export function shellLines(/** @type {string} */ line) {
  const [, command = line, about = null] = /^(.*?) {2,}# (.*)$/.exec(line) ?? [];
  if (line.length <= LITERAL_WIDTH) return [line];
  if (about !== null) return [`# ${about}`, ...shellLines(command)];
  const parts = (line.match(/(?:"[^"]*"|'[^']*'|.)+?(?= (?:--|\| )|$)/g) ?? [line]).flatMap((part) => (part.length > LITERAL_WIDTH - 2 ? part.split(/(?= https?:)/) : [part]));
  const lines = parts.reduce((all, part) => (all.length > 0 && all.at(-1).length + part.length <= LITERAL_WIDTH - 2 ? [...all.slice(0, -1), all.at(-1) + part] : [...all, all.length === 0 ? part : `   ${part}`]), []);
  return lines.map((each, i) => (i + 1 < lines.length ? `${each} \\` : each));
}

/** Lines as they are: a command, a file. @param {string} text */
export function literal(text) {
  return ['.PP', '.in +2n', '.nf', ...text.split('\n').map((line) => plainLine(escaped(line))), '.fi', '.in'];
}

/** A term and what it means, in lines of roff. @param {string} term @param {readonly string[]} lines */
export function definition(term, lines) {
  return ['.TP', plainLine(term), ...lines];
}

/** Nothing stands between a .PP and what begins a paragraph by itself. @param {readonly string[]} lines */
function withoutEmptyParagraphs(lines) {
  return lines.filter((line, i) => line !== '.PP' || (i + 1 < lines.length && !/^\.(?:PP|SH|SS|TP|IP)/.test(lines[i + 1]) && !/^\.S[HS]/.test(lines[i - 1] ?? '')));
}

/** man-pages(7): no source line over 80 bytes; what is literal stays. @param {readonly string[]} lines */
function wrapped(lines) {
  let isLiteral = false;
  return lines.flatMap((line) => {
    if (line === '.nf' || line === '.fi') isLiteral = line === '.nf';
    return isLiteral || line.startsWith('.') ? [line] : (line.match(/\S.{0,77}(?= |$)|\S+/g) ?? [line]).map(plainLine);
  });
}

/**
 * @param {{ name: string, section: number, version: string, date: string, about: string, see: readonly string[] }} page
 * @param {readonly string[]} body
 */
export function manualPage({ name, section, version, date, about, see }, body) {
  return `${wrapped(withoutEmptyParagraphs([
    `.TH ${argument(escaped(name.toUpperCase()))} ${section} ${argument(date)} ${argument(`valetkey ${version}`)} "Valetkey manual"`,
    // Ragged: a long path or address would tear holes into lines of even length.
    '.ad l', '.nh',
    '.SH NAME', `${escaped(name)} \\- ${prose(about)}`,
    ...body,
    '.SH SEE ALSO', see.map((each) => each.replace(/^(.*)(\(\d\))$/, (_, page, number) => `${bold(page)}${number}`)).join(',\n').split('\n'),
  ].flat())).join('\n')}\n`;
}
