import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 20_000,
    hookTimeout: 30_000,
    // What is waited for comes in its own time on a busy machine; only what never comes is a fault.
    expect: { poll: { timeout: 15_000 } },
    // Real processes, sockets and a keyring on few cores: more workers only make them wait for each other.
    maxWorkers: 2,
    passWithNoTests: false,
  },
});
