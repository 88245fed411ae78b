/**
 * HTML that cannot be injected into: every value of the template is cleaned and escaped, unless it is Html
 * itself.
 */
import { cleanText } from '../../core/text.ts';

export class Html {
  readonly markup: string;

  constructor(markup: string) {
    this.markup = markup;
  }
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

export function html(parts: TemplateStringsArray, ...values: readonly (string | Html | readonly Html[])[]): Html {
  return new Html(parts.map((part, index) => part + markupOf(values[index] ?? '')).join(''));
}

function markupOf(value: string | Html | readonly Html[]): string {
  if (value instanceof Html) return value.markup;
  if (typeof value !== 'string') return value.map((one) => one.markup).join('');
  return cleanText(value, 300).replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
}
