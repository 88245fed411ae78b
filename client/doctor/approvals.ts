/** How a person can be asked here, and whether privileged access could be agreed to. */
import type { ApprovalChannels } from '../../shared/approval-schemas.ts';
import { ok, warning } from './finding.ts';
import type { Finding } from './finding.ts';

export function checkApprovals({ terminal, dialog, no_dialog_because: because, notifications, pin }: ApprovalChannels, hasPrivileged: boolean): readonly Finding[] {
  const told = notifications ? '; a notification says when one waits' : '';
  return [
    dialog !== null
      ? ok('approvals', `questions are asked at the desktop by ${dialog}, and at terminals by valetkey approve`)
      : ok('approvals', `questions are asked at terminals by valetkey approve${told}; not at the desktop: ${because ?? 'nobody knows why'}`),
    ...(terminal === null ? [] : [ok('approvals', `this one may not approve: it ${terminal}`)]),
    ...(pin === 'not_set' ? [checkPin(hasPrivileged)] : []),
    ...(pin === 'set' ? [ok('approval_pin', 'the approval PIN is set')] : []),
  ];
}

function checkPin(hasPrivileged: boolean): Finding {
  return hasPrivileged
    ? warning('approval_pin', 'no approval PIN is set', 'Privileged access needs it; without it nobody can agree', 'valetkey approvals pin set')
    : ok('approval_pin', 'none is set; privileged access would need one: valetkey approvals pin set');
}
