"""
A script that asks for a token and tries to approve itself, in the ways that scripts have: run by its test as process 1's
child in a pid namespace of its own, so that nothing of the test's own surroundings stands above it.
Argument 1 is the daemon. Prints one line of JSON for each try.
"""
import ctypes, json, os, pty, socket, subprocess, sys, time

HERE = os.path.dirname(os.path.abspath(__file__))
SOCKET = os.environ['XDG_RUNTIME_DIR'] + '/valetkey/socket'


def call(method, path, body=None):
    s = socket.socket(socket.AF_UNIX)
    s.connect(SOCKET)
    s.settimeout(60)
    data = b'' if body is None else json.dumps(body).encode()
    kind = '' if body is None else 'Content-Type: application/json\r\n'
    s.sendall(f'{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{kind}Content-Length: {len(data)}\r\n\r\n'.encode() + data)
    answer = b''
    while True:
        part = s.recv(65536)
        if not part:
            return json.loads(answer.split(b'\r\n\r\n', 1)[1])
        answer += part


def ask(tag):
    # Only the control has an answer to wait for.
    return call('POST', '/v1/workload-tokens', {'profile': 'work', 'wait_s': 30 if tag == 'other_terminal' else 1, 'claimed': {'reason': tag}})


def question(tag):
    for _ in range(600):
        for each in call('GET', '/v1/approvals')['pending']:
            if (each['claimed'] or {}).get('reason') == tag:
                return each['id']
        time.sleep(0.02)
    raise SystemExit('nothing was asked')


def agree(id, binding='run'):
    return call('POST', '/v1/approvals/' + id, {'allow': True, 'binding': binding})


class Child:
    """Runs `work`, whose words come back by a pipe; `say` gives it a line."""

    def __init__(self, work, way='fork'):
        self.out, out = os.pipe()
        into, self.into = os.pipe()
        if way == 'pty':
            pid, self.fd = pty.fork()
        else:
            pid = os.fork()
        if pid == 0:
            if way in ('setsid', 'left'):
                os.setsid()
            if way == 'left':
                if os.fork() != 0:
                    os._exit(0)
                pid, fd = pty.fork()
                if pid != 0:
                    os.waitpid(pid, 0)
                    os._exit(0)
            os.write(out, json.dumps(work(lambda: os.read(into, 200).decode())).encode())
            os._exit(0)
        os.close(out)

    def say(self, line):
        os.write(self.into, line.encode())

    def result(self):
        text = b''
        while True:
            part = os.read(self.out, 65536)
            if not part:
                return json.loads(text)
            text += part


def asker(tag, way='fork'):
    return Child(lambda _: ask(tag), way)


def try_itself(tag):
    child = asker(tag)
    answer = agree(question(tag))
    return answer, child.result()


def try_renamed(tag):
    ctypes.CDLL(None).prctl(15, b'valetkey', 0, 0, 0)
    return try_itself(tag)


def try_script(tag):
    """By script(1), which makes a terminal."""
    child = asker(tag)
    told = subprocess.run(['script', '-qec', f'/usr/bin/python3 {HERE}/self-approval.py agree {question(tag)}', '/dev/null'], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return json.loads(told.stdout[told.stdout.index('{'):]), child.result()


def try_new_terminal(tag):
    child = asker(tag)
    id = question(tag)
    return Child(lambda _: agree(id), 'pty').result(), child.result()


def try_old_terminal(tag):
    """Of a child of what asks, and older than the question."""
    def both(_):
        old = Child(lambda read: agree(read()), 'pty')
        time.sleep(0.1)
        pid = os.fork()
        if pid == 0:
            old.say(question(tag))
            os._exit(0)
        told = ask(tag)
        return [old.result(), told]
    return tuple(Child(both).result())


def try_left_behind(tag):
    """By a process that lost its parents, in a terminal of its own, older than the question."""
    old = Child(lambda read: agree(read()), 'left')
    time.sleep(0.1)
    child = asker(tag)
    old.say(question(tag))
    return old.result(), child.result()


def try_for_a_child(tag):
    """Asks through a child that left session and terminal, and answers where it was started."""
    child = asker(tag, 'setsid')
    answer = agree(question(tag))
    return answer, child.result()


def try_other_terminal(tag):
    """Admitted (SECURITY.md, limit 11): a terminal of its own making, older than the question, and no child of what asks."""
    other = Child(lambda read: agree(read()), 'pty')
    time.sleep(0.1)
    child = asker(tag)
    other.say(question(tag))
    return other.result(), child.result()


def word(reply):
    return reply.get('code') or ('agreed' if reply.get('ok') else 'token')


def main():
    daemon = subprocess.Popen(['node', sys.argv[1]], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        for _ in range(1500):
            if os.path.exists(SOCKET):
                break
            time.sleep(0.02)
        for name, attempt in [(n[4:], f) for n, f in sorted(globals().items()) if n.startswith('try_')]:
            # Each as a script of its own, in the foreground of a terminal that was there before.
            path = f'{HERE}/{name}.py'
            os.symlink(f'{HERE}/self-approval.py', path)
            pid, fd = pty.fork()
            if pid == 0:
                os.execv('/usr/bin/python3', ['python3', path, 'try', name])
            text = b''
            while True:
                try:
                    part = os.read(fd, 65536)
                except OSError:
                    break
                if not part:
                    break
                text += part
            os.waitpid(pid, 0)
            print(json.dumps([name, text.decode(errors='replace').strip()]), flush=True)
    finally:
        daemon.terminate()
        daemon.wait()


if sys.argv[1] == 'agree':
    print(json.dumps(agree(sys.argv[2])))
elif sys.argv[1] == 'try':
    answer, token = globals()['try_' + sys.argv[2]](sys.argv[2])
    print(f"{word(answer)}: {answer.get('detail', '')} / {word(token)}")
else:
    main()
