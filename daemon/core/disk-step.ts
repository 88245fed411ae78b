/**
 * What a person can do about a disk that refuses. Null where the errno says something else: a path that is not
 * what it should be is not mended by space or permissions.
 */
export function diskStep(errno: string, path: string): string | null {
  switch (errno) {
    case 'EACCES': case 'EPERM': case 'EROFS': return `Make ${path} writable for this user`;
    case 'ENOSPC': case 'EDQUOT': return `Free space on the disk of ${path}`;
    case 'EIO': return `Check the disk of ${path}`;
    default: return null;
  }
}
