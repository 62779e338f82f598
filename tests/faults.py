"""Random faults in the system calls of train, resume, branch, clean, export and serve, and what must be true after them:
what was acknowledged is there, what is there is whole, and a resume ends as if nothing had happened.

    python tests/faults.py --cases 500 --seed 1
    python tests/faults.py --cases 500 --seed 1 --only 123 --keep DIR     one of these, whose folder is kept if it fails
"""
import argparse
import ctypes
import errno
import hashlib
import http.client
import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
FORK = multiprocessing.get_context('fork')  # of a process that has imported PyTorch
SETTINGS = ('data.corpus=text.txt data.seq_len=8 model.n_layer=1 model.n_embd=8 model.n_head=2 train.batch_size=2 '
            'train.device=cpu train.compile=false train.precision=float32 train.steps=12 train.log_every=1 train.eval_every=4 '
            'train.sample_every=4 train.save_every=2 train.warmup_steps=2 train.distill_weight=0 sample.tokens=8 sample.seed=1 '
            'model.dropout=0.1').split()
EVERY = 'train.save_every=1', 'train.keep_last=100'  # a run that is stopped saves at any step
TEXT = 'FOX:\nIs the henhouse open?\n\nHEN:\nGo away, red one: %d times no.\n\n'


def build(folder: Path) -> str | None:
    "Compile the shim; returns why it can't be"
    cc = shutil.which('cc') or shutil.which('gcc')
    if not cc or sys.platform != 'linux': return 'faults are injected by a shared library: this needs Linux and a C compiler'
    command = [cc, '-std=gnu11', '-O1', '-shared', '-fPIC', '-o', folder/'faults.so', HERE/'faults.c', '-ldl']
    p = subprocess.run(command, capture_output=True, text=True)
    return p.stderr if p.returncode else None


def run(cases: int, seed: int, *options: str) -> int:
    "Run cases in a process that has the shim; returns how many failed, or -1 with the reason printed if there is no shim"
    memory = '/dev/shm' if os.access('/dev/shm', os.W_OK) else None  # where a flush takes no time
    with tempfile.TemporaryDirectory(prefix='faults-', dir=memory) as tmp:
        if why := build(Path(tmp)):
            print(why)
            return -1
        env = os.environ | {'LD_PRELOAD': f'{tmp}/faults.so', 'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': '',
                            'PYTHONPATH': os.pathsep.join([str(HERE.parent), os.environ.get('PYTHONPATH', '')])}
        command = [sys.executable, __file__, '--cases', str(cases), '--seed', str(seed), '--in', tmp, *options]
        return subprocess.run(command, env=env).returncode


# --- a command in a process of its own ---------------------------------------------------------------------------

def _command(case: Path, args: list[str], schedule: str | None):
    "`chatgot ARGS` in case/work with what it prints in case/out and case/err; the shim acts if there is a schedule"
    for fd, name in ((1, 'out'), (2, 'err')): os.dup2(os.open(case/name, os.O_CREAT | os.O_WRONLY | os.O_APPEND), fd)
    sys.stdout, sys.stderr = (os.fdopen(fd, 'w', buffering=1, closefd=False) for fd in (1, 2))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGUSR1, _kill_engine)
    os.chdir(case/'work')
    os.environ['CHATGOT_CACHE'] = str(case/'work'/'cache')
    from chatgot.__main__ import main
    sys.argv = ['chatgot', *args]
    if schedule is not None: assert ctypes.CDLL(None).arm(
        str(case/'work').encode(), schedule.encode(), str(case/'journal').encode(), str(case/'shadow').encode())
    main()


def _kill_engine(*_):
    "End the thread that generates text: nothing that it handles is raised in it"
    import threading
    thread = next(t for t in threading.enumerate() if t.name == 'engine')
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit))


def start(case: Path, args: list[str], schedule: str | None = None):
    "Start a command"
    (case/'shadow').mkdir(exist_ok=True)
    p = FORK.Process(target=_command, args=(case, args, schedule))
    p.start()
    return p


