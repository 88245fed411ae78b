/**
 * Every point of a finite space, without visiting each. A point is handed out as an object that notes what is read
 * of it: what a function did not look at cannot have mattered, so one run stands for all points that agree in what it
 * did look at. The next run takes another value of the last thing that was read, until none is left. The sizes of
 * the regions add up to that of the space, which proves that none was left out.
 */
export type Choices<T> = readonly T[];
/** Leaves are lists of values; anything else is an object of parts. */
export type Space<T> = { readonly [K in keyof T]: Choices<T[K]> | (T[K] extends object ? Space<T[K]> : never) };

/** `share`: how many points agree in all that was read so far. */
type Read = { readonly path: string; readonly values: readonly unknown[]; readonly share: number; at: number };

/** Whole numbers, below 2^53. */
export type Walk = { readonly size: number; readonly covered: number; readonly regions: number };

export function sizeOf(space: object): number {
  return Object.values(space).reduce<number>((size, part) => size * (Array.isArray(part) ? part.length : sizeOf(part as object)), 1);
}

/** @param visit - must be a pure function of the point; called once a region */
export function walkSpace<T extends object>(space: Space<T>, visit: (point: T) => void): Walk {
  const size = sizeOf(space);
  const reads: Read[] = [];
  const known = new Map<string, Read>();
  let covered = 0;
  let regions = 0;

  const read = (path: string, values: readonly unknown[]): unknown => {
    let found = known.get(path);
    if (found === undefined) {
      found = { path, values, share: (reads.at(-1)?.share ?? size) / values.length, at: 0 };
      reads.push(found);
      known.set(path, found);
    }
    return found.values[found.at];
  };
  const pointOf = (parts: object, above: string): object => Object.defineProperties({}, Object.fromEntries(
    Object.entries(parts).map(([key, part]) => {
      const path = `${above}.${key}`;
      const inner = Array.isArray(part) ? null : pointOf(part as object, path);
      return [key, { enumerable: true, get: () => inner ?? read(path, part as readonly unknown[]) }];
    }),
  ));
  const point = pointOf(space, '') as T;

  for (;;) {
    visit(point);
    regions += 1;
    covered += reads.at(-1)?.share ?? size;
    let last = reads.at(-1);
    while (last !== undefined && last.at === last.values.length - 1) {
      reads.pop();
      known.delete(last.path);
      last = reads.at(-1);
    }
    if (last === undefined) return { size, covered, regions };
    last.at += 1;
  }
}

/** The same point with some of its first-level parts exchanged, and the others still unread. */
export function exchanged<T extends object>(point: T, parts: Partial<T>): T {
  return Object.create(point, Object.fromEntries(Object.entries(parts).map(([key, value]) => [key, { value, enumerable: true }]))) as T;
}
