"A report in a real Chromium: it opens alone, follows the reader's light or dark, and fits a phone"
import pytest


@pytest.fixture
def report(tmp_path):
    from chatgot.core.plots import bar_chart
    from chatgot.core.html import html_page, html_sample, html_section, figure_svg, html_table, html_tiles
    path = tmp_path/'report.html'
    fig = svg(bars({'one': 1., 'another <one>': 2.}, 'bits'), 'Bits')
    wide = table([['x'*40]*6], ['name']*6)
    path.write_text(page('A title', 'about', tiles({'loss': '1.0'}), section('Part', 'text', fig, wide, sample('s', 'word '*200))))
    return path


def test_opens_alone(report, browser):
    inks = {}
    for scheme, width in (('light', 1200), ('dark', 1200), ('dark', 390)):
        tab = browser.new_page(viewport={'width': width, 'height': 800}, color_scheme=scheme)
        asked, said = [], []
        tab.on('request', lambda r: asked.append(r.url))
        tab.on('console', lambda m: said.append(m.text))
        tab.goto(report.as_uri())
        assert (asked, said) == ([report.as_uri()], [])
        assert tab.evaluate('document.documentElement.scrollWidth') == width
        assert tab.locator('svg text', has_text='another <one>').count() == 1
        inks[scheme] = tab.evaluate("[document.body, document.querySelector('svg text')].map(e => [getComputedStyle(e).backgroundColor, getComputedStyle(e).fill])")
        tab.close()
    (light_paper, _), (_, light_ink) = inks['light']
    (dark_paper, _), (_, dark_ink) = inks['dark']
    assert light_paper != dark_paper and light_ink != dark_ink
