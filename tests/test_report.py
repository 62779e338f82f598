"A report in a real Chromium: it opens alone, follows the reader's light or dark mode, and fits a phone"
import pytest


@pytest.fixture
def report(tmp_path):
    from chatgot.core.html import figure_svg, html_page, html_sample, html_section, html_table, html_tiles
    from chatgot.core.plots import bar_chart
    path = tmp_path/'report.html'
    fig = figure_svg(bar_chart({'one': 1., 'another <one>': 2.}, 'bits'), 'Bits')
    wide = html_table([['x'*40]*6], ['name']*6)
    section = html_section('Section', 'text', fig, wide, html_sample('sample', 'word '*200))
    path.write_text(html_page('A title', 'about', html_tiles({'loss': '1.0'}), section), encoding='utf-8')
    return path


COLORS = """[document.body, document.querySelector('svg text')].map(
    e => [getComputedStyle(e).backgroundColor, getComputedStyle(e).fill])"""


def test_opens_alone(report, browser):
    colors = {}
    for scheme, width in (('light', 1200), ('dark', 1200), ('dark', 390)):
        tab = browser.new_page(viewport={'width': width, 'height': 800}, color_scheme=scheme)
        requests, messages = [], []
        tab.on('request', lambda r: requests.append(r.url))
        tab.on('console', lambda m: messages.append(m.text))
        tab.goto(report.as_uri())
        assert (requests, messages) == ([report.as_uri()], [])
        assert tab.evaluate('document.documentElement.scrollWidth') == width
        assert tab.locator('svg text', has_text='another <one>').count() == 1
        colors[scheme] = tab.evaluate(COLORS)
        tab.close()
    (light_paper, _), (_, light_ink) = colors['light']
    (dark_paper, _), (_, dark_ink) = colors['dark']
    assert light_paper != dark_paper and light_ink != dark_ink
