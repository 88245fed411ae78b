/**
 * Text from outside (names in claims, error descriptions, host names, paths) before it reaches a terminal
 * (AL-04): no control characters, no ANSI sequences, no marks that turn the reading direction or are
 * invisible. The daemon has cleaned it once; a client cleans again, since it is the client's terminal.
 *
 * Only the marks themselves go: what follows an escape stays as plain text, so that a value from outside can
 * never swallow the words that we put after it.
 */
// Controls, format marks (zero-width, bidi, tags), line and paragraph separators, lone surrogates, private use.
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}]/gu;

/** One line of at most `max` characters; what is cut is marked with an ellipsis. */
export function cleanText(text: string, max = 1_000): string {
  const clean = text.slice(0, max * 8).replace(UNSAFE, ' ').trimEnd();
  return clean.length > max ? `${clean.slice(0, max - 1)}…` : clean;
}

function escaped(mark: string): string {
  return [...Array(mark.length).keys()].map((i) => `\\u${mark.charCodeAt(i).toString(16).padStart(4, '0')}`).join('');
}

/** JSON escapes only the C0 controls; the rest of what a terminal obeys or hides is escaped here. */
export function toTerminalJson(value: unknown): string {
  return JSON.stringify(value, null, 2).replace(UNSAFE, (mark) => (mark === '\n' ? mark : escaped(mark)));
}

/** The same on one line, without its end. */
export function toTerminalJsonLine(value: unknown): string {
  return JSON.stringify(value).replace(UNSAFE, escaped);
}
