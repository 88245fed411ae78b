"""Short-lived access tokens from valetkeyd, the authentication broker of this user.

    import valetkey
    valetkey.get_token("work").access_token                        # a token
    requests.get("https://api.example.com/v1", auth=valetkey.Auth("work"))

One file of the standard library, for Python 3.9 and later: import it, or copy it. It speaks the frames of
docs/protocol.md, on a connection of its own for each request, so that it may be used by many threads and after
fork(). Nothing is sent to a socket that is not this user's own. No refresh token ever comes here, and who has to
sign in does so in a terminal: `valetkey login PROFILE`.
"""
from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import socket
import stat
import struct
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import Any, Collection, Mapping, Sequence, TypeVar
from urllib.parse import urlsplit

__all__ = ["Auth", "Client", "Token", "ValetkeyError", "get_token"]

PROTOCOL = 1
_REPLY_MAX = 4 * 1024 * 1024
_LOCK_RECORD_MAX = 4096
_START_S = 30.0
_LOOK_S = 0.025
#: The daemon answers a little after the wait that it was asked for.
_MARGIN_S = 15.0
#: The marks of a session on another machine, or in a container, than that whose broker was put here.
_ELSEWHERE = ("SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY", "REMOTE_CONTAINERS", "CODESPACES", "KUBERNETES_SERVICE_HOST", "container")
#: What the broker of another machine is asked for. Passphrases, lock and panic are of this one.
_ANYBODYS = frozenset({"token", "startLogin", "login", "cancelLogin", "confirmLogin", "grants", "profiles", "whoami", "status"})
#: What is not allowed in words that reach a terminal.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")

_Request = TypeVar("_Request")


class ValetkeyError(Exception):
    """What went wrong, as a problem document says it (docs/errors.md). `code` is stable; branch on it."""

    def __init__(self, code: str, detail: str, *, hint: str = "", status: int = 503, retryable: bool = False, problem: Mapping[str, Any] | None = None):
        super().__init__(f"{detail} ({code})" + (f"\n{hint}" if hint else ""))
        self.code = code
        self.detail = detail
        #: The one next step, mostly a command.
        self.hint = hint
        self.status = status
        #: Whether the same request may succeed later, unchanged.
        self.retryable = retryable
        #: The whole document: `reason`, `login`, `retry_after_s` and so on, where they are told.
        self.problem: Mapping[str, Any] = problem if problem is not None else {}


@dataclass(frozen=True)
class Token:
    """An access token, and what it is good for. The token itself is not in its repr()."""

    profile: str
    access_token: str = field(repr=False)
    token_type: str
    #: Seconds since 1970-01-01 UTC.
    expires_at: int
    scope: str
    resource: str | None
    #: Scopes that the issuer granted though nobody asked for them.
    granted_beyond: tuple[str, ...] = ()
    #: Only where a class or an age of the sign-in was asked for.
    acr: str | None = None
    auth_time: int | None = None

    @property
    def authorization(self) -> str:
        """The value of the Authorization header (RFC 6750, section 2.1)."""
        return f"Bearer {self.access_token}"


