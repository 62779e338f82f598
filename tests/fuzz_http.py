"""Raw bytes against a real server: requests and WebSockets that are wrong in every way that a seed can think of

    python tests/fuzz_http.py --cases 2000 --seed 1

Each case is answered with a status below 500 or closed within a limit; then the server still answers, has printed no
error, and in the end has no more descriptors, threads or memory than before. A case that broke this rule once is in REGRESSIONS.
"""
import argparse
import asyncio
import json
import os
import re
import struct
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
from hypothesis import strategies as st

from fuzz import each
from served import ADMIN_KEY, KEY, Server, run_async, train_farm, wait_for

BATCH, LIMIT = 48, 30  # cases at the same time; seconds in which each must have ended
# A client may be slow for 0.4 s, so that a case that stops in the middle ends soon
SETTINGS = 'serve.client_timeout=0.4', 'serve.timeout=5', 'serve.max_tokens=64', 'serve.max_bytes=50000', 'serve.slots=4'
POOLS = 2 + os.cpu_count() + 4  # threads that stay: those for requests, and asyncio's own


@dataclass(frozen=True)
class Case:
    "What one client sends over a connection of its own"
    data: bytes
    pieces: int = 1  # in which it arrives
    leave: str = 'stay'  # or close, reset, half: what the client does after its last byte


# --- requests ---

def http(method=b'GET', path=b'/v1/models', headers=(), body=b'', version=b'HTTP/1.1', eol=b'\r\n'):
    return eol.join([b' '.join((method, path, version)), *(n + b': ' + v for n, v in headers), b'', body])

HOST, AUTH = (b'Host', b'localhost'), (b'Authorization', f'Bearer {KEY}'.encode())
ADMIN, TYPE = (b'Authorization', f'Bearer {ADMIN_KEY}'.encode()), (b'Content-Type', b'application/json')
PATHS = [b'/', b'/page.js', b'/page.css', b'/health/live', b'/health/ready', b'/metrics', b'/openapi.json', b'/docs', b'/v1/models', b'/v1/models/farm', b'/v1/completions',
         b'/v1/chat/completions', b'/v1/models/farm/checkpoint', b'/v1/stream', b'/v1/none']
sizes = st.sampled_from([1, 2, 10, 100, 1000, 8000, 70_000])
junk = st.one_of(st.binary(max_size=40), st.sampled_from([b'[', b']', b'\x00', b'\r', b'\n', b'\r\n', b'\t', b' ', b'%', b'%00', b'%ff', b'%ud800', b':',
                 b'://', b'\xff', '²'.encode('latin-1'), '\u2028é'.encode(), b'"', b',', b';', b'?', b'#', b'..', b'//', b'*']))
long_junk = st.builds(lambda b, n: b*n, junk, sizes)
anything = st.one_of(junk, long_junk)
netlocs = st.one_of(anything, st.sampled_from([b'localhost', b'127.0.0.1:1', b'[::1]', b'[::1', b'[', b']', b'localhost:[', b'@', b'a@[', b'evil.example', b'localhost:99999999999']))
names = st.one_of(junk, st.sampled_from([b'Host', b'Origin', b'Authorization', b'Content-Length', b'Content-Type', b'Transfer-Encoding', b'Expect', b'Upgrade', b'Connection',
                  b'Cookie', b'X-Forwarded-For', b'X-Forwarded-Proto', b'Accept', b'Access-Control-Request-Method', b'Sec-WebSocket-Key', b'Trailer', b'TE', b'Range']))
values = st.one_of(anything, st.sampled_from([b'0', b'-1', b'+5', b'5, 5', b'0x5', b'1'*30, b'1'*5000, b'99999999', b'chunked', b'identity', b'gzip, chunked', b'chunked, chunked', b'100-continue',
                   b'websocket', b'h2c', b'upgrade', b'keep-alive, Upgrade', b'close', b'Bearer', b'Bearer wrong', b'Basic YTpi', b'application/json', b'text/plain; charset=no-such', b'multipart/form-data',
                   b'127.0.0.1', b'null', b'http://[', b'a\r\n b', b'a\r\n\tb', b'*']))
