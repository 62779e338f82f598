"Runs that start at the same moment: each gets a folder of its own, and a name that was asked for twice is given once"
from pathlib import Path

from program import CONTEXT, cli, fork

TEXT = Path(__file__)
SMALL = ('data.seq_len=8 model.n_layer=1 model.n_embd=8 model.n_head=2 train.batch_size=2 train.device=cpu train.steps=3 '
         'sample.tokens=5').split()
FILES = {'config.yaml', 'tokenizer.json', 'SHA256SUMS', 'metrics.jsonl', 'run.log', 'checkpoints'}


def start_at_once(cwd, barrier, options, i):
    "Train once all processes are ready to make their folders"
    import os
    import chatgot.train.prepare as module
    os.chdir(cwd)
    make = module._make_free_folder
    def made_together(*args):
        barrier.wait(120)
        return make(*args)
    module._make_free_folder = made_together
    cli(cwd/str(i), ['train', *SMALL, f'train.seed={i}', '--out', '../runs', *options], {'CHATGOT_DATA__CORPUS': str(TEXT)})


def train_at_once(folder, n, *options):
    "Exit codes and errors of n processes that train with the same options"
    barrier = CONTEXT.Barrier(n)
    for i in range(n): (folder/str(i)).mkdir()
    processes = [fork(start_at_once, folder, barrier, options, i) for i in range(n)]
    for p in processes: p.join(240)
    return [p.exitcode for p in processes], [(folder/str(i)/'err').read_text() for i in range(n)]


def check_whole(run, seeds):
    "A run has all its files and can be opened; its seed is one that was given"
    from chatgot.train.run_folder import Run
    r = Run.open(run)
    assert FILES <= {p.name for p in run.iterdir()}
    assert r.status == 'finished' and r.metrics[-1]['step'] == 3 and r.settings.train.seed in seeds
    assert r.tokenizer and r.model('latest')
    return r.settings.train.seed


def test_runs_without_names_that_start_together_get_a_folder_each(tmp_path):
    codes, errors = train_at_once(tmp_path, 4)
    assert codes == [0]*4, errors
    runs = [*(tmp_path/'runs').iterdir()]
    assert {check_whole(run, range(4)) for run in runs} == {*range(4)} and len(runs) == 4


def test_of_runs_with_one_name_the_first_gets_it(tmp_path):
    codes, errors = train_at_once(tmp_path, 3, '--name', 'one')
    assert sorted(codes) == [0, 2, 2], errors
    winner, = [i for i, code in enumerate(codes) if code == 0]
    check_whole(tmp_path/'runs'/'one', [winner])
    assert [p.name for p in (tmp_path/'runs').iterdir()] == ['one']
    for i, error in enumerate(errors):
        if i != winner: assert error.count('chatgot: ') == 1 and 'one exists already' in error and 'Traceback' not in error
