"""The dashboard in a real JupyterLab and a real Chromium: clicks while a model trains

tests/test_lab_dashboard_page.py has the page by itself."""
import json
import re
import shutil
import time
from pathlib import Path

import pytest

from lab import cell, open_notebook, run_cell, save, set_theme, start_cell, write_notebook

pytest.importorskip('playwright')
from playwright.sync_api import expect

QUICKSTART = Path(__file__).parents[1]/'nbs'/'tutorials'/'01_quickstart.ipynb'
CELLS = ['''
from chatgot.all import *
corpus = Corpus.load('python')
tok = CharTokenizer.train(corpus)
dls = TextDataLoaders.from_corpus(corpus, tok, seq_len=32, bs=8)
learn = lm_learner(dls, n_layer=2, n_embd=64)
await lm_learner(dls, n_layer=1, n_embd=32).fit_live(steps=200, name='before', eval_every=100, sample_every=100)
''', "learn.fit_live(steps=20_000, name='live', log_every=5, eval_every=400, sample_every=200, save_every=100, overlay=['before'])",
         'learn.show_run()']


def lines(path): return [json.loads(s) for s in path.read_text().splitlines()] if path.exists() else []


def wait_for(condition, seconds=30):
    end = time.time() + seconds
    while not (value := condition()):
        assert time.time() < end, 'waited too long'
        time.sleep(.02)
    return value


class Screen:
    "A dashboard in a cell, and the run's folder behind it"
    def __init__(self, cell, folder): self.cell, self.folder = cell, folder
    def find(self, css): return self.cell.locator(f'.dash {css}')
    def click(self, name): self.find(f'button:text-is("{name}")').click()
    def state(self, name, seconds=30): expect(self.find('.state')).to_have_text(name, timeout=seconds*1000)
    def points(self):
        self.find('.curves').scroll_into_view_if_needed()  # what nobody sees is not drawn
        return int(self.find('.curves tr[data-id=train] td').first.text_content())
    @property
    def metrics(self): return lines(self.folder/'metrics.jsonl')
    @property
    def samples(self): return lines(self.folder/'samples.jsonl')
    @property
    def rates(self): return [r['lr'] for r in self.metrics if 'lr' in r]
    @property
    def steps(self): return (self.metrics or [{'step': 0}])[-1]['step']


@pytest.fixture
def live(lab, page):
    "The quick start as it ships, while it trains"
    shutil.copy(QUICKSTART, lab.root/'quickstart.ipynb')
    open_notebook(page, lab.url, 'quickstart.ipynb')
    for i in (0, 1): run_cell(page, i)
    screen = Screen(start_cell(page, 2), None)
    screen.state('running', 60)
    screen.folder, = (lab.root/'runs').glob('python-*')
    return screen


def steer(screen):
    "Pause, sample, evaluate, save, lower the learning rate, resume, while the cell is busy"
    t = time.time()
    screen.click('Pause')
    screen.state('paused')
    print(f'pause click to paused on screen {1e3*(time.time()-t):.0f} ms')
    n = len(screen.samples)
    screen.find('input.prompt').fill('The sequence\\n')
    screen.find('input.prompt').press('Enter')  # no click follows that would hide a key that was lost
    sample = wait_for(lambda: screen.samples[n:])[0]
    assert sample['prompt'] == 'The sequence\n'
    expect(screen.find('.sample').first.locator('.text')).to_have_text(sample['prompt'] + sample['text'])
    evaluations = len([r for r in screen.metrics if 'val_loss' in r])
    screen.click('Evaluate now')
    wait_for(lambda: len([r for r in screen.metrics if 'val_loss' in r]) > evaluations)
    expect(screen.find('.log.done')).to_contain_text('validation loss')
    screen.click('Save now')
    wait_for(lambda: (screen.folder/'checkpoints'/'latest').exists())
    paused_at, rate = screen.steps, screen.rates[-1]
    time.sleep(1)
    assert screen.steps == paused_at
    screen.find('input.factor').fill('0.1')
    screen.find('input.factor').press('Enter')
    expect(screen.find('.log.done')).to_contain_text('learning rate')
    screen.click('Resume')
    screen.state('running')
    wait_for(lambda: screen.steps > paused_at + 10)
    assert screen.rates[-1] < 0.2*rate


def send_wrong_request(screen):
    "The dashboard shows the error and the run continues"
    screen.find('input.prompt').fill('Γ')
    screen.click('Sample now')
    expect(screen.find('.log')).to_contain_text("'sample' was not done: The character 'Γ'")
    step = screen.steps
    wait_for(lambda: screen.steps > step)


