"The charts of the lab in a real Chromium: zoom, legend, tip, keyboard, hostile numbers, themes"
import json
import math
import random
from pathlib import Path

import pytest

import axe

pytest.importorskip('playwright')
from playwright.sync_api import expect

LAB = Path(__file__).parents[1]/'chatgot'/'lab'
HTML = '<!doctype html><html lang="en"><title>Charts</title><style>STYLES body { margin: 0; background: Canvas; }</style><main class="chatgot"></main><div style="height: 2000px"></div></html>'
START = """async code => {
    const module = await import(URL.createObjectURL(new Blob([code], { type: 'text/javascript' })));
    Object.assign(window, module, { idle: async () => { for (let i = 0; i < 3; i++) await new Promise(requestAnimationFrame); } });
    window.chart = new Chart({ height: 260, label: 'loss' });
    document.querySelector('main').append(chart.el);
}"""


class ChartPage:
    "A plain page with one chart"
    def __init__(self, page):
        self.page, self.errors = page, []
        page.on('pageerror', lambda e: self.errors.append(str(e)))
        page.on('console', lambda m: self.errors.append(m.text) if m.type == 'error' else None)
        page.set_content(HTML.replace('STYLES', ''.join((LAB/f).read_text() for f in ('lab.css', 'chart.css'))))
        page.evaluate(START, (LAB/'chart.js').read_text() + 'export { Chart, spark, chartBars, chartHistogram };')
        self.canvas, self.tip = page.locator('.chart-top'), page.locator('.chart-tip')

    def draw(self, series, **data):
        # JSON has no NaN and no infinity: as text, with JavaScript's words
        self.js(f'chart.draw({json.dumps(dict(series=series, **(dict(marks=[], xLabel="step", yLabel="loss", key="a") | data)))})')

    def js(self, code):
        "Evaluate, and wait until it is painted"
        return self.page.evaluate(f'(async () => {{ const value = {code}; await idle(); return value; }})()')

    def px(self, x, y=.5):
        "Where a value of x is on the page, at a share of the plot's height"
        px, py = self.page.evaluate('([x, y]) => [chart.t.ax * x + chart.t.bx, chart.box.top + y * (chart.box.bottom - chart.box.top)]', [x, y])
        at = self.canvas.bounding_box()
        return at['x'] + px, at['y'] + py

    def hover(self, x, y=.5):
        self.page.mouse.move(*self.px(x, y))
        self.js('0')

    def drag(self, a, b):
        self.page.mouse.move(*self.px(a))
        self.page.mouse.down()
        self.page.mouse.move(*self.px(b), steps=3)
        self.page.mouse.up()
        self.js('0')

    @property
    def zoom(self): return self.page.evaluate('chart.zoom')
    @property
    def heard(self): return self.page.locator('.chart [aria-live]').text_content()
    def rows(self): return {r.get_attribute('data-id'): r.locator('td').all_text_contents() for r in self.page.locator('.chart tr[data-id]').all()}

    def painted(self, color):
        "How many pixels of the curves have this colour"
        return self.page.evaluate("""([r, g, b]) => { const d = chart.base.getContext('2d').getImageData(0, 0, chart.base.width, chart.base.height).data; let n = 0;
            for (let i = 0; i < d.length; i += 4) if (d[i + 3] > 200 && Math.abs(d[i] - r) + Math.abs(d[i + 1] - g) + Math.abs(d[i + 2] - b) < 12) n++; return n }""", color)


def curve(id, n=200, start=0., noise=0., color='#1565c0', **more):
    "A series that falls from start + 3 to start + 1"
    r = random.Random(id)
    return dict(id=id, name=id, points=[[i, start + 1 + 2*math.exp(-5*i/n) + noise*r.gauss(0, 1)] for i in range(n)], color=color, **more)


@pytest.fixture
def chart(page):
    page.emulate_media(color_scheme='light', reduced_motion='reduce')
    c = ChartPage(page)
    yield c
    assert not c.errors


