"""A newcomer's hour in a real JupyterLab, with a picture of every stage: python tests/newcomer.py PICTURES

Opens `chatgot lab` in an empty folder and does what a newcomer does: the quick start, steering, mistakes, the same run in
another browser, the served model; in the light and the dark theme, on a wide page and on a phone. Look at every picture.
"""
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from lab import CHROMIUM, FLAGS, cell, open_notebook, run_cell, save, set_theme, start_cell, write_notebook

WIDE, PHONE = dict(width=1200, height=1000), dict(width=420, height=900)
START = '''
from chatgot.all import *
corpus = Corpus.load('python')
tok = CharTokenizer.train(corpus)
dls = TextDataLoaders.from_corpus(corpus, tok, seq_len=64, bs=16)
learn = lm_learner(dls, n_layer=2, n_embd=64)
'''
MISTAKES = [START, "live = learn.fit_live(steps=3000, name='mine', eval_every=100, sample_every=100)",
            "live = learn.fit_live(steps=3000, name='mine')", 'await live',
            "runs()", 'runs()[-1]', 'corpus', 'learn', 'learn.settings', 'dls.show_batch()',
            "bad = lm_learner(dls, n_layer=2, n_embd=64, lr=50., warmup_steps=0, clip=0, optimizer='adamw', log_every=1, save_every=5)\n"
            "hot = bad.fit_live(steps=400, name='hot')", "playground(learn)", "chat(learn)"]


class Tour:
    "A folder of numbered pictures"
    def __init__(self, folder: Path, page: Page): self.folder, self.page, self.n, self.start = folder, page, 0, time.time()

    def picture(self, name, where=None):
        "Both themes, wide and narrow"
        self.n += 1
        for dark in (False, True):
            set_theme(self.page, dark)
            for size in (WIDE, PHONE):
                self.page.set_viewport_size(size)
                self.page.wait_for_timeout(400)
                path = self.folder/f'{self.n:02}-{name}-{"dark" if dark else "light"}-{size["width"]}.png'
                (where or self.page).screenshot(path=path)
        self.page.set_viewport_size(WIDE)
        set_theme(self.page, False)
        print(f'{time.time() - self.start:6.1f} s  {name}', flush=True)


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


@contextmanager
def command(*args, folder):
    "A `chatgot` command while it serves; its address"
    port = free_port()
    with open(folder/'log.txt', 'w') as log:
        p = subprocess.Popen([sys.executable, '-m', 'chatgot', *map(str, args), *(['serve.port=' + str(port)] if args[0] == 'serve' else ['--port', str(port)])],
                             cwd=folder, stdout=log, stderr=subprocess.STDOUT)
    url = f'http://127.0.0.1:{port}'
    try:
        while not re.search(r'http://127', (folder/'log.txt').read_text()) and p.poll() is None: time.sleep(.2)
        yield url
    finally:
        p.send_signal(signal.SIGTERM)
        try: p.wait(20)
        except subprocess.TimeoutExpired: p.kill()


def dash(page, i): return cell(page, i).locator('.dash')


def quickstart(tour, url):
    "The quick start as it ships: watch, steer, and what is offered at the end"
    page = tour.page
    open_notebook(page, url, 'chatgot-tutorials/01_quickstart.ipynb')
    tour.picture('quickstart')
    for i in (0, 1, 2): run_cell(page, i, 120)
    start_cell(page, 3)
    d = dash(page, 3)
    expect(d.locator('.state')).to_have_text('running', timeout=60_000)
    page.wait_for_timeout(8000)
    tour.picture('training', d)
    d.get_by_role('button', name='Pause').click()
    expect(d.locator('.state')).to_have_text('paused')
    factor = d.locator('input.factor')
    factor.fill('0.5'); factor.press('Enter')
    prompt = d.locator('input.prompt')
    prompt.fill('The list'); prompt.press('Enter')
    page.wait_for_timeout(2500)
    tour.picture('paused', d)
    d.get_by_role('button', name='Resume').click()
    box = d.locator('canvas').first.bounding_box()
    page.mouse.move(box['x'] + box['width']*.4, box['y'] + 80); page.mouse.down()
    page.mouse.move(box['x'] + box['width']*.8, box['y'] + 100, steps=5); page.mouse.up()
    page.mouse.move(box['x'] + box['width']*.5, box['y'] + 80)
    page.wait_for_timeout(1000)
    d.screenshot(path=tour.folder/'zoomed.png')
    for name in ('Panels', 'Inside', 'Settings', 'Notes', 'Log', 'Samples'):
        d.get_by_role('tab', name=re.compile(name)).click()
        page.wait_for_timeout(700)
        tour.picture(f'tab-{name.lower()}', d)
    expect(d.locator('.state')).to_have_text('finished', timeout=180_000)
    tour.picture('finished', d)
    for i in range(4, page.locator('.jp-CodeCell').count()): run_cell(page, i, 120)
    tour.picture('quickstart-end')


