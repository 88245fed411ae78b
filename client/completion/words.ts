/**
 * What may stand where on the command line, read off the verbs and flags as they are declared, so that the
 * scripts of all shells offer the same and nothing that the CLI would refuse. Pure.
 */
import type { Argument, Command, Option } from 'commander';
import type { NameKind } from './names.ts';

export type Word = { readonly word: string; readonly about: string };

/** What may stand in one place: one of a few words, a name that the daemon knows, a path, or anything. */
export type Slot =
  | { readonly kind: 'words'; readonly words: readonly string[] }
  | { readonly kind: 'names'; readonly of: NameKind }
  | { readonly kind: 'files' }
  | { readonly kind: 'text' };

export type Flag = {
  /** `-f`, `--follow`. */
  readonly spellings: readonly string[];
  readonly about: string;
  /** Null where it takes nothing. */
  readonly takes: Slot | null;
};

/** One verb, with those before it: `['profile', 'add']`; the program itself has none. */
export type Place = {
  readonly words: readonly string[];
  readonly below: readonly Word[];
  readonly flags: readonly Flag[];
  readonly arguments: readonly Slot[];
};

/** Those of daemon/config/presets, which a test compares. */
export const PRESETS = ['atlassian', 'auth0', 'entra', 'github', 'gitlab', 'google', 'keycloak', 'oauth', 'oidc', 'okta'] as const;

const TEXT: Slot = { kind: 'text' };
const FILES: Slot = { kind: 'files' };
const namesOf = (of: NameKind): Slot => ({ kind: 'names', of });

/** By what it is called in the help; the first that fits, by the verb and the flag before it. Anything else is text. */
const SLOTS: readonly (readonly [where: RegExp, slot: Slot])[] = [
  [/^profile add NAME$/, TEXT],
  [/^profile add --preset /, { kind: 'words', words: PRESETS }],
  [/^workload .*PROFILE$/, namesOf('workloads')],
  [/^approve ID$/, namesOf('questions')],
  [/^approvals revoke WHICH$/, namesOf('consents')],
  [/^approvals pin WHICH$/, { kind: 'words', words: ['set', 'change', 'remove'] }],
  [/--(?:agent|ancestor) NAME$/, TEXT],
  [/(?:^| )(?:PROFILE|NAME)$/, namesOf('profiles')],
  [/ (?:FILE|PATH|POLICY|COMMAND)$/, FILES],
];

function slotOf(where: string, choices: readonly string[] | undefined): Slot {
  if (choices !== undefined) return { kind: 'words', words: choices };
  return SLOTS.find(([pattern]) => pattern.test(where))?.[1] ?? TEXT;
}

/** `<FILE>` of `-o, --output <FILE>`. */
function metavariable({ flags }: Option): string {
  return /[<[]([^>\]]+?)(?:\.\.\.)?[>\]]/.exec(flags)?.[1] ?? '';
}

function flagOf(verb: string, option: Option): Flag {
  const spellings = [option.short, option.long].flatMap((each) => each ?? []);
  const takes = option.required || option.optional ? slotOf(`${verb} ${option.long ?? ''} ${metavariable(option)}`, option.argChoices) : null;
  return { spellings, about: option.description, takes };
}

function flagsOf(command: Command, verb: string): readonly Flag[] {
  const declared = [command, ...ancestors(command)].flatMap(({ options }) => options).filter(({ hidden }) => !hidden);
  return [...declared.map((option) => flagOf(verb, option)), { spellings: ['-h', '--help'], about: 'show help', takes: null }];
}

function ancestors({ parent }: Command): readonly Command[] {
  return parent === null ? [] : [parent, ...ancestors(parent)];
}

/** Words of a first argument that say what the second one is: they are like verbs. */
function actionsOf([first, second]: readonly Argument[]): readonly string[] {
  return first?.argChoices !== undefined && second !== undefined ? first.argChoices : [];
}

function placeOf(command: Command, words: readonly string[]): readonly Place[] {
  const verb = words.join(' ');
  const flags = flagsOf(command, verb);
  const [, ...rest] = command.registeredArguments;
  const actions = actionsOf(command.registeredArguments);
  const slots = (of: string, from: readonly Argument[]) => from.map((argument) => slotOf(`${of} ${argument.name()}`, argument.argChoices));
  const below = [...command.commands.map((sub) => ({ word: sub.name(), about: sub.description() })), ...actions.map((word) => ({ word, about: '' }))];
  return [
    { words, below, flags, arguments: actions.length > 0 ? [] : slots(verb, command.registeredArguments) },
    ...actions.map((word) => ({ words: [...words, word], below: [], flags, arguments: slots(`${verb} ${word}`, rest) })),
  ];
}

/** The places of `help profile add`: verbs, and nothing else. */
function helpPlaces(places: readonly Place[], program: Command): readonly Place[] {
  const isVerb = ({ words }: Place) => findVerb(program, words) !== null;
  return places.filter(isVerb).map(({ words, below }) => ({ words: ['help', ...words], below: below.filter(({ word }) => findVerb(program, [...words, word]) !== null), flags: [], arguments: [] }));
}

function findVerb(command: Command, [first, ...rest]: readonly string[]): Command | null {
  if (first === undefined) return command;
  const below = command.commands.find((sub) => sub.name() === first);
  return below === undefined ? null : findVerb(below, rest);
}

export function placesOf(program: Command): readonly Place[] {
  const walk = (command: Command, words: readonly string[]): readonly Place[] => [
    ...placeOf(command, words),
    ...command.commands.flatMap((sub) => walk(sub, [...words, sub.name()])),
  ];
  const [root, ...verbs] = walk(program, []);
  if (root === undefined) return [];
  const places = [{ ...root, below: [...root.below, { word: 'help', about: 'Show help for a verb' }] }, ...verbs];
  return [...places, ...helpPlaces([root, ...verbs], program)];
}
