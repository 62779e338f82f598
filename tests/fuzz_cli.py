"""Commands with hostile arguments, files and streams: each ends in time with 0, 1, 2 or 130, without a traceback

A target of fuzz.py."""
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from contextlib import contextmanager, suppress
from pathlib import Path

from hypothesis import strategies as st

from program import fork

LIMIT, MEMORY, MAX_LINES = 60, 3 << 30, 6  # seconds, bytes, lines of error
SMALL = ('model.n_layer=1 model.n_embd=8 model.n_head=2 data.seq_len=16 train.batch_size=2 train.steps=2 train.device=cpu '
         'train.eval_every=2 train.sample_every=2 train.save_every=2 sample.tokens=4').split()
TEXT = ''.join(f'{name}:\n{line}.\n\n' for i in range(20) for name, line in (
    ('ROMEO', f'It is the east, and Juliet is the sun {i}'), ('JULIET', f'What man art thou {i}?'), ('ROMEO', 'A name'), ('NURSE', 'Madam!')))
# well-formed commands; each case damages one of them
COMMANDS = [
    ['train', *SMALL, '--corpus', 'text.txt', '--name', 'new'], ['train', *SMALL, '--config', 'small.yaml', '--out', 'other'],
    ['train', *SMALL, '--preset', 'tiny_char', '--corpus', 'text.txt'], ['resume', 'a'], ['resume', 'a', 'train.steps=4'],
    ['generate', 'a', '--tokens', '4', '--prompt', 'RO', '--temperature', '0.8', '--top-k', '3', '--top-p', '.9', '--min-p', '.1',
     '--repetition-penalty', '1.1', '--seed', '1', '--stop', 'x', '--out', 'runs'], ['generate', 'runs/a'],
    ['chat', 'a', '--as', 'ROMEO', '--me', 'JULIET', '--tokens', '3', '--temperature', '1', '--seed', '1'], ['chat', 'a'],
    ['evaluate', 'a', '--on', 'text.txt', '--stride', '8', '--judge', 'a'], ['compare', 'a', 'a', '--to', '.', '--prompt', 'RO'],
    ['runs', '--out', 'runs'], ['runs', 'clean', 'a', '--out', 'runs'], ['corpus', 'text.txt', '--json'], ['corpus', 'text.txt'],
    ['export', 'a', '--to', 'safetensors', '--out', 'exported', '--licence', 'CC0', '--runs', 'runs'],
    ['export', 'a', '--to', 'gguf', '--type', 'f16', '--out', 'exported'], ['serve', 'a', '--host', '127.0.0.1', '--port', '0'],
    ['serve', 'a', 'serve.port=0', 'serve.slots=2', 'serve.keys_file=text.txt', '--out', 'runs'],
    ['config', *SMALL, '--preset', 'tiny_char', '--corpus', 'text.txt'], ['config', '--config', 'small.yaml'],
    ['pipeline', 'small.yaml', *SMALL, '--name', 'new', '--out', 'runs'],
    ['bench', 'none', '--run', 'runs/a', '--nanogpt', 'folder', '--out', 'x.json'], ['lab', '--no-browser']]
