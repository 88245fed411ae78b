/**
 * The user's desktop, as a place where a question can be shown: a dialog of its own, which a person answers, and a
 * notification, which only tells. Both are started by the daemon, never by who asks. What the dialog says is never
 * a yes unless the program that shows it said so by the protocol: dying, hanging and talking nonsense are none.
 */
import type { Peer } from './ports.ts';
import type { Secret } from './secret.ts';

/** The graphical session of this user that is at the machine. */
export type Seat = {
  /** The processes that show its windows, as the kernel names them: at least one. */
  readonly servers: readonly Peer[];
  readonly display: Display;
};

/** Where a program finds it. */
export type Display = {
  /** `:0`; null: there is no X server. */
  readonly x11: string | null;
  readonly wayland: string | null;
  readonly xauthority: string | null;
  readonly type: 'x11' | 'wayland';
  /** As the session calls its desktop, e.g. `GNOME`; empty where it does not say. */
  readonly desktop: string;
};

export type DialogText = {
  readonly title: string;
  /** Cleaned; shown one below the other. */
  readonly lines: readonly string[];
  readonly yes: string;
  readonly no: string;
  /** Asked for with the yes; null: a click is enough. */
  readonly pin: { readonly prompt: string; readonly error: string | null } | null;
};

export type DialogAnswer =
  /** The PIN is null where none was asked for. */
  | { readonly kind: 'yes'; readonly pin: Secret | null; readonly afterMs: number }
  | { readonly kind: 'no'; readonly afterMs: number }
  /** Nobody answered, or the dialog could not be shown, or failed. For the log. */
  | { readonly kind: 'none'; readonly why: string };

export type DesktopState = {
  /** The program that shows dialogs; null: there is none. */
  readonly dialogs: string | null;
  /** Whether a notification can be sent. */
  readonly notifications: boolean;
  /** Why there is no dialog, for people; null: there is one. */
  readonly why: string | null;
};

export type Desktop = {
  /** Where a dialog would be shown now; a text says why nowhere. Never rejects. */
  find(): Promise<Seat | string>;
  /** Shows it and waits for the answer. When the signal ends, so does the dialog. Never rejects. */
  ask(seat: Seat, text: DialogText, lifeMs: number, signal: AbortSignal): Promise<DialogAnswer>;
  /** Shows a notification until the signal ends. Resolves when it is shown, or cannot be; never rejects. */
  tell(title: string, body: string, signal: AbortSignal): Promise<void>;
  state(): Promise<DesktopState>;
};
