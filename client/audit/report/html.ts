/** Markup that escapes by itself: a string becomes text wherever it stands, and only markup of ours stays markup (AL-04). */
import { cleanText } from '../../clean-text.ts';

export class Markup {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export type Piece = Markup | string | number | null | readonly Piece[];

const TEXT_MAX = 400;
const ENTITY: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', '\'': '&#39;' };

export function escapeText(text: string): string {
  return cleanText(text, TEXT_MAX).replace(/[&<>"']/g, (mark) => ENTITY[mark] ?? '');
}

function render(piece: Piece): string {
  if (piece === null) return '';
  if (piece instanceof Markup) return piece.text;
  if (typeof piece === 'number') return String(piece);
  return typeof piece === 'string' ? escapeText(piece) : piece.map(render).join('');
}

/** Attributes stand in double quotes, always. */
export function html(parts: TemplateStringsArray, ...pieces: readonly Piece[]): Markup {
  return new Markup(parts.map((part, i) => `${part}${i < pieces.length ? render(pieces[i] ?? null) : ''}`).join(''));
}

/** Markup of ours that is no template. */
export function raw(text: string): Markup {
  return new Markup(text);
}
