/**
 * Whether the caller's default browser is graphical, told without running anything: $BROWSER, then the
 * handler of https links by the MIME applications specification, then Debian's alternative.
 */
import { access } from 'node:fs/promises';
import { basename } from 'node:path';
import type { SessionFacts } from '../core/domain.ts';
import type { Environment } from './facts.ts';
import { readTarget, readText } from './proc.ts';

const TEXT_BROWSER = /^(lynx|w3m|links|links2|elinks|www-browser|browsh|carbonyl|netrik|retawq)$/;
const MAX_BYTES = 1024 * 1024;
const HANDLER = 'x-scheme-handler/https';
const OPENERS = ['/usr/bin/xdg-open', '/usr/local/bin/xdg-open', '/run/current-system/sw/bin/xdg-open'];

export async function findBrowser(environment: Environment): Promise<SessionFacts['browser']> {
  // A list of commands; the first is tried first (environ(7) of most programs that read it).
  const named = environment.get('BROWSER')?.split(':')[0]?.trim();
  if (named !== undefined && named !== '') return kindOf(named);
  const desktop = await readDefaultEntry(environment);
  if (desktop !== null) return desktop;
  const alternative = readTarget('/etc/alternatives/x-www-browser');
  if (alternative !== null) return kindOf(alternative);
  const openers = await Promise.all(OPENERS.map((path) => access(path).then(() => true, () => false)));
  return openers.includes(true) ? 'unknown' : 'none';
}

/** @param command - a path, maybe with arguments. */
function kindOf(command: string): 'graphical' | 'none' {
  return TEXT_BROWSER.test(basename(command.split(/\s/)[0] ?? '')) ? 'none' : 'graphical';
}

/** The first handler whose desktop entry is there decides; null where none is. */
async function readDefaultEntry(environment: Environment): Promise<'graphical' | 'none' | null> {
  const applications = dataDirs(environment).map((directory) => `${directory}/applications`);
  for (const id of await handlerIds(environment, applications)) {
    for (const directory of applications) {
      const entry = await readText(`${directory}/${id}`, MAX_BYTES);
      if (entry === null) continue;
      const needsTerminal = /^Terminal\s*=\s*true\s*$/m.test(entry);
      return needsTerminal ? 'none' : kindOf(/^Exec\s*=\s*"?([^"\s]+)/m.exec(entry)?.[1] ?? id);
    }
  }
  return null;
}

/** Association between MIME types and applications, 1.0.1: "File name and location", then the cache. */
async function handlerIds(environment: Environment, applications: readonly string[]): Promise<readonly string[]> {
  const desktops = (environment.get('XDG_CURRENT_DESKTOP') ?? '').toLowerCase().split(':').filter((name) => /^[a-z0-9-]+$/.test(name));
  const names = [...desktops.map((desktop) => `${desktop}-mimeapps.list`), 'mimeapps.list'];
  const lists = [...configDirs(environment), ...applications].flatMap((directory) => names.map((name) => `${directory}/${name}`));
  const chosen = await Promise.all(lists.map((path) => readHandlers(path, 'Default Applications')));
  const known = await Promise.all(applications.map((directory) => readHandlers(`${directory}/mimeinfo.cache`, 'MIME Cache')));
  return [...chosen, ...known].flat();
}

async function readHandlers(path: string, group: string): Promise<readonly string[]> {
  const text = (await readText(path, MAX_BYTES)) ?? '';
  const lines = text.split(`[${group}]`)[1]?.split(/^\[/m)[0]?.split('\n') ?? [];
  const value = lines.find((line) => line.startsWith(`${HANDLER}=`))?.slice(HANDLER.length + 1) ?? '';
  return value.split(';').map((id) => id.trim()).filter((id) => /^[\w.-]+\.desktop$/.test(id));
}

function configDirs(environment: Environment): readonly string[] {
  return dirs(environment, 'XDG_CONFIG_HOME', '/.config', 'XDG_CONFIG_DIRS', '/etc/xdg');
}

function dataDirs(environment: Environment): readonly string[] {
  return dirs(environment, 'XDG_DATA_HOME', '/.local/share', 'XDG_DATA_DIRS', '/usr/local/share:/usr/share');
}

/** XDG Base Directory specification: relative paths are ignored. */
function dirs(environment: Environment, own: string, belowHome: string, shared: string, fallback: string): readonly string[] {
  const home = environment.get('HOME');
  const first = environment.get(own) || (home === undefined ? '' : `${home}${belowHome}`);
  const others = (environment.get(shared) || fallback).split(':').slice(0, 16);
  return [first, ...others].filter((directory) => directory.startsWith('/'));
}