odd_header = st.one_of(st.tuples(names, values), st.tuples(st.sampled_from([b'Host', b'Origin']), st.builds(lambda s, n: s + n, st.sampled_from([b'', b'http://', b'https://']), netlocs)))
keys = st.sampled_from([[AUTH]]*6 + [[ADMIN]]*2 + [[], [AUTH, AUTH], [(b'authorization', b'Bearer \xff')], [(b'authorization', b'bearer   x')]])


@st.composite
def headers(draw):
    res = [*draw(st.sampled_from([[HOST]]*9 + [[]])), *draw(keys), *draw(st.lists(odd_header, max_size=3))]
    many = draw(st.sampled_from([0]*8 + [90, 110, 3000]))
    return draw(st.permutations(res)) + [(b'X-%d' % i, b'x') for i in range(many)]


# --- bodies: JSON that is nearly right ---

texts = st.one_of(st.text(max_size=20), st.sampled_from(['\ud800', '\udfff', '\x00', 'FOX:\n', 'farm', 'é'*5000, '\u202e', 'HEN', '{}', '\ufeff', 'best', 'user', '']))
numbers = st.one_of(st.integers(), st.floats(), st.sampled_from([0, -1, 2**31, 2**53, 2**63, 2**64, 10**400, -10**400, 1e308, -0., .5, 1, 3]))
leaves = st.one_of(st.none(), st.booleans(), numbers, texts)
jsons = st.recursive(leaves, lambda s: st.one_of(st.lists(s, max_size=4), st.dictionaries(texts, s, max_size=4)), max_leaves=12)
FIELDS = ('model prompt messages max_tokens max_completion_tokens temperature top_p top_k min_p repetition_penalty frequency_penalty presence_penalty seed stop n stream '
          'stream_options user logprobs top_logprobs echo character checkpoint api_key role content name').split()
CHAT = {'model': 'farm', 'messages': [{'role': 'user', 'content': 'Is the henhouse open?'}], 'max_tokens': 3}
TEXT = {'model': 'farm', 'prompt': 'FOX:\n', 'max_tokens': 3}
messages = st.lists(st.fixed_dictionaries({'role': texts, 'content': st.one_of(texts, jsons)}, optional={'name': texts}), max_size=3)
changes = st.one_of(st.just({}), st.dictionaries(st.sampled_from(FIELDS), leaves, max_size=2), st.dictionaries(st.one_of(st.sampled_from(FIELDS), texts), jsons, max_size=3))
objects = st.one_of(jsons, st.builds(lambda base, change: base | change, st.sampled_from([TEXT, CHAT, {'checkpoint': 'best'}, TEXT | {'stream': True}, CHAT | {'stream': True}]), changes),
                    st.builds(lambda m, change: CHAT | {'messages': m} | change, messages, changes))


def as_json(value, ascii): return json.dumps(value, ensure_ascii=ascii).encode('utf-8', 'surrogatepass')

bodies = st.one_of(st.builds(as_json, objects, st.booleans()), junk,
                   st.builds(lambda s, n: s*n, st.sampled_from([b'[', b'{"a":', b'[[', b'1', b'"', b'[0,', b'\xff', b' ']), sizes))


def chunked(parts, ext=b'', trailers=b''): return b''.join(b'%x%s\r\n%s\r\n' % (len(p), ext, p) for p in parts) + b'0\r\n' + trailers + b'\r\n'

