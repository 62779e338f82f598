"""Damaged and hostile run folders: every file of a run is damaged, replaced or filled with wrong values, and whatever
reads or writes runs either works or says in a `ChatGoTError` what is wrong (a target of fuzz.py)"""
import hashlib
import io
import json
import os
import pickle
import resource
import shutil
import signal
import socket
import tempfile
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import torch
import yaml
from hypothesis import strategies as st

SECONDS, MEMORY = 20, 3 << 30  # of one case: more is a hang, or a folder that asks for too much
TEXT = 'KATHARINA:\nThou hast no more wit than I have in mine elbows.\n\nPETRUCHIO:\nGood morrow, Kate.\n\n'*20
SETTINGS = ('data.seq_len=8 model.n_layer=1 model.n_embd=8 model.n_head=2 train.batch_size=2 train.device=cpu train.steps=6 '
            'train.log_every=1 train.eval_every=2 train.sample_every=3 train.save_every=2 train.keep_mb=0 train.inside_every=1 sample.tokens=8').split()
CHECKPOINT = ('model.safetensors', 'trainer.pt', 'state.json', 'SHA256SUMS')
# `checkpoints/newest` and `checkpoints/older` stand for the two checkpoints of the run
FILES = ('config.yaml', 'tokenizer.json', 'SHA256SUMS', 'metrics.jsonl', 'samples.jsonl', 'inside.jsonl', 'panels.json', 'notes.json', 'run.log', 'control.jsonl', 'evaluation.json', '.lock',
         'checkpoints/latest', 'checkpoints/best', *(f'checkpoints/{c}/{f}' for c in ('newest', 'older') for f in CHECKPOINT))
FOLDERS = ('checkpoints', 'checkpoints/newest', 'checkpoints/older', '.')
VALUES = {  # by name, because a case has to be printed as plain values
    'none': None, 'true': True, 'zero': 0, 'negative': -1, 'large': 10**12, 'digits': int('9'*4000), 'float': 1.5, 'huge': 1e300,
    'nan': float('nan'), 'infinite': float('inf'), 'empty': '', 'text': 'x', 'number': '7', 'surrogate': '\ud800', 'escape': '\x1b[2J\x9b', 'long': 'x'*100_000,
    'path': '../../outside', 'list': [], 'lists': [[1]], 'object': {}, 'keys': {'step': 1}}
TEXTS = {  # whole contents
    'empty': b'', 'brackets': b'['*100_000, 'braces': b'{"a":'*50_000, 'digits': b'{"step": ' + b'9'*5000 + b'}\n', 'latin-1': '{"step": "\xe9"}\n'.encode('latin-1'),
    'null': b'null\n', 'zeros': bytes(4096), 'bomb': b'a: &a [x,x,x,x,x,x,x,x,x,x]\n' + b''.join(
        b'%c: &%c [%b]\n' % (c, c, b','.join([b'*%c' % (c - 1)]*10)) for c in b'bcdefghij'), 'itself': b'train: &a [*a]\n', 'base 60': b'train: {lr: ' + b'1:'*100_000 + b'1}\n',
    'binary': b'\xff\xfe\x00', 'crlf': b'step_000004\r\n', 'superscript': 'step_²'.encode(), 'up': b'../../outside', 'step': b'step_' + b'9'*5000}
ENTRIES = ('step_000200.bak', 'step_²', 'step_5', 'step_000005', 'step_000003', 'step_9999999999999999999', 'step_-00001', 'step_', 'step_٣٣٣٣٣٣', '\udcff')
ACTIONS = ('runs', 'json', 'open', 'generate', 'compare', 'resume', 'clean', 'serve', 'export')

_at = st.integers(0, 2**16)  # a place: modulo the number of places
damages = st.one_of(
    st.tuples(st.just('flip'), st.sampled_from(FILES), _at, st.integers(0, 7)),
    st.tuples(st.just('truncate'), st.sampled_from(FILES), _at),
    st.tuples(st.just('splice'), st.sampled_from(FILES), st.sampled_from(FILES), _at),
    st.tuples(st.just('insert'), st.sampled_from(FILES), _at, st.binary(min_size=1, max_size=12)))
