/** Whatever supervises the daemon, as sd_notify(3) speaks to it; to one that does not listen, and to none, nothing is said. */
import type { Supervisor } from '../core/supervisor-port.ts';
import type { Inherited } from './inherited.ts';
import type { Notify } from './notify.ts';

const NS_PER_US = 1000n;

export function createSupervisor({ listener, holdsListener, watchdogMs }: Pick<Inherited, 'listener' | 'holdsListener' | 'watchdogMs'>, notify: Notify): Supervisor {
  return {
    listener,
    holdsListener,
    watchdogMs,
    ready: () => void notify('READY=1', null),
    status: (line) => void notify(`STATUS=${line.replaceAll('\n', ' ')}`, null),
    // The time lets it tell the READY=1 of this reload from an earlier one (CLOCK_MONOTONIC, which hrtime is on Linux).
    reloading: () => void notify(`RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / NS_PER_US}`, null),
    stopping: () => void notify('STOPPING=1\nSTATUS=Finishing what is on the wire', null),
    // What the successor said before was not heard: only the main process is listened to.
    followedBy: (pid) => void notify(`MAINPID=${pid}\nSTATUS=Another daemon has taken over, pid ${pid}`, null),
    alive: () => void notify('WATCHDOG=1', null),
  };
}
