/** The tables that the scripts of all shells hold, by the verbs so far, and how text is quoted in them. */
import type { Flag, Place, Slot } from './words.ts';

/** What a shell's function answers for one slot: its kind, and then its words or whose names. */
function answerOf(slot: Slot): string {
  switch (slot.kind) {
    case 'words': return `words ${slot.words.join(' ')}`;
    case 'names': return `names ${slot.of}`;
    case 'files': return 'files';
    case 'text': return 'text';
  }
}

export const keyOf = ({ words }: Place): string => words.join(' ');

/** `token --format` and, for the first argument, `token 1`. The slots of the program's own flags stand at each verb again. */
export function slotRows(places: readonly Place[]): readonly (readonly [key: string, answer: string])[] {
  return places.flatMap((place) => [
    ...place.flags.flatMap(({ spellings, takes }) => (takes === null ? [] : spellings.map((flag) => [`${keyOf(place)} ${flag}`, answerOf(takes)] as const))),
    ...place.arguments.map((slot, i) => [`${keyOf(place)} ${i + 1}`, answerOf(slot)] as const),
  ]);
}

/** At Tab the long ones are offered, and those that have no long one. */
export const shownSpelling = ({ spellings }: Flag): string => spellings.at(-1) ?? '';

/** For bash and zsh; in fish only ' and \ are special inside of quotes. */
export const quoted = (text: string): string => `'${text.replaceAll('\'', '\'\\\'\'')}'`;
export const quotedForFish = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll('\'', '\\\'')}'`;