VALUES = [
    '', ' ', '.', '..', '/', '../..', '~nobody', '~', '-', '--', '-x', '--no-such-option', 'x'*300, 'x'*100_000, 'a/'*3000, 'x'*300 + '.txt',
    b'\xff\xfe', b'caf\xe9.txt', b'\xed\xb2\x80', '\x1b[2J\x1b]0;title\x07', 'a\rb', '\u202ea', '\u2028', '\U0010ffff', 'İ', 'e\u0301',
    'http://[', 'http://', 'https://[::1', 'http://127.0.0.1:99999/x', 'http://\x01/', 'ftp://x', 'file:///etc/passwd', '[', '**', '{', '*' * 40, '%s%n', '$(id)', '`',
    '/dev/full', '/dev/zero', '/dev/null', '/dev/stdin', '/dev/fd/9', '/proc/self/mem', '/proc/self/environ', '/root/x/y', 'fifo', 'folder',
    'empty', 'binary', 'loop', 'loops', 'latin1.yaml', 'deep.yaml', 'bomb.yaml', 'odd.yaml', 'text.txt/x', 'runs/a', 'runs', 'a', 'b', 'no',
    'nan', 'inf', '-inf', '1e400', '-1', '0', '-0.0', '0x10', '1_0', '1'*4000, '-' + '9'*5000, '٣', 'true', 'none', 'null', '1e-400', '99999999999999999999',
    'a=b', '=', '=1', 'train=1', 'train.=1', '.=1', 'train.lr', 'train.lr=', 'train.lr=[', 'train.lr=' + '['*50_000, 'train.nothing=1', 'a.b.c=1',
    'sample.stop=[1]', 'sample.prompt=\x1b', 'serve.host=', 'serve.host=::', 'serve.host=http://[', 'serve.host=a b', 'serve.port=70000', 'train.lr=1e400',
    'train.init=/dev/zero', 'train.init=fifo', 'train.init=x/y', 'data.tokenizer=fifo', 'data.tokenizer=/dev/zero', 'data.tokenizer=' + 'x'*300,
    'data.tokenizer=bpe', 'data.corpus=', 'data.corpus=http://[', 'data.corpus=~nobody/x', 'data.val_fraction=1e-300', 'data.seq_len=' + '9'*4000, 'model.family=ngram', 'train.seed=-1',
    'train.device=cuda:99', 'train.device=nothing', 'train.device=meta', 'track.mlflow=http://[', 'sample.seed=' + '9'*30, 'serve.keys_file=fifo', 'serve.cors=[', 'serve.keys_file=binary']
FILES = {
    'small.yaml': b'data: {corpus: text.txt}\n', 'empty': b'', 'binary': bytes(range(256))*8, 'latin1.yaml': b'data: {corpus: caf\xe9}\n',
    'deep.yaml': b'a: ' + b'['*20_000, 'odd.yaml': b'? [1, 2]\n: !!python/object:os.system {}\n1: 2\ntrue: .nan\n2001-01-01: {<<: *x}\n',
    'bomb.yaml': b'a: &a [x,x,x,x,x,x,x,x]\n' + b''.join(b'%c: &%c [%s]\n' % (c, c, b','.join([b'*%c' % (c - 1)]*8)) for c in range(98, 110)),
    'text.txt': TEXT.encode()}
DOTENVS = [b'CHATGOT_TRAIN__LR=caf\xe9\n', b'\xff\xfe\x00', b'CHATGOT_TRAIN__LR=1\x00\n', b'=\n', b'CHATGOT_TRAIN__STEPS\n', b'CHATGOT_X__Y=1\n', b'\x1b[2J=\n', 'fifo', 'folder', '/dev/zero', 'loop']
ENVIRONMENTS = [
    {'CHATGOT_TRAIN__LR': b'\xff'}, {'CHATGOT_\udcff__X': '1'}, {'CHATGOT_SERVE__API_KEYS': b'\xe9,'}, {'CHATGOT_CACHE': '/dev/full'}, {'CHATGOT_CACHE': 'empty'},
    {'CHATGOT_CACHE': b'\xff'}, {'COLUMNS': 'x'}, {'COLUMNS': '-1'}, {'HOME': '/dev/null'}, {'TERM': '\x1b'}, {'CHATGOT_TRAIN__': '1'}, {'CHATGOT___LR': '1'}, {'LANG': b'\xff'}, {'NO_COLOR': '1'}]
INPUTS = ['/dev/null', 'binary', 'text.txt', 'latin1.yaml', 'long', '/dev/zero', 'closed']
OUTPUTS = ['/dev/full', 'pipe', 'closed', 'ascii', 'latin-1']