def ended(p, seconds: float = 100) -> int:
    "The exit code, below 0 for a signal"
    p.join(seconds)
    if p.exitcode is None:
        p.kill()
        p.join()
        raise AssertionError(f'it hangs: no end after {seconds} s')
    return p.exitcode


# --- what a folder holds ----------------------------------------------------------------------------------------

def digests(folder: Path) -> dict[str, str]:
    "Every file's digest; of weights that of the tensors, for safetensors orders its metadata by chance"
    return {str(f.relative_to(folder)): _digest(f) for f in sorted(folder.rglob('*')) if f.is_file() and f.name != '.lock'}


def _digest(f: Path) -> str:
    if f.suffix != '.safetensors': return hashlib.sha256(f.read_bytes()).hexdigest()
    from safetensors.numpy import load_file
    return hashlib.sha256(b''.join(k.encode() + t.tobytes() for k, t in sorted(load_file(f).items()))).hexdigest()


def checkpoint_digest(path: Path) -> tuple[str, str]: return _digest(path/'model.safetensors'), _digest(path/'trainer.pt')


def history(folder: Path, name: str, *fields: str) -> list[tuple]:
    "What a JSON Lines file says; a last line may be torn"
    lines = (folder/name).read_bytes().split(b'\n')[:-1] if (folder/name).exists() else []
    return [tuple(json.loads(line).get(k) for k in fields) for line in lines]


def metrics(folder: Path): return history(folder, 'metrics.jsonl', 'step', 'train_loss', 'val_loss')
def samples(folder: Path): return history(folder, 'samples.jsonl', 'step', 'text')


def saved(folder: Path) -> list[int]:
    "The steps whose checkpoints were acknowledged"
    if not (folder/'run.log').exists(): return []
    events = history(folder, 'run.log', 'event', 'step')
    return sorted({step for event, step in events if event == 'saved'})


class Reference:
    "A run without faults, which kept all checkpoints"
    def __init__(self, folder: Path):
        self.metrics, self.samples = metrics(folder), samples(folder)
        self.checkpoints = {int(p.name[5:]): checkpoint_digest(p) for p in (folder/'checkpoints').glob('step_*')}
        self.best = (folder/'checkpoints'/'best').read_text()
        self.last = max(self.checkpoints)


# --- what must be true -------------------------------------------------------------------------------------------

def check_whole(folder: Path):
    "A run folder that a name leads to can be used"
    from chatgot.models.weights import load_weights
    from chatgot.train.checkpoint import verify_checkpoint
    from chatgot.train.run_folder import Run
    r = Run.open(folder)
    assert r.settings and r.tokenizer.vocab_size and r.status in ('finished', 'failed', 'interrupted')
    reports = []
    def load(path):
        verify_checkpoint(path)
        return load_weights(path/'model.safetensors')
    r.checkpoints.load(load, report=reports.append)
    assert not reports, f'a checkpoint is not whole: {reports}'
    for mark in ('latest', 'best'):
        if (r.folder/'checkpoints'/mark).exists(): assert r.checkpoints.named(mark) is not None, f'{mark} refers to nothing'
    for step in r.checkpoints.steps(): verify_checkpoint(r.checkpoints.path(step))


