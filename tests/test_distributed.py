"Two processes that train one model, as `torchrun` starts them, against one process with the same batches"
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chatgot.train.control import send_request
from program import cli, fork

SMALL = ('data.seq_len=16 model.n_layer=1 model.n_embd=16 model.n_head=2 model.dropout=0 train.batch_size=4 train.grad_accum=2 '
         'train.optimizer=adamw train.lr=5e-4 train.clip=0.5 train.device=cpu train.steps=160 train.log_every=10 train.eval_every=40 '
         'train.sample_every=80 train.save_every=20 sample.tokens=20').split()
ENV = {'CHATGOT_DATA__CORPUS': str(Path(__file__))}
TORCHRUN = [sys.executable, '-m', 'torch.distributed.run', '--nproc-per-node', '2', '--no-python',
            sys.executable, '-m', 'chatgot']


def both(cwd, *args, meanwhile=lambda: None):
    "Two processes with the environment that `torchrun` gives them; their exit codes"
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    group = ENV | {'TORCHELASTIC_RUN_ID': 'x', 'WORLD_SIZE': '2', 'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': str(port)}
    ps = [fork(cli, cwd, args, group | {'RANK': str(r), 'LOCAL_RANK': str(r)}) for r in range(2)]
    meanwhile()
    for p in ps: p.join(60)
    for p in ps: p.kill()
    return [p.exitcode for p in ps]


def wait_for(condition):
    end = time.time() + 90
    while not condition():
        assert time.time() < end
        time.sleep(.02)


def lines(run, name='metrics.jsonl'): return [json.loads(line) for line in (run/name).read_text().splitlines()] if (run/name).exists() else []
def figures(run, key): return {r['step']: r[key] for r in lines(run) if key in r}
def events(run): return [r['event'] for r in lines(run, 'run.log') if r.get('event') not in (None, 'saved', 'evaluated', 'sample')]


def test_two_processes_take_the_steps_of_one_through_a_stop_and_a_branch(tmp_path):
    one, two = (tmp_path/name/'runs'/'x' for name in ('one', 'two'))
    for run in (one, two): run.parents[1].mkdir()
    alone = fork(cli, one.parents[1], ['train', *SMALL, '--name', 'x'], ENV)
    with open(tmp_path/'log', 'w') as log:
        p = subprocess.Popen([*TORCHRUN, 'train', *SMALL, '--name', 'x'], cwd=two.parents[1], env=os.environ | ENV, stdout=log, stderr=log)
    wait_for(lambda: len(lines(two)) >= 3 or p.poll() is not None)
    p.send_signal(signal.SIGTERM)
    p.wait(60)
    assert events(two) == ['started', 'stopped'], (tmp_path/'log').read_text()
    stopped = lines(two)[-1]['step']
    assert 30 <= stopped < 160 and (two/'checkpoints'/'latest').read_text() == f'step_{stopped:06}'

    def turn():
        wait_for(lambda: events(two)[2:] == ['started'])
        send_request(two, 'branch', name='turn')
    assert both(two.parents[1], 'resume', 'x', meanwhile=turn) == [0, 0]
    assert events(two)[2:] == ['started', 'branched', 'stopped'] and events(turned := two.with_name('turn')) == ['started', 'ended']
    alone.join(60)
    assert alone.exitcode == 0
    # rounding grows from step to step, most of all in the gradient's norm
    for key, n, near in (('train_loss', 16, 1e-4), ('val_loss', 4, 1e-4), ('grad_norm', 16, 1e-2), ('lr', 16, 1e-9), ('tokens', 16, 0)):
        a, b = figures(one, key), figures(turned, key)
        assert len(a) == n and {k: b[k] for k in a} == pytest.approx(a, rel=near), key
    assert [r['step'] for r in lines(turned, 'samples.jsonl')] == [0, 80, 160]
    assert (two.parents[1]/'out').read_text().count('Best validation loss') == 1

    assert both(two.parents[1], 'train', *SMALL, 'train.batch_size=3', '--name', 'y') == [2, 2]
    assert "can't be shared equally by 2 processes" in (two.parents[1]/'err').read_text()