def make_world(folder):
    "A folder with a trained run and all kinds of hostile files"
    for name, data in FILES.items(): (folder/name).write_bytes(data)
    (folder/'long').write_bytes(b'x'*3_000_000)
    (folder/'folder').mkdir()
    (folder/'latin1').write_bytes(b'Good morrow\nOl\xe9!\nGo\n')
    (folder/'chatgot-tutorials').symlink_to('text.txt')  # or `lab` would start a JupyterLab
    (folder/'loop').symlink_to('loop')
    (folder/'loops').mkdir()
    for name in 'ab': (folder/'loops'/name).symlink_to('.')
    check_end(*end_of(folder, ['train', *SMALL, '--corpus', 'text.txt', '--name', 'a']), 0)
    for name in ('out', 'err'): (folder/name).unlink()


def damaged(rng):
    "A command with one to three arguments replaced, added or removed"
    args = [os.fsdecode(a) for a in rng.choice(COMMANDS)]
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        i, value, how = rng.randrange(1, len(args) + 1), os.fsdecode(rng.choice(VALUES)), rng.randrange(8)
        if how < 5 and i < len(args): args[i] = args[i].split('=')[0] + f'={value}' if '=' in args[i] and how > 2 else value
        # a benchmark that exists would run for minutes
        elif how < 7 and (args[0] != 'bench' or i > 1): args.insert(i, value)
        elif i < len(args): del args[i]
    return args


def make_case(number):
    "What is typed, and in which surroundings; the same for the same number"
    rng = random.Random(number)
    case = dict(args=damaged(rng))
    if rng.random() < .15: case['env'] = {os.fsdecode(k): os.fsdecode(v) for k, v in rng.choice(ENVIRONMENTS).items()}
    if rng.random() < .1: case['dotenv'] = rng.choice(DOTENVS)
    if case['args'][0] == 'chat' or rng.random() < .05: case['stdin'] = rng.choice(INPUTS)
    if rng.random() < .2: case['stdout'] = rng.choice(OUTPUTS)
    return case


cases = st.integers(0, 2**64 - 1).map(make_case)
LONG, NOT_UTF8 = 'x'*300, os.fsdecode(b'caf\xe9')
# each once ended with a traceback or did not end; `code` is the exit code it must have
EXAMPLES = [dict(args=args.split() + list(more), code=code, **where) for code, args, more, where in (
    (2, 'corpus', [NOT_UTF8], {}), (2, 'generate a --prompt', [NOT_UTF8], {}), (2, 'chat a', [NOT_UTF8], {}), (2, 'runs --out', [LONG], {}), (2, 'generate', [LONG], {}),
    (2, 'runs clean', ['a/'*3000], {}), (2, 'train --corpus', ['http://['], {}), (2, 'corpus ~nobody', [], {}), (2, 'serve a --host http://[ --port 0', [], {}),
    (2, 'serve a --port 0 --host', [''], {'env': {'CHATGOT_SERVE__API_KEYS': 'a-long-secret'}}), (2, 'config --config deep.yaml', [], {}), (2, 'config --config bomb.yaml', [], {}),
    (2, 'config --config latin1.yaml', [], {}), (2, 'config', [], {'dotenv': b'CHATGOT_DATA__CORPUS=caf\xe9\n'}), (2, 'config', [], {'dotenv': '/dev/zero'}), (2, 'config', [], {'dotenv': 'fifo'}),
    (0, 'chat a --tokens 3 --seed 1', [], {'stdin': 'latin1'}), (2, 'chat a --tokens 3', [], {'stdin': '/dev/zero'}), (0, 'chat a', [], {'stdin': 'closed'}),
    (0, 'runs', [], {'stdout': 'closed'}), (1, 'runs', [], {'stdout': '/dev/full'}), (1, 'generate a --tokens 3', [], {'stdout': '/dev/full'}), (1, 'generate a --tokens 3', [], {'stdout': 'pipe'}),
    (0, 'config', [f'data.corpus=caf\u00e9'], {'stdout': 'ascii'}), (2, 'config', ['--\u00e9'], {'stdout': 'ascii'}), (2, 'lab', [], {}), (2, 'export a --to hf --out /dev/full/x', [], {}))]


