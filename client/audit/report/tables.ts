/** The sections that are read: sign-ins with their reasons, refusals, grants, and what the log proves of itself. */
import type { GrantView } from '../../../shared/schemas.ts';
import { endOf } from '../../grant-rows.ts';
import { ago, remaining } from '../../time-words.ts';
import { timeWords } from '../record-words.ts';
import type { AuditVerdict } from '../verify-log.ts';
import { html } from './html.ts';
import type { Markup } from './html.ts';
import { tags } from './pictures.ts';
import type { StaleGrant } from './pictures.ts';
import type { Incident, SignIn, Summary } from './summary.ts';

const STALE_S = 30 * 86_400;
const ROWS = 60;
const HOUR_MS = 3_600_000;

const FLOWS: Readonly<Record<string, string>> = { pkce_loopback: 'browser', pkce_ssh_forward: 'browser over SSH', device: 'device code', refuse: 'refused', forward_broker: 'sent to another broker' };

const OUTCOME_TAG: Readonly<Record<SignIn['end'], string>> = { 'signed in': 'good', failed: 'bad', open: '', refused: 'bad' };

export function signInSection({ signIns }: Summary): Markup {
  const rows = signIns.slice(0, ROWS).map(({ at, profile, outcome, reason, rule, probes, caller, end }) => html`<tr class="${outcome === 'device' ? 'note' : ''}"><td class="when">${timeWords(at)}</td><td>${profile}</td><td>${end === 'refused' && outcome === 'refuse' ? null : html`${FLOWS[outcome] ?? outcome} `}<span class="tag ${OUTCOME_TAG[end]}${outcome === 'refuse' ? ' lone' : ''}">${end}</span></td><td>${reason}<span class="why">rule ${rule}${probes.length === 0 ? '' : `; found: ${probes.join(', ')}`}</span></td><td data-label="Asked by">${caller === null ? '-' : html`${caller.name}${tags(caller)}`}</td></tr>`);
  return html`<section aria-labelledby="signins"><h2 id="signins">Sign-ins, and why this flow</h2><p class="lead">The browser with PKCE is the safe way; a device code is marked, since whoever is talked into entering one signs somebody else in.${signIns.length > ROWS ? ` The latest ${ROWS} of ${signIns.length}; audit search shows all of them.` : null}</p>${rows.length === 0 ? html`<p class="calm">Nobody signed in during this time.</p>` : html`<div class="scroll" tabindex="0" role="region" aria-labelledby="signins"><table class="stack"><thead><tr><th scope="col">When</th><th scope="col">Profile</th><th scope="col">Flow</th><th scope="col">Why</th><th scope="col">Asked by</th></tr></thead><tbody>${rows}</tbody></table></div>`}</section>`;
}

type Refused = Incident & { readonly times: number; readonly from: number };

/** Nine of the same within the hour are one line: what somebody tries again is told once. */
function grouped(refusals: readonly Incident[]): readonly Refused[] {
  const groups: Refused[] = [];
  for (const each of refusals) {
    const last = groups.at(-1);
    const isSame = last !== undefined && last.kind === each.kind && last.profile === each.profile && last.what === each.what && last.caller?.path === each.caller?.path && last.from - each.at < HOUR_MS;
    if (isSame) groups[groups.length - 1] = { ...last, times: last.times + 1, from: each.at };
    else groups.push({ ...each, times: 1, from: each.at });
  }
  return groups;
}

export function refusalSection({ refusals }: Summary): Markup {
  const groups = grouped(refusals);
  const rows = groups.slice(0, ROWS).map(({ at, from, times, profile, kind, what, caller }) => html`<tr><td class="when">${timeWords(from)}${times === 1 ? null : html`<span class="why">to ${timeWords(at).slice(11)}</span>`}</td><td>${caller === null ? '-' : html`${caller.name}${tags(caller)}<span class="why">${caller.path}</span>`}</td><td>${profile ?? '-'}</td><td>${what}${times === 1 ? null : html`<span class="tag bad">${times} times</span>`}<span class="why">rule ${kind}</span></td></tr>`);
  return html`<section aria-labelledby="refusals"><h2 id="refusals">Refused</h2>${rows.length === 0 ? html`<p class="calm">Nobody was refused in this time.</p>` : html`<p class="lead">${groups.length > ROWS ? 'The latest; audit search shows all of them.' : 'Each with the rule that said so.'}</p><div class="scroll" tabindex="0" role="region" aria-labelledby="refusals"><table class="stack"><thead><tr><th scope="col">When</th><th scope="col">Who</th><th scope="col">Profile</th><th scope="col">Why</th></tr></thead><tbody>${rows}</tbody></table></div>`}</section>`;
}