class Client:
    """The way to this user's daemon. It holds no connection and no token, and needs no end.

    `socket_path` names another socket than the one that is found; it is checked all the same. The daemon is started
    where it does not run, by the `valetkey` of PATH, unless `start_daemon` is false or a socket was named.
    """

    def __init__(self, socket_path: str | None = None, *, start_daemon: bool = True):
        self._socket = socket_path
        self._may_start = start_daemon and socket_path is None

    def get_token(
        self, profile: str, *, scopes: Sequence[str] | None = None, resource: str | None = None, min_ttl_s: int | None = None, force: bool | None = None,
        wait_s: int | None = None, acr_values: Sequence[str] | None = None, max_age_s: int | None = None, challenge: str | None = None,
        claimed: Mapping[str, str] | None = None,
    ) -> Token:
        """An access token, from the daemon's cache or by a refresh: ask each time, and keep none.

        The keywords are those of `POST /v1/token` (docs/protocol.md). Raises ValetkeyError: `login_required`,
        `unknown_profile`, `scope_not_granted`, `policy_denied`, `vault_locked`, `issuer_unreachable`, `deadline_exceeded`
        and others of docs/errors.md.
        """
        if not isinstance(profile, str) or isinstance(scopes, str) or isinstance(acr_values, str):
            raise ValetkeyError("bad_request", "profile is a string, and scopes and acr_values are lists of strings", status=400)
        asked = {
            "profile": profile, "scopes": scopes if scopes is None else list(scopes), "resource": resource, "min_ttl_s": min_ttl_s, "force": force, "wait_s": wait_s,
            "acr_values": acr_values if acr_values is None else list(acr_values), "max_age_s": max_age_s, "challenge": challenge,
            "claimed": claimed if claimed is None else dict(claimed),
        }
        data = self.call("token", {key: value for key, value in asked.items() if value is not None}, (30 if wait_s is None else wait_s) + _MARGIN_S)
        return _token_of(data)

    def profiles(self) -> list[Mapping[str, Any]]:
        """The profiles, as `GET /v1/profiles` lists them."""
        found = self.call("profiles", {})["profiles"]
        return list(found)

    def status(self) -> Mapping[str, Any]:
        """The state of the daemon, its vault, grants and logins, as `GET /v1/status` tells it."""
        return self.call("status", {})

    def call(self, method: str, data: Mapping[str, Any], timeout_s: float = 15.0) -> Mapping[str, Any]:
        """The `data` of the answer to any method of the frames. Raises ValetkeyError."""
        frame = json.dumps({"type": method, "id": 1, "protocol": PROTOCOL, "data": data}).encode() + b"\n"
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                return _answer_of(self._exchange(frame, method in _ANYBODYS, deadline))
            except (_Unread, ValetkeyError) as error:
                # A daemon that ends, or is replaced, has done nothing of what it was asked: the next one is asked.
                is_passing = isinstance(error, _Unread) or error.code == "shutting_down"
                if not is_passing or not self._may_start or time.monotonic() + _LOOK_S > deadline:
                    if isinstance(error, ValetkeyError):
                        raise
                    raise _local("daemon_unreachable", "the daemon ended the connection without an answer", "Run: valetkey daemon start") from error
                time.sleep(_LOOK_S)

    def _exchange(self, frame: bytes, is_anybodys: bool, deadline: float) -> bytes:
        with self._connect(is_anybodys, deadline) as connection:
            try:
                connection.sendall(frame)
                return _read_line(connection, deadline)
            except socket.timeout as error:
                raise _local("deadline_exceeded", "the daemon did not answer in time", "Ask again, with a longer wait", status=504) from error
            except (BrokenPipeError, ConnectionResetError) as error:
                raise _Unread() from error
            except OSError as error:
                raise _local("daemon_unreachable", f"the connection to the daemon failed: {error.strerror}", "Run: valetkey daemon start") from error

    def _connect(self, is_anybodys: bool, deadline: float) -> socket.socket:
        connection = self._connect_to_first(is_anybodys, deadline)
        if connection is not None:
            return connection
        if not self._may_start:
            raise _local("daemon_unreachable", f"no daemon answers on {self._socket or _default_socket()}", "Run: valetkey daemon start")
        _start_daemon(deadline)
        connection = self._connect_to_first(False, deadline)
        if connection is None:
            raise _local("daemon_unreachable", "the daemon ended right after its start", "Run: valetkey doctor")
        return connection

    def _connect_to_first(self, is_anybodys: bool, deadline: float) -> socket.socket | None:
        for path in [self._socket] if self._socket is not None else _candidates(is_anybodys):
            if not _is_own_socket(path):
                continue
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connection.settimeout(_left(deadline))
                connection.connect(path)
                _check_peer(connection, path)
                return connection
            except (ConnectionRefusedError, FileNotFoundError):
                connection.close()  # nothing was sent, so another may be tried
            except socket.timeout as error:
                connection.close()
                raise _local("deadline_exceeded", f"{path} takes no connection", "Run: valetkey doctor", status=504) from error
            except OSError as error:
                connection.close()
                raise _local("daemon_unreachable", f"{path} takes no connection: {error.strerror}", "Run: valetkey doctor") from error
            except BaseException:
                connection.close()
                raise
        return None


