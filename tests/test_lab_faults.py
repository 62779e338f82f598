"What once went silently wrong in JupyterLab: one notebook, one page, one act after the other, as a person does them"
import json
import re
import time

import pytest

from lab import cell, open_notebook, run_cell, start_cell, write_notebook

pytest.importorskip('playwright')
from playwright.sync_api import expect

LONG = "steps=10**6, log_every=1, eval_every=10**6, sample_every=10**6, save_every=50"
CELLS = ['''
from chatgot.all import *
corpus = Corpus.load('python')
dls = TextDataLoaders.from_corpus(corpus, CharTokenizer.train(corpus), seq_len=32, bs=8)
small = dict(n_layer=1, n_embd=32, n_head=2)
learn = lm_learner(dls, **small)
''', f"live = learn.fit_live(name='mine', {LONG})", 'print(learn.step, learn.last_run.name)', f"await learn.fit_live(name='awaited', {LONG})", '''
wild = lm_learner(dls, **small, optimizer='adamw', warmup_steps=0, lr=100., log_every=1)
live = wild.fit_live(20, 'wild')''']


def lines(path): return [json.loads(s) for s in path.read_text().splitlines()] if path.exists() else []


def saved_outputs(path, i):
    "The outputs of a cell in a notebook's file, as text; it may just be written"
    try: return json.dumps(json.loads(path.read_text())['cells'][i]['outputs'])
    except ValueError: return ''


def wait_for(condition, seconds=60):
    end = time.time() + seconds
    while not (value := condition()):
        assert time.time() < end, 'waited too long'
        time.sleep(.02)
    return value


class Runs:
    "The folder of runs as files tell of it, whatever the notebook says"
    def __init__(self, folder): self.folder = folder
    def names(self): return sorted(p.name for p in self.folder.iterdir())
    def steps(self, name): return [r['step'] for r in lines(self.folder/name/'metrics.jsonl')]
    def step(self, name): return (self.steps(name) or [0])[-1]
    def latest(self, name): return int((self.folder/name/'checkpoints'/'latest').read_text().removeprefix('step_'))
    def events(self, name): return [r.get('event') for r in lines(self.folder/name/'run.log')]
    def wait(self, name, step): wait_for(lambda: (self.folder/name).exists() and self.step(name) >= step)


@pytest.fixture
def runs(lab, page):
    (folder := lab.root/'faults').mkdir()
    write_notebook(folder/'faults.ipynb', CELLS)
    open_notebook(page, lab.url, 'faults/faults.ipynb')
    run_cell(page, 0)
    return Runs(folder/'runs')


def output(page, i): return cell(page, i).locator('.jp-OutputArea-output')
def state(page, i, word): expect(cell(page, i).locator('.dash .state')).to_have_text(word, timeout=60_000)
def press(where, name): where.get_by_role('button', name=name, exact=True).first.click()


def run_the_cell_again(page, runs):
    "It is refused, with a way to the dashboard, and the run that trains is as it was"
    again = run_cell(page, 1)
    expect(again.locator('.jp-OutputArea')).to_contain_text("`learn` is training as 'mine' (step ")
    press(again, 'Show dashboard')
    state(page, 1, 'running')
    step = runs.step('mine')
    runs.wait('mine', step + 10)
    assert runs.names() == ['mine'] and runs.steps('mine') == [*range(1, len(runs.steps('mine')) + 1)]


def branch(page, i, settings, name):
    form = cell(page, i).locator('.branch-form')
    form.locator('.with').fill(settings)
    form.locator('.as').fill(name)
    press(form, 'Branch')


def branch_with_another_shape(page, runs):
    "It is refused on the screen, and the run goes on"
    branch(page, 1, 'model.n_layer=9', 'shaped')
    expect(cell(page, 1).locator('.dash')).to_contain_text("model.n_layer=9 can't be changed")
    step = runs.step('mine')
    runs.wait('mine', step + 10)
    assert runs.names() == ['mine']


def branch_and_go_on(page, runs):
    "`learn` is the branch from then on"
    branch(page, 1, 'train.lr=1e-3', 'turned')
    expect(cell(page, 1).locator('.dash .name')).to_have_text('turned', timeout=60_000)
    runs.wait('turned', runs.latest('turned') + 20)
    before = runs.step('turned')
    expect(said := run_cell(page, 2).locator('.jp-OutputArea-output')).to_have_text(re.compile(r'\d+ turned\n'))
    assert int(said.text_content().split()[0]) >= before >= 20


def diverge(page, runs):
    "The dashboard stays, and goes on at half the rate with the last good weights"
    run_cell(page, 4)
    state(page, 4, 'failed')
    expect(cell(page, 4).locator('.dash')).to_contain_text('live.resume(factor=0.5)')
    press(cell(page, 4), 'Go on from 0 at half the rate')
    wait_for(lambda: runs.events('wild').count('started') == 2)
    state(page, 4, 'failed')
    assert json.loads((runs.folder/'wild'/'checkpoints'/'step_000000'/'state.json').read_text())['lr_scale'] == .5


def close_the_page_and_come_back(page, lab, runs):
    "The dashboard of a cell that still waits is there again, and steers; nobody has saved the notebook"
    start_cell(page, 3)
    state(page, 3, 'running')
    wait_for(lambda: 'widget-view' in saved_outputs(lab.root/'faults'/'faults.ipynb', 3))
    context = page.context
    page.close()
    page = context.new_page()
    page.goto(f'{lab.url}/doc/tree/faults/faults.ipynb')
    state(page, 3, 'running')
    branch(page, 3, 'train.save_every=1000000', 'last')
    expect(cell(page, 3).locator('.dash .name')).to_have_text('last', timeout=60_000)
    return page


def shut_down_the_kernel(page, runs):
    "A branch is saved at its last step"
    runs.wait('last', runs.latest('awaited') + 10)
    page.wait_for_function('window.jupyterapp')
    page.evaluate("window.jupyterapp.commands.execute('kernelmenu:shutdown')")
    wait_for(lambda: 'stopped' in runs.events('last'))
    assert runs.latest('last') == runs.step('last')


def test_a_persons_acts(lab, page, runs):
    run_cell(page, 1)
    runs.wait('mine', 20)
    run_the_cell_again(page, runs)
    branch_with_another_shape(page, runs)
    branch_and_go_on(page, runs)
    press(cell(page, 1), 'Stop')
    state(page, 1, 'interrupted')
    diverge(page, runs)
    page = close_the_page_and_come_back(page, lab, runs)
    shut_down_the_kernel(page, runs)
