"""Random requests to every route of the server, in this process

Whatever a client sends, the answer has no 5xx status and the form that the schema says, comes in time, and changes nothing for others.
"""
import json
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import hypothesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings, strategies as st

from chatgot.core.presets import load_settings
from chatgot.core.settings import ServeSettings
from chatgot.serve.app import make_app
from chatgot.serve.schema import ChatCompletion, Completion, ErrorBody, Model, Models
from chatgot.train.run import train

SECONDS = 20  # only a hang takes longer
JSON = {'content-type': 'application/json'}
SMALL = ('data.seq_len=32 data.vocab_size=300 model.n_layer=1 model.n_embd=8 model.n_head=1 train.batch_size=2 train.steps=2 train.device=cpu '
         'train.precision=float32 train.save_every=1 train.sample_every=1000 sample.tokens=4').split()

# What JSON can say, and what only Python's `json` writes: half characters, numbers without end, NaN
PLAIN = st.text(st.sampled_from('FOX:\nHEN a'), max_size=40)
TEXT = PLAIN | PLAIN.map(str.lower) | st.text(st.characters(exclude_categories=()), max_size=9) | st.sampled_from(
    ['FOX:\n', 'FOX', '', '\0', 'F'*5000, 'FOX '*9000, 'a\ud800', '\ud83e\udd8a', '<|endoftext|>'])
NUMBER = st.integers(-2, 70) | st.integers() | st.sampled_from([2**31, 2**53, 2**63, 2**64, 10**400, -10**400]) | st.floats()
JUNK = st.recursive(st.none() | st.booleans() | NUMBER | TEXT,
                    lambda x: st.lists(x, max_size=4) | st.dictionaries(TEXT, x, max_size=4), max_leaves=9)

NAME = st.sampled_from(['FOX', 'HEN', 'DUCK', 'user'])
COMMON = dict(
    max_tokens=st.integers(1, 9), temperature=st.floats(0, 2), top_p=st.floats(1e-4, 1), top_k=st.integers(1, 400), min_p=st.floats(1e-6, 1),
    repetition_penalty=st.floats(.1, 10), frequency_penalty=st.just(0), seed=st.integers(0, 2**53 - 1), n=st.integers(1, 4), stream=st.booleans(),
    stop=TEXT | st.lists(TEXT, max_size=5), stream_options=st.fixed_dictionaries({}, optional={'include_usage': st.booleans()}), user=TEXT)
TOKENS = st.lists(st.integers(0, 20), min_size=1, max_size=50)
COMPLETION = dict(prompt=TEXT | TOKENS | st.lists(TEXT, max_size=3) | st.lists(TOKENS, max_size=3), logprobs=st.integers(0, 20), echo=st.booleans())
MESSAGE = st.fixed_dictionaries(dict(role=st.sampled_from(['system', 'assistant', 'developer']) | NAME, content=TEXT | st.lists(
    st.fixed_dictionaries(dict(type=st.just('text'), text=TEXT)), max_size=3)), optional=dict(name=NAME, refusal=JUNK))
CHAT = dict(character=NAME | TEXT, logprobs=st.booleans(), top_logprobs=st.integers(0, 20), max_completion_tokens=st.integers(1, 9))
MODEL = st.sampled_from(['farm', 'barn'])


@st.composite
def bodies(draw, required, optional):
    "A valid body more often than not, and never far from one"
    body = draw(st.fixed_dictionaries(required, optional=optional))
    if draw(st.integers(0, 2)) == 0: body[draw(st.sampled_from([*required, *optional]) | TEXT)] = draw(JUNK)
    text = json.dumps(body).encode()
    if draw(st.integers(0, 9)) == 0:
        i, n = draw(st.integers(0, len(text))), draw(st.integers(0, 9))
        text = text[:i] + draw(st.binary(max_size=9)) + text[i + n:]
    return text


COMPLETIONS = bodies(dict(model=MODEL), COMMON | COMPLETION)
HEADERS = st.just(JSON) | st.dictionaries(
    st.sampled_from(['content-type', 'authorization', 'origin', 'accept', 'content-encoding']),
    st.sampled_from(['application/json', 'application/x+json; charset=utf-16', 'text/plain', 'Bearer x', 'Bearer \xff', 'http://localhost', 'gzip'])
    | st.text(st.characters(codec='latin-1', exclude_characters='\r\n\0'), max_size=9).map(str.strip), max_size=3)


