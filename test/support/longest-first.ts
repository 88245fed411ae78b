/**
 * The order in which test files are begun: those that take long first, so that none of them runs on alone when all
 * others are done. What stands in the list took more than twelve seconds on two cores; the rest goes by its folder.
 * A file that is not there any more, or has become quick, does no harm.
 */
import { relative } from 'node:path';
import { BaseSequencer } from 'vitest/node';
import type { TestSpecification } from 'vitest/node';

const LONGEST = [
  'e2e/daemon', 'e2e/service', 'e2e/launcher', 'flow/consents', 'contract/vault-keychain', 'flow/panic-workloads', 'e2e/supervised', 'chaos/consents',
  'chaos/kill', 'unit/client/start-daemon', 'unit/daemon/vault/durable', 'unit/daemon/vault/open-vault', 'flow/panic', 'e2e/doctor', 'e2e/launcher-places',
  'e2e/cli-start', 'flow/privileged', 'contract/vault', 'e2e/launcher-daemon', 'e2e/loopback-browser', 'flow/device-intervals', 'chaos/soak', 'e2e/pages',
  'chaos/outages', 'chaos/resources', 'e2e/launcher-memory', 'flow/socket', 'flow/tokens', 'flow/approvals', 'contract/consents', 'contract/issuer-id-token',
] as const;
const FOLDERS = ['e2e/', 'chaos/', 'flow/', 'contract/', 'unit/'] as const;

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return files.toSorted((a, b) => this.#place(a) - this.#place(b));
  }

  #place({ moduleId }: TestSpecification): number {
    const path = relative(`${this.ctx.config.root}/test`, moduleId);
    const listed = LONGEST.findIndex((name) => path === `${name}.test.ts`);
    if (listed >= 0) return listed;
    const folder = FOLDERS.findIndex((name) => path.startsWith(name));
    return LONGEST.length + (folder < 0 ? FOLDERS.length : folder);
  }
}
