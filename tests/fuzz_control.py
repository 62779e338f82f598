"""Hostile control requests and settings: whatever is written to control.jsonl, a run goes on unharmed, and whatever
settings are given, it trains or a `ChatGoTError` says why not (a target of fuzz.py)"""
import json
import os
import signal
import tempfile
from contextlib import contextmanager
from pathlib import Path

from hypothesis import strategies as st

from chatgot.core.errors import ChatGoTError
from chatgot.core.presets import load_settings
from chatgot.core.settings import setting_fields
from chatgot.train.callbacks import Diverged, Tracker
from chatgot.train.control import REQUESTS, parse_request
from chatgot.train.run import train

TINY = ['data.seq_len=8', 'model.n_layer=1', 'model.n_embd=8', 'model.n_head=2', 'model.dropout=0.2', 'train.batch_size=2',
        'train.steps=6', 'train.log_every=2', 'train.eval_every=3', 'train.sample_every=3', 'train.save_every=2',
        'train.device=cpu', 'train.precision=float32', 'sample.tokens=4']
TEXT = 'To be, or not to be: that is the question.\n'*4


class Hangs(BaseException):
    "Not an Exception, which a request's handler would note"


@contextmanager
def limit(seconds: int):
    "Nothing that is tested may take longer, by far"
    def alarm(*_): raise Hangs
    before = signal.signal(signal.SIGALRM, alarm)
    signal.alarm(seconds)
    try: yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


class Writer(Tracker):
    "Writes lines into control.jsonl after certain steps, and ends a pause"
    def __init__(self, path: Path, lines: dict[int, list[bytes]]): self.path, self.lines = path, lines

    def write(self, line: bytes):
        with open(self.path, 'ab') as f: f.write(line + b'\n')

    def stepped(self, learn):
        for line in self.lines.get(learn.step, []): self.write(line)

    def noted(self, text, level='INFO', event=''):
        if text == 'paused': self.write(b'{"do": "resume"}')


# --- control requests

deep = json.loads('['*200 + ']'*200)
hostile_values = st.sampled_from([
    0, -1, 1, 3, 0.5, 1e300, 5e-324, 10**400, 2**63, -2**63, float('nan'), float('inf'), '', 'To', '\ud800', 'x'*300, 'Γ', '../x',
    'a\nb', '\x1b[2J', 'a\0b', '.', None, True, [], [''], ['\udfff'], ['x']*300, {}, {'a': 1}, deep]) | st.text(max_size=9) | st.floats() | st.integers()
branch_settings = st.sampled_from([
    'train.lr=1e-4', 'train.lr=nan', 'train.lr=', 'train.lrr=1', 'train.optimizer=adamw', 'train.lora_rank=2', 'train.device=cuda:9',
    'train.device=', 'train.batch_size=1000000000000', 'train.batch_size=3', 'train.seed=5', 'train.clip=0', 'model.n_embd=1000000000',
    'model.dropout=0.5', 'data.corpus=/nowhere', 'data.corpus=/dev/null', 'data.corpus=', 'data.seq_len=4', 'data.tokenizer=byte',
    'data.val_fraction=0.999', 'sample.prompt=Γ', 'sample.prompt=', 'sample.stop=[""]', 'train.keep_last=1000000000000000', 'x', '=', 'train=1'])
names = ['prompt', 'tokens', 'temperature', 'top_k', 'top_p', 'min_p', 'repetition_penalty', 'seed', 'stop', 'factor', 'step', 'name',
         'settings', 'time', 'do', 'x', 'best', '\ud800']
fields = st.dictionaries(st.sampled_from(names), hostile_values, max_size=3)
requests = st.builds(
    lambda do, fields, changes: fields | {'do': do} | ({'settings': changes} if do == 'branch' else {}),
    st.sampled_from([*REQUESTS, 'dance', '']), fields, st.lists(branch_settings, max_size=2))
