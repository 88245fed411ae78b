/** What one connection of the line dialect may take: see F1 to F3 in conversation.ts. */
export const UNDER_WAY = 64;
export const IN_LINE = 128;
export const FRAMES_A_TURN = 64;
export const FRAME_MS = 5_000;
export const IDLE_MS = 60_000;
export const LAST_WORDS_MS = 1_000;
export const PROBE_MS = 1_000;
export const DISCARD_BYTES = 262_144;