replacements = st.tuples(st.sampled_from(['folder', 'pipe', 'socket', 'loop', 'dangling', 'outside', 'memory', 'zero', 'missing', 'unreadable', 'sparse']), st.sampled_from(FILES + FOLDERS))
hostile = st.one_of(
    st.tuples(st.just('value'), st.sampled_from(FILES), _at, st.sampled_from([*VALUES])),
    st.tuples(st.just('drop'), st.sampled_from(FILES), _at),
    st.tuples(st.just('content'), st.sampled_from(FILES), st.sampled_from([*TEXTS])),
    st.tuples(st.just('pickle'), st.sampled_from(FILES)),
    st.tuples(st.just('entry'), st.sampled_from(ENTRIES), st.sampled_from(['folder', 'file', 'pipe', 'loop', 'dangling', 'outside'])))
# What is done, what is wrong, and whether the checksums fit what is wrong
cases = st.tuples(st.sampled_from(ACTIONS), st.lists(damages | replacements | hostile | hostile, min_size=1, max_size=3), st.booleans())

EXAMPLES = [  # each failed once
    ('runs', [('flip', 'metrics.jsonl', 3, 4)], False),
    ('resume', [('flip', 'metrics.jsonl', 3, 4)], False),
    ('resume', [('flip', 'samples.jsonl', 270, 6)], False),
    ('open', [('value', 'inside.jsonl', 40, 'digits'), ('content', 'notes.json', 'brackets'), ('folder', 'panels.json')], False),
    ('resume', [('pipe', 'panels.json'), ('outside', 'inside.jsonl')], False),
    ('generate', [('content', 'checkpoints/best', 'binary')], False),
    ('generate', [('content', 'checkpoints/latest', 'superscript'), ('missing', 'checkpoints/best')], False),
    ('clean', [('entry', 'step_000200.bak', 'folder'), ('entry', 'step_²', 'folder')], False),
    ('resume', [('entry', 'step_000003', 'outside'), ('entry', 'step_5', 'folder')], False),
    ('runs', [('unreadable', '.')], False),
    ('resume', [('outside', '.lock')], False),
    ('resume', [('pipe', 'run.log')], False),
    ('open', [('pipe', 'tokenizer.json')], False),
    ('open', [('sparse', 'checkpoints/newest/SHA256SUMS')], False),
    ('generate', [('content', 'config.yaml', 'bomb')], False),
    ('export', [('content', 'samples.jsonl', 'latin-1')], False),
    ('compare', [('folder', 'evaluation.json')], False),
    ('serve', [('truncate', 'checkpoints/newest/model.safetensors', 99), ('truncate', 'checkpoints/older/model.safetensors', 99)], False)]


def places(value, path=()):
    "The paths of all values inside a value"
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    return [path, *(p for k, v in children for p in places(v, (*path, k)))]


def replaced(value, path, new):
    "A value with another one at a path; without it where `new` is `replaced`"
    if not path: return {} if new is replaced else new
    items = dict(value.items() if isinstance(value, dict) else enumerate(value))
    items[path[0]] = replaced(items[path[0]], path[1:], new) if len(path) > 1 else new
    if items[path[0]] is replaced: del items[path[0]]
    return items if isinstance(value, dict) else type(value)(items.values())


def parse(name, data):
    "The value in a file, and a function that makes such a file of another value"
    if name.endswith('.json'): return json.loads(data), lambda v: json.dumps(v).encode()
    if name.endswith('.yaml'): return yaml.safe_load(data), lambda v: yaml.safe_dump(v, allow_unicode=True).encode('utf-8', 'surrogatepass')
    if name.endswith(('.jsonl', '.log')):
        return [json.loads(line) for line in data.splitlines()], lambda v: b''.join(json.dumps(r).encode() + b'\n' for r in (v if isinstance(v, list) else [v]))
    if name.endswith('.pt'): return torch.load(io.BytesIO(data), weights_only=True), as_torch
    if name.endswith('.safetensors'): return as_safetensors(data)
    return data.decode().strip(), lambda v: str(v).encode('utf-8', 'surrogatepass')


