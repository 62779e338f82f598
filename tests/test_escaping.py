"""What people see, in a real browser, made from names and texts that try to run a script there

`Watch` looks for scripts that ran, dialogs, requests to elsewhere, and elements or links that such a text became."""
import re
import time

import pytest

from lab import open_notebook, run_cell, write_notebook
from program import cli, fork

pytest.importorskip('playwright')
from playwright.sync_api import expect

RUN = 'hacked=1,alert(1)'
MARKUP = f'"><img src=//elsewhere.invalid onerror={RUN}></pre></style></script><script>{RUN}</script> [a](javascript:{RUN}) ![b](//elsewhere.invalid) ```'
# a run's and a speaker's name, which hold no slash and no colon
NAME, SPEAKER = f'x"><img src=elsewhere onerror={RUN}> $\\frac$ [a](elsewhere) \'', f'X"><img src=elsewhere onerror={RUN}>'[:40]
TEXT = ''.join(f'{speaker}:\n{MARKUP} {i}\n\n' for i in range(20) for speaker in (SPEAKER, 'Y</pre><b>'))
SMALL = ('data.seq_len=64 data.tokenizer=char model.n_layer=1 model.n_embd=32 model.n_head=2 train.batch_size=4 train.steps=40 train.lr=0.02 '
         'train.warmup_steps=4 train.eval_every=20 train.sample_every=20 train.device=cpu sample.tokens=30').split()
FOUND = """() => [...document.querySelectorAll('[onerror*=hacked], [src*=elsewhere], [href^=javascript], [href*="//elsewhere"], [href$=elsewhere], script')]
    .filter(e => e.tagName != 'SCRIPT' || e.text.includes('hacked')).map(e => e.outerHTML.slice(0, 300)).concat(window.hacked ? ['a script ran'] : [])"""


class Watch:
    "What a page does that it shouldn't"
    def __init__(self, page):
        self.page, self.seen = page, []
        page.on('dialog', lambda d: (self.seen.append(f'dialog {d.message}'), d.dismiss()))
        page.on('request', lambda r: self.seen.append(r.url) if 'elsewhere' in r.url and not r.is_navigation_request() else None)

    def found(self):
        "All of it"
        self.page.wait_for_timeout(300)  # for what was asked for to happen
        return self.seen + [x for frame in self.page.frames for x in frame.evaluate(FOUND)]


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    "A run with a hostile name, text, speakers, file name, prompt and samples, evaluated and compared"
    from chatgot.core.presets import load_settings
    from chatgot.evaluate.compare import compare
    from chatgot.train.run import train
    folder = tmp_path_factory.mktemp('hostile')
    (text := folder/f'{NAME}.txt').write_text(TEXT)
    s = load_settings('tiny_char', args=[*SMALL, f'data.corpus={text}', f'sample.prompt={MARKUP[:30]}'], env={})
    runs = [train(s, name, out=folder/'runs', trackers=[]) for name in (NAME, f'{NAME} 2')]
    compare(runs).save(folder)
    return runs[0]


def test_the_watch_sees_an_attack(page):
    "Else the other tests could not fail"
    watch = Watch(page)
    page.set_content(f'<p title="{MARKUP}">')
    found = watch.found()
    for sign in ('dialog 1', 'elsewhere.invalid', '<img', '<script>', 'a script ran'): assert any(sign in f for f in found), (sign, found)


def test_reports(run, page):
    watch = Watch(page)
    for path in (run.folder/'evaluation.html', run.folder.parents[1]/'comparison.html'):
        page.goto(path.as_uri())
        expect(page.locator('body')).to_contain_text(NAME)
        expect(page.locator('main')).to_contain_text(MARKUP[:30])
        assert watch.found() == []