any_json = st.recursive(hostile_values, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3))
lines = st.one_of(
    requests.map(lambda r: json.dumps(r).encode()), requests.map(lambda r: json.dumps(r, ensure_ascii=False).encode('utf-8', 'surrogatepass')),
    any_json.map(lambda v: json.dumps(v).encode()), st.binary(max_size=40), st.integers(1, 3_000_000).map(lambda n: b'{"do": "' + b'x'*n))


def valid(line: bytes) -> str | None:
    "What a line rightly asks for, if it does"
    try: fields = json.loads(line)
    except (ValueError, RecursionError): return None
    try: return parse_request(fields).do if isinstance(fields, dict) else None
    except ChatGoTError: return None


def do(**fields) -> bytes: return json.dumps(fields).encode()


# each of these has ended or stalled a run once
_REQUESTS = [
    [do(do='lr', factor=f) for f in (1e300, 10**400, 5e-324*0, -1, float('nan'), 'x', None)],
    [do(do='sample', prompt='\ud800'), do(do='sample', stop=['\ud800']), do(do='\ud800'), do(do='sample', tokens=10**9), do(do='sample', prompt='')],
    [do(do='branch', name=n) for n in ('x'*300, '\udc80', '../x', '.', 'a\0b', 7)],
    [do(do='branch', name='no', settings=[s]) for s in (
        'data.corpus=/nowhere', 'model.n_layer=2', 'train.device=cuda:9', 'train.optimizer=adamw', 'train.lora_rank=2',
        'train.batch_size=1000000000000', 'model.n_embd=1000000000', 'train.keep_last=1000000000000000', 'sample.prompt=Γ')],
    [do(do='evaluate')]*200 + [do(do='save')]*200 + [do(do='sample', tokens=2)]*200,
    [b'{"do": "' + b'x'*5_000_000, b'['*100_000, b'\0'*1000, b'\xff\xfe', b'null', b'[]', b'{}']]




# --- settings

values = st.sampled_from([
    '0', '-1', '1', '2', '3', '7', '1e300', '-1e300', '5e-324', '1' + '0'*400, '1' + '0'*5000, '1000000000', '1000000000000', '9223372036854775807',
    '9223372036854775808', 'nan', 'NaN', 'inf', 'Infinity', '-Infinity', 'none', 'null', 'true', 'false', '', ' ', '[]', '[""]', '["x"]', '{}',
    '['*5000, '"x"', 'Γ', '\n', 'To', 'x'*300, '\udcff', '\x1b[2J', '/nowhere', '/dev/null', '.', '0.5', '0.999999', '1e-12',
    'byte', 'bpe', 'char', 'gpt2', 'modern', 'lstm', 'mlp', 'ngram', 'muon', 'adamw', 'document', 'cpu', 'cuda:7', 'cpu:9', 'meta', 'float32', 'bfloat16']) | st.text(max_size=5)
# what would download, compile, or rightly take long
_OTHER = {'train.steps', 'train.seconds', 'train.grad_accum', 'train.compile', 'train.init', 'sample.tokens', 'data.corpus', 'data.tokenizer'}
_names = sorted(n for n in setting_fields() if n.split('.')[0] not in ('serve', 'track') and n not in _OTHER)
_large = ('1000000000', '1000000000000', '9223372036854775807')
_pairs = st.one_of(
    st.tuples(st.sampled_from(_names), values),
    st.tuples(st.sampled_from(['train.steps', 'train.grad_accum', 'sample.tokens', 'train.seconds']), values.filter(lambda v: v not in _large)),
    st.tuples(st.sampled_from(['data.corpus', 'data.tokenizer', 'train.init']), st.sampled_from(['', '/nowhere', '/dev/null', '/nowhere/x', 'byte', 'bpe', 'char', '\x1b[2J', 'a\0b', 'x'*300])),
    st.tuples(st.just('data.vocab_size'), values))
