"The documentation site, built as CONTRIBUTING says, in a real Chromium: on a desk and on a phone, in the light and in the dark"
import configparser
import json
import re
import subprocess
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).parents[1]
DESK, PHONE = dict(width=1200, height=1000), dict(width=390, height=800)
PAGES = ('index start tutorials/index tutorials/gallery tutorials/quickstart chapters text/corpus evaluate/baselines lab/dashboard lab/xray bench/serve '
         'cli/training reference reference/settings contributing changelog').split()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args): pass


@pytest.fixture(scope='session')
def site():
    "The site, built and served: `site.url`, and the folder it lies in, `site.root`"
    pytest.importorskip('sphinx', reason="the site needs pip install 'chatgot[docs]'")
    p = subprocess.run([sys.executable, 'docs/nbsite.py'], cwd=ROOT, capture_output=True, text=True)
    assert p.returncode == 0, p.stdout + p.stderr
    assert 'WARNING' not in p.stdout + p.stderr
    server = ThreadingHTTPServer(('127.0.0.1', 0), partial(Quiet, directory=ROOT/'_docs'))
    Thread(target=server.serve_forever, daemon=True).start()
    yield SimpleNamespace(url=f'http://127.0.0.1:{server.server_port}', root=ROOT/'_docs')
    server.shutdown()


@pytest.fixture
def visit(site, page):
    "Open a page of the site; in the end the console is silent, nothing failed, and no other host was contacted"
    wrong = []
    page.on('console', lambda m: m.type in ('error', 'warning') and wrong.append(m.text))
    page.on('pageerror', lambda e: wrong.append(str(e)))
    page.on('request', lambda r: r.url.startswith((site.url, 'data:', 'blob:')) or wrong.append(r.url))
    page.on('response', lambda r: r.status >= 400 and wrong.append(f'{r.status} {r.url}'))

    def go(name, size=DESK):
        page.set_viewport_size(size)
        page.goto(f'{site.url}/{name}.html')
        return page
    yield go
    assert not wrong


def test_every_name_of_the_index_has_its_place(site):
    "nbdev's links, which other projects' pages and README.md use too, lead to an anchor"
    from chatgot._modidx import d
    pages = {}
    for url, _ in (place for names in d['syms'].values() for place in names.values()):
        page, anchor = url.split('#')
        if page not in pages: pages[page] = set(re.findall(r'\bid="([^"]+)"', (site.root/page).read_text(encoding='utf-8')))
        assert anchor in pages[page], url


def test_readme_leads_to_pages(site):
    links = re.findall(r'https://chatgot\.github\.io/chatgot/([\w/.]*)', (ROOT/'README.md').read_text(encoding='utf-8'))
    assert len(links) > 20
    for link in links: assert (site.root/link).is_file(), link


def test_every_notebook_has_a_page_in_the_contents(site):
    shown = ''.join((site.root/f'{p}.html').read_text(encoding='utf-8') for p in ('chapters', 'tutorials/index', 'bench/index', 'reference'))
    notebooks = [p for p in (ROOT/'nbs').rglob('*.ipynb') if not p.name.startswith(('_', 'index')) and '.ipynb_checkpoints' not in p.parts]
    for p in notebooks: assert re.search(rf'href="[^"]*{re.sub("^[0-9]+_", "", p.stem)}\.html"', shown), p


def test_start_page_names_every_extra():
    ini = configparser.ConfigParser(delimiters='=')
    ini.read(ROOT/'settings.ini', encoding='utf-8')
    text = (ROOT/'docs/start.md').read_text(encoding='utf-8')
    for extra in (k.removesuffix('_requirements') for k in ini['DEFAULT'] if k.endswith('_requirements')):
        assert f'`{extra}`' in text, extra


