"A run that is killed, terminated, or left without disk space loses nothing, and is resumed as if nothing had happened"
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import faults
from program import cli, fork

TEXT = Path(__file__)  # any text will do, and this one needs no download

SMALL = ('data.seq_len=16 model.n_layer=1 model.n_embd=16 model.n_head=2 train.batch_size=4 train.device=cpu train.steps=1200 '
         'train.log_every=5 train.eval_every=200 train.sample_every=200 train.save_every=20 sample.tokens=20 model.dropout=0.1').split()


def start(cwd, *args): return fork(cli, cwd, args, {'CHATGOT_DATA__CORPUS': str(TEXT)})


def ended(p, code, seconds=240):
    p.join(seconds)
    assert p.exitcode == code, p.exitcode


def wait_for(condition, p, seconds=90):
    end = time.time() + seconds
    while not condition():
        assert p.is_alive() and time.time() < end
        time.sleep(.02)


def lines(run, name='metrics.jsonl'): return [json.loads(line) for line in (run/name).read_text().splitlines()]
def saved(run): return int((run/'checkpoints'/'latest').read_text()[5:]) if (run/'checkpoints'/'latest').exists() else 0
def losses(run): return [(r['step'], r.get('train_loss'), r.get('val_loss')) for r in lines(run)]


def test_twenty_kills_change_nothing(tmp_path):
    whole, killed = tmp_path/'whole', tmp_path/'killed'
    for d in (whole, killed): d.mkdir()
    ended(start(whole, 'train', *SMALL, '--name', 'x'), 0)
    rng, steps = random.Random(20), [0]
    for start_number in range(20):
        p = start(killed, *(('resume', 'x') if (killed/'runs'/'x').exists() else ('train', *SMALL, '--name', 'x')))
        if start_number % 4: wait_for(lambda goal=steps[-1] + 20*rng.randint(1, 4): saved(killed/'runs'/'x') >= goal, p)
        time.sleep(rng.uniform(0, .1 if start_number % 4 else 1))  # while it trains, evaluates, samples and saves, or starts
        p.kill()
        ended(p, -signal.SIGKILL)
        steps.append(saved(killed/'runs'/'x'))
    print('saved when it was killed:', steps)
    assert len(set(steps)) > 12 and steps[-1] < 1200
    ended(start(killed, 'resume', 'x'), 0)
    runs = [d/'runs'/'x' for d in (whole, killed)]
    assert losses(runs[0]) == losses(runs[1]) and len(losses(runs[0])) == 240
    assert [len(lines(r, 'samples.jsonl')) for r in runs] == [7, 7]
    for mark in ('latest', 'best'):
        kept = [r/'checkpoints'/(r/'checkpoints'/mark).read_text() for r in runs]
        assert len({weights(k) for k in kept}) == 1
        assert len({(k/'trainer.pt').read_bytes() for k in kept}) == 1


def weights(checkpoint):
    "A digest of shape and tensors; the order of the file's metadata may differ"
    from safetensors import safe_open
    with safe_open(checkpoint/'model.safetensors', 'pt') as f: return f.metadata()['sha256']


def test_sigterm_saves_first(tmp_path):
    p, run = start(tmp_path, 'train', *SMALL, 'train.save_every=1000000', '--name', 'x'), tmp_path/'runs'/'x'
    wait_for(lambda: (run/'metrics.jsonl').exists() and losses(run), p)
    p.terminate()
    ended(p, 130)
    last = losses(run)[-1][0]
    assert (run/'checkpoints'/'latest').read_text() == f'step_{last:06}' and 0 < last < 1200
    assert 'chatgot resume x' in (tmp_path/'out').read_text()


LIVE = '''
from chatgot.all import *
corpus = Corpus.load('python')
dls = TextDataLoaders.from_corpus(corpus, CharTokenizer.train(corpus), seq_len=16, bs=4, device='cpu')
lm_learner(dls, n_layer=1, n_embd=16, n_head=2, log_every=1).fit_live(10**6, 'x', background=True, save_every=10**6, sample_every=10**6, eval_every=10**6)
import time; time.sleep(1000)
'''


def test_a_process_that_trains_in_the_background_saves_first(tmp_path):
    p, run = subprocess.Popen([sys.executable, '-c', LIVE], cwd=tmp_path), tmp_path/'runs'/'x'
    end = time.time() + 90
    while not ((run/'metrics.jsonl').exists() and len(losses(run)) > 3):
        assert p.poll() is None and time.time() < end
        time.sleep(.05)
    p.terminate()
    assert p.wait(60) == 143
    assert (run/'checkpoints'/'latest').read_text() == f'step_{losses(run)[-1][0]:06}'


@pytest.fixture
def small_disk(tmp_path):
    "A file system of 4 MB"
    disk = tmp_path/'disk'
    disk.mkdir()
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', disk], capture_output=True).returncode:
        pytest.skip('a small file system can only be mounted by root')
    yield disk
    subprocess.run(['umount', '-l', disk], check=True)


def fill(disk):
    "Leave less than a kilobyte"
    with open(disk/'rubbish', 'ab', buffering=0) as f:
        try:
            while f.write(bytes(1024)): pass
        except OSError: pass


def test_no_disk_space_to_start(tmp_path, small_disk):
    ended(start(tmp_path, 'train', *SMALL, '--out', str(small_disk), 'model.n_embd=512'), 2)
    assert 'no room' in (tmp_path/'err').read_text() and list(small_disk.iterdir()) == []


def test_a_full_disk_only_delays_saving(tmp_path, small_disk):
    p, run = start(tmp_path, 'train', *SMALL, '--out', str(small_disk), '--name', 'x', 'train.steps=1000000'), small_disk/'x'
    warned = lambda: 'the next save tries again' in (tmp_path/'err').read_text()
    wait_for(lambda: saved(run) >= 40, p)
    fill(small_disk)
    wait_for(warned, p)
    fill(small_disk)
    held = saved(run)
    assert not list((run/'checkpoints').glob('.*')) and 'No space left' in (tmp_path/'err').read_text()
    (small_disk/'rubbish').unlink()
    wait_for(lambda: saved(run) > held, p)
    fill(small_disk)
    p.terminate()
    ended(p, 2)
    assert "Can't save a checkpoint" in (tmp_path/'err').read_text()
    (small_disk/'rubbish').unlink()
    steps = [r['step'] for r in lines(run)]
    assert steps[:-1] == list(range(5, 5*len(steps), 5)), 'a line is missing or broken'
    ended(start(tmp_path, 'generate', str(run), '--prompt', 'The '), 0)


def test_random_faults(tmp_path):
    if why := faults.build(tmp_path): pytest.skip(why)
    assert faults.run(24, seed=1) == 0, 'see above; python tests/faults.py --help'
