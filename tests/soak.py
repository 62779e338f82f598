"""Many requests while other clients attack: hang-ups, slow readers, checkpoint swaps, floods of bad requests and wrong keys

    python tests/soak.py --requests 20000 --seed 1

The good clients' requests are timed twice, in peace and under attack. Afterwards the server holds what it held before.
"""
import argparse
import asyncio
import json
import random
import socket
import tempfile
import time
from collections import Counter
from pathlib import Path

import httpx

from fuzz_http import AUTH, CHAT, HOST, SOCKET, TEXT, TYPE, as_json, frame, http
from program import fork
from served import ADMIN_KEY, KEY, Server, run_async, train_farm, wait_for

GOOD_CLIENTS, ATTACKERS = 4, 12
SETTINGS = 'serve.client_timeout=2', 'serve.timeout=60', 'serve.max_tokens=100000'


def post(body, path=b'/v1/completions'):
    data = as_json(body, True)
    return http(b'POST', path, [HOST, AUTH, TYPE, (b'Content-Length', b'%d' % len(data))], data)


# --- attacks: each is a coroutine that takes the address of an attacker, a port and a random generator ---

async def connect(address, port, **options): return await asyncio.open_connection('127.0.0.1', port, local_addr=(address, 0), **options)

async def exchange(address, port, data, limit=1 << 16):
    "Send data and read some of the answer"
    reader, writer = await connect(address, port)
    try:
        writer.write(data)
        return await asyncio.wait_for(reader.read(limit), 30)
    finally: writer.close()

async def hang_up(address, port, rng):
    "Ask for a long text, read a little, and leave"
    reader, writer = await connect(address, port)
    writer.write(post(TEXT | {'max_tokens': 5000, 'stream': rng.random() < .7, 'n': rng.choice([1, 2])}))
    await asyncio.sleep(rng.uniform(0, .2))
    writer.transport.abort()

async def read_slowly(address, port, rng):
    "Ask for more than fits into the buffers, and take nothing"
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.bind((address, 0))
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    try:
        await loop.sock_connect(client, ('127.0.0.1', port))
        await loop.sock_sendall(client, http(b'GET', rng.choice([b'/metrics', b'/openapi.json', b'/']), [HOST, AUTH])*15)
        await asyncio.sleep(rng.uniform(.5, 4))
    finally: client.close()

async def send_slowly(address, port, rng):
    "Slowloris: one byte now and then"
    reader, writer = await connect(address, port)
    try:
        for byte in post(TEXT)[:rng.randrange(1, 12)]:
            writer.write(bytes([byte]))
            await asyncio.sleep(.3)
    finally: writer.close()

async def flood(address, port, rng):
    "Bad requests, one after the other"
    bad = [b'\0'*100, b'GET / HTTP/1.1\r\nX: ' + b'y'*100_000, http(b'GET', b'/v1/models', [(b'Host', b'[')]), post({'model': 'none'}), post(CHAT | {'messages': 1}),
           http(b'POST', b'/v1/completions', [HOST, AUTH, TYPE, (b'Content-Length', b'10000')], b'['*10_000)]
    for _ in range(20): await exchange(address, port, rng.choice(bad))

async def guess(address, port, rng):
    "Wrong keys"
    for _ in range(20): await exchange(address, port, http(b'GET', b'/v1/models', [HOST, (b'Authorization', b'Bearer %d' % rng.getrandbits(64))]))

async def squat(address, port, rng):
    "WebSockets without a key, and one that floods"
    await asyncio.gather(*(exchange(address, port, SOCKET(auth=None).data) for _ in range(8)))
    reader, writer = await connect(address, port)
    try:
        writer.write(SOCKET().data)
        await asyncio.wait_for(reader.read(1 << 16), 30)
        writer.write(rng.choice([frame(9, b'x'*100)*2000, frame(1, as_json(TEXT, True))*30, frame(1, b'', False) + frame(0, b'', False)*2000]))
        await asyncio.wait_for(reader.read(), 30)
    finally: writer.close()

