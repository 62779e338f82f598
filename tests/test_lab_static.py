"What stays of a run's dashboard in a saved notebook: with and without a kernel, trusted or not, and as HTML"
import json
import subprocess
import sys

import pytest

from lab import cell, open_notebook, run_cell, save, set_theme, write_notebook

pytest.importorskip('playwright')
from playwright.sync_api import expect

CELLS = ['''
from chatgot.all import *
corpus = Corpus.load('python')
tok = CharTokenizer.train(corpus)
dls = TextDataLoaders.from_corpus(corpus, tok, seq_len=32, bs=8)
learn = lm_learner(dls, n_layer=1, n_embd=32, n_head=2)
print('before the dashboard')
run = await learn.fit_live(steps=80, name='kept', log_every=5, eval_every=40, sample_every=40, save_every=40)
''', "bad = lm_learner(dls, n_layer=1, n_embd=32, n_head=2, optimizer='adamw', clip=0.)\nbad.fit_live(steps=4000, name='bad', log_every=1, lr=90, warmup_steps=0)",
         'bad.show_run()']


def shows_static(c, text):
    "The static view and not the live one, nor a line in its place"
    expect(c.locator('.chatgot-static')).to_be_visible()
    expect(c.locator('.chatgot-static')).to_contain_text(text)
    expect(c.locator('.chatgot.dash')).to_have_count(0)
    c.locator('.chatgot-static summary').first.click()
    assert c.locator('.chatgot-static img').evaluate('i => i.naturalWidth') > 300
    for line in ('model not found', 'Loading widget', 'VBox', 'DashboardWidget', 'live view'):
        for hit in c.get_by_text(line).all(): expect(hit).to_be_hidden()


def test_saved_notebook(lab, page, tmp_path):
    write_notebook(lab.root/'kept.ipynb', CELLS)
    open_notebook(page, lab.url, 'kept.ipynb')
    c = run_cell(page, 0)
    expect(c.locator('.chatgot.dash .state')).to_have_text('finished')
    expect(c.locator('.chatgot-static')).to_be_hidden()
    run_cell(page, 1)
    bad = run_cell(page, 2)
    expect(bad.locator('.chatgot.dash .state')).to_have_text('failed')
    expect(bad.locator('.chatgot.dash')).to_contain_text('loss')
    c.locator('.dash').scroll_into_view_if_needed()
    c.screenshot(path=tmp_path/'live.png')
    nb = save(page, lab.root/'kept.ipynb')
    page.evaluate("window.jupyterapp.commands.execute('kernelmenu:shutdown')")
    nb.cells[0].source += '\n'
    (lab.root/'changed.ipynb').write_text(json.dumps(nb))  # other content than what was signed: not trusted
    for name in ('kept', 'changed'):
        page.goto(f'{lab.url}/doc/tree/{name}.ipynb?reset')
        expect(cell(page, 0).locator('.chatgot-static')).to_be_visible()
        for dark in (True, False):
            set_theme(page, dark)
            shows_static(cell(page, 0), 'kept: step 80')
            page.screenshot(path=tmp_path/f'{name}_{dark}.png')
        for i in (1, 2): shows_static(cell(page, i), 'The loss became')
    subprocess.run([sys.executable, '-m', 'nbconvert', '--to', 'html', lab.root/'kept.ipynb'], check=True, capture_output=True)
    page.goto((lab.root/'kept.html').as_uri())
    expect(page.locator('.chatgot-static').first).to_be_visible()
    page.screenshot(path=tmp_path/'nbconvert.png')
