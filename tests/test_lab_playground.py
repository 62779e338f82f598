"Playground and chat in a real JupyterLab and a real Chromium, and the chat in a terminal"
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lab import cell, open_notebook, run_cell, save, set_theme, write_notebook

CHATGOT = Path(sys.executable).with_name('chatgot')
SMALL = ('data.seq_len=64 model.n_layer=1 model.n_embd=32 model.n_head=2 train.batch_size=8 train.warmup_steps=5 train.lr=0.02 train.device=cpu '
         'train.eval_every=1000 train.sample_every=1000').split()
LINES = {'FOX': ['Good morrow, cousin.', 'Is the henhouse open?', 'I only came to count the eggs.'],
         'HEN': ['Go away, red one.', 'We have a dog now.', 'The eggs are counted <b>already</b>.']}


def make_run(out, name, corpus, *settings):
    from chatgot.core.presets import load_settings
    from chatgot.train.run import train
    return train(load_settings('tiny_char', args=[*SMALL, f'data.corpus={corpus}', *settings], env={}), name, out=out, trackers=[])


def make_play(path):
    "A play of two speakers"
    rng = random.Random(0)
    def turn(name): return f'{name}:\n' + '\n'.join(rng.sample(LINES[name], 2)) + '\n'
    path.write_text('\n'.join(turn(n) for n in ['FOX', 'HEN']*200))
    return path


@pytest.fixture(scope='module')
def run_folder(lab):
    "Two runs where the notebooks look for them"
    make_run(lab.root/'runs', 'manual', 'python', 'train.steps=30')
    make_run(lab.root/'runs', 'henhouse', make_play(lab.root/'henhouse.txt'), 'train.steps=150', 'data.seq_len=128', 'model.n_layer=2', 'model.n_embd=64')


def take_screenshots(page, c, tmp_path, name):
    "In both themes"
    for dark in (True, False):
        set_theme(page, dark)
        page.wait_for_timeout(300)
        c.locator('.jp-Cell-outputArea').screenshot(path=tmp_path/f'{name}_{"dark" if dark else "light"}.png')


def value(box, label, v): box.get_by_label(label, exact=True).fill(str(v))


def test_playground(lab, run_folder, page, tmp_path):
    from playwright.sync_api import expect
    write_notebook(lab.root/'play.ipynb', ["from chatgot.lab.playground import playground\nplay = playground('manual', prompt='The ')\nplay",
                                           "print('still responsive', 6*7)", "play"])
    open_notebook(page, lab.url, 'play.ipynb')
    c = run_cell(page, 0)
    box = c.locator('.chatgot')
    generate, stop = (box.get_by_role('button', name=n, exact=True) for n in ('Generate', 'Stop'))
    status, tokens = box.locator('.status'), box.locator('.tok')
    expect(generate).to_be_enabled()
    expect(stop).to_be_disabled()

    value(box, 'length', 300)
    value(box, 'seed', 5)
    box.locator('select').select_option('3')
    t = time.perf_counter()
    generate.click()
    expect(tokens.first).to_be_attached()
    print(f'\nfirst token shown {1000*(time.perf_counter() - t):.0f} ms after the click')
    expect(generate).to_be_enabled()
    assert re.match(r'900 tokens in', status.text_content()), status.text_content()
    assert [h.split(' ')[1][:1] for h in box.locator('.head a').all_text_contents()] == ['5', '6', '7']
    assert tokens.count() == 900
    shades = {s for s in tokens.evaluate_all('spans => spans.map(s => s.style.background)')}
    assert len(shades) > 50, shades

    tokens.nth(3).hover()
    tip = page.locator('.chatgot-tip')
    expect(tip).to_be_visible()
    assert tip.locator('.bar').count() >= 5
    alternatives = [float(x.removesuffix(' %')) for x in tip.locator('.number').all_text_contents()[:5]]
    assert alternatives == sorted(alternatives, reverse=True) and 0 < alternatives[0] <= 100
    page.screenshot(path=tmp_path/'hover.png')
    take_screenshots(page, c, tmp_path, 'playground')

    value(box, 'length', 1_000_000)
    generate.click()
    expect(status).to_have_text(re.compile(r'\d{3,} tokens, \d+ per second'))
    assert '42' in run_cell(page, 1).locator('.jp-OutputArea-output').text_content()
    t = time.perf_counter()
    stop.click()
    expect(status).to_have_text(re.compile('stopped'))
    print(f'stop click to stopped {1000*(time.perf_counter() - t):.0f} ms')
    n_tokens = tokens.count()
    page.wait_for_timeout(300)
    assert tokens.count() == n_tokens > 100

    box.locator('textarea').fill('Γ')
    box.locator('textarea').press('Control+Enter')
    expect(box.locator('.error')).to_contain_text('U+0393')
    value(box, 'length', 200)
    box.locator('textarea').fill('The <b>')
    generate.click()
    expect(status).to_have_text(re.compile('600 tokens in'))
    expect(box.locator('.error')).to_be_hidden()
    assert box.locator('.column b').count() == 0 and box.locator('.column').first.text_content().count('The <b>') == 1

    again = run_cell(page, 2).locator('.chatgot')  # another view of the same widget gets all there is
    expect(again.locator('.tok')).to_have_count(600)
    box.get_by_role('button', name='Keep').click()
    expect(cell(page, 2).locator('.chatgot')).to_have_count(0)
    kept = save(page, lab.root/'play.ipynb').cells[2].outputs[0].data
    assert 'The &lt;b&gt;' in kept['text/html'] and kept['text/html'].count('<span style="background:#') > 600
    assert not [k for k in kept if 'widget' in k]
    cell(page, 2).locator('.jp-Cell-outputArea').screenshot(path=tmp_path/'kept.png')