def program(cwd, args, where):
    "`chatgot ARGS` in this process, with streams, limits and an exit code as a shell would give it"
    os.chdir(cwd)
    os.environ.update({'CHATGOT_CACHE': str(cwd/'cache')} | where.get('env', {}))
    for fd, name in ((1, 'out'), (2, 'err')): os.dup2(os.open(name, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600), fd)
    for stream in (sys.stdout, sys.stderr): stream.reconfigure(encoding='utf-8', errors='strict')
    dotenv = where.get('dotenv')
    if isinstance(dotenv, bytes): Path('.env').write_bytes(dotenv)
    elif dotenv: os.symlink(dotenv, '.env')
    set_input(where.get('stdin', '/dev/null'))
    set_output(where.get('stdout'))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    used = int(Path('/proc/self/statm').read_text().split()[0])*resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY,)*2)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 28,)*2)
    sys.argv = ['chatgot', *args]
    os._exit(exit_code())


def set_input(name):
    fd = os.open('/dev/null' if name == 'closed' else name, os.O_RDONLY)
    os.dup2(fd, 0)
    sys.stdin = None if name == 'closed' else open(0, encoding='utf-8', closefd=False)
    if name == 'closed': os.close(0)


def set_output(kind):
    if kind in ('ascii', 'latin-1'): return [s.reconfigure(encoding=kind) for s in (sys.stdout, sys.stderr)]
    if kind == 'closed':
        sys.stdout = None
        os.close(1)
    if kind == '/dev/full': os.dup2(os.open(kind, os.O_WRONLY), 1)
    if kind == 'pipe':
        r, w = os.pipe()
        os.close(r)
        os.dup2(w, 1)
    if kind in ('/dev/full', 'pipe'): sys.stdout = open(1, 'w', encoding='utf-8', closefd=False)  # the old one expects a file


def exit_code():
    "What Python does with an exception that nobody caught, and with text that can't be flushed at the end"
    from chatgot.__main__ import main
    code = 0
    try: main()
    except SystemExit as e: code = e.code if isinstance(e.code, int) else 0 if e.code is None else 1
    except BaseException: code = traceback.print_exc() or 1
    try: sys.stdout and sys.stdout.flush()
    except (OSError, ValueError): code = 120
    with suppress(Exception): sys.stderr.flush()
    return code


def end_of(folder, args, **where):
    "Run a command: exit code (None: it did not end), what it printed, what it printed as an error"
    p = fork(program, folder, args, where)
    end, asked = time.time() + LIMIT, False
    while p.is_alive() and time.time() < end:
        p.join(.02)
        # a server ends no other way
        if not asked and args[0] == 'serve' and 'Serving' in read(folder/'err'): asked = os.kill(p.pid, signal.SIGINT) is None
    if hung := p.is_alive(): p.kill()
    p.join()
    return None if hung else p.exitcode, read(folder/'out'), read(folder/'err')


# as it was printed: a progress bar is told by its carriage returns
def read(path): return path.read_bytes().decode(errors='replace') if path.exists() else ''


def check_end(code, out, err, expected=None):
    assert code is not None, f'no end after {LIMIT} s: {err[-1000:]}'
    assert code in (0, 1, 2, 130), f'exit code {code}: {err[-1000:]}'
    assert 'Traceback' not in err + out and 'this is a bug' not in err, err[-2000:]
    # a progress bar is no error
    lines = [line for line in err.split('\n') if line.strip() and '\r' not in line]
    assert code == 0 or len(lines) <= MAX_LINES, f'{len(lines)} lines of error: {err[:1000]}'
    assert expected in (None, code), f'exit code {code} instead of {expected}: {err[-1000:]}'


@contextmanager
def session():
    "Make the world; the function runs a case in a copy of it"
    with tempfile.TemporaryDirectory() as tmp:
        (world := Path(tmp)/'world').mkdir()
        make_world(world)
        def check(case):
            folder = Path(tempfile.mkdtemp(dir=tmp))/'w'
            shutil.copytree(world, folder, symlinks=True)
            os.mkfifo(folder/'fifo')
            try: check_end(*end_of(folder, **{k: v for k, v in case.items() if k != 'code'}), case.get('code'))
            finally: shutil.rmtree(folder.parent, ignore_errors=True)
        yield check