def check_run(folder: Path, ref: Reference, acknowledged: list[int], cleaned: bool = False):
    "It holds a beginning of the reference, up to what was acknowledged at least"
    from chatgot.train.run_folder import Run
    ckpts = Run.open(folder).checkpoints
    for step in ckpts.steps():
        assert checkpoint_digest(ckpts.path(step)) == ref.checkpoints[step], f'the checkpoint of step {step} has other weights'
    for found, all_ in ((metrics(folder), ref.metrics), (samples(folder), ref.samples)):
        assert found == all_[:len(found)], f'not the records of a run without faults: {found} {all_}'
    history(folder, 'run.log', 'event')
    if not acknowledged: return
    last, steps = acknowledged[-1], ckpts.steps()
    assert ckpts.named('latest') >= last, f'step {last} was saved, but latest is {ckpts.named("latest")}'
    kept = [last] if cleaned else [s for s in acknowledged if len([k for k in {*steps, *acknowledged} if k > s]) < 2]
    assert set(kept) <= set(steps), f'steps {kept} were saved, but there are {steps}'
    missing = {r[0] for r in ref.metrics if r[0] <= last} - {r[0] for r in metrics(folder)}
    missing |= {r[0] for r in ref.samples if r[0] <= last} - {r[0] for r in samples(folder)}
    assert not missing, f'step {last} was saved, but the records of steps {missing} are missing'


def check_finished(folder: Path, ref: Reference, warned: bool):
    "It ended as the reference did"
    from chatgot.train.run_folder import Run
    r = Run.open(folder)
    assert r.status == 'finished', f'{folder.name} is {r.status}'
    assert metrics(folder) == ref.metrics and samples(folder) == ref.samples, 'records are missing'
    assert checkpoint_digest(r.checkpoints.path(r.checkpoints.named('latest'))) == ref.checkpoints[ref.last]
    # a save that was reported as failed may have been the best one's
    if not warned: assert (folder/'checkpoints'/'best').read_text() == ref.best


def check_output(case: Path, code: int, schedule: str):
    "A known exit code, and one or two lines instead of a traceback"
    err = (case/'err').read_text()
    # a thread that was killed is a bug of the server, and logged as one
    assert not schedule or 'Traceback' not in err and 'Exception ignored' not in err, err[-2500:]
    if code in (-signal.SIGKILL, -signal.SIGTERM): assert re.search(r'[kKtg]', schedule), f'it was killed: {code}'
    else: assert code in (0, 1, 2, 130), f'exit code {code}'
    if code in (1, 2):
        message = err.rpartition('chatgot: ')[2]
        assert 'chatgot: ' in err and message.count('\n') <= 3, f'exit code {code}: {err[-1500:]!r}'


# --- power loss -------------------------------------------------------------------------------------------------

def journal(case: Path) -> list[tuple[int, str, int, str, str]]:
    "Number, name, result, path and what else was noted of each call"
    rows = (line.split('\t') for line in (case/'journal').read_text().splitlines()) if (case/'journal').exists() else ()
    return sorted((int(n), name, int(result), path, more) for n, name, result, path, more in rows)


def lose_power(case: Path, template: Path, renames_too: bool):
    """Take away what was never synchronized: what was written since a file's last fsync and, if `renames_too`, renames since
    the last fsync of their folder. Deletions and new folders are taken to last, as journaling file systems order them."""
    whole: dict[str, int | None] = {}  # file -> its size at its last fsync, if something was written since
    renames: list[tuple[str, str, int]] = []
    moved = lambda p, a, b: b + p[len(a):] if p == a or p.startswith(a + '/') else p
    def before(p):  # what the template had is on disk
        f = template/Path(p).relative_to(case/'work')
        return f.stat().st_size if f.is_file() else 0
    synced: dict[str, int] = {}
    for n, name, result, path, more in journal(case):
        if result < 0: continue
        if name == 'open' and more == 'truncated': whole[path] = synced[path] = 0
        elif name == 'write': whole[path] = synced.setdefault(path, before(path))
        elif name == 'fsync':
            synced[path] = int(more)
            whole.pop(path, None)
            renames = [r for r in renames if os.path.dirname(r[1]) != path]
        elif name == 'rename':
            whole, synced = ({moved(p, path, more): s for p, s in d.items()} for d in (whole, synced))
            renames.append((path, more, n))
        elif name == 'unlink':
            whole.pop(path, None)
            renames = [r for r in renames if not path.startswith(r[1])]
    for path, size in whole.items():
        if os.path.isfile(path) and os.path.getsize(path) > size: os.truncate(path, size)
    for a, b, n in reversed(renames if renames_too else []):
        if not os.path.exists(b): continue
        os.rename(b, a)
        if (case/'shadow'/str(n)).exists(): os.link(case/'shadow'/str(n), b)