def test_playground_after_reload(lab, run_folder, page):
    from playwright.sync_api import expect
    write_notebook(lab.root/'reload.ipynb', ["from chatgot.lab.playground import playground\nplay = playground('manual', tokens=10**6)\nplay", 'play.stop()'])
    open_notebook(page, lab.url, 'reload.ipynb')
    run_cell(page, 0).get_by_role('button', name='Generate').click()
    expect(page.locator('.chatgot .tok').first).to_be_attached()
    save(page, lab.root/'reload.ipynb')
    page.reload()
    status = page.locator('.chatgot .status')
    expect(status).to_have_text(re.compile(r'\d{2,} tokens, \d+ per second'))
    run_cell(page, 1)
    expect(status).to_have_text(re.compile('stopped'))


def test_chat(lab, run_folder, page, tmp_path):
    from playwright.sync_api import expect
    write_notebook(lab.root/'chat.ipynb', ["from chatgot.lab.chat import chat\nbox = chat('henhouse', as_='HEN', temperature=0.5, seed=3)\nbox"])
    open_notebook(page, lab.url, 'chat.ipynb')
    c = run_cell(page, 0)
    box = c.locator('.chatgot')
    message, bubbles = box.locator('textarea'), box.locator('.bubble')
    expect(box.locator('.conversation')).to_have_attribute('data-hint', re.compile('You are FOX'))
    for i, text in enumerate(['Good morrow, cousin.', 'Is the henhouse open?']):
        message.fill(text)
        message.press('Enter')
        expect(bubbles).to_have_count(2*i + 2)
        expect(box.get_by_role('button', name='Send')).to_be_enabled()
    turns = [(b.locator('b').text_content(), b.locator('span').text_content()) for b in bubbles.all()]
    assert [name for name, _ in turns] == ['FOX', 'HEN']*2 and turns[2][1] == 'Is the henhouse open?' and turns[3][1]
    assert 'FOX:' not in turns[1][1] + turns[3][1]
    take_screenshots(page, c, tmp_path, 'chat')
    message.fill('Olé!')
    message.press('Enter')
    expect(box.locator('.error')).to_contain_text('LATIN SMALL LETTER E WITH ACUTE')
    expect(bubbles).to_have_count(4)
    expect(message).to_have_value('Olé!')
    message.fill('Go away, red one.')
    box.locator('select').select_option('FOX')
    expect(box.locator('.conversation')).to_have_attribute('data-hint', re.compile('You are HEN'))
    expect(box.locator('.me')).to_have_text('HEN')
    expect(box.get_by_placeholder('Your message as HEN')).to_be_visible()
    box.get_by_role('button', name='Send').click()
    expect(bubbles).to_have_count(6)
    expect(box.get_by_role('button', name='Keep')).to_be_enabled()
    box.get_by_role('button', name='Keep').click()
    expect(c.locator('.chatgot')).to_have_count(0)
    assert 'Go away, red one.' in save(page, lab.root/'chat.ipynb').cells[0].outputs[0].data['text/html']


def test_interrupt_in_the_terminal_ends_only_the_answer(tmp_path):
    "A model that never ends its turn talks until Ctrl-C, and then answers the next line"
    (tmp_path/'play.txt').write_text('A:\na!\n\nB:\nb!\n\n'*4 + 'abAB:\n'*3000)
    make_run(tmp_path/'runs', 'endless', tmp_path/'play.txt', 'train.steps=15', 'train.distill_weight=0', 'data.seq_len=1024', 'train.batch_size=1', 'model.n_layer=6')
    p = subprocess.Popen([CHATGOT, 'chat', 'endless', '--as', 'A', '--tokens', '100000', '--temperature', '0'], cwd=tmp_path, text=True, bufsize=1,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | {'OMP_NUM_THREADS': '1'},
                         preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # a shell's background jobs ignore it
    timeout = threading.Timer(120, p.kill)  # or an answer that ends by itself would be waited for for ever
    timeout.daemon = True
    timeout.start()
    received = ''
    for n in (1, 2):
        p.stdin.write('ab\n')
        while not re.search(f'(A: [^ ]{{5}}.*){{{n}}}', received, re.S):
            received += p.stdout.read(1)
            assert p.poll() is None, p.communicate()
        p.send_signal(signal.SIGINT)
    out, err = p.communicate('', timeout=60)
    assert p.returncode == 0 and 'Traceback' not in err, err
    assert (received + out).count('…') == 2, received + out
