/**
 * As much of a terminal as the live view uses (ECMA-48, xterm): two screens, a cursor, erasing, colours, modes. What it
 * does not know is kept in `strange`, so that a test sees when something reaches the terminal that should not.
 */
type Cell = { readonly text: string; readonly style: string };

const BLANK: Cell = { text: ' ', style: '' };
const WIDE = /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|[\u{1f300}-\u{1faff}]/u;

export class TinyTerminal {
  readonly strange: string[] = [];
  columns: number;
  rows: number;
  isAlternate = false;
  isCursorShown = true;
  wraps = true;
  isSynchronised = false;
  /** How many of its cells were written since it was asked last, for who counts flicker. */
  written = 0;
  #main: Cell[][];
  #other: Cell[][];
  #x = 0;
  #y = 0;
  #style = '';
  #kept: readonly [number, number] = [0, 0];
  #rest = '';

  constructor(columns = 80, rows = 24) {
    this.columns = columns;
    this.rows = rows;
    this.#main = this.#empty();
    this.#other = this.#empty();
  }

  resize(columns: number, rows: number): void {
    this.columns = columns;
    this.rows = rows;
    const cut = (screen: Cell[][]): Cell[][] => Array.from({ length: rows }, (_, y) => Array.from({ length: columns }, (_x, x) => screen[y]?.[x] ?? BLANK));
    this.#main = cut(this.#main);
    this.#other = cut(this.#other);
  }

  get lines(): readonly string[] {
    return this.#screen.map((cells) => cells.map(({ text }) => text).join('').trimEnd());
  }

  get text(): string {
    return this.lines.join('\n');
  }

  /** The parts of a line that are drawn in this way, e.g. `31`. */
  styled(style: string): readonly string[] {
    return this.#screen.flatMap((cells) => cells.map((cell) => (cell.style === style ? cell.text : '\n')).join('').split(/\n+/).filter((part) => part.trim() !== ''));
  }

  write(bytes: string): void {
    let text = this.#rest + bytes;
    this.#rest = '';
    while (text !== '') {
      const escape = /^\u001b(?:\[([?>]?)([\d;]*)([@-~]))?/.exec(text);
      if (escape !== null) {
        if (escape[3] === undefined && text.length < 16) {
          this.#rest = text; // the rest of it comes
          return;
        }
        this.#obey(escape[1] ?? '', escape[2] ?? '', escape[3] ?? '', escape[0]);
        text = text.slice(escape[0].length);
        continue;
      }
      const [character = ''] = text;
      this.#put(character);
      text = text.slice(character.length);
    }
  }

  get #screen(): Cell[][] {
    return this.isAlternate ? this.#other : this.#main;
  }

  #empty(): Cell[][] {
    return Array.from({ length: this.rows }, () => Array.from({ length: this.columns }, () => BLANK));
  }

  #put(character: string): void {
    if (character === '\r') this.#x = 0;
    else if (character === '\n') this.#feed();
    else if (/\p{Cc}/u.test(character)) this.strange.push(character);
    else if (!/\p{M}/u.test(character)) {
      const width = WIDE.test(character) ? 2 : 1;
      if (this.#x + width > this.columns) {
        if (!this.wraps) this.strange.push(`past the edge: ${character}`);
        this.#x = 0;
        this.#feed();
      }
      const line = this.#screen[this.#y];
      if (line !== undefined) {
        line[this.#x] = { text: character, style: this.#style };
        if (width === 2) line[this.#x + 1] = { text: '', style: this.#style };
      }
      this.written += width;
      this.#x += width;
    }
  }

  #feed(): void {
    this.#y += 1;
    if (this.#y < this.rows) return;
    this.#y = this.rows - 1;
    this.#screen.shift();
    this.#screen.push(Array.from({ length: this.columns }, () => BLANK));
  }

  #obey(mark: string, numbers: string, what: string, whole: string): void {
    const [first = 0, second = 0] = numbers.split(';').map(Number);
    if (mark === '?' && (what === 'h' || what === 'l')) {
      const on = what === 'h';
      if (first === 1049) {
        // It keeps the cursor of the screen that it leaves, and gives it back (DECSC, DECRC).
        if (on && !this.isAlternate) this.#kept = [this.#x, this.#y];
        if (!on && this.isAlternate) [this.#x, this.#y] = this.#kept;
        this.isAlternate = on;
        if (on) this.#other = this.#empty();
      } else if (first === 25) this.isCursorShown = on;
      else if (first === 7) this.wraps = on;
      else if (first === 2026) this.isSynchronised = on;
      else this.strange.push(whole);
    } else if (mark === '' && what === 'H') {
      this.#y = Math.max(1, first) - 1;
      this.#x = Math.max(1, second) - 1;
    } else if (mark === '' && what === 'K' && numbers === '') this.#screen[this.#y]?.fill(BLANK, this.#x);
    else if (mark === '' && what === 'J' && first === 2) for (const line of this.#screen) line.splice(0, line.length, ...Array.from({ length: this.columns }, () => BLANK));
    else if (mark === '' && what === 'm') this.#style = numbers === '0' ? '' : numbers;
    else this.strange.push(whole);
  }
}
