/**
 * Text in lines that fit a terminal. Words are never cut, so that a path, a link or a code is selected whole; one
 * that is longer than a line is a line. Where nobody knows the width (a file, a pipe) nothing is folded.
 */

/** Narrower than this, a column of text is a column of words. */
const ROOM_MIN = 20;

export function wrap(text: string, room: number): readonly string[] {
  return text.split(' ').reduce<readonly string[]>((before, each) => {
    const last = before.at(-1);
    return last === undefined || [...last].length + 1 + [...each].length > room ? [...before, each] : [...before.slice(0, -1), `${last} ${each}`];
  }, []);
}

/** @param indent - of every line; the first one's is left to who writes what stands there */
export function fold(text: string, indent: number, columns: number | null): string {
  if (columns === null || columns - indent < ROOM_MIN) return text;
  return wrap(text, columns - indent).join(`\n${' '.repeat(indent)}`);
}

/** A name and what it is; where no room is left beside the names, it stands below its own. */
export function foldFact(name: string, value: string, width: number, columns: number | null): { readonly gap: string; readonly value: string } {
  const indent = width + 2;
  if (columns === null || indent + [...value].length <= columns) return { gap: ' '.repeat(indent - name.length), value };
  if (columns - indent >= ROOM_MIN) return { gap: ' '.repeat(indent - name.length), value: fold(value, indent, columns) };
  return { gap: '\n  ', value: fold(value, 2, columns) };
}