def test_front_page(visit, site):
    from playwright.sync_api import expect
    page = visit('index')
    sections = page.locator('.bd-header .navbar-nav .nav-link').all_inner_texts()
    assert [s.strip() for s in sections if s.strip()] == ['Start', 'Tutorials', 'How it works', 'Benchmarks', 'Reference', 'Contributing']
    dashboard = page.get_by_alt_text('The dashboard in JupyterLab')
    expect(dashboard).to_be_in_viewport()
    assert dashboard.evaluate('i => i.decode().then(() => i.naturalWidth)') > 600
    assert dashboard.evaluate('i => i.currentSrc').endswith('.webp') and (site.root/'images'/'dashboard.webp').stat().st_size < 500_000
    page.emulate_media(reduced_motion='reduce')
    page.wait_for_function("document.querySelector('picture img').currentSrc.endsWith('.png')")
    expect(page.locator('div.cell_input')).to_contain_text('learn.fit_live(steps=')
    edit = page.get_by_role('link', name='Edit on GitHub').first
    assert edit.get_attribute('href').endswith('/edit/main/nbs/index.ipynb')


def test_tutorials_have_cards_that_lead_to_them(visit):
    page = visit('tutorials/index')
    cards, tutorials = page.locator('.cards li'), sorted((ROOT/'nbs'/'tutorials').glob('*.ipynb'))
    assert [a.get_attribute('href') for a in cards.locator('a').all()] == [p.stem[3:] + '.html' for p in tutorials]
    for card in cards.all():
        assert card.locator('.preview').inner_text().strip() or card.locator('.preview img').evaluate('i => i.naturalWidth') > 200
    cards.nth(1).locator('p').click(force=True)  # the whole card is the link
    page.wait_for_url('**/steer.html')


def test_gallery_shows_what_the_tutorials_made(visit):
    page = visit('tutorials/gallery')
    shown = page.locator('section section')
    assert shown.count() > 8
    for section in shown.all():
        assert section.locator('.cell_output').count() and not section.locator('.cell_input').count(), section.inner_text()
    assert 'HEN' in shown.filter(has_text='A hen who answers a fox').locator('.cell_output').inner_text()


def test_notebooks_open_elsewhere(visit, site):
    "The links name notebooks of the repository, where the environment's files and a cell that installs await them"
    postbuild = (ROOT/'.binder'/'postBuild').read_text()
    extras = re.search(r"'\.\[([\w,]+)\]'", postbuild)[1].split(',')
    for p in (ROOT/'nbs'/'tutorials').glob('*.ipynb'):
        html = (site.root/'tutorials'/f'{p.stem[3:]}.html').read_text(encoding='utf-8')
        for where in 'colab.research.google.com/github/chatgot/chatgot/blob/main', 'mybinder.org/v2/gh/chatgot/chatgot/main?urlpath=lab/tree':
            assert f'https://{where}/nbs/tutorials/{p.name}"' in html
        first = next(c for c in json.loads(p.read_text(encoding='utf-8'))['cells'] if c['cell_type'] == 'code')
        assert 'pip install' in ''.join(first['source']) and 'pip install -q' not in html
        assert {*re.findall(r'\w+', (re.search(r'chatgot\[(.*?)\]', ''.join(first['source'])) or ['', ''])[1])} <= {*extras}


def test_search_finds_a_function(visit):
    from playwright.sync_api import expect
    page = visit('index')
    page.keyboard.press('Control+k')
    page.keyboard.type('lm_learner')
    page.keyboard.press('Enter')
    found = page.locator('#search-results li a', has_text='chatgot.train.learner.lm_learner')
    expect(found).to_be_visible()
    found.click()
    expect(page).to_have_url(re.compile(r'/train/learner\.html.*#lm_learner$'))
    expect(page.get_by_role('heading', name='lm_learner')).to_be_in_viewport()


@pytest.mark.parametrize('query, first', [
    ('learning rate', '(Callbacks|Optimizers and schedules) > Learning-rate schedule'), ('rate', 'Security > Rate limiting'),
    ('tokenizer', 'Tokenizers'), ('top-p', 'Logit filters > Top-p'), ('resume', 'Train, resume, pipeline > Resume'),
    ('checkpoint', 'Checkpoints'), ('loss', 'Best loss'), ('show_batch', r'chatgot\.text\.batches\.TextDataLoaders\.show_batch')])
