/** Which program the shell finds as `valetkey`: the launcher, or Node doing the launcher's work thirty times slower. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ok, warning, word } from './finding.ts';
import type { Finding } from './finding.ts';

export type LauncherFacts = {
  readonly platform: string;
  /** What this process was called when it was started: the launcher calls Node by its own name. */
  readonly calledAs: string;
  /** The launcher of this installation; null if there is none. */
  readonly built: string | null;
  /** Its sources are here, so that it could be built. */
  readonly buildable: boolean;
};

const WHY = 'A cached token then takes as long as a start of Node, and scripts ask for many';

export function launcherFacts(): LauncherFacts {
  const built = fileURLToPath(new URL('../../launcher/valetkey', import.meta.url));
  const sources = new URL('../../../client/launcher/main.c', import.meta.url);
  return { platform: process.platform, calledAs: process.argv0, built: existsSync(built) ? built : null, buildable: existsSync(sources) };
}

export function checkLauncher({ platform, calledAs, built, buildable }: LauncherFacts): Finding {
  if (calledAs === 'valetkey') return ok('launcher', 'the launcher prints cached tokens');
  if (platform === 'linux' && built !== null) return warning('launcher', `Node prints cached tokens, and the launcher ${built} does not`, WHY, `mkdir -p ~/.local/bin && ln -sf ${word(built)} ~/.local/bin/valetkey`);
  if (platform === 'linux' && buildable) return warning('launcher', 'Node prints cached tokens, since no launcher was built', WHY, 'sudo apt-get install gcc libc6-dev musl-tools && npm run build');
  return ok('launcher', 'Node prints cached tokens: this package has no launcher');
}