def mistakes(tour, url, root):
    "Run the cell again, close the tab, go on after divergence; tables and cards"
    page = tour.page
    write_notebook(root/'mine.ipynb', MISTAKES)
    open_notebook(page, url, 'mine.ipynb')
    run_cell(page, 0); run_cell(page, 1)
    expect(dash(page, 1).locator('.state')).to_have_text('running', timeout=60_000)
    run_cell(page, 2)
    expect(cell(page, 2).locator('.jp-OutputArea')).to_contain_text("is training as 'mine'")
    tour.picture('run-again', cell(page, 2))
    cell(page, 2).get_by_text('Show dashboard').click()
    expect(dash(page, 2)).to_be_visible()
    dash(page, 1).get_by_role('button', name='Stop').click()
    run_cell(page, 3)
    tour.picture('stopped', dash(page, 1))
    for i, name in zip(range(4, 10), ('runs', 'run', 'corpus', 'learn', 'settings', 'batch')):
        run_cell(page, i)
        tour.picture(f'card-{name}', cell(page, i))
    run_cell(page, 10)
    d = dash(page, 10)
    expect(d.locator('.state')).to_have_text('failed', timeout=60_000)
    page.wait_for_timeout(1500)
    tour.picture('diverged', d)
    d.get_by_role('button', name=re.compile('half the rate')).click()
    expect(d.locator('.state')).not_to_have_text('failed', timeout=30_000)
    page.wait_for_timeout(3000)
    tour.picture('went-on', d)
    for i in (11, 12): run_cell(page, i)
    tour.picture('playground', cell(page, 11))
    tour.picture('chat', cell(page, 12))
    save(page, root/'mine.ipynb')
    page.evaluate("window.jupyterapp.commands.execute('kernelmenu:shutdown')")
    page.goto(f'{url}/doc/tree/mine.ipynb?reset')
    page.wait_for_timeout(5000)
    tour.picture('without-kernel')
    cell(page, 1).scroll_into_view_if_needed()
    tour.picture('without-kernel-run', cell(page, 1).locator('.jp-OutputArea'))


def elsewhere(tour, browser, root, name):
    "`chatgot watch` on a phone, and the served model"
    for what, args, paths in (('watch', ('watch',), ('', f'/#{name}')), ('serve', ('serve', f'runs/{name}'), ('',))):
        with command(*args, folder=root) as url:
            for dark in ('light', 'dark'):
                for size in (WIDE, PHONE):
                    page = browser.new_context(viewport=size, color_scheme=dark).new_page()
                    for k, path in enumerate(paths):
                        page.goto(url + path)
                        page.wait_for_timeout(2500)
                        page.screenshot(path=tour.folder/f'{what}{k}-{dark}-{size["width"]}.png', full_page=True)
        print(f'{time.time() - tour.start:6.1f} s  {what}', flush=True)


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    root = Path(tempfile.mkdtemp())
    expect.set_options(timeout=30_000)
    with sync_playwright() as pw, command('lab', '--no-browser', '--ip=127.0.0.1', '--IdentityProvider.token=', '--LabApp.expose_app_in_browser=True',
                                          folder=root) as url:
        browser = pw.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        tour = Tour(folder, browser.new_context(viewport=WIDE).new_page())
        tour.page.on('pageerror', lambda e: print('PAGE ERROR', e))
        quickstart(tour, url)
        mistakes(tour, url, root)
        elsewhere(tour, browser, root, 'mine')
        browser.close()


if __name__ == '__main__': main(Path(sys.argv[1]))
