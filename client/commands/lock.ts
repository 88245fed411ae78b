import { examples } from '../command.ts';
import type { Declare } from '../command.ts';

export const declare: Declare = (command, context) => {
  command
    .addHelpText('after', examples('valetkey lock'))
    .action(async () => {
      const { terminal, daemon, signal } = context;
      const vault = await daemon.api.lock(signal);
      if (terminal.json) terminal.document(vault);
      else terminal.note('Locked: no token is handed out until valetkey unlock. Tokens that are out live on until they expire.');
    });
};
