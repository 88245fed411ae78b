import type { UnlockRequest } from '../../shared/schemas.ts';
import { examples } from '../command.ts';
import type { CommandContext, Declare } from '../command.ts';
import { ValetkeyError } from '../valetkey-error.ts';

type Options = { readonly create?: true; readonly passphraseStdin?: true };

const PASSPHRASE_MAX = 1024;

async function askPassphrase(context: CommandContext, create: boolean): Promise<string> {
  const person = context.meetPerson();
  if (person === null) {
    throw ValetkeyError.local('vault_locked', 'there is no terminal at which the passphrase could be asked', { hint: 'Run it at a terminal, or: valetkey unlock --passphrase-stdin' });
  }
  try {
    const { signal } = context;
    const passphrase = await person.ask(create ? 'New passphrase of the vault:' : 'Passphrase of the vault:', { signal, hidden: true });
    if (passphrase === null || passphrase === '') throw ValetkeyError.local('cancelled', 'no passphrase was typed');
    if (create && await person.ask('Once more:', { signal, hidden: true }) !== passphrase) {
      throw ValetkeyError.local('bad_request', 'the two are not the same; nothing was created');
    }
    return passphrase;
  } finally {
    person.close();
  }
}

async function readPassphrase(context: CommandContext): Promise<string> {
  const passphrase = (await context.readStdin(PASSPHRASE_MAX)).replace(/\r?\n$/, '');
  if (passphrase === '') throw ValetkeyError.local('bad_request', 'standard input holds no passphrase');
  return passphrase;
}

/** A keychain needs no passphrase, so the daemon is asked first, unless one was offered. */
async function unlock(context: CommandContext, { create = false, passphraseStdin = false }: { create?: boolean; passphraseStdin?: boolean }): Promise<void> {
  const { terminal, daemon: { api }, signal } = context;
  const needed = create || passphraseStdin || (await api.status(signal)).vault.backend === 'passphrase';
  const request: UnlockRequest = needed
    ? { passphrase: passphraseStdin ? await readPassphrase(context) : await askPassphrase(context, create), ...(create ? { create } : {}) }
    : {};
  const vault = await api.unlock(request, signal);
  if (terminal.json) terminal.document(vault);
  else terminal.note(`The vault is ${vault.state} (${vault.backend}).`);
}

export const declare: Declare = (command, context) => {
  command
    .option('--create', 'make a vault with a new passphrase, where no keychain can be used')
    .option('--passphrase-stdin', 'read the passphrase from standard input')
    .addHelpText('after', examples('valetkey unlock', 'valetkey unlock --create', 'pass show valetkey | valetkey unlock --passphrase-stdin'))
    .action(async (options: Options) => unlock(context, options));
};
