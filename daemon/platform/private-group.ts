/**
 * Whether a group holds one user only, as on systems that give every user a group of his own. Only
 * /etc/passwd and /etc/group are asked: a group that is not there (a directory server's) counts as shared.
 */
import { readFileSync } from 'node:fs';

export function isPrivateGroup(
  gid: number,
  uid: number,
  read: (path: string) => string = (path) => readFileSync(path, 'utf8'),
): boolean {
  const users = rows(read('/etc/passwd')).map(([name, , id, group]) => ({ name, uid: Number(id), gid: Number(group) }));
  const owner = users.find((user) => user.uid === uid);
  const group = rows(read('/etc/group')).find(([, , id]) => Number(id) === gid);
  if (owner === undefined || group === undefined) return false;
  const members = (group[3] ?? '').split(',').filter((name) => name !== '');
  return (
    users.every((user) => user.gid !== gid || user.uid === uid) && // by passwd(5)
    members.every((name) => name === owner.name) // by group(5)
  );
}

function rows(text: string): readonly (readonly string[])[] {
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#')).map((line) => line.split(':'));
}
