/**
 * A page a verb, valetkey-login(1), of what `valetkey help` is made of: descriptions, arguments, flags, examples. A
 * verb with others below it has them on its page.
 */
import { argument, bold, definition, escaped, italic, literal, manualPage, plainLine, prose, shellLines } from './roff.mjs';

const EXAMPLES = '\nExamples:\n';

/** What stands behind the flags in the help: prose and examples. */
function afterHelp(command) {
  let whole = '';
  command.configureOutput({ writeOut: (text) => { whole += text; } });
  command.outputHelp();
  const after = whole.slice(command.createHelp().formatHelp(command, Object.assign(command.createHelp(), command.configureHelp(), { helpWidth: 80 })).length);
  const [before, ...examples] = after.split(EXAMPLES);
  // The first prose may stand behind examples: commander prints what was added later first.
  const split = examples.map((part) => part.split(/\n\n(?=\S)/));
  return {
    words: [before, ...split.flatMap(([, ...rest]) => rest)].map((text) => text.trim()).filter((text) => text !== ''),
    examples: split.map(([first]) => first.trimEnd()).filter((text) => text !== '').join('\n').replaceAll(/^ {2}\$ /gm, '').replaceAll(/ \\\n\s*/g, ' '),
  };
}

/** `--scope <SCOPE>`. */
function flagTerm(option) {
  const spellings = [option.short, option.long].filter((each) => each !== undefined && each !== null);
  const [, value = null] = /([<[][^>\]]+[>\]])/.exec(option.flags) ?? [];
  const taken = value === null ? '' : ` ${value.startsWith('[') ? `[${italic(value.slice(1, -1))}]` : italic(value.slice(1, -1))}`;
  return `${spellings.map(bold).join(', ')}${taken}`;
}

/** What the help says in half a sentence, and of which words it is one. */
function meaningOf({ description, argChoices = [] }) {
  const words = argChoices.length === 0 ? [] : [`One of ${argChoices.map(bold).join(', ')}.`];
  // `jsonl: as they stand` explains a word, which keeps its letters.
  const text = /^(?!default:)[a-z]+:/.test(description) ? description : description.charAt(0).toUpperCase() + description.slice(1);
  return [...(text === '' ? [] : [plainLine(prose(sentence(text)))]), ...words];
}

/** @param {import('commander').Command} command */
export function optionsOf(command) {
  return command.options.filter(({ hidden }) => !hidden).flatMap((option) => definition(flagTerm(option), meaningOf(option)));
}

function argumentsOf(command) {
  return command.registeredArguments.filter((each) => each.description !== '' || each.argChoices !== undefined).flatMap((each) => definition(italic(each.name()), meaningOf(each)));
}

function synopsisOf(command, path) {
  const taken = command.registeredArguments.map((each) => (each.required ? italic(each.name()) : `[${italic(each.name())}]`));
  return [bold(path), ...(command.options.some(({ hidden }) => !hidden) ? [`[${italic('options')}]`] : []), ...taken].join(' ');
}

const sentence = (/** @type {string} */ text) => `${text}${/[.!?]$/.test(text) ? '' : '.'}`;

/** What a verb does, takes and looks like in use. */
function bodyOf(command, title) {
  const { words, examples } = afterHelp(command);
  const taken = [...argumentsOf(command), ...optionsOf(command)];
  return [
    plainLine(prose(sentence(command.description()))),
    ...words.flatMap((text) => ['.PP', ...text.split('\n').map((line) => plainLine(prose(line.trim())))]),
    ...(taken.length === 0 ? [] : title === null ? taken : [`.SH ${title}`, ...taken]),
    ...(examples === '' ? [] : [...(title === null ? ['.PP', 'Examples:'] : ['.SH EXAMPLES']), ...literal(examples.split('\n').flatMap(shellLines).join('\n'))]),
  ];
}

/**
 * @param {import('commander').Command} command a verb right below the program
 * @param {{ version: string, date: string, see: readonly string[] }} page
 */
export function verbPage(command, page) {
  const path = `valetkey ${command.name()}`;
  const below = command.commands;
  const synopsis = (below.length === 0 ? [synopsisOf(command, path)] : below.map((sub) => synopsisOf(sub, `${path} ${sub.name()}`))).flatMap((line, i) => (i === 0 ? [line] : ['.br', line]));
  const { words, examples } = below.length === 0 ? { words: [], examples: '' } : afterHelp(command);
  const body = below.length === 0 ? ['.SH DESCRIPTION', ...bodyOf(command, 'OPTIONS')] : [
    '.SH DESCRIPTION', plainLine(prose(sentence(command.description()))), ...words.flatMap((text) => ['.PP', ...text.split('\n').map((line) => plainLine(prose(line.trim())))]),
    ...below.flatMap((sub) => [`.SS ${argument(escaped(`${command.name()} ${sub.name()}${sub.registeredArguments.map((each) => ` ${each.required ? each.name() : `[${each.name()}]`}`).join('')}`))}`, ...bodyOf(sub, null)]),
    ...(examples === '' ? [] : ['.SH EXAMPLES', ...literal(examples.split('\n').flatMap(shellLines).join('\n'))]),
  ];
  return manualPage({ name: `valetkey-${command.name()}`, section: 1, about: command.summary() || command.description(), ...page }, [
    '.SH SYNOPSIS', ...synopsis, ...body,
    '.SH COMMON OPTIONS', `The flags of all verbs, ${bold('--json')}, ${bold('--quiet')}, ${bold('--help')} and ${bold('--version')},`, 'the exit statuses and the environment are in', `${bold('valetkey')}(1).`,
  ]);
}

/** The list of verbs in valetkey(1). */
export function verbList(program) {
  return program.commands.flatMap((command) => definition(`${bold(`valetkey-${command.name()}`)}(1)`, [plainLine(prose(sentence(command.summary() || command.description())))]));
}
