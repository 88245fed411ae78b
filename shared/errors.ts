/**
 * Every error that a caller can meet, in one table: HTTP status, exit status of the CLI, whether the same
 * request may succeed later unchanged, a title, and the one next step. docs/errors.md lists the same
 * codes; a test compares the two both ways. A retired code stays here, marked, and is never used again.
 */
export type ErrorRow = {
  /** HTTP status of the problem document (RFC 9457). */
  readonly status: number;
  /** Exit status of the CLI. */
  readonly exit: number;
  readonly retryable: boolean;
  readonly title: string;
  /** The one next command or step. A thrower that knows better replaces it. */
  readonly hint: string;
};

/** Exit statuses by class: scripts branch on these. */
export const EXIT = {
  ok: 0,
  internal: 1,
  usage: 2,
  loginRequired: 3,
  locked: 4,
  denied: 5,
  unreachable: 6,
  issuer: 7,
  config: 8,
  daemon: 9,
  busy: 10,
  deadline: 11,
  cancelled: 130,
} as const;

const row = (status: number, exit: number, retryable: boolean, title: string, hint: string): ErrorRow => ({
  status, exit, retryable, title, hint,
});

export const ERRORS = {
  // The request itself.
  bad_request: row(400, EXIT.usage, false, 'The request does not fit the protocol', 'See GET /v1/openapi.json, or valetkey help'),
  not_found: row(404, EXIT.usage, false, 'There is no such resource', 'See GET /v1/openapi.json'),
  method_not_allowed: row(405, EXIT.usage, false, 'The resource does not take this method', 'See GET /v1/openapi.json'),
  payload_too_large: row(413, EXIT.usage, false, 'The request is too large', 'Send at most 64 KiB'),
  too_many_requests: row(429, EXIT.busy, true, 'This process asks too often', 'Wait a second, and keep the token until it expires'),
  browser_refused: row(403, EXIT.denied, false, 'Requests of a web page are refused', 'Use the valetkey CLI or an HTTP client without Origin and Sec-Fetch-* headers'),
  protocol_mismatch: row(400, EXIT.daemon, false, 'Client and daemon speak different protocol versions', 'Run: valetkey daemon upgrade, with the newer client'),
  deadline_exceeded: row(504, EXIT.deadline, true, 'The deadline of the request has passed', 'Ask again, with a longer wait'),
  cancelled: row(499, EXIT.cancelled, false, 'The request was cancelled', 'Run the command again'),

  // Profiles and configuration.
  unknown_profile: row(404, EXIT.config, false, 'There is no such profile', 'Run: valetkey profiles'),
  no_profile: row(400, EXIT.usage, false, 'No profile was named and none can be told', 'Name one: valetkey token PROFILE'),
  profile_exists: row(409, EXIT.config, false, 'A profile of this name exists', 'Run: valetkey profile remove NAME, or choose another name'),
  config_invalid: row(422, EXIT.config, false, 'The configuration is not valid', 'Mend the line that is named, then run the command again'),
  config_untrusted: row(422, EXIT.config, false, 'The configuration file could be changed by others', 'Run: chmod go-w on the file that is named, and see who owns it'),
  policy_invalid: row(422, EXIT.config, false, 'A policy file is not valid', 'Mend the line that is named, then run: valetkey daemon reload'),
  policy_untrusted: row(403, EXIT.config, false, 'A policy file could be changed by others', 'Run: chmod go-w on the path that is named, and see who owns it, then: valetkey daemon reload'),
  file_too_new: row(422, EXIT.config, false, 'A file was written by a newer version', 'Install the newer valetkey again'),
  client_secret_required: row(422, EXIT.config, false, 'The issuer demands a client secret', 'Run: valetkey profile add … --client-secret-stdin'),

  // Workloads.
  human_flow_for_workload: row(409, EXIT.usage, false, 'The profile is a workload\'s, and nobody signs in to it', 'Run: valetkey workload token PROFILE'),
  workload_flow_for_human: row(409, EXIT.usage, false, 'The profile is a person\'s, and no workload may use it', 'Run: valetkey token PROFILE'),
  workload_key_required: row(409, EXIT.config, false, 'The workload has no key', 'Run: valetkey workload init PROFILE, and register the key that it prints'),
  workload_key_conflict: row(409, EXIT.usage, false, 'The keys of the workload do not allow this step', 'Run: valetkey workload show PROFILE'),
  workload_expired: row(403, EXIT.denied, false, 'The workload profile has expired', 'Whoever owns it sets another day in its expires'),
  assertion_unavailable: row(503, EXIT.denied, true, 'The assertion of the workload cannot be read', 'Check the file or the command that is named in the profile'),
  assertion_invalid: row(403, EXIT.denied, false, 'The assertion of the workload may not be used', 'Have whoever makes it make one for this workload: for its issuer alone, and not over'),

  // Sign-in.
  login_required: row(401, EXIT.loginRequired, false, 'A person has to sign in', 'Run: valetkey login PROFILE'),
  login_not_found: row(404, EXIT.loginRequired, false, 'There is no such sign-in in progress', 'Run: valetkey login PROFILE'),
  login_cancelled: row(410, EXIT.cancelled, false, 'The sign-in was cancelled', 'Run: valetkey login PROFILE'),
  flow_timeout: row(410, EXIT.deadline, false, 'Nobody finished the sign-in in time', 'Run: valetkey login PROFILE'),
  flow_refused: row(403, EXIT.denied, false, 'No sign-in flow may be used here', 'See the reason'),
  access_denied: row(403, EXIT.denied, false, 'The sign-in was refused at the issuer', 'Sign in again with an account that may use this client'),
  reason_required: row(403, EXIT.denied, false, 'Privileged access takes a reason', 'Run: valetkey login PROFILE --reason "why"'),
  approval_required: row(403, EXIT.denied, true, 'A person has to agree first', 'Run in another terminal: valetkey approvals'),
  approval_denied: row(403, EXIT.denied, false, 'A person said no', 'Ask that person; after a minute the question may be asked again'),
  approval_refused: row(403, EXIT.denied, false, 'This process may not approve', 'Approve from a terminal that was open before the question, and is not that of the program which asks'),
  pin_required: row(403, EXIT.denied, false, 'A person has to agree with the approval PIN', 'Run: valetkey approvals pin set'),
  pin_wrong: row(403, EXIT.denied, false, 'The approval PIN is wrong', 'Give the approval PIN that was set by: valetkey approvals pin set'),
  consent_required: row(403, EXIT.denied, false, 'A person has to confirm at a terminal', 'Run the command in a terminal'),
  too_many_logins: row(429, EXIT.busy, true, 'Too many sign-ins were started', 'Wait ten minutes'),
  subject_mismatch: row(409, EXIT.denied, false, 'Another account was signed in than before', 'Run: valetkey login PROFILE, and confirm the change or choose the other account'),
  loopback_exhausted: row(503, EXIT.busy, true, 'No loopback port could be bound', 'Free one of the ports of redirect_ports, or leave that key out'),
  verification_host_untrusted: row(502, EXIT.issuer, false, 'The device page is on a host that is not the issuer\'s', 'If the host is right, list it in device_verification_hosts of the profile'),
  setup_conflict: row(409, EXIT.config, false, 'A file of the tool is left as it is', 'See docs/credentials.md for what would be written'),
  adopt_incomplete: row(409, EXIT.config, true, 'The old token of the tool is not ended', 'Do what is named, then run: valetkey adopt'),
  command_not_found: row(400, 127, false, 'The program to run is not there', 'Check its name, and PATH'),
  inject_refused: row(403, EXIT.denied, false, 'The request is not of the program that was run', 'Send it from that program, with the key in $VALETKEY_INJECT_KEY'),
  command_not_executable: row(400, 126, false, 'The program may not be run', 'Check its permissions, and what its first line names'),
  browser_failed: row(500, EXIT.denied, false, 'The browser could not be started', 'Run: valetkey login PROFILE --no-browser'),

  // Tokens.
  scope_not_granted: row(403, EXIT.denied, false, 'The grant does not hold this scope', 'Run: valetkey login PROFILE --scope SCOPE'),
  resource_not_granted: row(403, EXIT.denied, false, 'The profile does not name this resource', 'Add the resource to the profile, then run: valetkey login PROFILE'),
  min_ttl_unmet: row(503, EXIT.issuer, true, 'The issuer\'s tokens do not live as long as was asked', 'Ask for less with --min-ttl'),
  as_token_too_long: row(502, EXIT.issuer, false, 'The issuer\'s tokens live longer than the profile allows', 'Let whoever runs the issuer shorten them, or raise max_token_life_s in the profile'),
  policy_denied: row(403, EXIT.denied, false, 'Policy does not allow this request', 'See the rule that is named'),
  device_unmanaged: row(403, EXIT.denied, false, 'Policy wants proof of a managed device', 'Ask whoever wrote the rule that is named: nothing on this machine can prove it'),
  resource_metadata_invalid: row(502, EXIT.issuer, false, 'What the server says of itself may not be used', 'Tell whoever runs the server; valetkey profile add needs none of it'),
  client_document_invalid: row(502, EXIT.issuer, false, 'The document of the client may not be used', 'Mend the document, or give another client'),
  registration_refused: row(502, EXIT.issuer, false, 'The issuer registered no client', 'Have a client registered there, and give its id: --client-id ID'),
  fetch_refused: row(403, EXIT.denied, false, 'The daemon does not send this request', 'See the reason, and fetch_* of the profile in docs/configuration.md'),
  resource_unreachable: row(502, EXIT.unreachable, true, 'The API cannot be reached', 'Check the address, network, proxy and CA of the profile'),
  resource_answer_refused: row(502, EXIT.issuer, false, 'The API\'s answer is not passed on', 'See the reason; tell whoever runs the API'),
  stepup_unmet: row(403, EXIT.denied, false, 'The issuer did not sign in as strongly as was asked', 'Sign in with the factor that the resource demands'),
  exchange_refused: row(502, EXIT.issuer, false, 'The service that takes the token for its own keys refused', 'See what the service said'),
  exchange_unreachable: row(503, EXIT.unreachable, true, 'The service that takes the token for its own keys cannot be reached', 'Check the network, and run the command again'),

  // The issuer.
  issuer_unreachable: row(503, EXIT.unreachable, true, 'The issuer cannot be reached', 'Check network, proxy and CA of the profile; nothing is lost'),
  issuer_refused: row(502, EXIT.issuer, false, 'The issuer refused', 'See what the issuer said'),
  issuer_response_invalid: row(502, EXIT.issuer, false, 'The issuer\'s answer is not valid', 'Tell whoever runs the issuer; nothing was stored'),
  as_metadata_invalid: row(502, EXIT.issuer, false, 'The issuer\'s metadata is not valid', 'Check the issuer URL, to the letter'),
  as_no_s256: row(502, EXIT.issuer, false, 'The issuer does not list PKCE with S256', 'If the issuer is known to support it: --pkce asserted of valetkey profile add, or pkce = "asserted" in the profile'),
  id_token_invalid: row(502, EXIT.issuer, false, 'The ID token is not valid', 'Check the clock; else tell whoever runs the issuer'),
  iss_mismatch: row(502, EXIT.issuer, false, 'The answer came from another issuer than was asked', 'Start again; if it repeats, somebody may be attacking the sign-in'),

  // The vault.
  vault_locked: row(423, EXIT.locked, false, 'The vault is locked', 'Run: valetkey unlock'),
  locked_out: row(423, EXIT.locked, false, 'Everything was ended by valetkey panic', 'In your own terminal, run: valetkey login PROFILE'),
  session_locked: row(423, EXIT.locked, true, 'The screen is locked', 'Unlock the screen, then run the command again'),
  vault_unavailable: row(503, EXIT.locked, true, 'The vault\'s key store does not answer', 'Run: valetkey doctor'),
  vault_unwritable: row(507, EXIT.locked, true, 'The vault cannot be written', 'Free space on the disk that is named, and check its permissions'),
  audit_broken: row(500, EXIT.config, false, 'The audit log is not what was written', 'Keep the files as they are, and compare them with a copy elsewhere'),
  audit_unwritable: row(507, EXIT.locked, true, 'The audit log cannot be written', 'Free space on the disk that is named, and check its permissions'),
  vault_corrupt: row(500, EXIT.locked, false, 'A sealed file cannot be opened', 'It was set aside; run: valetkey login PROFILE'),
  passphrase_wrong: row(403, EXIT.locked, false, 'The passphrase is wrong', 'Run: valetkey unlock'),

  // The daemon and its start.
  shutting_down: row(503, EXIT.daemon, true, 'The daemon is shutting down', 'Run the command again'),
  internal: row(500, EXIT.internal, false, 'The daemon made a mistake', 'Please report it, with the request id and the log line'),
  daemon_unreachable: row(503, EXIT.daemon, true, 'The daemon does not answer', 'Run: valetkey daemon start'),
  daemon_start_failed: row(503, EXIT.daemon, false, 'The daemon could not be started', 'Run: valetkeyd, and read what it says'),
  upgrade_failed: row(503, EXIT.daemon, false, 'The daemon was not replaced', 'It goes on as before; run: valetkey doctor'),
  service_unavailable: row(503, EXIT.daemon, false, 'The service cannot be set up here', 'Run: valetkey daemon start'),
  service_foreign: row(409, EXIT.config, false, 'A file of the service is not one that we wrote', 'See what it is; if you do not need it, remove it and run the command again'),
  server_untrusted: row(403, EXIT.daemon, false, 'The socket is not this user\'s own', 'See who owns the path that is named; nothing was sent'),
  already_running: row(409, EXIT.ok, false, 'A daemon of this user runs already', 'Run: valetkey daemon status'),
  unsafe_environment: row(500, EXIT.config, false, 'The environment could weaken the daemon', 'Unset the variable that is named, or start it by: valetkey daemon start'),
  debugger_refused: row(500, EXIT.config, false, 'A debugger may not watch the daemon', 'Start it without --inspect'),
  run_as_root: row(500, EXIT.config, false, 'The daemon may not run for somebody else', 'Run it as the user whose tokens it keeps, without sudo'),
  runtime_dir_untrusted: row(500, EXIT.config, false, 'A directory of the daemon is not private', 'Remove the path that is named, or give it back to this user with mode 0700'),
  socket_path_invalid: row(500, EXIT.config, false, 'The socket path cannot be used', 'Set XDG_RUNTIME_DIR to a shorter path'),
  peer_credentials_unavailable: row(500, EXIT.config, false, 'The kernel does not tell who is calling', 'Install with optional dependencies: npm i -g valetkey'),
  platform_unsupported: row(500, EXIT.config, false, 'This system is not supported yet', 'See README, section Platforms'),
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof ERRORS;

/** Why a person has to sign in: `reason` of `login_required`. */
export const LOGIN_REASONS = [
  'never_signed_in', 'expired', 'no_refresh_token', 'revoked_or_reused', 'refresh_answer_lost', 'rolled_back', 'grant_rebound',
  'session_limit', 'interaction_required', 'signed_out', 'identity_changed', 'vault_corrupt', 'max_age', 'acr', 'amr', 'flow', 'privileged',
] as const;
export type LoginReason = (typeof LOGIN_REASONS)[number];

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERRORS, text);
}
