/**
 * The daemon's log. Guarantees: a line is one line, holds only values that LogFields allows, text of
 * strangers is cleaned, no stack and no own property of an error is written, and what has the shape of a
 * secret is replaced, as a last net under the rule that secrets are never handed to the log at all. Writing
 * never throws and never stops the daemon. The file is 0600 and no link.
 */
import { closeSync, constants, fchmodSync, fstatSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { pino } from 'pino';
import { BrokerError } from './core/errors.ts';
import type { Log, LogFields } from './core/ports.ts';
import { causeChain, loggableFields, loggableText } from './loggable.ts';

export type LogOptions = {
  readonly level: 'error' | 'warn' | 'info' | 'debug';
  readonly format: 'json' | 'text';
  /** Null: standard error. */
  readonly file: string | null;
  readonly stderr: LogStream;
};

/** process.stderr, and what a test puts in its place. */
export type LogStream = {
  readonly writableLength?: number;
  write(text: string, written?: (error?: Error | null) => void): unknown;
  on?(event: 'error', listener: (error: Error) => void): unknown;
};

export type DaemonLog = Log & {
  /** After the file was moved away: goes on in a new one; where that cannot be, in the old one, and says so there. */
  reopen(): void;
  setLevel(level: LogOptions['level']): void;
  flush(): void;
};

/** Throws BrokerError config_invalid where the file cannot be a private log. */
export function createLog({ level, format, file, stderr }: LogOptions): DaemonLog {
  const sink = file === null ? createStreamSink(stderr) : createFileSink(file);
  const render = format === 'json' ? (line: string) => line : readableLine;
  let lost = 0;
  const destination = {
    write(line: string): void {
      // A full disk, or a terminal or pipe that was closed: the daemon goes on, and the next line that is written counts the lost.
      const before = lost;
      const lose = (): void => {
        lost += before + 1;
      };
      lost = 0;
      try {
        sink.write(render(before === 0 ? line : `${line.trimEnd().slice(0, -1)},"lines_lost":${before}}\n`), lose);
      } catch {
        lose();
      }
    },
  };
  const logger = pino(
    {
      level,
      base: null,
      messageKey: 'event',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );
  const log = (at: LogOptions['level'], event: string, fields: LogFields | (() => LogFields) | undefined, cause?: unknown): void => {
    if (!logger.isLevelEnabled(at)) return;
    const chain = cause === undefined ? {} : { cause: causeChain(cause) };
    const given = typeof fields === 'function' ? fields() : fields;
    logger[at]({ ...loggableFields(given ?? {}), ...chain }, loggableText('event', event));
  };
  return {
    debug: (event, fields) => log('debug', event, fields),
    info: (event, fields) => log('info', event, fields),
    warn: (event, fields) => log('warn', event, fields),
    error: (event, fields, cause) => log('error', event, fields, cause),
    reopen: () => {
      try {
        sink.reopen();
      } catch (cause) {
        log('error', 'log_not_reopened', undefined, cause);
      }
    },
    setLevel: (next) => {
      logger.level = next;
    },
    flush: () => {
      try {
        sink.flush();
      } catch {
        // The disk refused: the lines are with the kernel, and there is no better place to say so.
        lost += 1;
      }
    },
  };
}

/** One line for people: time, level, event, then key=value; values with spaces or marks are quoted. */
function readableLine(json: string): string {
  const { time, level, event, ...fields }: Record<string, unknown> = JSON.parse(json);
  const pairs = Object.entries(fields).map(([key, value]) => `${key}=${typeof value === 'string' && /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value)}`);
  return `${[time, String(level).padEnd(5), event, ...pairs].join(' ')}\n`;
}

/** `lose` is called where the line turns out to be lost later than write() returns. */
type Sink = { write(line: string, lose: () => void): void; reopen(): void; flush(): void };

/** Of a reader that stopped reading; what comes beyond is lost. */
const UNREAD_BYTES = 1_048_576;

function createStreamSink(stream: LogStream): Sink {
  // Each write tells of its own failure; without a listener the first one (EPIPE) would end the daemon.
  stream.on?.('error', () => undefined);
  return {
    write: (line, lose) => {
      if ((stream.writableLength ?? 0) > UNREAD_BYTES) return lose();
      stream.write(line, (error) => {
        if (error !== undefined && error !== null) lose();
      });
    },
    reopen: () => {},
    flush: () => {},
  };
}

/** Writes synchronously: a line is in the kernel's hands before the daemon goes on, also if it then dies. */
function createFileSink(path: string): Sink {
  let descriptor = openPrivate(path);
  return {
    write: (line) => void writeSync(descriptor, line),
    reopen: () => {
      const next = openPrivate(path);
      closeSync(descriptor);
      descriptor = next;
    },
    flush: () => fsyncSync(descriptor),
  };
}

function openPrivate(path: string): number {
  const { O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_WRONLY } = constants;
  let descriptor;
  try {
    // O_NOFOLLOW refuses a link in the same step that opens; O_NONBLOCK does not wait for a FIFO's reader.
    descriptor = openSync(path, O_WRONLY | O_APPEND | O_CREAT | (O_NOFOLLOW ?? 0) | (O_NONBLOCK ?? 0), 0o600);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    const why = code === 'ELOOP' ? 'is a symbolic link' : `cannot be opened (${code})`;
    throw new BrokerError('config_invalid', `log file ${path} ${why}`, { cause: error, hint: 'Name another file in [log] file, or leave it out' });
  }
  const stat = fstatSync(descriptor);
  const owner = process.geteuid?.() ?? stat.uid;
  if (stat.isFile() && stat.uid === owner && stat.nlink === 1) {
    if ((stat.mode & 0o777) !== 0o600) fchmodSync(descriptor, 0o600);
    return descriptor;
  }
  closeSync(descriptor);
  const why = !stat.isFile() ? 'is not a regular file' : stat.uid !== owner ? 'belongs to another user' : 'has a second name';
  throw new BrokerError('config_invalid', `log file ${path} ${why}`, { hint: 'Name another file in [log] file, or leave it out' });
}