async def swap(address, port, rng):
    "Another checkpoint"
    data = as_json({'checkpoint': rng.choice(['best', 'latest', 10, 'previous'])}, True)
    await exchange(address, port, http(b'POST', b'/v1/models/farm/checkpoint', [HOST, (b'Authorization', f'Bearer {ADMIN_KEY}'.encode()), TYPE, (b'Content-Length', b'%d' % len(data))], data))

ATTACKS = [hang_up]*3 + [read_slowly, send_slowly, flood, flood, guess, squat, swap]


# --- the soak ---

async def attack(number, port, seed, until, counts):
    "Attack after attack from an address of one's own; a refused or broken connection is what an attacker must expect"
    rng = random.Random(f'{seed} {number}')
    while not until.exists():
        chosen = rng.choice(ATTACKS)
        counts[chosen.__name__] += 1
        try: await chosen(f'127.0.1.{number + 1}', port, rng)
        except (OSError, asyncio.TimeoutError): pass
        await asyncio.sleep(.05)


def attackers(port, seed, until):
    "A process: attack until the file `until` exists, then write into it how often"
    async def attack_all(counts): await asyncio.gather(*(attack(i, port, seed, until, counts) for i in range(ATTACKERS)))
    counts = Counter()
    asyncio.run(attack_all(counts))
    until.write_text(json.dumps(counts))


async def good_requests(url, n, seed):
    "n requests of clients that behave; returns their times in seconds, and asserts that all are answered"
    times, todo = [], iter(range(n))
    async def client():
        async with httpx.AsyncClient(base_url=url, headers={'authorization': f'Bearer {KEY}'}, timeout=60) as c:
            for i in todo:
                started = time.perf_counter()
                r = await (c.get('/v1/models') if i % 5 == 0 else c.post('/v1/completions', json=TEXT | {'max_tokens': 4, 'seed': i}))
                times.append(time.perf_counter() - started)
                assert r.status_code == 200, r.text
    await asyncio.gather(*(client() for _ in range(GOOD_CLIENTS)))
    return times


def under_attack(server, n, seed):
    "The times of good requests during attacks, and how many there were of each"
    until = server.folder/'attacks.json'
    process = fork(attackers, server.port, seed, until)  # of its own, or the clients would wait for the attackers' work
    try: times = run_async(good_requests(server.url, n, seed))
    finally:
        until.touch()
        process.join()
    return times, json.loads(until.read_text())


def percentiles(times):
    times = sorted(times)
    return {f'p{p}_ms': round(1000*times[min(len(times) - 1, len(times)*p//100)], 1) for p in (50, 99)}


def run(requests: int, seed: int, root: Path | None = None):
    "A fifth of the requests in peace, the others under attack; returns a report"
    print(f'soak: {requests} requests, seed {seed}')
    with tempfile.TemporaryDirectory() as tmp:
        root = root or train_farm(Path(tmp), 'model.n_embd=16', 'train.steps=20', 'train.save_every=10')
        server = Server(root, *SETTINGS)
        try:
            run_async(good_requests(server.url, 50, seed))
            before = server.resources()
            peace = run_async(good_requests(server.url, requests//5, seed))
            times, attacks = under_attack(server, requests - requests//5, seed)
            def all_left(): return server.metric('chatgot_slots_busy') == server.metric('chatgot_queue') == 0 and server.resources()['descriptors'] <= before['descriptors'] + 2
            wait_for(all_left, server, 60)
            lines = [json.loads(line) for line in server.output('out').splitlines()]
            report = dict(peace=percentiles(peace), attacked=percentiles(times), before=before, after=server.resources(), attacks=attacks,
                          statuses=dict(Counter(line['status'] for line in lines)))
            assert 500 not in report['statuses'] and 'Traceback' not in server.output(), [line for line in lines if line['status'] == 500][:2] or server.output()[-3000:]
            assert report['after']['memory'] < before['memory'] + 100
        finally: server.stop()
    return report


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--requests', type=int, default=20_000)
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    for name, value in run(args.requests, args.seed).items(): print(name, value)