def as_torch(value):
    torch.save(value, f := io.BytesIO())
    return f.getvalue()


def as_safetensors(data):
    "Header and model shape as one value"
    n = int.from_bytes(data[:8], 'little')
    header, tensors = json.loads(data[8:8 + n]), data[8 + n:]
    header['__metadata__']['chatgot'] = json.loads(header['__metadata__']['chatgot'])
    def pack(value):
        try: value['__metadata__']['chatgot'] = json.dumps(value['__metadata__']['chatgot'])
        except (KeyError, TypeError): pass
        text = json.dumps(value).encode()
        return len(text).to_bytes(8, 'little') + text + tensors
    return header, pack


class Trap:
    "A pickle that leaves a trace when it is opened"
    def __init__(self, path): self.path = path
    def __reduce__(self): return os.mkdir, (str(self.path),)


def content(path):
    "A file's bytes, none if it's missing; None if it was replaced by something that isn't a small file"
    try: return path.read_bytes() if path.is_file() and path.stat().st_size < 1 << 24 else b'' if not os.path.lexists(path) else None
    except OSError: return None


def remove(path):
    if path.is_dir() and not path.is_symlink(): shutil.rmtree(path)
    else: path.unlink(missing_ok=True)


class Folder:
    "A run folder that is damaged, beside a healthy one"
    def __init__(self, runs): self.runs, self.run, self.outside = runs, runs/'bad', runs.parent/'outside'

    def path(self, name):
        "A file by its name in `FILES`"
        if name == '.': return self.run
        steps = sorted(p.name for p in (self.run/'checkpoints').glob('step_??????'))
        for place, step in zip(('older', 'newest'), steps): name = name.replace(f'checkpoints/{place}', f'checkpoints/{step}')
        return self.run/name

    def damage(self, kind, name, *args):
        "Apply one item of a case, if there is still something to damage"
        path = self.run/'checkpoints'/name if kind == 'entry' else self.path(name)
        if kind == 'entry': return self.replace(args[0], path) if path.parent.is_dir() else None
        if kind in REPLACEMENTS: return self.replace(kind, path)
        data = content(path)
        if data is None or not self.is_inside(path): return
        data = getattr(self, kind)(name, data, *args)
        if data is not None: path.write_bytes(data)

    def flip(self, name, data, at, bit): return data and data[:(i := at % len(data))] + bytes([data[i] ^ 1 << bit]) + data[i + 1:]
    def truncate(self, name, data, at): return data[:at % (len(data) + 1)]
    def insert(self, name, data, at, extra): return data[:(i := at % (len(data) + 1))] + extra + data[i:]
    def content(self, name, data, text): return TEXTS[text]
    def pickle(self, name, data): return pickle.dumps(Trap(self.outside/'executed'), protocol=2)

    def splice(self, name, data, other, at):
        rest = content(self.path(other))
        return None if rest is None else data[:(i := at % (len(data) + 1))] + rest[i:]

    def value(self, name, data, at, new):
        try: value, pack = parse(name, data)
        except Exception: return None  # damaged before
        paths = places(value)
        try: return pack(replaced(value, paths[at % len(paths)], new if new is replaced else VALUES[new]))
        except (yaml.YAMLError, ValueError): return None  # no such file can be written

    def drop(self, name, data, at): return self.value(name, data, at, replaced)

    def is_inside(self, path): return path.parent.is_dir() and self.run.resolve() == self.run and self.run in path.resolve().parents

    def replace(self, kind, path):
        if not path.parent.is_dir() or not self.is_inside(path.parent/'x'): return
        if kind == 'unreadable': return os.chmod(path, 0) if os.path.exists(path) else None
        remove(path)
        REPLACEMENTS[kind](path, self)

    def sum_up(self):
        "Write checksums that fit, as somebody would who made the folder on purpose"
        for folder, names in ((self.run, FILES[:2]), *((self.path(f'checkpoints/{c}'), CHECKPOINT[:3]) for c in ('newest', 'older'))):
            lines = [f'{hashlib.sha256(data).hexdigest()}  {n}\n' for n in names if (data := content(folder/n))]
            sums = folder/'SHA256SUMS'
            if content(sums) and self.is_inside(sums): sums.write_text(''.join(lines))