export function staleGrants(grants: readonly GrantView[], { lastUsed }: Summary, now: number): readonly StaleGrant[] {
  return grants.flatMap(({ profile, signed_in_at, state, reason }) => {
    const last = lastUsed.get(profile);
    const used = Math.max(signed_in_at, Math.floor((last ?? 0) / 1000));
    if (state === 'login_required') return [{ profile, why: `needs a sign-in (${reason ?? 'unknown'})` }];
    if (now - used > STALE_S) return [{ profile, why: `signed in, and not used for ${Math.floor((now - used) / 86_400)} days` }];
    return last === undefined && now - used > 86_400 ? [{ profile, why: 'signed in, and never used' }] : [];
  });
}

export function grantSection(grants: readonly GrantView[] | null, summary: Summary, now: number): Markup {
  const stale = new Map(grants === null ? [] : staleGrants(grants, summary, now).map(({ profile, why }) => [profile, why]));
  const rows = (grants ?? []).map((grant) => {
    const end = endOf(grant);
    const last = summary.lastUsed.get(grant.profile);
    const why = stale.get(grant.profile);
    return html`<tr class="${why === undefined ? '' : 'note'}"><td><b>${grant.profile}</b><span class="why">${grant.issuer}</span></td><td data-label="Scopes">${grant.scopes.join(' ') || '-'}</td><td data-label="Signed in">${ago(grant.signed_in_at, now)}<span class="why">${grant.flow}</span></td><td data-label="Last used">${last === undefined ? 'never' : ago(Math.floor(last / 1000), now)}</td><td data-label="Ends">${end === null ? 'not said' : remaining(end, now)}</td><td>${why === undefined ? html`<span class="tag good lone">in use</span>` : why}</td></tr>`;
  });
  const body = grants === null ? html`<p class="lead">No daemon was running with an open vault, so the grants of now are not known.</p>`
    : rows.length === 0 ? html`<p class="calm">Nobody is signed in.</p>`
      : html`<div class="scroll" tabindex="0" role="region" aria-labelledby="grants"><table class="stack"><thead><tr><th scope="col">Profile</th><th scope="col">Scopes</th><th scope="col">Signed in</th><th scope="col">Last used</th><th scope="col">Ends</th><th scope="col">State</th></tr></thead><tbody>${rows}</tbody></table></div>`;
  return html`<section aria-labelledby="grants"><h2 id="grants">Grants at the time of this report</h2>${body}</section>`;
}

export function integritySection(verdict: AuditVerdict): Markup {
  const facts: readonly (readonly [string, Markup | string])[] = verdict.kind === 'broken'
    ? [['First break', `${verdict.file}, line ${verdict.line}: ${verdict.why}`]]
    : [
      ['Records', `${verdict.records} in ${verdict.files} ${verdict.files === 1 ? 'file' : 'files'}; none altered, put in or taken out`],
      ['Signed', verdict.signed === null ? 'no signature was found' : `${verdict.checkpoints} times, last up to record ${verdict.signed.seq}`],
      ...verdict.kids.map((kid) => ['Key', html`<code>${kid}</code>`] as const),
      ...(verdict.torn.length === 0 ? [] : [['Torn by crashes', `lines ${verdict.torn.join(', ')}`] as const]),
    ];
  return html`<section aria-labelledby="proof"><h2 id="proof">How far this can be believed</h2><p class="lead">Every process of this user can delete the log or cut its unsigned end; only a copy elsewhere shows that. What is signed cannot be rewritten without the key that the vault holds. Check again with <code>valetkey audit verify</code>.</p><dl>${facts.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl></section>`;
}

