/** The two policy files of this machine and this user, read and checked together: both count, or neither. */
import { BrokerError } from '../../core/errors.ts';
import type { PolicyFiles } from '../../core/ports.ts';
import type { PolicyDocument } from '../../core/policy-rules.ts';
import type { ReadFile, TextFile } from '../files.ts';
import { refuseForeign } from '../read-profile.ts';
import { parsePolicy } from './parse.ts';

export type PolicyFilesDeps = {
  readonly userFile: string;
  /** Null where the platform has no place for it. */
  readonly adminFile: string | null;
  /** Who must own the user's file; null: the platform has no user ids. */
  readonly uid: number | null;
  readonly readFile: ReadFile;
  readonly readAdmin: (path: string, readFile: ReadFile) => Promise<TextFile | null>;
};

export function createPolicyFiles({ userFile, adminFile, uid, readFile, readAdmin }: PolicyFilesDeps): PolicyFiles {
  const readUser = async (): Promise<PolicyDocument | null> => {
    const read = await readFile(userFile).catch((cause: unknown) => {
      throw cause instanceof BrokerError ? new BrokerError('policy_invalid', cause.message, { cause }) : cause;
    });
    if (read === null) return null;
    refuseForeign(userFile, read, uid === null ? null : [uid], 'policy_untrusted');
    return parsePolicy(read.text, userFile, 'user');
  };
  return {
    userFile,
    adminFile,
    read: async () => {
      const admin = adminFile === null ? null : await readAdmin(adminFile, readFile);
      return { admin: admin === null || adminFile === null ? null : parsePolicy(admin.text, adminFile, 'admin'), user: await readUser() };
    },
    parse: parsePolicy,
  };
}