# --- schedules --------------------------------------------------------------------------------------------------

FAILURES = {'open': (errno.EIO, errno.EMFILE, errno.ENOMEM), 'opendir': (errno.EIO, errno.EMFILE, errno.ENOMEM), 'read': (errno.EIO,),
            'write': (errno.ENOSPC, errno.EIO), 'fsync': (errno.EIO, errno.ENOSPC), 'rename': (errno.EIO, errno.ENOSPC),
            'mkdir': (errno.ENOSPC, errno.EIO), 'unlink': (errno.EIO,), 'truncate': (errno.EIO,), 'close': (errno.EIO,),
            'mmap': (errno.ENOMEM,)}
KINDS = ('fails', 'fails', 'two fail', 'all fail', 'short', 'torn', 'kill', 'kill', 'power', 'power', 'signal', 'slow', 'clock')
COMMANDS = ('train', 'resume', 'branch', 'clean', 'export', 'serve')


def failing(calls: list) -> list[tuple[int, str]]:
    "Number and name of the calls at which something may go wrong: closing a file that was only read does not fail"
    written = {path for _, name, _, path, _ in calls if name == 'write'}
    return [(n, name) for n, name, _, path, _ in calls if name != 'close' or path in written]


def make_schedule(rng: random.Random, kind: str, calls: list[tuple[int, str]]) -> str:
    "Where a kind of fault happens, among the calls that a run without faults made"
    def at(*names):
        among = [c for c in calls if c[1] in names] or calls
        name = rng.choice(sorted({c[1] for c in among}))  # rare calls as often as frequent ones
        return rng.choice([c for c in among if c[1] == name] if rng.random() < .5 else among)
    def failure():
        n, name = at(*FAILURES)
        return f'{n} f {rng.choice(FAILURES[name])};'
    n, name = at(*('write',) if kind in ('short', 'torn') else ('write', 'fsync', 'rename', 'mkdir', 'unlink', 'open', 'close'))
    if kind == 'fails': return failure()
    if kind == 'two fail': return failure() + failure()
    if kind == 'all fail':
        until = f'{n + rng.randint(2, 60)} o 0;' if rng.random() < .7 else ''
        return f'{n} F {rng.choice((errno.ENOSPC, errno.ENOSPC, errno.EMFILE, errno.EIO, errno.ENOMEM))};{until}'
    arg = {'signal': rng.choice((signal.SIGTERM, signal.SIGINT)).value, 'slow': rng.randint(1, 60),
           'clock': rng.choice((-1, 1))*rng.choice((1, 3600, 10**6, 10**8))}.get(kind, 0)
    return f'{n} {dict(short="s", torn="t", power="K", signal="g", slow="d", clock="c").get(kind) or rng.choice("kK")} {arg};'


# --- the commands -----------------------------------------------------------------------------------------------