@st.composite
def requests(draw):
    "Method, path, headers, body; or messages for the WebSocket"
    post, name = draw(st.sampled_from(['POST']*30 + ['GET', 'PUT'])), quote(draw(MODEL | TEXT).encode('utf-8', 'surrogatepass'), safe='')
    headers = draw(HEADERS) if draw(st.integers(0, 4)) == 0 else JSON
    match draw(st.integers(0, 8)):
        case 0 | 1 | 2: return post, '/v1/completions', headers, draw(COMPLETIONS)
        case 3 | 4 | 5: return post, '/v1/chat/completions', headers, draw(bodies(dict(
            model=MODEL, messages=st.lists(MESSAGE, min_size=1, max_size=5)), COMMON | CHAT))
        case 6: return post, f'/v1/models/{name}/checkpoint', headers, draw(bodies(dict(
            checkpoint=st.sampled_from(['best', 'latest', 'previous', 1, 2]) | NUMBER), {}))
        case 7: return 'GET', draw(st.sampled_from(['/v1/models', f'/v1/models/{name}', '/metrics', '/health/ready', f'/{name}'])), headers, b''
        case 8: return draw(st.lists(COMPLETIONS.map(lambda b: b.decode('utf-8', 'replace')), min_size=1, max_size=3))


# What has failed before
EXAMPLES = [
    ('POST', '/v1/chat/completions', JSON, b'{"model": "farm", "messages": [{"role": "user", "content": "a"}], "character": "\\ud800"}'),
    ('POST', '/v1/completions', JSON, b'{"model": "barn", "prompt": "' + b'FOX '*200_000 + b'", "n": 16, "max_tokens": 1}'),
    ('POST', '/v1/completions', JSON, b'['*500_000),
    ('POST', '/v1/completions', JSON, b'{"model": "farm", "seed": ' + b'1'*5000 + b'}'),
    ['{"model": "farm", "prompt": "\\ud800"}', '['*100_000, '{"model": "farm", "prompt": "FOX", "max_tokens": 2}'],
]

cases = requests()


def check_error(error):
    ErrorBody.model_validate(dict(error=error), strict=True)
    assert error['type'] not in ('server_error', 'timeout_error'), error


def check_response(method, path, response):
    "A response has the form that the schema says"
    if path == '/health/ready' and response.status_code == 503: return  # this machine is slow
    assert response.status_code < 500, (response.status_code, response.text)
    if response.status_code >= 400: return check_error(response.json()['error'])
    kind = {'/v1/completions': Completion, '/v1/chat/completions': ChatCompletion, '/v1/models': Models}.get(path, Model)
    if 'event-stream' in response.headers['content-type']:
        *events, done = [line for line in response.text.splitlines() if line.startswith('data: ')]
        assert done == 'data: [DONE]' and all('choices' in json.loads(e[6:]) for e in events)
    elif path.startswith('/v1/'): kind.model_validate(response.json(), strict=True)


def check(client, case):
    "Send a request, or messages over one WebSocket"
    started = time.monotonic()
    if isinstance(case, list):
        with client.websocket_connect('ws://localhost/v1/stream') as ws:
            for message in case:
                ws.send_text(message)
                while 'choices' in (answer := ws.receive_json()): pass
                if 'error' in answer: check_error(answer['error'])
                else: assert answer['done']
    else:
        method, path, headers, body = case
        check_response(method, path, client.request(method, path, headers={k: v.encode('latin-1') for k, v in headers.items()}, content=body))
    assert time.monotonic() - started < SECONDS, case


@contextmanager
def client():
    "A client of an application with two runs: one knows characters, one byte pairs"
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder)/'farm.txt'
        text.write_text('FOX:\nIs the henhouse open?\n\nHEN:\nGo away, red one.\n\n'*20)
        runs = [train(load_settings(args=[f'data.corpus={text}', f'data.tokenizer={tok}', *SMALL], env={}), name, folder)
                for name, tok in (('farm', 'char'), ('barn', 'bpe'))]
        app = make_app(runs, ServeSettings(slots=4, queue=12, max_tokens=64, max_prompt_tokens=200, timeout=SECONDS))
        with TestClient(app, base_url='http://localhost') as client: yield client


def what_is_written(client) -> list[str]:
    "What each run makes of one request"
    texts = []
    for name in ('farm', 'barn'):
        client.post(f'/v1/models/{name}/checkpoint', json=dict(checkpoint=2)).raise_for_status()
        answer = client.post('/v1/completions', json=dict(model=name, prompt='FOX:\n', max_tokens=20, seed=1))
        texts.append(answer.json()['choices'][0]['text'])
    return texts


@contextmanager
def session():
    "Gives a function that sends a request and checks the answer; at the end the server must write what it wrote before"
    with client() as c:
        before = what_is_written(c)
        yield lambda case: check(c, case)
        assert what_is_written(c) == before and all(s.is_alive for s in c.app.state.server.served.values())


def run(cases: int, seed: int):
    "The examples, then random requests; an AssertionError or an exception of the application shows the smallest that fails"
    with session() as check:
        for case in EXAMPLES: check(case)
        limits = settings(max_examples=cases, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        hypothesis.seed(seed)(limits(given(requests())(lambda case: check(case))))()
