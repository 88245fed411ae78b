/** One thing that the doctor looked at: what it is, why it matters, and what mends it: a command, or advice in words. */
export type Finding = {
  readonly check: string;
  readonly level: 'ok' | 'warning' | 'error';
  readonly what: string;
  readonly why: string;
  readonly command: string | null;
  readonly advice?: string;
};

export function ok(check: string, what: string): Finding {
  return { check, level: 'ok', what, why: '', command: null };
}

export function warning(check: string, what: string, why: string, command: string | null): Finding {
  return { check, level: 'warning', what, why, command };
}

export function failure(check: string, what: string, why: string, command: string | null): Finding {
  return { check, level: 'error', what, why, command };
}