def make_socket(path):
    "A socket, whose path may be longer than such an address can be"
    before = os.getcwd()
    os.chdir(path.parent)
    try: socket.socket(socket.AF_UNIX).bind(path.name)
    finally: os.chdir(before)


def make_sparse(path):
    with open(path, 'wb') as f: f.truncate(1 << 36)


REPLACEMENTS = {
    'folder': lambda p, f: p.mkdir(), 'file': lambda p, f: p.write_text('x'), 'pipe': lambda p, f: os.mkfifo(p), 'socket': lambda p, f: make_socket(p),
    'loop': lambda p, f: p.symlink_to(p), 'dangling': lambda p, f: p.symlink_to(f.outside/'none'), 'outside': lambda p, f: p.symlink_to(f.outside/'folder'),
    'memory': lambda p, f: p.symlink_to('/proc/self/mem'), 'zero': lambda p, f: p.symlink_to('/dev/zero'), 'missing': lambda p, f: None, 'unreadable': None, 'sparse': lambda p, f: make_sparse(p)}


def make_template(root):
    "Two healthy runs: one is complete, the other was stopped after four of its six steps; both were evaluated"
    from chatgot.core.settings import merge_settings, parse_args, validate_settings
    from chatgot.evaluate.report import evaluate
    from chatgot.train.callbacks import Tracker
    from chatgot.train.run import train
    from chatgot.train.control import send_request
    class Stop(Tracker):
        def stepped(self, learn): learn.stop_asked = learn.step == 4
    (root/'text.txt').write_text(TEXT)
    (root/'outside'/'folder').mkdir(parents=True)
    (root/'outside'/'folder'/'kept').write_text('kept')
    s = validate_settings(merge_settings(parse_args([*SETTINGS, f'data.corpus={root/"text.txt"}'])))
    for name, trackers in (('good', []), ('bad', [Stop()])):
        run = train(s, name, root/'runs', trackers)
        send_request(run.folder, 'lr', factor=1.)
        run.set_notes('why it was made', tags=['fuzzed'])
        evaluate(run)
    assert run.checkpoints.steps() == [2, 4]


def contents(folder): return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in sorted(folder.rglob('*'))}


def command(*args):
    "What a command prints; it must end with 0, or with 2 and one message"
    from chatgot.__main__ import main
    out, err, code = io.TextIOWrapper(io.BytesIO(), 'utf-8'), io.StringIO(), 0
    with redirect_stdout(out), redirect_stderr(err):
        try: main([*map(str, args)])
        except SystemExit as e: code = e.code or 0
        out.flush()
    assert code in (0, 2), (code, err.getvalue())
    assert 'Traceback' not in err.getvalue(), err.getvalue()
    if code: assert 0 < len(err.getvalue().splitlines()[-4:]) and 'chatgot: ' in err.getvalue(), err.getvalue()
    return code, out.buffer.getvalue().decode()


def act(action, f):
    "Do something with the damaged run `f.run`"
    from chatgot.core.errors import ChatGoTError
    if action == 'runs':
        code, text = command('runs', '--out', f.runs)
        assert code == 0 and any(line.startswith('good ') for line in text.splitlines()), text
    elif action == 'json':
        code, text = command('runs', '--json', '--out', f.runs)
        rows = json.loads(text)
        assert code == 0 and next(r for r in rows if r['name'] == 'good')['status'] == 'finished', text
    elif action == 'generate': command('generate', f.run, '--tokens', 5, '--seed', 1)
    elif action == 'clean':
        code, text = command('runs', 'clean', '--out', f.runs)
        assert 'good' in text, text
    elif action == 'export': command('export', f.run, '--to', 'safetensors', '--out', f.runs.parent/'exported')
    else:
        try: {'open': open_run, 'compare': compare_runs, 'resume': resume_run, 'serve': serve_run}[action](f)
        except ChatGoTError as e: assert str(e), 'an error without a message'