def test_zoom_and_pan(chart, page):
    chart.draw([curve('train', 1000)])
    assert chart.zoom is None
    reset = page.get_by_role('button', name='Reset zoom')
    expect(reset).not_to_be_visible()
    chart.drag(600, 800)
    a, b = chart.zoom
    assert abs(a - 600) < 3 and abs(b - 800) < 3
    low, high = page.evaluate('[chart.yTicks[0][0], chart.yTicks.at(-1)[0]]')
    assert 1 < low < high < 1.11  # y fits what is visible, not the whole curve
    page.keyboard.down('Shift')
    chart.drag(700, 650)
    page.keyboard.up('Shift')
    assert abs(chart.zoom[0] - a - 50) < 3 and abs(chart.zoom[1] - chart.zoom[0] - (b - a)) < 1e-6
    page.mouse.wheel(10_000, 0)
    page.wait_for_function('chart.zoom[1] === 999')  # no further than the data
    page.mouse.wheel(0, 100)
    page.wait_for_function('scrollY > 0')  # the wheel's other direction is the page's
    page.evaluate('scrollTo(0, 0)')
    reset.click()
    assert chart.js('chart.zoom') is None
    for end in ('dblclick', 'Escape', 'Home'):
        chart.drag(100, 200)
        assert chart.zoom
        if end == 'dblclick': page.mouse.dblclick(*chart.px(150))
        else: chart.canvas.press(end)
        assert chart.js('chart.zoom') is None, end
    chart.drag(100, 101)  # a click, not a zoom
    assert chart.zoom is None
    chart.drag(100, 200)
    chart.draw([curve('train', 1100)])
    assert chart.zoom, 'new values must not end a zoom'
    chart.draw([curve('train', 1100)], key='another')
    assert chart.zoom is None


def test_hide_and_show(chart, page):
    chart.js('chart.onhide = ids => (window.hidden = ids)')
    red, green = [200, 0, 0], [0, 130, 0]
    series = [curve('train', color='rgb(200 0 0)'), curve('old', start=1, color='rgb(0 130 0)'), curve('extra', start=9, hidden=True)]
    chart.draw(series)
    assert list(chart.rows()) == ['train', 'old'] and chart.painted(red) > 100 and chart.painted(green) > 100
    old = page.get_by_role('button', name='old')
    old.click()
    expect(old).to_have_attribute('aria-pressed', 'false')
    assert page.evaluate('hidden') == ['extra', 'old'] and chart.js('1') and chart.painted(green) == 0 and list(chart.rows()) == ['train']
    chart.draw([dict(s, points=s['points'][:100]) for s in series])
    assert list(chart.rows()) == ['train'] and old.evaluate('b => b === document.activeElement'), 'a new value takes neither the choice nor the focus'
    page.get_by_role('button', name='extra').click(modifiers=['Shift'])
    assert chart.js('1') and list(chart.rows()) == ['extra']
    page.get_by_role('button', name='extra').click(modifiers=['Shift'])
    assert chart.js('1') and list(chart.rows()) == ['train', 'old', 'extra']


def test_the_tip_of_ten_runs(chart):
    runs = [curve(f'run {i}', start=i % 7, smoothable=True, noise=.01) for i in range(10)]
    chart.draw(runs, smoothing=.5)
    chart.hover(100, .9)
    rows = chart.tip.locator('.rows > div')
    values = [float(v) for v in rows.locator('b').all_text_contents()]
    assert len(values) == 10 and values == sorted(values, reverse=True)
    near = chart.tip.locator('.near')
    expect(near).to_have_count(1)
    assert float(near.locator('b').text_content()) < values[3]  # the pointer is near the bottom
    m = norm = 0
    for _, y in runs[3]['points'][:101]: m, norm = .5*m + .5*y, .5*norm + .5
    assert rows.filter(has_text='run 3').locator('b').text_content() == f'{m/norm:.4f}'
    chart.page.mouse.move(5, 600)
    expect(chart.tip).to_be_hidden()


def test_events(chart, page):
    marks = [dict(x=50, kind='lr', text='learning rate × 0.5'), *(dict(x=120 + i, kind='saved', text=f'saved {i}') for i in range(3)), dict(x=150, y=1.05, kind='best', text='best 1.05')]
    chart.draw([curve('train')], marks=marks)
    lane = chart.page.evaluate('(chart.box.lane - chart.box.top) / (chart.box.bottom - chart.box.top)')
    chart.hover(50, lane)
    expect(chart.tip).to_contain_text('step 50')
    expect(chart.tip).to_contain_text('learning rate × 0.5')
    chart.hover(121, lane)
    for text in ('3 events', 'saved 0', 'saved 2'): expect(chart.tip).to_contain_text(text)
    chart.hover(150)
    expect(chart.tip).to_contain_text('best 1.05')
    assert chart.painted([0xe0, 0x7b, 0]) > 30  # the star


