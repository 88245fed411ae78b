/**
 * Patterns of policy files: `*` is any run of characters without `/`, `**` any run, everything else is itself.
 * Callers choose the texts that are matched, so the time is bounded by the product of both lengths, whatever
 * the pattern: no regular expression, no backtracking.
 */
export type Matcher = (text: string) => boolean;

type Step = string | { readonly crossing: boolean };

function stepsOf(pattern: string): readonly Step[] {
  const steps: Step[] = [];
  for (let i = 0; i < pattern.length; i += 1) {
    const letter = pattern.charAt(i);
    if (letter !== '*') {
      steps.push(letter);
    } else {
      const crossing = pattern.charAt(i + 1) === '*';
      if (crossing) i += 1;
      steps.push({ crossing });
    }
  }
  return steps;
}

/** All places of the pattern that the text so far can have led to, at once. */
function simulate(steps: readonly Step[], text: string): boolean {
  let at = reach(steps, new Set([0]));
  for (const letter of text.split('')) {
    const next = new Set<number>();
    for (const place of at) {
      const step = steps[place];
      if (step === undefined) continue;
      if (typeof step !== 'string') {
        if (step.crossing || letter !== '/') next.add(place);
      } else if (step === letter) {
        next.add(place + 1);
      }
    }
    if (next.size === 0) return false;
    at = reach(steps, next);
  }
  return at.has(steps.length);
}

/** A star may also stand for nothing. */
function reach(steps: readonly Step[], places: Set<number>): Set<number> {
  for (const place of places) {
    const step = steps[place];
    if (step !== undefined && typeof step !== 'string') places.add(place + 1);
  }
  return places;
}

function matcherOf(pattern: string): Matcher {
  if (pattern === '**') return () => true;
  const head = pattern.slice(0, pattern.indexOf('*'));
  const tail = pattern.slice(pattern.lastIndexOf('*') + 1);
  const star = pattern.slice(head.length, pattern.length - tail.length);
  const least = head.length + tail.length;
  const at = head.length - 1;
  const letter = head.charCodeAt(at);
  // One letter tells most texts apart, the ends the rest.
  const ends = (text: string): boolean => text.length >= least && (at < 0 || (text.charCodeAt(at) === letter && text.startsWith(head))) && text.endsWith(tail);
  if (star === '**') return ends;
  if (star === '*') {
    return (text) => {
      if (!ends(text)) return false;
      const slash = text.indexOf('/', head.length);
      return slash < 0 || slash >= text.length - tail.length;
    };
  }
  const steps = stepsOf(pattern);
  return (text) => ends(text) && simulate(steps, text);
}

/** More than these are looked up, fewer are compared: most lists hold one or two. */
const FEW = 8;

/** Whether one of the patterns fits the whole text. */
export function compilePatterns(patterns: readonly string[]): Matcher {
  const exact = patterns.filter((pattern) => !pattern.includes('*'));
  const open = patterns.filter((pattern) => pattern.includes('*')).map(matcherOf);
  if (exact.length > 0) open.push(exact.length > FEW ? lookedUp(exact) : compared(exact));
  const [first, second] = open;
  if (first === undefined) return () => false;
  if (second === undefined) return first;
  return open.length === 2 ? (text) => first(text) || second(text) : (text) => open.some((matches) => matches(text));
}

function lookedUp(words: readonly string[]): Matcher {
  const known = new Set(words);
  return (text) => known.has(text);
}

function compared(words: readonly string[]): Matcher {
  const [first = '', ...others] = words;
  if (others.length === 0) return (text) => text.length === first.length && text === first;
  return (text) => words.some((word) => word.length === text.length && word === text);
}
