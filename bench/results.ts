/**
 * The results of a run as data, with everything that a reader has to know of the machine to judge them, and how
 * they get into the documents: between two markers, so that no figure there was typed by anybody.
 */
import type { Comparison } from './comparison.ts';
import type { Machine } from './machine.ts';

export type SceneResult = {
  readonly name: string;
  readonly title: string;
  readonly isCharted: boolean;
  readonly lines: readonly Comparison[];
  /** Why it is not, or not wholly, measured. */
  readonly failure: string | null;
};

export type Results = {
  readonly v: 1;
  readonly build: string;
  readonly at: string;
  readonly isQuick: boolean;
  readonly machine: Machine;
  readonly peers: readonly { readonly name: string; readonly version: string | null; readonly missing: string | null }[];
  readonly warnings: readonly string[];
  readonly scenes: readonly SceneResult[];
};

const BEGIN = '<!-- bench: written by `npm run bench -- --record` -->';
const END = '<!-- /bench -->';

/** Throws where the markers are not there, once each and in order. */
export function replaceBetweenMarkers(document: string, text: string): string {
  const begin = document.indexOf(BEGIN);
  const end = document.indexOf(END);
  if (begin < 0 || end < begin || document.indexOf(BEGIN, begin + 1) >= 0) throw new Error('the document has no place for the results');
  return `${document.slice(0, begin + BEGIN.length)}\n\n${text}\n\n${document.slice(end)}`;
}