arguments = st.lists(_pairs.map('='.join), min_size=1, max_size=3)
_SETTINGS = [
    ['sample.prompt='], ['sample.prompt=Γ'], ['sample.stop=[""]'], ['train.batch_size=1000000000000'], ['model.n_embd=1000000000', 'model.n_head=1'],
    ['data.seq_len=1000000000'], ['model.n_layer=1000000000'], ['train.lr=nan'], ['train.lr=inf'], ['train.lr=0'], ['train.warmup_steps=1000000000'],
    ['train.steps=-1'], ['train.steps=9223372036854775807', 'train.seconds=0.01', 'train.grad_accum=1'], ['train.weight_decay=1e300'], ['train.clip=1e300'], ['train.seed=-1'],
    ['train.keep_last=9223372036854775807'], ['data.vocab_size=9223372036854775807', 'data.tokenizer=bpe'], ['train.lora_rank=1000000000000'],
    ['model.n_embd=1' + '0'*400], ['data.val_fraction=1e-12']]


# --- cases

cases = st.one_of(
    st.tuples(st.just('requests'), st.dictionaries(st.integers(1, 5), st.lists(lines, min_size=1, max_size=6), min_size=1, max_size=2)),
    st.tuples(st.just('settings'), arguments))
EXAMPLES = [('requests', {2: sum(_REQUESTS[:4], []), 4: sum(_REQUESTS[4:], []), 5: [do(do='sample', prompt='To', tokens=3)]}),
            *(('file', kind) for kind in ('pipe', 'folder', 'loop')), *(('settings', args) for args in _SETTINGS)]


class Check:
    "Checks cases against a run that was asked for nothing"
    def __init__(self, tmp: Path):
        self.tmp, self.n, corpus = tmp, 0, tmp/'text.txt'
        corpus.write_text(TEXT)
        self.args = [*TINY, f'data.corpus={corpus}']
        self.tiny = load_settings('tiny_char', args=self.args, env={})
        self.calm = self.weights(train(self.tiny, 'calm', tmp, trackers=[]))

    def weights(self, run) -> dict: return dict(run.model('latest', device='cpu').named_parameters())

    def __call__(self, case):
        kind, value = case
        self.n += 1
        with limit(60): getattr(self, kind)(f'run{self.n}', value)
        assert not list(self.tmp.glob('.*.part')), 'a temporary folder is left'

    def requests(self, name: str, at: dict[int, list[bytes]]):
        "A run to which these lines are written goes on; without a valid request, with the same weights"
        # a line of random bytes may be several
        asked = {valid(part) for step in at.values() for line in step for part in line.split(b'\n')}
        try: run = train(self.tiny, name, self.tmp, trackers=[Writer(self.tmp/name/'control.jsonl', at)])
        except Diverged:
            assert 'lr' in asked
            return
        assert run.status in ('finished', 'interrupted')
        if 'branch' not in asked: assert run.name == name
        if not asked & {'stop', 'lr'} and run.name == name:  # a branch that was refused changes nothing either
            assert run.status == 'finished'
            assert all(w.equal(self.calm[k]) for k, w in self.weights(run).items())

    def file(self, name: str, kind: str):
        "What stands in the place of control.jsonl holds nobody up"
        make = {'pipe': os.mkfifo, 'folder': os.mkdir, 'loop': lambda path: os.symlink(path, path)}[kind]
        tracker = Tracker()
        tracker.started = lambda *_: make(self.tmp/name/'control.jsonl')
        run = train(self.tiny, name, self.tmp, trackers=[tracker])
        assert run.status == 'finished' and all(w.equal(self.calm[k]) for k, w in self.weights(run).items())

    def settings(self, name: str, args: list[str]):
        "A run with these settings trains, or a short message says why not, and no folder is left"
        try: run = train(load_settings('tiny_char', args=[*self.args, *args], env={}), name, self.tmp, trackers=[])
        except Diverged: return
        except ChatGoTError as e:
            assert 0 < len(str(e)) < 1000 and len(str(e).splitlines()) <= 3, str(e)
            assert not (self.tmp/name).exists(), str(e)
        else: assert run.status == 'finished'


@contextmanager
def session():
    "The function checks a case"
    with tempfile.TemporaryDirectory() as tmp: yield Check(Path(tmp))