CELLS = ["""
from pathlib import Path
from IPython.display import HTML, Markdown, display
from chatgot.all import *
from chatgot.evaluate.compare import compare, load_or_evaluate
from chatgot.export.card import model_card
folder, name, markup = Path({folder!r}), {name!r}, {markup!r}
run = Run.open(folder/'runs'/name)
""", "play = playground(run, prompt=markup[:30], tokens=60, seed=1)\nplay.generate(n=2)\nplay", "HTML(play.html())",
         "talk = chat(run, as_={speaker!r})\ntalk.say(markup)\ntalk", "HTML(talk.html())", "view = xray(run, markup[:60])\nview", "HTML(view.html())",
         "load_or_evaluate(run)", "compare([run, folder/'runs'/f'{{name}} 2'], seeds=[0], tokens=20)", "display(static_view(run, note=markup), raw=True)", "Dashboard(run)",
         "run.settings.data.corpus\nCorpus.load(run.settings.data.corpus).report().plot()", "Markdown(model_card(run, run.model(), 'hf', licence=markup))"]


def test_widgets_in_a_notebook(lab, run, page):
    cells = [c.format(folder=str(run.folder.parents[1]), name=NAME, markup=MARKUP, speaker=SPEAKER) for c in CELLS]
    cells[0] += 'from chatgot.lab.history import static_view\nfrom chatgot.lab.dashboard import Dashboard\n'
    write_notebook(lab.root/'hostile.ipynb', cells)
    watch = Watch(page)
    open_notebook(page, lab.url, 'hostile.ipynb')
    for i in range(len(cells)):
        c = run_cell(page, i)
        expect(c.locator('.jp-RenderedText[data-mime-type*=stderr]')).to_have_count(0)
        if i: expect(c.locator('.jp-OutputArea-output').first).to_be_visible()
    box = page.locator('.chatgot.xray')
    for tab in ('lens', 'heads', 'embeddings', 'attention'):
        box.get_by_role('tab', name=tab, exact=True).click()
        page.wait_for_timeout(300)
    expect(page.locator('.chatgot.dash')).to_contain_text('<img src')
    expect(page.locator('.jp-RenderedMarkdown').last).to_contain_text('<script>')
    assert watch.found() == []


@pytest.fixture
def server(tmp_path):
    "A function that starts a command of `chatgot` which serves a page, and returns its address"
    started = []
    def start(*args):
        started.append(p := fork(cli, tmp_path, [*args, '--port', '0'], {}))
        end = time.time() + 60
        while not (url := re.search(r'http://\S+', (tmp_path/'err').read_text() if (tmp_path/'err').exists() else '')):
            assert p.is_alive() and time.time() < end, (tmp_path/'err').read_text()
            time.sleep(.05)
        return url[0]
    yield start
    for p in started:
        p.kill()
        p.join()


def test_server_page(run, page, server):
    watch = Watch(page)
    page.goto(server('serve', str(run.folder)))
    expect(page.locator('#model')).to_contain_text(NAME)
    expect(page.locator('#character')).to_contain_text(SPEAKER)
    page.get_by_label('Your message').fill(MARKUP)
    page.keyboard.press('Enter')
    expect(page.locator('#turns')).to_contain_text(MARKUP)
    page.get_by_role('tab', name='Write').click()
    page.get_by_label('Prompt').fill(MARKUP)
    page.get_by_role('button', name='Write', exact=True).click()
    expect(page.locator('#status')).to_contain_text('per second')
    expect(page.locator('#write .stop')).to_be_disabled()
    expect(page.locator('#text')).to_contain_text(MARKUP)
    page.reload()
    expect(page.locator('#kept li')).to_contain_text(MARKUP[:50])
    page.locator('#kept li button').first.click()
    expect(page.locator('#text')).to_contain_text(MARKUP)
    assert watch.found() == []


def test_watch_page(run, page, server):
    watch = Watch(page)
    page.goto(server('watch', '--out', str(run.folder.parent)))
    expect(page.locator('#list tbody tr')).to_have_count(2)
    expect(page.locator('#list .state').first).to_have_text('finished')
    page.get_by_role('link', name=NAME, exact=True).click()
    expect(page.locator('.dash .name')).to_have_text(NAME)
    for tab in page.get_by_role('tab').all():
        tab.click()
        page.wait_for_timeout(50)
    page.get_by_role('button', name='Go on …').click()
    expect(page.locator('.command').first).to_contain_text('onerror=')
    assert watch.found() == []