def test_watch_and_steer(lab, page, live, tmp_path):
    first = wait_for(live.points)
    wait_for(lambda: live.points() > first + 2)
    expect(live.find('.sample').first).to_be_visible(timeout=60_000)
    steer(live)
    send_wrong_request(live)
    live.find('.curves .chart-top').hover()
    expect(live.find('.curves .chart-tip')).to_contain_text('train')
    for dark in (False, True):
        set_theme(page, dark)
        live.cell.locator('.dash').screenshot(path=tmp_path/f'{"dark" if dark else "light"}.png')
    live.find('.tools select').nth(1).select_option('seconds')
    live.find('.tools input[type=checkbox]').check()
    expect(live.find('.curves caption')).to_contain_text('by time, logarithmic')
    assert live.points() > 5
    t = time.time()
    live.click('Stop')
    live.state('interrupted')
    print(f'stop click to its end on screen {1e3*(time.time()-t):.0f} ms')
    expect(live.find('.controls')).to_be_hidden()
    expect(live.find('.tile').first).to_contain_text('★ best')
    slider = live.find('input.through')
    slider.press('Home')
    expect(live.find('.where')).to_have_text('0')
    first = live.find('.column .text').first.text_content()
    slider.press('End')
    assert live.find('.column .text').first.text_content() != first
    live.cell.locator('.dash').screenshot(path=tmp_path/'ended.png')
    live.find('[role=tab]:text-is("Notes")').click()
    live.find('textarea').fill('a < b')
    live.find('textarea').press('Enter')
    live.find('textarea').press('c')
    notes = wait_for(lambda: (live.folder/'notes.json').exists() and json.loads((live.folder/'notes.json').read_text()))
    assert notes == {'text': 'a < b\nc', 'tags': []}
    expect(live.cell.locator('.chatgot-static')).to_be_hidden()
    expect(run_cell(page, 3).locator('.jp-OutputArea-output')).to_have_text(re.compile('.{200}', re.S))
    nb = save(page, lab.root/'quickstart.ipynb')
    kept = [o for o in nb.cells[2].outputs if 'image/png' in o.get('data', {})]
    assert len(kept) == 1 and 'application/vnd.jupyter.widget-view+json' not in kept[0].data
    page.evaluate("window.jupyterapp.commands.execute('kernelmenu:shutdown')")
    page.goto(f'{lab.url}/doc/tree/quickstart.ipynb?reset')
    expect(cell(page, 2).locator('.jp-OutputArea-output img')).to_be_visible()
    expect(cell(page, 2).locator('.jp-OutputArea-output').first).to_contain_text(live.samples[-1]['text'].strip()[:40])
    page.screenshot(path=tmp_path/'kept.png')


def test_values_that_differ_in_the_last_bit(lab, page):
    "A loss and its smoothed value: so narrow a scale once sent the drawing into an endless loop"
    from chatgot.core.presets import load_settings
    from chatgot.core.settings import settings_to_yaml
    assert 0.4*3/0.4 != 3
    (lab.root/'young').mkdir()
    (lab.root/'young'/'config.yaml').write_text(settings_to_yaml(load_settings('tiny_char', args=['data.corpus=python'], env={})))
    (lab.root/'young'/'metrics.jsonl').write_text(json.dumps(dict(step=10, tokens=640, seconds=1., train_loss=3., lr=.01, tokens_per_s=640.)) + '\n')
    write_notebook(lab.root/'young.ipynb', ["from chatgot.lab.dashboard import Dashboard\nDashboard('young')"])
    open_notebook(page, lab.url, 'young.ipynb')
    expect(Screen(run_cell(page, 0), None).find('.curves tr[data-id=train] td').first).to_have_text('1')


def test_interrupt_stops_and_saves(lab, page):
    (lab.root/'interrupt').mkdir()
    write_notebook(lab.root/'interrupt'/'live.ipynb', [CELLS[0], 'await ' + CELLS[1], 'print(learn.step, learn.stop_asked)'])
    open_notebook(page, lab.url, 'interrupt/live.ipynb')
    run_cell(page, 0)
    live = Screen(start_cell(page, 1), lab.root/'interrupt'/'runs'/'live')
    live.state('running', 60)
    wait_for(lambda: live.steps > 20)
    page.evaluate("window.jupyterapp.commands.execute('notebook:interrupt-kernel')")
    live.state('interrupted')
    assert (live.folder/'checkpoints'/f'step_{live.steps:06}').is_dir()
    expect(run_cell(page, 2).locator('.jp-OutputArea-output')).to_have_text(f'{live.steps} True\n')


def test_close_the_page_and_come_back(lab, page):
    "Training continues without the page; a reopened cell is live again, and a new cell shows the run too"
    folder = lab.root/'other'
    folder.mkdir()
    write_notebook(folder/'live.ipynb', CELLS)
    open_notebook(page, lab.url, f'{folder.name}/live.ipynb')
    run_cell(page, 0)
    live = Screen(run_cell(page, 1), folder/'runs'/'live')
    wait_for(lambda: live.steps > 50)
    expect(live.find('.curves .chart-legend')).to_contain_text('before')
    save(page, folder/'live.ipynb')
    context = page.context
    page.close()
    step = live.steps
    wait_for(lambda: live.steps > step + 50)
    page = context.new_page()
    page.goto(f'{lab.url}/doc/tree/{folder.name}/live.ipynb')
    for i in (1, 2):
        again = Screen(cell(page, 1) if i == 1 else run_cell(page, 2), live.folder)
        again.state('running', 60)
        assert again.points() > 10
        assert again.cell.evaluate("cell => cell.querySelector('.curves .chart').chart.series.find(s => s.id == 'train').p.x[0]") == 5, 'the curve does not begin at its beginning'
    again.click('Stop')
    wait_for(lambda: 'stopped' in (live.folder/'run.log').read_text())