class Auth:
    """Adds the token to requests that go to the profile's resource, and to no others.

    Called with a request of requests, httpx or urllib.request, which all keep it to themselves at a redirect to another
    host. `origins` may see the token, such as "https://api.example.com"; by default that of the profile's resource.
    Further keywords are those of Client.get_token().
    """

    def __init__(self, profile: str, *, origins: Collection[str] | None = None, client: Client | None = None, **wanted: Any):
        self._profile = profile
        self._client = client if client is not None else Client()
        self._wanted = wanted
        named = origins if origins is not None else [wanted["resource"]] if wanted.get("resource") else None
        self._origins = None if named is None else _origins_of(named)

    def __call__(self, request: _Request) -> _Request:
        added = getattr(request, "add_unredirected_header", None)
        url = str(getattr(request, "full_url" if added is not None else "url"))
        if self._origins is None:
            self._origins = self._of_profile()
        if _origin_of(url) in self._origins:
            value = self._client.get_token(self._profile, **self._wanted).authorization
            if added is not None:
                added("Authorization", value)  # urllib takes what is added in the other way along to wherever it is sent
            else:
                getattr(request, "headers")["Authorization"] = value
        return request

    def _of_profile(self) -> frozenset[str]:
        for profile in self._client.profiles():
            if profile.get("name") == self._profile:
                origin = _origin_of(profile.get("resource") or "")
                if origin is None:
                    raise ValetkeyError("bad_request", f"the resource of profile {self._profile} does not tell an origin", hint="Give Auth the keyword origins", status=400)
                return frozenset([origin])
        raise ValetkeyError("unknown_profile", f"there is no profile {self._profile}", hint="Run: valetkey profiles", status=404)


def get_token(profile: str, **wanted: Any) -> Token:
    """Client().get_token(), for who asks once."""
    return Client().get_token(profile, **wanted)


class _Unread(Exception):
    """The daemon closed the connection before it answered."""


def _local(code: str, detail: str, hint: str, status: int = 503) -> ValetkeyError:
    return ValetkeyError(code, _clean(detail), hint=hint, status=status, retryable=code in ("daemon_unreachable", "deadline_exceeded"))


def _clean(text: object) -> str:
    return _CONTROL.sub(" ", text) if isinstance(text, str) else ""


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise socket.timeout("the deadline has passed")
    return left


def _read_line(connection: socket.socket, deadline: float) -> bytes:
    """One frame. A whole second part of the deadline is never given to a daemon that drips."""
    answer = bytearray()
    while not answer.endswith(b"\n"):
        connection.settimeout(_left(deadline))
        chunk = connection.recv(65536)
        if not chunk:
            raise _Unread()
        answer += chunk
        if len(answer) > _REPLY_MAX:
            raise _local("protocol_mismatch", f"the reply is larger than {_REPLY_MAX} bytes", "Run: valetkey daemon status", status=400)
    return bytes(answer)


def _answer_of(line: bytes) -> Mapping[str, Any]:
    try:
        frame = json.loads(line)
    except ValueError as error:
        raise _local("protocol_mismatch", "the reply is not JSON", "Run: valetkey daemon status", status=400) from error
    data = frame.get("data") if isinstance(frame, dict) else None
    if not isinstance(frame, dict) or not isinstance(data, dict) or not isinstance(frame.get("status"), int):
        raise _local("protocol_mismatch", "the reply is not a frame", "Run: valetkey daemon status", status=400)
    if frame.get("protocol") != PROTOCOL:
        raise _local("protocol_mismatch", f"this client speaks protocol {PROTOCOL}, daemon {frame.get('build')} speaks {frame.get('protocol')}", "Run: valetkey daemon upgrade", status=400)
    if frame["status"] == 200:
        return data
    code = data.get("code")
    if not isinstance(code, str):
        raise _local("protocol_mismatch", f"status {frame['status']} without a problem document", "Run: valetkey daemon status", status=400)
    raise ValetkeyError(_clean(code), _clean(data.get("detail")), hint=_clean(data.get("hint")), status=frame["status"], retryable=data.get("retryable") is True, problem=data)


def _token_of(data: Mapping[str, Any]) -> Token:
    text = data.get("access_token")
    if not isinstance(text, str) or not isinstance(data.get("expires_at"), int):
        raise _local("protocol_mismatch", "the reply holds no token", "Run: valetkey daemon status", status=400)
    # RFC 6749, appendix A.12: what else would be put into a header ends it, and begins another.
    if re.fullmatch(r"[\x20-\x7e]+", text) is None:
        raise _local("issuer_response_invalid", "the access token holds characters that no token may hold", "Tell whoever runs the issuer", status=502)
    return Token(
        profile=str(data.get("profile")), access_token=text, token_type=str(data.get("token_type")), expires_at=data["expires_at"], scope=str(data.get("scope")),
        resource=data.get("resource"), granted_beyond=tuple(data.get("granted_beyond") or ()), acr=data.get("acr"), auth_time=data.get("auth_time"),
    )


def _origins_of(named: Collection[str]) -> frozenset[str]:
    origins = [_origin_of(each) for each in ([named] if isinstance(named, str) else named)]
    if not origins or None in origins:
        raise ValetkeyError("bad_request", "an origin is https://HOST, or http:// of this machine", status=400)
    return frozenset(each for each in origins if each is not None)


