import { expect, it } from 'vitest';
import { callerRecord } from '../../../../daemon/audit/caller-record.ts';
import { someCaller, someOrigin } from '../../../support/builders.ts';

it('says where a caller comes from, by the names of those above it', () => {
  const origin = someOrigin({ class: 'agent', agent: 'Claude Code', digest: 'd1', isOrphan: true, forwarded: true });
  expect(callerRecord(someCaller({ origin }))).toMatchObject({
    pid: 4711, origin: {
      class: 'agent', agent: 'Claude Code', program: { executable: '/usr/bin/git', script: null }, digest: 'd1', lineage: [{ name: 'bash', pid: 4700 }], sessionLeader: 4700,
      unit: 'session-3.scope', isOrphan: true, forwarded: true, container: false, remote: false,
    },
  });
});

it('stays small whatever paths and parents a caller has', () => {
  const path = `/${'\u0001'.repeat(4_000)}`;
  const link = { pid: 1, startTime: '1', name: 'x'.repeat(15), executable: path, script: path };
  const lineage = Array.from({ length: 64 }, () => link);
  const record = callerRecord(someCaller({ executable: path, script: path, origin: someOrigin({ program: { executable: path, script: path }, lineage }) }));
  expect(Buffer.byteLength(JSON.stringify(record))).toBeLessThan(8 * 1024);
});
