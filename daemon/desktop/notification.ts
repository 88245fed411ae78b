/**
 * A notification by the desktop's own service, over the session bus: it tells, and has no buttons. A button would be
 * no answer: its signal comes from whoever holds the service's name, and the services bring commands that press it
 * (`dunstctl action`, `makoctl invoke`). busctl speaks the bus, a program of systemd that is there where logind is.
 */
import { runProgram } from './run-program.ts';

export type NotifyDeps = {
  /** An absolute path. */
  readonly busctl: string;
  readonly env: Readonly<Record<string, string>>;
};

const SERVICE = ['--user', 'call', '--', 'org.freedesktop.Notifications', '/org/freedesktop/Notifications', 'org.freedesktop.Notifications'] as const;
/** As long as a question is open. */
const SHOWN_MS = 300_000;

/** Its number, to take it back by; null: there is nobody who shows it. */
export async function notify(deps: NotifyDeps, title: string, body: string): Promise<number | null> {
  // Bodies may hold markup (Desktop Notifications Specification, "Markup").
  const escaped = body.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  const hints = ['1', 'urgency', 'y', '1'];
  const printed = await call(deps, ['Notify', 'susssasa{sv}i', 'Valetkey', '0', 'dialog-password', title, escaped, '0', ...hints, String(SHOWN_MS)]);
  const id = /^u (\d{1,10})$/.exec(printed?.trim() ?? '')?.[1];
  return id === undefined ? null : Number(id);
}

export async function takeBack(deps: NotifyDeps, id: number): Promise<void> {
  await call(deps, ['CloseNotification', 'u', String(id)]);
}

function call({ busctl, env }: NotifyDeps, args: readonly string[]): Promise<string | null> {
  return runProgram(busctl, [...SERVICE, ...args], env);
}