def open_run(f):
    "Everything that a notebook, a dashboard or a tracker reads"
    from chatgot.core.errors import ChatGoTError
    from chatgot.core.plots import plot_losses
    from chatgot.lab.dashboard import DashboardFeed
    from chatgot.lab.history import RunHistory, run_summary, static_view
    from chatgot.train.monitor import plot_inside
    from chatgot.train.run_folder import Run
    run, errors = Run.open('bad', f.runs), []
    for read in (lambda: run.settings, lambda: run.tokenizer.encode('Kate'), lambda: run.model(), lambda: run.model('latest'), lambda: run.metrics, lambda: run.samples,
                 lambda: run.inside, lambda: run.panels, lambda: run.notes, lambda: run.set_notes(tags=['opened']), lambda: run.read_media('step_0.png'),
                 lambda: plot_inside(run.inside)._repr_png_() if 0 < len(run.inside) < 9 else None, lambda: run.log, lambda: run.status, lambda: run.checkpoints.steps(), lambda: run.checkpoints.named('best'), lambda: run_summary(run),
                 lambda: plot_losses({'bad': run.metrics}, 'tokens')._repr_png_() if len(run.metrics) < 9 else None, lambda: RunHistory(run).new(), lambda: RunHistory(run).status(),
                 lambda: json.dumps(DashboardFeed(run).all(), allow_nan=False, ensure_ascii=False).encode(), lambda: static_view(run)):
        try: read()
        except ChatGoTError as e: errors.append(e)
    for e in errors: assert str(e)


def resume_run(f):
    "Resume, and stop soon: a million steps are no mistake"
    from chatgot.train.callbacks import Tracker
    from chatgot.train.run import resume
    from chatgot.train.run_folder import Run
    class Stop(Tracker):
        def stepped(self, learn): learn.stop_asked = learn.stop_asked or learn.step >= 6
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()): resume(Run.open('bad', f.runs), [Stop()])


def compare_runs(f):
    from chatgot.evaluate.compare import compare
    from chatgot.train.run_folder import Run
    comparison = compare([Run.open(n, f.runs) for n in ('good', 'bad')], seeds=(0,), tokens=5)
    assert 'good' in repr(comparison) and comparison.html()


def serve_run(f):
    from chatgot.core.settings import ServeSettings
    from chatgot.serve.served_model import ServedModel
    from chatgot.train.run_folder import Run
    ServedModel(Run.open('bad', f.runs), ServeSettings()).close()


@contextmanager
def limits():
    "An alarm, and a bound on memory"
    def ring(*_): raise TimeoutError(f'not done after {SECONDS} s')
    before, soft = signal.signal(signal.SIGALRM, ring), resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path('/proc/self/statm').read_text().split()[0])*resource.getpagesize()
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, soft[1]))
    try: yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, soft)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def another_user():
    "Root reads everything: be nobody for a while"
    if os.geteuid(): yield; return
    os.setegid(65534); os.seteuid(65534)
    try: yield
    finally: os.seteuid(0); os.setegid(0)


@contextmanager
def session():
    "Make the healthy runs; the function damages a copy of them and checks what happens"
    with tempfile.TemporaryDirectory() as tmp:
        root, before = Path(tmp), dict(os.environ)
        os.chmod(root, 0o777)
        os.environ['CHATGOT_CACHE'] = str(root/'cache')
        make_template(root)
        outside = contents(root/'outside')
        def check(case):
            action, items, fits = case
            unreadable = any(item[0] == 'unreadable' for item in items)
            (root/'case').mkdir()
            os.chmod(root/'case', 0o777)
            try:
                with another_user() if unreadable else limits():
                    for name in ('runs', 'outside'): shutil.copytree(root/name, root/'case'/name)
                    f = Folder(root/'case'/'runs')
                    for item in items: f.damage(*item)
                    if fits: f.sum_up()
                    with limits(): act(action, f)
                    assert contents(root/'case'/'outside') == outside, 'something was written or executed outside of the run'
            finally:
                for d, _, _ in os.walk(root/'case'): os.chmod(d, 0o700)
                shutil.rmtree(root/'case')
        try:
            for action in ACTIONS: check((action, [], False))  # a healthy run works, and all is imported
            yield check
        finally:
            os.environ.clear(); os.environ.update(before)