class Bed:
    "Folders to begin from, references and the calls that commands make, all from runs without faults"
    def __init__(self, folder: Path):
        self.folder, self.calls = folder, {}
        self.templates = {'empty': folder/'empty'}
        (folder/'empty').mkdir()
        (folder/'empty'/'text.txt').write_text(''.join(TEXT % i for i in range(60)))
        self.ref = Reference(self._plain('empty', ['train', *SETTINGS, *EVERY, '--name', 'x'])/'runs'/'x')
        calls = self.record('train', 'empty', ['train', *SETTINGS, '--name', 'x'], keep='finished')
        # killed when the checkpoint of step 8 had just become the latest
        at = [n for n, name, _, _, more in calls if name == 'rename' and more.endswith('/latest')][4]
        case = self.case('empty')
        assert ended(start(case, ['train', *SETTINGS, '--name', 'x'], f'{at + 30} K 0;')) == -signal.SIGKILL
        self.templates['stopped'] = case/'work'
        branched = self._plain('stopped', ['resume', 'x', 'train.lr=2e-3', *EVERY])
        self.branch = next((branched/'runs').glob('x-at-*')).name
        self.branch_ref = Reference(branched/'runs'/self.branch)
        for name, args in (('resume', ['resume', 'x']), ('branch', ['resume', 'x', 'train.lr=2e-3'])): self.record(name, 'stopped', args)
        for template in ('stopped', 'finished'): self.record(f'clean {template}', template, ['runs', 'clean'])
        self.exports, self.latest_exports = {}, {}
        for to in ('hf', 'safetensors', 'gguf'):
            self.record(f'export {to}', 'finished', ['export', 'x', '--to', to, '--out', 'out/e'], keep=f'export {to}')
            self.exports[to] = digests(self.templates[f'export {to}']/'out'/'e')
            case = self.case('finished')
            shutil.rmtree(case/'work'/'runs'/'x'/'checkpoints'/self.ref.best)
            assert ended(start(case, ['export', 'x', '--to', to, '--out', 'out/e'])) == 0
            self.latest_exports[to] = digests(case/'work'/'out'/'e')

    def case(self, template: str) -> Path:
        "A new folder that begins as a template"
        case = Path(tempfile.mkdtemp(dir=self.folder))
        shutil.copytree(self.templates[template], case/'work', copy_function=shutil.copyfile)
        return case

    def _plain(self, template: str, args: list[str]) -> Path:
        case = self.case(template)
        assert ended(start(case, args)) == 0, (case/'err').read_text()
        return case/'work'

    def record(self, name: str, template: str, args: list[str], keep: str | None = None):
        "The calls of a command without faults"
        case = self.case(template)
        assert ended(start(case, args, '')) == 0, (case/'err').read_text()
        calls = journal(case)
        self.calls[name] = failing(calls)
        if keep: self.templates[keep] = case/'work'
        return calls


def finish(case: Path, run: str, ref: Reference, args: list[str]):
    "Without faults it can be resumed, or started again if it was never there, and ends as the reference"
    from chatgot.train.run_folder import Run
    warned, folder = 'tries again' in (case/'err').read_text(), case/'work'/'runs'/run
    if not folder.exists() or Run.open(folder).status != 'finished':
        again = ['resume', run] if folder.exists() else args
        (case/'err').rename(case/'err.first')
        assert (code := ended(start(case, again))) == 0, f'{again[0]} afterwards: {code} {(case/"err").read_text()[-1500:]}'
    check_finished(folder, ref, warned)


def after(bed: Bed, case: Path, command: str, run: str, ref: Reference, args: list[str], code: int, power: str | None, template: str):
    "What must be true after train, resume and branch"
    folder, runs = case/'work'/'runs'/run, case/'work'/'runs'
    acknowledged = saved(folder)
    if power: lose_power(case, bed.templates[template], power == 'all')
    if code == 0: assert folder.exists() and Path(folder/'run.log').exists()
    for f in runs.glob('[!.]*'): check_whole(f)
    if folder.exists(): check_run(folder, ref, acknowledged)
    elif acknowledged: raise AssertionError('a run whose checkpoints were acknowledged is gone')
    if command == 'branch': check_run(runs/'x', bed.ref, saved(runs/'x'))
    if code == 0: check_finished(folder, ref, 'tries again' in (case/'err').read_text())
    finish(case, run, ref, args)


