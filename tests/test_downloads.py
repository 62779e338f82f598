"`chatgot corpus URL` in several terminals at once, and one of them killed"
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

TEXT = b''.join(b'line %d\n' % i for i in range(100_000))


@pytest.fixture
def site():
    "A server that sends half of a text, and the other half once it is told to go on; it notes the ranges asked for"
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args): pass

        def do_GET(self):
            server.ranges.append(self.headers['Range'])
            start = int(self.headers['Range'][6:-1]) if self.headers['Range'] else 0
            self.send_response(206 if start else 200)
            if start: self.send_header('Content-Range', f'bytes {start}-{len(TEXT) - 1}/{len(TEXT)}')
            self.send_header('Content-Length', str(len(TEXT) - start))
            self.send_header('ETag', '"1"')
            self.end_headers()
            for half in (TEXT[start:len(TEXT)//2], TEXT[max(start, len(TEXT)//2):]):
                try: self.wfile.write(half)
                except OSError: return
                server.go_on.wait(60)

    server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    server.ranges, server.go_on, server.url = [], threading.Event(), f'http://127.0.0.1:{server.server_port}/text.txt'
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.go_on.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def start(tmp_path, site):
    "Starts `chatgot corpus URL`, all with the same empty cache"
    started = []

    def start_one():
        log = open(tmp_path/f'err{len(started)}', 'w')
        p = subprocess.Popen([sys.executable, '-m', 'chatgot', 'corpus', site.url, '--json'], text=True, stdout=subprocess.PIPE, stderr=log,
                             env=os.environ | dict(CHATGOT_CACHE=str(tmp_path/'cache'), no_proxy='127.0.0.1'))
        p.errors = lambda: (tmp_path/log.name).read_text()
        started.append(p)
        return p
    yield start_one
    for p in started: p.kill(); p.wait()


def wait_until(condition):
    end = time.time() + 60
    while not condition():
        assert time.time() < end, 'waited too long'
        time.sleep(.02)


def is_waiting(p): return 'Another process is downloading' in p.errors()


def check_result(processes, tmp_path):
    "Each process read the whole text, and it alone is in the cache"
    for p in processes:
        report = json.loads(p.communicate(timeout=60)[0])
        assert (p.returncode, report['bytes'], report['lines']) == (0, len(TEXT), 100_000), p.errors()
    files = [f for f in (tmp_path/'cache'/'urls').iterdir() if f.suffix != '.lock']
    assert [f.suffix for f in files] == ['.txt'] and hashlib.sha256(files[0].read_bytes()).digest() == hashlib.sha256(TEXT).digest()


def test_one_downloads_and_the_others_wait(site, start, tmp_path):
    processes = [start() for _ in range(3)]
    wait_until(lambda: len(site.ranges) + sum(map(is_waiting, processes)) == 3)
    site.go_on.set()
    check_result(processes, tmp_path)
    assert site.ranges == [None] and sum(map(is_waiting, processes)) == 2


def test_a_waiting_process_finishes_what_a_killed_one_began(site, start, tmp_path):
    first = start()
    received = lambda: sum(f.stat().st_size for f in (tmp_path/'cache').rglob('*.part'))
    wait_until(lambda: received() > 100_000)
    others = [start(), start()]
    wait_until(lambda: all(map(is_waiting, others)))
    first.kill()
    wait_until(lambda: len(site.ranges) == 2)
    site.go_on.set()
    check_result(others, tmp_path)
    assert site.ranges[0] is None and 100_000 < int(site.ranges[1][6:-1]) <= len(TEXT)//2
