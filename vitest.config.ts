import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 20_000,
    hookTimeout: 30_000,
    // Real processes, sockets and a keyring on few cores: more workers only make them wait for each other.
    maxWorkers: 2,
    passWithNoTests: false,
  },
});