def clean_case(bed, rng, kind, case, template, code, power):
    from chatgot.train.run_folder import Run
    folder = case/'work'/'runs'/'x'
    acknowledged, best = saved(folder), (folder/'checkpoints'/'best').read_text()
    if power: lose_power(case, bed.templates[template], power == 'all')
    check_whole(folder)
    if template == 'stopped': check_run(folder, bed.ref, acknowledged, cleaned=True)
    assert (folder/'checkpoints'/'best').read_text() == best and Run.open(folder).checkpoints.named('best') is not None
    if template == 'stopped': finish(case, 'x', bed.ref, [])


def export_case(bed, case, to, code, power, args):
    out = case/'work'/'out'/'e'
    if power: lose_power(case, bed.templates['finished'], power == 'all')
    assert digests(case/'work'/'runs') == digests(bed.templates['finished']/'runs'), 'an export changed the run'
    if code == 0 and not power: assert out.exists()
    if not out.exists(): assert ended(start(case, args)) == 0, f'export afterwards: {(case/"err").read_text()}'
    # a best checkpoint that can't be read is replaced by the latest one, with a warning
    warned = re.search("is damaged|Can't read", (case/'err').read_text())
    assert digests(out) == bed.exports[to] or warned and digests(out) == bed.latest_exports[to], 'the export is not whole'


def ask(port: int, path: str, body: dict | None = None) -> int:
    "The status of an answer"
    c = http.client.HTTPConnection('127.0.0.1', port, timeout=30)
    try:
        c.request('POST' if body else 'GET', path, json.dumps(body) if body else None, {'content-type': 'application/json'})
        return c.getresponse().status
    finally: c.close()


def serve(case: Path, schedule: str | None, kill_thread: bool = False) -> int:
    """A server that is asked some things and terminated; returns its exit code. Whatever fails inside, it answers; without its
    engine's thread it says that it isn't ready, and refuses instead of waiting for what will never come."""
    p, text = start(case, ['serve', 'x', '--port', '0'], schedule), {'model': 'x', 'prompt': 'FOX', 'max_tokens': 4}
    end = time.time() + 60
    while not (url := re.search(r'http://127.0.0.1:(\d+)', (case/'err').read_text() if (case/'err').exists() else '')):
        if not p.is_alive(): return ended(p)
        if time.time() > end: ended(p, 0)
        time.sleep(.01)
    try:
        port = int(url[1])
        if kill_thread:
            os.kill(p.pid, signal.SIGUSR1)
            assert ask(port, '/v1/completions', text) == 500
            assert (ask(port, '/v1/completions', text), ask(port, '/health/ready'), ask(port, '/health/live')) == (429, 503, 200)
        else:
            # faults that have passed leave no trace, and those that last prevent no more than loading another checkpoint
            chat = {'model': 'x', 'messages': [{'role': 'user', 'content': 'Hi'}], 'max_tokens': 4}
            for path, body, may_fail in (('/v1/completions', text, 0), ('/v1/models/x/checkpoint', {'checkpoint': 'latest'}, 1),
                                         ('/v1/models', None, 1), ('/v1/chat/completions', chat, 0),
                                         ('/v1/models/x/checkpoint', {'checkpoint': 'best'}, 1), ('/v1/completions', text, 0),
                                         ('/health/ready', None, 0)):
                assert (status := ask(port, path, body)) == 200 or may_fail and status in (400, 500), f'{path}: {status}'
    except OSError:
        if not re.search(r'[kKtg]', schedule or ''): raise
    finally:
        if p.is_alive(): p.terminate()
    return ended(p)


# --- a case -----------------------------------------------------------------------------------------------------

