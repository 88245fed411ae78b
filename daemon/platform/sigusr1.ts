/**
 * Imported for its effect, and first of all in main.ts: Node opens its debugger on 127.0.0.1:9229 when a
 * SIGUSR1 arrives and nobody listens for it (PH-02). Imports run before any statement of main.ts and take
 * most of the time of a start, so only an import can shorten that window to the start of Node itself
 * (requirements, section 24). This is the one module whose import has an effect.
 */
process.on('SIGUSR1', () => undefined);
