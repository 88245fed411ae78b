"""What test/e2e/clients.test.ts has valetkey.py do: each line of standard output is one answer, as JSON."""
import json
import os
import sys
import threading
import time
import urllib.request

sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
import valetkey  # noqa: E402 -- it is not installed

what, *rest = sys.argv[2:]
if what == "requests":
    import requests
    answers = [requests.get(url, auth=valetkey.Auth("work", origins=[rest[0]]), timeout=10).json() for url in rest[1:]]
elif what == "urllib":
    auth = valetkey.Auth("work", origins=[rest[0]])
    answers = []
    for url in rest[1:]:
        with urllib.request.urlopen(auth(urllib.request.Request(url)), timeout=10) as answer:
            answers.append(json.load(answer))
elif what == "origins":
    answers = [valetkey._origin_of(url) for url in rest]
elif what == "words":
    token = valetkey.get_token("work")
    answers = [repr(token), str(token), f"{token!r}"]
elif what == "many":
    client = valetkey.Client()
    tokens: list = []
    threads = [threading.Thread(target=lambda: tokens.append(client.get_token("work").access_token)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.write(writer, client.get_token("work").access_token.encode())
        os._exit(0)
    os.wait()
    answers = [len(tokens), len({*tokens, os.read(reader, 4096).decode()})]
elif what == "drip":
    before = time.monotonic()
    try:
        valetkey.Client().call("status", {}, timeout_s=1)
        answers = ["answered"]
    except valetkey.ValetkeyError as error:
        answers = [error.code, time.monotonic() - before < 5]
else:
    raise SystemExit(f"what is {what}?")
for answer in answers:
    print(json.dumps(answer))