def run_case(bed: Bed, rng: random.Random, i: int, commands: list[str], kinds: list[str], keep: Path | None) -> tuple[str, str, str, str]:
    "Command, kind of fault, schedule, and what was found to be wrong"
    command = commands[i % len(commands)]
    kind = rng.choice([*kinds, 'thread'] if command == 'serve' else kinds)
    variant, template = {'train': ('train', 'empty'), 'serve': ('serve', 'finished')}.get(command, (command, 'stopped'))
    if command == 'export': variant, template = f'export {rng.choice(list(bed.exports))}', 'finished'
    if command == 'clean': variant = f'clean {(template := rng.choice(("stopped", "finished")))}'
    if command == 'serve' and variant not in bed.calls:
        case = bed.case('finished')
        assert serve(case, '') == 0, (case/'err').read_text()
        bed.calls[variant] = failing(journal(case))
    schedule = '' if kind == 'thread' else make_schedule(rng, kind, bed.calls[variant])
    power = rng.choice(('data', 'all')) if kind == 'power' else None
    args = {'train': ['train', *SETTINGS, '--name', 'x'], 'resume': ['resume', 'x'], 'branch': ['resume', 'x', 'train.lr=2e-3'],
            'clean': ['runs', 'clean'], 'export': ['export', 'x', '--to', variant.split()[-1], '--out', 'out/e']}.get(command)
    case = bed.case(template)
    try:
        code = serve(case, schedule, kind == 'thread') if command == 'serve' else ended(start(case, args, schedule))
        check_output(case, code, schedule)
        if command == 'serve': assert digests(case/'work'/'runs') == digests(bed.templates['finished']/'runs')
        elif command == 'export': export_case(bed, case, variant.split()[-1], code, power, args)
        elif command == 'clean': clean_case(bed, rng, kind, case, template, code, power)
        elif command == 'branch': after(bed, case, command, bed.branch, bed.branch_ref, args, code, power, template)
        else: after(bed, case, command, 'x', bed.ref, args, code, power, template)
        wrong = ''
    except Exception as e: wrong = str(e) if isinstance(e, AssertionError) and str(e) else traceback.format_exc(limit=-6)
    if wrong and keep: shutil.copytree(case, keep/str(i))
    shutil.rmtree(case)
    return variant, kind + (f' ({power})' if power else ''), schedule, wrong


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--cases', type=int, default=60)
    p.add_argument('--seed', type=int, default=1)
    p.add_argument('--only', type=int)
    p.add_argument('--commands', default=','.join(COMMANDS))
    p.add_argument('--kinds', default=','.join(KINDS))
    p.add_argument('--keep', type=Path)
    p.add_argument('--in', dest='folder', type=Path)
    a = p.parse_args()
    if not a.folder: sys.exit(run(a.cases, a.seed, *sys.argv[1:]))
    import chatgot.__main__, chatgot.export.card, chatgot.serve.app  # noqa: imported before the forks
    with tempfile.TemporaryDirectory() as warm:  # more is imported when it is needed first
        from chatgot.cli.app import run_cli
        (Path(warm)/'text.txt').write_text(TEXT*60)
        run_cli(' '.join(['train', *SETTINGS, '--name', 'x']), warm, CHATGOT_CACHE=f'{warm}/cache')
        for to in ('hf', 'gguf'): run_cli(f'export x --to {to} --out {to}', warm)
    bed, counts, failures = Bed(a.folder), Counter(), []
    began = time.time()
    for i in range(a.cases) if a.only is None else [a.only]:
        variant, kind, schedule, wrong = run_case(bed, random.Random(f'{a.seed}-{i}'), i, a.commands.split(','), a.kinds.split(','), a.keep)
        counts[variant.split()[0], kind] += 1
        if not wrong: continue
        failures.append(i)
        print(f'--- case {i}: {variant}, {kind}, {schedule}\n{wrong.strip()}', flush=True)
    kinds, done = sorted({k for _, k in counts}), sorted({c for c, _ in counts})
    print(f'\n{"":14}' + ''.join(f'{c:>8}' for c in done))
    for k in kinds: print(f'{k:14}' + ''.join(f'{counts[c, k]:8}' for c in done))
    print(f'{sum(counts.values())} schedules of seed {a.seed} in {time.time() - began:.0f} s, {len(failures)} of them failed', *failures)
    sys.exit(min(len(failures), 100))


if __name__ == '__main__': main()
