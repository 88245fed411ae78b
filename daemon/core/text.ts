/**
 * Text that came from outside (error_description, names in claims, file names) before it reaches a log, a
 * terminal or a page: no control characters, no ANSI sequences, no marks that turn the reading direction.
 */
// C0, DEL, C1; soft hyphen; zero-width and direction marks; line and paragraph separators; BOM; tags.
// oxlint-disable-next-line no-control-regex -- naming control characters is the purpose of this line
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/gu;
// oxlint-disable-next-line no-control-regex -- ANSI sequences begin with ESC or C1 CSI
const ANSI = /[\u001b\u009b][[\]()#;?]*(?:[0-9]{1,4}(?:;[0-9]{0,4})*)?[0-9A-ORZcf-nqry=><~]/g;

/** @param max - characters to keep; what is cut is marked with an ellipsis. */
export function cleanText(text: string, max = 200): string {
  const clean = text.slice(0, max * 8).replace(ANSI, '').replace(UNSAFE, ' ').replace(/ {2,}/g, ' ').trim();
  return clean.length > max ? `${clean.slice(0, max - 1)}…` : clean;
}

/** As JSON in which all of that is written as an escape: the value is the same, and whoever prints the text prints text. */
export function plainJson(value: object): string {
  return JSON.stringify(value).replace(UNSAFE, (mark) => mark.split('').map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`).join(''));
}
