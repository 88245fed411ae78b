/**
 * The YAML that tools write into their own files: block mappings and sequences of plain or quoted scalars. What is
 * beyond that (anchors, flow collections, block scalars) is left out, since a secret that a tool wrote there is none of
 * those that are looked for. It never throws, and reads so many lines and so deep only.
 */
const LINES_MAX = 50_000;
const DEPTH_MAX = 24;

type Line = { readonly indent: number; readonly text: string };
type Read = { readonly value: unknown; readonly next: number };

function scalar(text: string): string {
  const plain = text.replace(/^!!\w+\s+/, ''); // glab writes `!!null` before its token
  const quoted = /^"((?:[^"\\]|\\.)*)"/.exec(plain) ?? /^'((?:[^']|'')*)'/.exec(plain);
  if (quoted !== null) return (quoted[1] ?? '').replaceAll('\'\'', '\'');
  return plain.replace(/\s+#.*$/, '').trim();
}

/** `key: value`, the key plain or quoted. */
function pairOf(text: string): readonly [string, string] | null {
  const match = /^(?:"([^"]*)"|'([^']*)'|([^\s"'[{#&*!|>-][^#]*?|-[^\s#][^#]*?)):(?:\s+(.*))?$/.exec(text);
  if (match === null) return null;
  return [match[1] ?? match[2] ?? match[3] ?? '', match[4] ?? ''];
}

function itemOf({ indent, text }: Line): Line | null {
  const item = /^-(\s+)(.*)$/.exec(text);
  if (item !== null) return { indent: indent + 1 + (item[1] ?? '').length, text: item[2] ?? '' };
  return text === '-' ? { indent: indent + 2, text: '' } : null;
}

function skipDeeper(lines: readonly Line[], from: number, indent: number): number {
  let at = from;
  while ((lines[at]?.indent ?? -1) > indent) at += 1;
  return at;
}

function readSequence(lines: Line[], from: number, indent: number, depth: number): Read {
  const value: unknown[] = [];
  let at = from;
  for (let line = lines[at]; line !== undefined && line.indent === indent; line = lines[at]) {
    const item = itemOf(line);
    if (item === null) break;
    if (item.text === '') {
      const below = readBlock(lines, at + 1, indent, depth + 1);
      value.push(below.value);
      at = below.next;
    } else if (pairOf(item.text) === null) {
      value.push(scalar(item.text));
      at = skipDeeper(lines, at + 1, indent);
    } else {
      lines[at] = item; // its first pair stands beside the dash
      const below = readMapping(lines, at, item.indent, depth + 1);
      value.push(below.value);
      at = skipDeeper(lines, below.next, indent);
    }
  }
  return { value, next: at };
}

function readMapping(lines: Line[], from: number, indent: number, depth: number): Read {
  const value: Record<string, unknown> = Object.create(null);
  let at = from;
  for (let line = lines[at]; line !== undefined && line.indent === indent; line = lines[at]) {
    const pair = pairOf(line.text);
    at += 1;
    if (pair === null) {
      if (itemOf(line) !== null) break;
      continue;
    }
    const [key, text] = pair;
    if (text !== '' && !text.startsWith('#')) {
      value[key] = scalar(text);
      at = skipDeeper(lines, at, indent);
    } else {
      const below = readBlock(lines, at, indent, depth + 1);
      value[key] = below.value;
      at = below.next;
    }
  }
  return { value, next: at };
}

/** What stands below a key or a dash at `indent`; a sequence may stand as far left as its key. */
function readBlock(lines: Line[], from: number, indent: number, depth: number): Read {
  const first = lines[from];
  const isSequence = first !== undefined && itemOf(first) !== null;
  if (first === undefined || depth > DEPTH_MAX || !(first.indent > indent || (isSequence && first.indent === indent && depth > 0))) {
    return { value: '', next: depth > DEPTH_MAX ? skipDeeper(lines, from, indent) : from };
  }
  const read = isSequence ? readSequence(lines, from, first.indent, depth) : readMapping(lines, from, first.indent, depth);
  return { value: read.value, next: skipDeeper(lines, read.next, indent) };
}

export function readYaml(text: string): unknown {
  const lines = text.split('\n', LINES_MAX).flatMap((raw): Line[] => {
    const line = raw.trimEnd();
    const body = line.trimStart();
    return body === '' || body.startsWith('#') || body === '---' ? [] : [{ indent: line.length - body.length, text: body }];
  });
  return readBlock(lines, 0, -1, 0).value;
}