@st.composite
def framed(draw, body):
    "Headers that say how long the body is, and the body: mostly right"
    length = (b'Content-Length', b'%d' % len(body))
    kind = draw(st.sampled_from(['length']*6 + ['short', 'long', 'twice', 'both', 'odd', 'none', 'chunked', 'chunked', 'chunks', 'bad chunk', 'ext', 'trailers']))
    te = b'Transfer-Encoding', b'chunked'
    if kind == 'length': return [length], body
    if kind == 'short': return [(b'Content-Length', b'%d' % (len(body)//2))], body
    if kind == 'long': return [(b'Content-Length', b'%d' % (len(body) + draw(st.sampled_from([1, 1000, 10**9, 2**63, 2**64 + 5]))))], body
    if kind == 'twice': return [length, (b'Content-Length', draw(st.sampled_from([length[1], b'3', b''])))], body
    if kind == 'both': return draw(st.permutations([length, te])), chunked([body])
    if kind == 'odd': return [(b'Content-Length', draw(values))], body
    if kind == 'none': return [], body
    if kind == 'chunked': return [te], chunked([body] if body else [])
    if kind == 'chunks': return [te], chunked([body[i:i+1] for i in range(min(len(body), 5000))])
    if kind == 'ext': return [te], chunked([body or b'x'], b';' + draw(anything))
    if kind == 'trailers': return [te], chunked([body or b'x'], trailers=draw(st.sampled_from([b'a: b\r\n', b'a: b\r\n'*3000, b'a: ' + b'b'*70_000 + b'\r\n', b'Host: x\r\n'])))
    size = draw(st.sampled_from([b'ffffffffffffffff', b'fffffffffffffffff', b'7fffffffffffffff', b'FFFFFFFF', b'-1', b'', b'g', b'0x5', b' 5', b'5 ', b'+5', b'00000000000000000005']))
    return [te], size + b'\r\n' + body + b'\r\n0\r\n\r\n'


methods = st.sampled_from([b'GET']*3 + [b'POST']*6 + [b'HEAD', b'OPTIONS', b'PUT', b'DELETE', b'PATCH', b'CONNECT', b'TRACE', b'PRI', b'get', b'G\xffT', b'', b'M-SEARCH', b'A'*5000])
targets = st.one_of(st.sampled_from(PATHS), st.builds(lambda p, j: p + j, st.sampled_from(PATHS), anything), anything,
                    st.sampled_from([b'*', b'http://localhost/v1/models', b'http://localhost', b'//', b'/v1/models/' + b'x'*9000, b'/?' + b'a=b&'*5000, b'/%', b'localhost:80', b'/v1/models/%2e%2e/farm']))
versions = st.sampled_from([b'HTTP/1.1']*12 + [b'HTTP/1.0', b'HTTP/2.0', b'HTTP/0.9', b'HTTP/1.2', b'', b'http/1.1', b'HTTP/1.1 ', b'X'*100])


@st.composite
def requests(draw):
    "A request whose parts are mostly right"
    body = draw(bodies)
    frame, data = draw(framed(body))
    right = draw(st.booleans())  # right but for the body, so that the body is read at all
    head = [HOST, AUTH] if right else draw(headers())
    post = draw(st.sampled_from([b'/v1/completions', b'/v1/completions', b'/v1/chat/completions', b'/v1/chat/completions', b'/v1/models/farm/checkpoint']))
    if right: return http(b'POST', post, [*head, TYPE, *frame], data)
    return http(draw(methods), draw(st.one_of(st.just(post), targets)), [*head, *frame], data, draw(versions), draw(st.sampled_from([b'\r\n']*9 + [b'\n', b'\r'])))


# --- WebSockets ---

def frame(opcode, payload=b'', fin=True, rsv=0, mask=b'abcd', length=None):
    "A frame; `length` may claim another length than that of the payload"
    n = len(payload) if length is None else length
    head = bytes([fin << 7 | rsv << 4 | opcode])
    size = bytes([n]) if n < 126 else struct.pack('>BH', 126, n) if n < 65536 else struct.pack('>BQ', 127, n)
    size = bytes([size[0] | 128 if mask else size[0]]) + size[1:]
    return head + size + mask + (bytes(b ^ mask[i % 4] for i, b in enumerate(payload)) if mask else payload)

WS = [(b'Upgrade', b'websocket'), (b'Connection', b'Upgrade'), (b'Sec-WebSocket-Key', b'YWJjZGVmZ2hpamtsbW5vcA=='), (b'Sec-WebSocket-Version', b'13')]
codes = st.sampled_from([0, 999, 1000, 1001, 1004, 1005, 1006, 1011, 1015, 2999, 3000, 4999, 5000, 65535])
ws_messages = st.one_of(bodies, st.builds(lambda o, k: as_json((o if isinstance(o, dict) else {}) | k, True), objects, st.sampled_from([{'api_key': KEY}, {}, {'api_key': 'wrong'}, {'api_key': '\ud800'}, {'api_key': [1]}])))
frames = st.one_of(
    st.builds(frame, st.just(1), ws_messages), st.builds(frame, st.just(1), ws_messages), st.builds(frame, st.just(2), junk),
    st.builds(lambda c, r: frame(8, struct.pack('>H', c) + r), codes, st.sampled_from([b'', b'bye', b'\xff\xff', b'x'*123, b'x'*124])),
    st.builds(frame, st.integers(0, 15), st.binary(max_size=200), st.booleans(), st.integers(0, 7), st.sampled_from([b'abcd', b'abcd', b'\0\0\0\0', b'']), st.sampled_from([None]*4 + [0, 125, 126, 65536, 2**31, 2**63, 2**64 - 1])),
    st.builds(lambda m, k: frame(1, m[:k], False) + b''.join(frame(0, m[i:i+k], False) for i in range(k, len(m[:3000]), k)) + frame(0), ws_messages, st.integers(1, 50)),
    st.builds(lambda f, n: f*n, st.sampled_from([frame(9, b'x'*100), frame(9), frame(10), frame(0, b'', False), frame(1, b'{}'), frame(1, b'', False) + frame(0, b'', False)]), st.sampled_from([2, 50, 2000])), junk)


@st.composite
def websockets(draw):
    "A handshake that is mostly right, and frames"
    odd = draw(st.sampled_from([0]*5 + [1]))
    right = [*WS, HOST, *draw(st.sampled_from([[AUTH]]*4 + [[], [(b'authorization', b'Bearer wrong')]])), *draw(st.lists(odd_header, max_size=2*odd))]
    for name, value in [*draw(st.lists(st.tuples(st.sampled_from([n for n, _ in WS]), values), max_size=odd))]: right = [(n, value if n == name else v) for n, v in right]
    path = draw(st.sampled_from([b'/v1/stream']*9 + [b'/', b'/v1/\xc3\xa9', b'/v1/stream?' + b'x'*9000, b'*', b'http://localhost/v1/stream']))
    return Case(http(draw(st.sampled_from([b'GET']*15 + [b'POST', b'CONNECT'])), path, right) , leave='ws'), b''.join(draw(st.lists(frames, max_size=4)))


@st.composite
def valid(draw):
    "A proper request, but for what the body asks for"
    base, path = draw(st.sampled_from([(TEXT, b'/v1/completions'), (CHAT, b'/v1/chat/completions'), ({'checkpoint': 'best'}, b'/v1/models/farm/checkpoint')]))
    body = as_json(base | draw(st.sampled_from([{}, {'stream': True}, {'n': 2}])) | draw(changes), draw(st.booleans()))
    return http(b'POST', path, [HOST, draw(st.sampled_from([AUTH, ADMIN])), TYPE, (b'Content-Length', b'%d' % len(body))], body)


raw = st.one_of(anything, requests(), requests(), valid(), valid(), st.builds(lambda r: b''.join(r), st.lists(requests(), min_size=2, max_size=4)),
                st.builds(lambda r, n: r*n, st.sampled_from([http(b'GET', b'/health/live', [HOST]), http(b'GET', b'/', [HOST]), b'\r\n']), st.sampled_from([2, 15, 40, 2000])),
                st.builds(lambda w, r: r + w[0].data, websockets(), requests()), st.builds(lambda r, n: r[:n % (len(r) + 1)], requests(), st.integers(0, 2000)))
plain = st.builds(Case, raw, st.sampled_from([1, 1, 1, 2, 7]), st.sampled_from(['stay']*6 + ['close', 'half', 'reset']))
sockets = st.builds(lambda w, pieces, leave: Case(w[0].data, pieces, leave) if not w[1] else Handshake(w[0].data, pieces, leave, w[1]), websockets(), st.sampled_from([1, 1, 3]), st.sampled_from(['stay']*6 + ['close', 'half', 'reset']))


@dataclass(frozen=True)
class Handshake(Case):
    "A WebSocket: `data` is its handshake, and `frames` follow when it was answered"
    frames: bytes = b''


# --- the rule ---

async def play(port, case):
    "Be the client of a case; returns what it received, or None if the connection didn't end in time"
    try: return await asyncio.wait_for(converse(port, case), LIMIT)
    except asyncio.TimeoutError: return None


async def converse(port, case):
    "Send what a case consists of, and receive until the end"
    reader, writer = await asyncio.open_connection('127.0.0.1', port, limit=1 << 24)
    received = b''
    try:
        for data in (case.data, getattr(case, 'frames', b'')):
            step = max(1, -(-len(data)//case.pieces))
            for i in range(0, len(data), step):
                writer.write(data[i:i + step])
                await writer.drain()
                if case.pieces > 1: await asyncio.sleep(.01)
            if isinstance(case, Handshake) and not received: received = await reader.read(1 << 16)
        if case.leave == 'half' and writer.can_write_eof(): writer.write_eof()
        if case.leave == 'reset': writer.transport.abort()
        if case.leave not in ('close', 'reset'): received += await reader.read()
    except OSError: pass  # a reset is an end, too
    finally: writer.close()
    return received


def verdict(received):
    "What is wrong with an answer, if anything"
    if received is None: return f'not closed within {LIMIT} s'
    if received and not received.startswith(b'HTTP/1.1 '): return f'an answer that is not HTTP: {received[:100]}'
    if m := re.search(rb'HTTP/1\.1 5\d\d .*', received): return f'{m[0].decode()}: {received[-300:]}'
    if b'internal_error' in received: return f'an internal error: {received[-300:]}'


class Fuzzed:
    "A server under fuzzing, and what it had before"
    def __init__(self, root, keys): self.server, self.printed, self.failures = Server(root, *SETTINGS, keys=keys), 0, []

    async def batch(self, cases):
        "Play cases at the same time; returns what is wrong with some of them"
        answers = await asyncio.gather(*(play(self.server.port, c) for c in cases))
        wrong = [f'{why}\n    {shorten(case)}' for case, answer in zip(cases, answers) if (why := verdict(answer))]
        printed = self.server.output()
        if len(printed) > self.printed and (new := printed[self.printed:]) and not new.startswith('Serving'): wrong.append(f'the server printed: {new[-2000:]}' + '\n    '.join(['during', *map(shorten, cases)]))
        self.printed = len(printed)
        return wrong

    def check(self, cases):
        "Play cases and ask whether the server lives; what is wrong goes into `failures`"
        self.failures += run_async(self.batch(cases))
        try: assert self.server.http.get('/health/live', timeout=10).status_code == 200 and self.server.process.is_alive()
        except (httpx.HTTPError, AssertionError) as e: raise AssertionError('\n'.join([f'the server does not live: {e!r}', *self.failures])) from None

    def check_left(self, before):
        "Afterwards nothing is left of the cases"
        def as_before():
            now = self.server.resources()
            return now['descriptors'] <= before['descriptors'] + 2 and now['threads'] <= before['threads'] + POOLS
        try: wait_for(as_before, self.server, 30)
        finally: print('before', before, 'after', self.server.resources())
        assert self.server.resources()['memory'] < before['memory'] + 100
        errors = [line for line in self.server.output('out').splitlines() if '"error": ' in line]
        assert not errors, errors[0][:3000]


def shorten(case):
    text = repr(case)
    return text if len(text) < 700 else f'{text[:400]} … {len(text)} characters … {text[-200:]}'


def POST(body, path=b'/v1/completions', *more): return Case(http(b'POST', path, [HOST, AUTH, TYPE, (b'Content-Length', b'%d' % len(body)), *more], body))
def GET(*headers, path=b'/v1/models'): return Case(http(b'GET', path, headers))
def SOCKET(*frames, auth=AUTH, more=()): return Handshake(http(b'GET', b'/v1/stream', [HOST, *WS, *([auth] if auth else []), *more]), frames=b''.join(frames))

REGRESSIONS = [
    GET((b'Host', b'['), AUTH), GET(HOST, AUTH, (b'Origin', b'http://[')), GET(AUTH, HOST, HOST),
    POST(as_json(CHAT | {'character': '\ud800'}, True), b'/v1/chat/completions'), POST(as_json({'\ud800': 1}, True)), POST(b'['*40_000),
    SOCKET(frame(2, b'{}')), SOCKET(frame(1, b'['*40_000)), SOCKET(frame(1, b'\xff')), SOCKET(auth=None), SOCKET(frame(1, b'{"api_key": "wrong"}'), auth=None),
    SOCKET(frame(0, b'', False)), SOCKET(frame(1, b'', False) + frame(0, b'', False)*2000), SOCKET(frame(1, b'{}')*500), SOCKET(frame(8, b'\0')), SOCKET(frame(3)),
    Case(http(b'GET', b'/v1/\xc3\xa9', [HOST, AUTH, *WS])), Case(http(b'GET', b'/v1/stream', [HOST, AUTH, *WS, (b'X', b'y'*9000)])),
    Case(http(b'POST', b'/v1/completions', [HOST, AUTH, TYPE, (b'Transfer-Encoding', b'chunked')], b'7fffffffffffffff\r\n')),
    Case(http(b'POST', b'/v1/completions', [HOST, AUTH, TYPE, (b'Transfer-Encoding', b'chunked')], chunked([b'{}'], trailers=b'a: ' + b'b'*100_000))),
    Case(http(b'GET', b'/', [HOST, *((b'X-%d' % i, b'x') for i in range(5000))])), Case(b'GET / HTTP/1.1\r\nX: ' + b'y'*200_000),
    Case(http(b'GET', b'/health/live', [HOST])*2000), Case(http(b'GET', b'/v1/models', [HOST, AUTH]) + http(b'GET', b'/v1/stream', [HOST, AUTH, *WS])),
]


def run(cases: int, seed: int, root: Path | None = None):
    "Play so many cases, half of them against a server without keys; `root` has a run of `train_farm`, or one is trained"
    print(f'fuzz_http: {cases} cases, seed {seed}')
    with tempfile.TemporaryDirectory() as tmp:
        root = root or train_farm(Path(tmp), 'model.n_embd=16', 'train.steps=10')
        for i, keys in enumerate((f'{KEY},{ADMIN_KEY}', '')): fuzz(Fuzzed(root, keys), generate(cases//2, 2*seed + i))


def generate(n, seed):
    "So many cases"
    cases = []
    each(st.one_of(plain, plain, sockets), n, seed, lambda case: cases.append(case))
    return cases


def fuzz(fuzzed, cases):
    "Play known cases, then new ones in batches"
    try:
        fuzzed.check(REGRESSIONS)
        before = fuzzed.server.resources()
        for i in range(0, len(cases), BATCH): fuzzed.check(cases[i:i + BATCH])
        assert not fuzzed.failures, '\n'.join(fuzzed.failures[:20])
        fuzzed.check_left(before)
    finally: fuzzed.server.stop()


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--cases', type=int, default=480)
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    started = time.time()
    run(args.cases, args.seed)
    print(f'{args.cases} cases in {time.time() - started:.0f} s')
