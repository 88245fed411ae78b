/**
 * Reads TypeScript just well enough to say what a file imports and which names it uses: comments, strings,
 * templates and regular expressions are told apart from code. What it cannot read it throws on, since a
 * check that skips a file passes for the wrong reason.
 */
export type Token = {
  readonly kind: 'word' | 'punct' | 'number' | 'string' | 'template' | 'regex';
  /** Of strings and templates: the text between the quotes; ${} of a template is cut out. */
  readonly text: string;
  readonly line: number;
};

export type Import = {
  readonly how: 'import' | 'import type' | 'side effect' | 're-export' | 'dynamic' | 'require';
  /** Null where it is computed, so that nobody can say what is loaded. */
  readonly specifier: string | null;
  readonly line: number;
};

/** After these words a slash opens a regular expression; after all others it divides. */
const BEFORE_REGEX = new Set(['return', 'typeof', 'case', 'in', 'of', 'new', 'delete', 'void', 'throw', 'yield', 'await', 'instanceof', 'else', 'do', 'extends']);

export function tokenize(source: string): readonly Token[] {
  const tokens: Token[] = [];
  /** Open braces inside each open template's ${}. */
  const templates: { depth: number; text: string; line: number }[] = [];
  let at = 0;
  let line = 1;

  const fail = (what: string): never => {
    throw new Error(`line ${line}: ${what}`);
  };
  const advance = (length: number): string => {
    const text = source.slice(at, at + length);
    line += text.split('\n').length - 1;
    at += length;
    return text;
  };
  const push = (kind: Token['kind'], text: string, startLine: number): void => void tokens.push({ kind, text, line: startLine });

  /** From just behind the backtick, or behind the brace that closes a ${}. */
  const readTemplate = (text: string, startLine: number): void => {
    const match = /(?:[^`$\\]|\\[\s\S]|\$(?!\{))*/y;
    match.lastIndex = at;
    const chunk = advance(match.exec(source)?.[0].length ?? 0);
    if (source.startsWith('${', at)) {
      advance(2);
      templates.push({ depth: 0, text: text + chunk, line: startLine });
    } else if (source[at] === '`') {
      advance(1);
      push('template', text + chunk, startLine);
    } else fail('a template does not end');
  };

  const regexMayStart = (): boolean => {
    const last = tokens.at(-1);
    if (last === undefined) return true;
    if (last.kind === 'word') return BEFORE_REGEX.has(last.text);
    return last.kind === 'punct' && ![')', ']', '}', '++', '--'].includes(last.text);
  };

  if (source.startsWith('#!')) advance(source.indexOf('\n'));
  while (at < source.length) {
    const rest = (pattern: RegExp): string | null => {
      pattern.lastIndex = at;
      return pattern.exec(source)?.[0] ?? null;
    };
    const startLine = line;
    const space = rest(/\s+/y) ?? rest(/\/\/[^\n]*/y) ?? rest(/\/\*[\s\S]*?\*\//y);
    if (space !== null) {
      advance(space.length);
      continue;
    }
    const word = rest(/[#@]?[\p{ID_Start}$_][\p{ID_Continue}$\u200c\u200d]*/uy);
    if (word !== null) {
      push('word', advance(word.length), startLine);
      continue;
    }
    const number = rest(/\.?\d[\w.]*/y);
    if (number !== null) {
      push('number', advance(number.length), startLine);
      continue;
    }
    const char = source[at] ?? '';
    if (char === "'" || char === '"') {
      const string = rest(char === "'" ? /'(?:[^'\\\n]|\\[\s\S])*'/y : /"(?:[^"\\\n]|\\[\s\S])*"/y) ?? fail('a string does not end');
      push('string', advance(string.length).slice(1, -1), startLine);
    } else if (char === '`') {
      advance(1);
      readTemplate('', startLine);
    } else if (char === '/' && regexMayStart()) {
      const regex = rest(/\/(?:[^/\\[\n]|\\[^\n]|\[(?:[^\]\\\n]|\\[^\n])*\])+\/[a-z]*/y) ?? fail('a regular expression does not end');
      push('regex', advance(regex.length), startLine);
    } else {
      const inner = templates.at(-1);
      if (char === '}' && inner?.depth === 0) {
        templates.pop();
        advance(1);
        readTemplate(inner.text, inner.line);
        continue;
      }
      if (inner !== undefined) inner.depth += char === '{' ? 1 : char === '}' ? -1 : 0;
      const punct = rest(/\+\+|--|=>|\?\.|\.\.\.|[^\s\w]/uy) ?? fail(`what is ${JSON.stringify(char)}`);
      push('punct', advance(punct.length), startLine);
    }
  }
  if (templates.length > 0) fail('a template does not end');
  return tokens;
}

export function readImports(tokens: readonly Token[]): readonly Import[] {
  const imports: Import[] = [];
  const text = (i: number): string | null => {
    const token = tokens[i];
    return token !== undefined && (token.kind === 'word' || token.kind === 'punct') ? token.text : null;
  };
  const literal = (i: number): string | null => {
    const token = tokens[i];
    return token?.kind === 'string' || token?.kind === 'template' ? token.text : null;
  };
  /** The string after the next `from`, in the same statement. */
  const from = (start: number): string | null => {
    for (let i = start; i < tokens.length; i++) {
      if (text(i) === 'from' && tokens[i + 1]?.kind === 'string') return literal(i + 1);
      if (text(i) === ';' || text(i) === '=' || text(i) === '(') return null;
    }
    return null;
  };

  tokens.forEach((token, i) => {
    if (token.kind !== 'word' || text(i - 1) === '.' || text(i - 1) === '?.') return;
    const add = (how: Import['how'], specifier: string | null): void => void imports.push({ how, specifier, line: token.line });
    // A call whose only argument is a literal; anything else could load whatever it likes.
    const argument = (open: number): string | null => (text(open + 2) === ')' || text(open + 2) === ',' ? literal(open + 1) : null);
    if (token.text === 'import') {
      if (text(i + 1) === '(') add('dynamic', argument(i + 1));
      else if (tokens[i + 1]?.kind === 'string') add('side effect', literal(i + 1));
      else if (text(i + 1) !== '.' && text(i + 1) !== ':') {
        const specifier = from(i + 1);
        if (specifier !== null) add(text(i + 1) === 'type' && text(i + 2) !== 'from' ? 'import type' : 'import', specifier);
      }
    } else if (token.text === 'export' && (text(i + 1) === '*' || text(i + 1) === '{' || (text(i + 1) === 'type' && (text(i + 2) === '{' || text(i + 2) === '*')))) {
      const specifier = from(i + 1);
      if (specifier !== null) add('re-export', specifier);
    } else if (token.text === 'require' && text(i + 1) === '(') add('require', argument(i + 1));
    else if (token.text === 'require' && text(i + 1) === '.' && text(i + 2) === 'resolve') add('require', text(i + 3) === '(' ? argument(i + 3) : null);
  });
  return imports;
}