def test_search_ranks_titles_and_whole_words(visit, site, query, first):
    page = visit('index')
    page.goto(f'{site.url}/search.html?q={query}')
    found = page.locator('#search-results ul.search > li > a')
    found.nth(1).wait_for()
    assert re.fullmatch(first, found.first.inner_text())
    where = [a.get_attribute('href').split('?')[0] + urlsplit(a.get_attribute('href')).fragment for a in found.all()]
    assert len(where) == len({*where})  # one place, one result


def test_chapter_shows_formulas_plots_and_source(visit):
    from playwright.sync_api import expect
    page = visit('evaluate/baselines')
    formula = page.locator('math[display=block]')
    assert formula.locator('mfrac').count() == 2
    assert formula.bounding_box()['height'] > 20
    plot = page.locator('div.cell_output img').first
    plot.scroll_into_view_if_needed()
    assert plot.evaluate('i => i.decode().then(() => i.naturalWidth)') > 200
    source = page.locator('details.hide', has_text='class KneserNey')
    expect(source.locator('.highlight')).to_be_hidden()
    source.locator('summary').click()
    expect(source.locator('.highlight')).to_be_visible()


def test_tables_that_a_cell_displayed(site):
    html = (site.root/'reference'/'settings.html').read_text(encoding='utf-8')
    for section in 'model data train sample track serve'.split():
        assert re.search(rf'<section id="{section}">.*?<table.*?</table>', html, re.S), section


@pytest.mark.parametrize('name, what', [('lab/live', 'tokens/s'), ('lab/xray', 'tokens'), ('tutorials/quickstart', 'tokens/s')])
def test_widgets_leave_something_to_see(visit, name, what):
    from playwright.sync_api import expect
    page = visit(name)
    expect(page.locator('div.cell_output .text_html', has_text=what).first).to_be_visible()
    assert page.get_by_text('Error displaying widget').count() == page.get_by_text('A Jupyter Widget').count() == 0


def test_dark_mode(visit):
    page = visit('text/corpus')
    page.emulate_media(color_scheme='light')
    brightness = lambda: sum(map(int, re.findall(r'\d+', page.evaluate('getComputedStyle(document.body).backgroundColor'))[:3]))
    assert brightness() > 600
    page.get_by_label('Color mode').first.click()
    page.locator('.theme-switch-container button, .dropdown-item', has_text='Dark').first.click()
    assert brightness() < 200
    page.reload()
    assert brightness() < 200


@pytest.mark.parametrize('name', PAGES)
def test_fits(visit, name, tmp_path):
    page = visit(name, PHONE)
    assert page.evaluate('document.documentElement.scrollWidth') <= PHONE['width']
    page.screenshot(path=tmp_path/'phone.png')
    page = visit(name, DESK)
    assert page.evaluate('document.documentElement.scrollWidth') <= DESK['width']
    page.screenshot(path=tmp_path/'desk.png')


def test_menu_on_a_phone(visit):
    from playwright.sync_api import expect
    page = visit('text/corpus', PHONE)
    link = page.locator('#pst-primary-sidebar-modal, .bd-sidebar-primary').get_by_role('link', name='Tutorials').first
    expect(link).to_be_hidden()
    page.locator('.primary-toggle').click()
    expect(link).to_be_visible()
    link.click()
    expect(page.get_by_role('heading', level=1)).to_contain_text('Tutorials')


def test_reference_lists_the_names_for_a_notebook(site):
    import chatgot.all
    html = (site.root/'reference.html').read_text(encoding='utf-8')
    section = re.search(r'<section id="from-chatgot-all-import">(.*?)</section>', html, re.S)[1]
    shown = re.findall(r'<li><p><a [^>]*href="([^"]+)"[^>]*>.*?<span class="pre">(\w+)</span>.*?</a>: (.+?)</p>', section, re.S)
    assert sorted(name for _, name, _ in shown) == sorted(chatgot.all.__all__)
    for link, name, line in shown: assert link.endswith(f'#{name.lower()}') and len(line) > 10
