/**
 * Tools that ask a program for what they sign in with: one verb, and a kind for each protocol. Nobody is asked for
 * anything here, since a tool waits; where a person has to sign in, the tool is told so in its own form.
 */
import { examples } from '../command.ts';
import type { Declare } from '../command.ts';
import { declareAws } from './credential-aws.ts';
import { declareCargo } from './credential-cargo.ts';
import { declareCurl } from './credential-curl.ts';
import { declareDocker } from './credential-docker.ts';
import { declareGit } from './credential-git.ts';
import { declareKeyring } from './credential-keyring.ts';
import { declareKubectl } from './credential-kubectl.ts';
import { declarePnpm } from './credential-pnpm.ts';

export const declare: Declare = (command, context) => {
  command.addHelpText('after', examples('valetkey credential git --help'));
  for (const kind of [declareGit, declareKubectl, declareDocker, declareAws, declareKeyring, declareCargo, declareCurl, declarePnpm]) kind(command, context);
};
