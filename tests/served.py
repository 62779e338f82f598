"A small run, and `chatgot serve` in a process of its own, for tests, the fuzzer and the soak"
import asyncio
import os
import re
import signal
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from program import cli, fork

KEY, ADMIN_KEY = 'open sesame', 'admin-sesame'
SMALL = ('data.seq_len=64 model.n_layer=1 model.n_embd=32 model.n_head=2 train.batch_size=8 train.device=cpu train.steps=40 '
         'train.precision=float32 train.sample_every=100000 sample.tokens=30').split()
FARM = 'FOX:\nIs the henhouse open?\n\nHEN:\nGo away, red one.\n\n'*300


def train_farm(root, *settings):
    "Train a small run in the folder `root`, which then holds runs/farm"
    (root/'farm.txt').write_text(FARM)
    p = fork(cli, root, ('train', '--corpus', str(root/'farm.txt'), '--name', 'farm', *SMALL, *settings), {})
    p.join()
    assert p.exitcode == 0, (root/'err').read_text()
    return root


def run_async(coroutine):
    "The result of a coroutine; in a thread, because the main one has an event loop already while a browser is open"
    with ThreadPoolExecutor(1) as executor: return executor.submit(asyncio.run, coroutine).result()


class Server:
    "`chatgot serve` in a process of its own"
    def __init__(self, root, *settings, port=0, wait_ready=True, keys=f'{KEY},{ADMIN_KEY}'):
        self.folder = Path(tempfile.mkdtemp(dir=root))
        args = 'serve', str(root/'runs'/'farm'), '--port', str(port), *settings
        self.process = fork(cli, self.folder, args, {'CHATGOT_SERVE__API_KEYS': keys})
        self.url = wait_for(lambda: re.search(r'http://\S+', self.output()), self)[0]
        self.port = int(self.url.rpartition(':')[2])
        self.http = httpx.Client(base_url=self.url, headers={'authorization': f'Bearer {KEY}'}, timeout=30)
        if wait_ready: wait_for(self.ready, self)

    def __enter__(self): return self
    def __exit__(self, *_): self.stop()

    def output(self, stream='err'): return (self.folder/stream).read_text() if (self.folder/stream).exists() else ''

    def ready(self):
        try: return self.http.get('/health/ready').status_code == 200
        except httpx.HTTPError: return False

    def metric(self, name): return float(re.search(rf'^{name}\S* (\S+)$', self.http.get('/metrics').text, re.M)[1])

    def resources(self):
        "What the process has of the machine: descriptors, threads, resident memory in MB (Linux)"
        proc = Path(f'/proc/{self.process.pid}')
        memory = re.search(r'VmRSS:\s+(\d+) kB', (proc/'status').read_text())[1]
        return dict(descriptors=len(list((proc/'fd').iterdir())), threads=len(list((proc/'task').iterdir())), memory=int(memory)//1024)

    def stop(self, signum=signal.SIGTERM):
        "Send a signal; returns the exit code"
        if self.process.is_alive(): os.kill(self.process.pid, signum)
        self.process.join(30)
        assert self.process.exitcode is not None
        return self.process.exitcode


def wait_for(condition, server, seconds=90):
    deadline = time.time() + seconds
    while not (result := condition()):
        assert server.process.is_alive() and time.time() < deadline, server.output()
        time.sleep(.02)
    return result
