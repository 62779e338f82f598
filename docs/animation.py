"""The dashboard on the front page: screenshots of a real run in a real JupyterLab.

    python docs/animation.py    # nbs/images/dashboard.webp, and dashboard.png for readers who want no motion
"""
import io
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import expect, sync_playwright

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT/'tests'))
from lab import CHROMIUM, FLAGS, jupyter_lab, open_notebook, run_cell, start_cell, write_notebook

CELLS = '''
from chatgot.all import *
corpus = Corpus.load('python')
tok = CharTokenizer.train(corpus)
dls = TextDataLoaders.from_corpus(corpus, tok, seq_len=64, bs=16)
learn = lm_learner(dls, n_layer=2, n_embd=64)
''', "learn.fit_live(steps=600, name='manual', eval_every=50, sample_every=50, log_every=5)"
FRAMES, HEIGHT, MAX_BYTES = 16, 780, 500_000


def screenshots():
    "Pictures of the dashboard, from the first curve to the end of the run"
    with tempfile.TemporaryDirectory() as tmp, jupyter_lab(Path(tmp)) as lab, sync_playwright() as pw:
        browser = pw.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport=dict(width=1080, height=1200))
        write_notebook(lab.root/'run.ipynb', CELLS)
        open_notebook(page, lab.url, 'run.ipynb')
        run_cell(page, 0)
        dash = start_cell(page, 1).locator('.dash').first
        state = dash.locator('.state')
        expect(state).to_have_text('running', timeout=60_000)
        while state.is_visible():
            ended = state.inner_text() != 'running'  # before the picture: the last one shows the end
            yield Image.open(io.BytesIO(page.screenshot(clip=dash.bounding_box() | {'height': HEIGHT}))).convert('RGB')
            if ended: break
            page.wait_for_timeout(300)
        browser.close()


def save(pictures, folder):
    "The animation, as good as fits into `MAX_BYTES`, and a still"
    frames = [pictures[round(i * (len(pictures) - 1) / (FRAMES - 1))] for i in range(FRAMES)]
    frames[FRAMES * 2 // 3].quantize(128).save(folder/'dashboard.png', optimize=True)
    for quality in range(80, 0, -10):
        frames[0].save(folder/'dashboard.webp', save_all=True, append_images=frames[1:], loop=0, quality=quality, method=6,
                       duration=[600] * (FRAMES - 1) + [4000])
        if (folder/'dashboard.webp').stat().st_size < MAX_BYTES: return quality


if __name__ == '__main__':
    pictures = [*screenshots()]
    quality = save(pictures, ROOT/'nbs'/'images')
    print(f'{FRAMES} of {len(pictures)} pictures, quality {quality}')
