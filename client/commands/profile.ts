import { examples } from '../command.ts';
import type { Declare } from '../command.ts';
import { declareAddFlags } from './profile-add-flags.ts';
import type { AddOptions } from './profile-add-flags.ts';
import { addProfile } from './profile-add.ts';
import { removeProfile, setDirectoryProfile, showProfile } from './profile-edit.ts';

export const declare: Declare = (command, context) => {
  command.addHelpText('after', examples('valetkey profile add work --issuer https://login.example.com --client-id cli', 'valetkey profile default work'));

  declareAddFlags(command.command('add <NAME>').description('Check a profile at its issuer and write it to the configuration'))
    .addHelpText('after', examples(
      'valetkey profile add work --issuer https://login.example.com --client-id cli --scope openid --scope offline_access',
      'valetkey profile add cloud --preset google --client-id ID --client-secret-stdin < secret.txt',
      'valetkey profile add bare --preset oauth --issuer https://login.example.com --client-id cli --pkce asserted \\\n        --authorization-endpoint https://login.example.com/authorize --token-endpoint https://login.example.com/token',
      'valetkey profile add try --issuer https://login.example.com --client-id cli --dry-run',
    ))
    .action(async (name: string, options: AddOptions) => addProfile(context, name, options));

  command.command('show [NAME]').description('Show one profile')
    .addHelpText('after', examples('valetkey profile show work --json'))
    .action(async (name: string | undefined) => showProfile(context, name));

  command.command('default <NAME>').description('Choose the profile of this directory and those below: writes .valetkey.toml')
    .addHelpText('after', '\nThere is no default of the whole user, on purpose: two terminals would race on it, and the same\n'
      + 'command would mean something else than a minute ago. For one shell: export VALETKEY_PROFILE=NAME\n')
    .addHelpText('after', examples('cd ~/src/shop && valetkey profile default work'))
    .action(async (name: string) => setDirectoryProfile(context, name));

  command.command('remove <NAME>').description('Remove a profile from the configuration')
    .addHelpText('after', examples('valetkey logout work && valetkey profile remove work'))
    .action(async (name: string) => removeProfile(context, name));
};