def _origin_of(url: str) -> str | None:
    """RFC 6454, section 4. None where no bearer token may go: RFC 6750, section 5.3 wants TLS, but on this machine."""
    # urlsplit() and those who send the request read these in different ways.
    if not isinstance(url, str) or re.search(r"[\x00-\x20\x7f\\]", url) is not None:
        return None
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    is_here = host in ("127.0.0.1", "::1", "localhost")
    if not host or parts.username is not None or not (parts.scheme == "https" or (parts.scheme == "http" and is_here)):
        return None
    return f"{parts.scheme}://{host}:{port if port is not None else 443 if parts.scheme == 'https' else 80}"


def _start_daemon(deadline: float) -> None:
    program = shutil.which("valetkey")
    if program is None:
        raise _local("daemon_start_failed", "no daemon answers, and there is no valetkey in PATH to start one", "Install valetkey, then run: valetkey daemon start")
    try:
        ran = subprocess.run([program, "daemon", "start"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=min(_START_S, _left(deadline)), check=False)
    except subprocess.TimeoutExpired as error:
        raise _local("daemon_start_failed", "the daemon did not start in time", "Run: valetkey doctor") from error
    if ran.returncode != 0:
        raise _local("daemon_start_failed", f"the daemon could not be started: {ran.stderr.decode(errors='replace').strip()}", "Run: valetkey doctor")


def _home() -> str:
    return pwd.getpwuid(os.getuid()).pw_dir


def _absolute(name: str) -> str | None:
    """XDG Base Directory specification: a relative path in one of its variables is no path."""
    value = os.environ.get(name, "")
    return (value.rstrip("/") or "/") if value.startswith("/") else None


def _state_directory() -> str:
    return f"{_absolute('XDG_STATE_HOME') or _home() + '/.local/state'}/valetkey"


def _runtime_directory() -> str:
    base = _absolute("TMPDIR" if sys.platform == "darwin" else "XDG_RUNTIME_DIR")
    return f"{base}/valetkey" if base is not None else f"{_state_directory()}/run"


def _default_socket() -> str:
    return f"{_runtime_directory()}/socket"


def _candidates(is_anybodys: bool) -> list[str]:
    """Where a daemon may listen, the likeliest first: cron and su find it by its lock record alone."""
    recorded, usual = _recorded_socket(), _default_socket()
    found = [usual] if recorded is None or recorded == usual else [recorded, usual]
    forwarded = f"{_runtime_directory()}/forwarded"
    is_elsewhere = is_anybodys and os.path.lexists(forwarded) and any(os.environ.get(name) for name in _ELSEWHERE)
    return [forwarded, *found] if is_elsewhere else found


def _recorded_socket() -> str | None:
    path = f"{_state_directory()}/lock"
    try:
        seen = os.lstat(path)
        if not stat.S_ISREG(seen.st_mode) or seen.st_uid != os.getuid() or seen.st_mode & 0o022 or seen.st_size > _LOCK_RECORD_MAX:
            return None
        with open(path, encoding="utf-8") as file:
            record = json.load(file)
    except (OSError, ValueError):
        return None  # it is a hint: the daemon may be writing it
    found = record.get("socket") if isinstance(record, dict) else None
    return found if isinstance(found, str) and found.startswith("/") else None


def _is_own_socket(path: str) -> bool:
    """False where there is none. Somebody else's gets no connection and no word."""
    for place, is_kind, mode in ((os.path.dirname(path), stat.S_ISDIR, 0o700), (path, stat.S_ISSOCK, 0o600)):
        try:
            seen = os.lstat(place)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise _untrusted(f"{place} cannot be looked at: {error.strerror}") from error
        if not is_kind(seen.st_mode):
            raise _untrusted(f"{place} is not what it should be")
        if seen.st_uid != os.getuid():
            raise _untrusted(f"{place} belongs to user {seen.st_uid}")
        if stat.S_IMODE(seen.st_mode) & 0o777 != mode:
            raise _untrusted(f"{place} has mode {stat.S_IMODE(seen.st_mode) & 0o777:04o} instead of {mode:04o}", f"Run: chmod {mode:04o} {place}")
    return True


def _check_peer(connection: socket.socket, path: str) -> None:
    """On Linux the kernel also tells whose process listens there."""
    if not hasattr(socket, "SO_PEERCRED"):
        return
    _pid, uid, _gid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    if uid != os.getuid():
        raise _untrusted(f"user {uid} listens on {path}")


def _untrusted(what: str, hint: str = "See who owns the path that is named; nothing was sent") -> ValetkeyError:
    return _local("server_untrusted", f"{what}; nothing was sent", hint, status=403)
