"The x-ray in a real JupyterLab and a real Chromium"
import re

import pytest

from lab import cell, open_notebook, run_cell, save, set_theme, write_notebook

SMALL = ('data.corpus=python data.seq_len=96 model.n_layer=2 model.n_embd=64 model.n_head=4 model.n_kv_head=2 train.steps=60 train.batch_size=8 '
         'train.warmup_steps=10 train.lr=0.02 train.device=cpu train.eval_every=1000 train.sample_every=1000').split()
TEXT = 'The class statement defines a class object, <b>the class'
VIEWS = 'surprise attention lens heads ablation embeddings'.split()


@pytest.fixture(scope='module')
def notebook(lab):
    "A run where the notebook looks for it, and the notebook"
    from chatgot.core.presets import load_settings
    from chatgot.train.run import train
    train(load_settings('tiny_char', args=SMALL, env={}), 'manual', out=lab.root/'runs', trackers=[])
    write_notebook(lab.root/'xray.ipynb', [f"from chatgot.lab.xray import xray\nxray('manual', {TEXT!r})"])
    return lab.root/'xray.ipynb'


def take_screenshots(page, c, tmp_path, names, before=lambda name: None):
    "In both themes"
    for theme in ('dark', 'light'):
        set_theme(page, theme == 'dark')
        page.wait_for_timeout(300)
        for name in names:
            before(name)
            c.locator('.jp-Cell-outputArea').screenshot(path=tmp_path/f'{name}_{theme}.png')


def test_xray(lab, notebook, page, tmp_path):
    from playwright.sync_api import expect
    urls = []
    page.on('request', lambda r: urls.append(r.url))
    open_notebook(page, lab.url, 'xray.ipynb')
    c = run_cell(page, 0)
    box, tip, static = c.locator('.chatgot.xray'), page.locator('.chatgot-tip'), c.locator('.chatgot-static')
    tab = lambda name: box.get_by_role('tab', name=name, exact=True)
    tokens = box.locator('.tok')
    expect(tokens).to_have_count(len(TEXT) - 1)
    expect(static).to_be_hidden()
    assert box.locator('.text b').count() == 0 and TEXT in box.locator('.text').text_content()
    tokens.nth(5).hover()
    expect(tip).to_be_visible()
    assert tip.locator('.bar').count() >= 5
    page.screenshot(path=tmp_path/'surprise.png')

    tab('attention').click()
    expect(box.locator('button.thumb')).to_have_count(8)
    colors = lambda: tokens.evaluate_all('spans => spans.map(s => s.style.background)')
    tokens.nth(20).hover()
    expect(tip).to_contain_text(f'{TEXT[20]} attends to')
    page.screenshot(path=tmp_path/'attention.png')
    assert ['' == s for s in colors()] == [i > 20 for i in range(len(TEXT))]
    before = colors()
    box.get_by_role('button', name='layer 1, head 3').click()
    expect(box.locator('button.thumb.on')).to_have_attribute('aria-label', 'layer 1, head 3')
    tokens.nth(20).hover()
    expect(tip).to_be_visible()
    assert colors() != before
    box.locator('canvas.map').hover(position={'x': 20, 'y': 250})
    expect(tip).to_contain_text('back:')

    tab('lens').click()
    expect(box.locator('.lens tr')).to_have_count(5)
    assert [t or ' ' for t in box.locator('.lens tr').last.locator('td').all_text_contents()] == [ch.replace(' ', '␣') for ch in TEXT]
    box.locator('.lens tr').nth(1).locator('td').nth(10).hover()
    expect(tip).to_contain_text('Prediction after layer 2')
    page.screenshot(path=tmp_path/'lens.png')
    tab('heads').click()
    expect(box.locator('.heads tbody tr')).to_have_count(8)
    box.locator('.heads tbody tr').nth(2).click()
    expect(box.locator('.pairs tr').first).to_contain_text('→')
    box.locator('.heads thead th').filter(has_text='itself').click()
    shares = [float(t.removesuffix(' %')) for t in box.locator('.heads tbody td:nth-child(6)').all_text_contents()]
    assert shares == sorted(shares, reverse=True)
    tab('ablation').click()
    expect(box.locator('button.cell')).to_have_count(8)
    box.locator('button.cell').nth(0).click()
    box.locator('button.cell').nth(1).click()
    expect(box.locator('.combined')).to_have_text(re.compile(r'2 removed: loss \d\.\d+ → \d\.\d+ \([+−]\d'))
    tab('embeddings').click()
    box.locator('.plane text', has_text=re.compile('^a$')).hover()
    expect(tip).to_contain_text('most similar by cosine')
    page.screenshot(path=tmp_path/'embeddings.png')
    take_screenshots(page, c, tmp_path, VIEWS, lambda name: tab(name).click())

    box.locator('textarea').fill('Γ')
    box.get_by_role('button', name='Read').click()
    expect(box.locator('.error')).to_contain_text('U+0393')
    tab('surprise').click()
    box.locator('textarea').fill('An import statement')
    box.locator('textarea').press('Control+Enter')
    expect(tokens).to_have_count(len('An import statement') - 1)
    expect(box.locator('.error')).to_be_hidden()
    expect(c.locator('.chatgot-static')).to_contain_text('n import statement')
    assert not [u for u in urls if not u.startswith((lab.url, 'data:', 'blob:'))]

    outputs = save(page, notebook).cells[0].outputs
    assert 'n</span><span' in outputs[1].data['text/html'] and not [k for k in outputs[1].data if 'widget' in k]
    page.evaluate("window.jupyterapp.commands.execute('kernelmenu:shutdown')")
    expect(page.locator('#jp-main-statusbar')).to_contain_text('No Kernel')
    page.reload()
    c = cell(page, 0)
    expect(c.locator('.chatgot-static')).to_be_visible()
    expect(c.locator('.chatgot.xray')).to_have_count(0)
    expect(c.get_by_text('widget')).to_be_hidden()
    take_screenshots(page, c, tmp_path, ['static'])
    expect(c.locator('.chatgot-static summary')).to_have_count(5)
