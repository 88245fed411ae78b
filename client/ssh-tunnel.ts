/**
 * What a person types on the machine that has the browser, so that it reaches the listener of a sign-in here. The
 * port is the same on both ends: the listener answers to no other name.
 */
import type { Env } from './command.ts';

/** `user@address`, with what ssh needs to come here a second time, as sshd told this session (ssh(1), ENVIRONMENT). */
function destination(env: Env, user: string): readonly string[] {
  const [, , address = '', port = ''] = (env['SSH_CONNECTION'] ?? '').split(' ');
  const isAddress = /^[0-9A-Fa-f.:]+$/.test(address);
  return [...(isAddress && /^\d+$/.test(port) && port !== '22' ? ['-p', port] : []), `${user}@${isAddress ? address : 'HOST'}`];
}

export function sshLine(port: number, env: Env, user: string): string {
  return ['ssh', '-N', '-L', `${port}:127.0.0.1:${port}`, ...destination(env, user)].join(' ');
}

export function tunnelLines(port: number, url: string, env: Env, user: string): readonly string[] {
  return [
    '',
    'This is an SSH session: the browser is on another machine. There, run',
    `  ${sshLine(port, env, user)}`,
    '(or with the name that you call this machine by), leave it running, and',
    'open this link in the browser, once:',
    `  ${url}`,
    '',
  ];
}