def test_keyboard(chart, page):
    chart.draw([curve('old', start=1), curve('train')], marks=[dict(x=100, kind='paused', text='paused')])
    for _ in range(10):
        page.keyboard.press('Tab')
        if chart.canvas.evaluate('c => c === document.activeElement'): break
    page.keyboard.press('ArrowRight')
    assert chart.heard == 'step 0, train 3.0000, old 4.0000'
    for _ in range(50): page.keyboard.press('ArrowRight')
    assert chart.heard == 'step 100, train 1.1642, old 2.1642, paused'
    expect(chart.tip).to_contain_text('step 100')
    page.keyboard.press('ArrowDown')
    assert chart.heard.startswith('step 100, old 2.1642'), 'another series is first'
    page.keyboard.press('+')
    a, b = chart.zoom
    assert a < 100 < b and b - a < 101
    assert chart.heard == 'step 50.25 to 149.75'
    page.keyboard.press('Shift+ArrowRight')
    assert chart.zoom[0] > a
    page.keyboard.press('End')
    page.keyboard.press('ArrowRight')
    page.keyboard.press('Home')
    assert chart.zoom is None and chart.heard == 'everything is shown'
    described = ' '.join(page.locator(f'[id="{i}"]').text_content() for i in chart.canvas.get_attribute('aria-describedby').split())
    page.wait_for_function("document.querySelector('.chart tr[data-id=train]')")
    assert 'Left and right arrow keys' in described and 'train: last 1.0138, lowest 1.0138 at 199' in described
    assert chart.rows()['train'] == ['200', '1.0138', '199', '1.0138', '199']


NASTY = dict(last_bit=[[0, 3.], [1, .4*3/.4], [2, 3.0000000000000004]], one=[[5, 2.]], flat=[[0, 0.], [1, 0.], [2, 0.]], huge=[[0, 1e308], [1, -1e308], [2, 1e300]], tiny=[[0, 5e-324], [1, 1e-310], [2, 0.]], tiny_x=[[0, 1.], [1e-310, 2.]],
             nan=[[0, math.nan], [1, math.inf], [2, -math.inf], [math.nan, 1.], [math.inf, 2.]], gaps=[[0, 1.], [1, None], [2, 2.], [3, None], [4, math.nan], [5, 1.]], same_x=[[3, i] for i in range(5)],
             far_x=[[1e15, 1.], [1e15 + 1, 2.]], huge_x=[[-1e308, 1.], [1e308, 2.]], back=[[3, 1.], [1, 2.], [2, 3.]], empty=[], words=[[0, 'a'], ['b', 2], None, [], [1, True]], spike=[[i, 1e30 if i == 50 else 1.] for i in range(100)],
             close=[[i, 1e9 + 1e-6*i] for i in range(100)], negative=[[i, -i] for i in range(50)])


def test_hostile_numbers(chart, page):
    "Nothing that is drawn throws or hangs, whatever the numbers are; what can be seen stays bounded"
    for name, points in NASTY.items():
        for log in (False, True):
            chart.draw([dict(id='a', name='a', points=points, color='--accent', smoothable=True, dots=True), dict(id='b', name='b', points=points, color='--warm')], log=log, smoothing=.4, key=f'{name}{log}',
                       marks=[dict(x=x, y=x, kind=k, text='t') for x in (math.nan, 1, 1e300) for k in ('best', 'saved')])
            got = page.evaluate('[chart.yTicks.length, chart.xTicks.length, [...chart.yTicks, ...chart.xTicks].map(t => t[1]).join(" "), chart.t.ax * 0 === 0 && chart.t.ay * 0 === 0, chart.range]')
            assert 0 < got[0] < 60 and got[1] < 30 and 'NaN' not in got[2] and 'Infinity' not in got[2] and got[3], (name, log, got)
            for f in (.2, .8): page.evaluate('f => { chart.pointer = { x: chart.box.left + f * (chart.box.right - chart.box.left), y: 100 }; chart.over(); chart.zoomBy(1e-9); chart.paint(); chart.over(); chart.panBy(0.3); chart.paint() }', f)
            for k in ('ArrowRight', 'ArrowRight', '+', 'End', 'ArrowLeft', 'ArrowDown', 'Home'): page.evaluate("key => chart.top.dispatchEvent(new KeyboardEvent('keydown', { key }))", k)
            assert not chart.errors, (name, log, chart.errors)
    chart.draw([dict(id='a', name='a', points=NASTY['gaps'], color='rgb(200 0 0)', width=3)], key='gaps')
    assert chart.rows()['a'][0] == '3'
    columns = page.evaluate("[1.5, 0, 2].map(x => chart.base.getContext('2d').getImageData(Math.round(chart.t.ax * x + chart.t.bx), chart.box.top, 1, chart.box.bottom - chart.box.top).data.filter((v, i) => i % 4 === 0 && v === 200).length)")
    assert columns[0] == 0 and columns[1] and columns[2], 'a gap is empty, and values without neighbours are dots'
    chart.draw([curve('zoomed in', 4000, color='rgb(200 0 0)')], key='deep')
    chart.js('chart.show([2000.2, 2000.7], false)')
    assert chart.painted([200, 0, 0]) > 500, 'between two points there is still a line'


def test_the_right_colours(chart, page):
    "The colours are those of the theme, also after it changes: the system's, or JupyterLab's"
    light, dark = [0x15, 0x65, 0xc0], [0x64, 0xb5, 0xf6]
    chart.draw([curve('train', color='--accent', width=3)])
    assert chart.painted(light) > 300 and not chart.painted(dark)
    for change, color in ((lambda: page.emulate_media(color_scheme='dark'), dark), (lambda: page.emulate_media(color_scheme='light'), light),
                          (lambda: page.evaluate("document.body.dataset.jpThemeLight = 'false'"), dark)):
        change()
        page.wait_for_function('c => chart.colors.get("--accent") === `rgb(${c.join(", ")})`', arg=color)
        assert chart.painted(color) > 300


@pytest.mark.parametrize('width', [1200, 420])
def test_fits(chart, page, width, tmp_path):
    page.set_viewport_size(dict(width=1000, height=700))
    chart.draw([curve(f'a run with a long name {i}', 400, i/5, .02, f'hsl({36*i} 70% 40%)', smoothable=True) for i in range(10)], smoothing=.6)
    page.set_viewport_size(dict(width=width, height=700))
    page.wait_for_function('chart.width === chart.top.clientWidth && chart.base.width === Math.round(chart.width * devicePixelRatio)')
    chart.hover(300)
    assert page.evaluate('document.documentElement.scrollWidth') <= width
    tip, plot = chart.tip.bounding_box(), chart.canvas.bounding_box()
    assert tip['x'] >= plot['x'] - 1 and tip['x'] + tip['width'] <= plot['x'] + plot['width'] + 1
    page.screenshot(path=tmp_path/f'{width}.png')


@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_accessible(chart, page, scheme):
    "axe-core finds nothing serious in a chart with everything in it"
    axe.require_axe()
    page.emulate_media(color_scheme=scheme)
    chart.draw([curve('train', smoothable=True), curve('validation', 12, dots=True, color='--warm'), curve('old', start=1)], smoothing=.5, marks=[dict(x=50, kind='lr', text='rate'), dict(x=150, y=1.1, kind='best', text='best')])
    page.get_by_role('button', name='old').click()
    chart.js("document.querySelector('main').append(spark([3, 2, 1]), chartBars([{ label: 'block 1', value: 2 }], { label: 'norms' }), chartHistogram({ lo: -1, hi: 1, counts: [1, 5, 2] }))")
    chart.drag(50, 150)
    chart.hover(100)
    assert not axe.violations(page)


def test_small_pictures(chart, page):
    "Sparklines, bars and histograms say in words what they show, and no number breaks them"
    say = lambda code: chart.js(f'(() => {{ const e = {code}; document.querySelector("main").append(e); return [e.getAttribute("aria-label") ?? e.querySelector("svg")?.getAttribute("aria-label") ?? e.textContent, e.outerHTML] }})()')
    assert say('spark([4, 3, 1, 2])')[0] == 'from 4.0000 to 2.0000, between 1.0000 and 4.0000'
    assert say('chartHistogram({ lo: -1, hi: 1, counts: [1, 5, 2, 0] })')[0] == 'histogram from -1 to 1, most between -0.5 and 0'
    assert say("chartBars([{ label: 'b1', value: 2 }, { label: '<b>', value: -1 }])")[0] == 'b12.0000<b>-1.0000'
    assert say('spark(Array.from({ length: 5000 }, (_, i) => i === 2500 ? 99 : i % 7))')[1].count('L') < 500  # a line and the area below it
    bad = '[1, NaN, Infinity, -Infinity, null, undefined, "x", 1e308, -1e308, 0]'
    for code in (f'spark({bad})', 'spark([])', 'spark([NaN])', 'spark([1])', f'chartBars({bad}.map((value, i) => ({{ label: String(i), value }})))', f'chartBars({bad}.map((value, i) => ({{ label: String(i), value }})), {{ log: true }})',
                 'chartBars([])', f'chartHistogram({{ lo: NaN, hi: 1, counts: {bad} }})', f'chartHistogram({{ lo: -1, hi: 1, counts: {bad} }})', 'chartHistogram({ lo: 1, hi: 1, counts: [] })'):
        html = say(code)[1]
        assert not any(w in html.replace('>NaN<', '') for w in ('NaN', 'Infinity')), (code, html)
