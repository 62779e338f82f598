"""The dashboard's page by itself: messages as Python sends them in, what a person does out

tests/test_lab_dashboard.py has the same page in a real JupyterLab, with a model that trains."""
import re

import axe
import pytest

from dashboard_page import ENDED, DashboardPage, gallery, reset, rows, run_data, status

pytest.importorskip('playwright')
from playwright.sync_api import expect

TABS = 'Samples Panels Inside Settings Notes Log'.split()


@pytest.fixture
def dash(page):
    "A dashboard of a run that trains"
    d = DashboardPage(page)
    d.send('reset', **reset())
    assert d.sent() == [{'do': 'ready'}]
    yield d
    assert d.errors == []


def event(name, message, level='INFO', **fields): return dict(time='2026-11-25T09:00:00+00:00', level=level, event=name, message=message, step=2000, **fields)


def add(d, note='', warn=False, **changes): d.send('add', status=status(note=note, warn=warn), **{'events': [], **changes})


def test_enter_does_it_and_each_click_is_acknowledged(dash):
    dash.find('input.factor').fill('0.5')
    dash.find('input.factor').press('Enter')
    assert dash.sent() == [{'do': 'lr', 'factor': .5}]
    expect(dash.find('.log')).to_have_text('Changing the learning rate …')
    add(dash, 'step 2000: learning rate × 0.5', events=[event('lr', 'learning rate × 0.5', factor=.5)])
    expect(dash.find('.log.done')).to_have_text('step 2,000: learning rate × 0.5')
    expect(dash.find('.heard')).to_have_text('step 2,000: learning rate × 0.5')
    dash.find('input.prompt').fill('The sequence\\n')
    dash.find('input.prompt').press('Enter')
    assert dash.sent() == [{'do': 'sample', 'prompt': 'The sequence\n', 'tokens': 200, 'temperature': .8}]
    expect(dash.find('.log')).to_have_text('Writing a sample …')
    add(dash, samples=[dict(step=2000, prompt='The sequence\n', text='is long', temperature=.8)])
    expect(dash.find('.log')).to_contain_text('sample')
    expect(dash.find('.sample .text').first).to_have_text('The sequence\nis long')
    dash.click('Evaluate now')
    add(dash, events=[event('evaluated', 'validation loss 1.7021', 'DEBUG', improved=False)])
    expect(dash.find('.log.done')).to_contain_text('validation loss 1.7021')
    dash.find('input.as').fill('other')
    dash.find('input.with').press('Enter')
    assert dash.sent() == [{'do': 'evaluate'}, {'do': 'branch', 'step': 1500, 'settings': ['train.lr=1e-3'], 'name': 'other'}]


def test_branch_from_the_latest_unless_another_is_chosen(dash):
    add(dash, checkpoints=[1000, 1500, 2000])
    expect(dash.find('select.from')).to_have_value('2000')
    dash.find('select.from').select_option('1500')
    add(dash, checkpoints=[1500, 2000, 2500])
    expect(dash.find('select.from')).to_have_value('1500')


def test_an_error_stays_until_a_success(dash):
    error = dash.find('.error')
    dash.click('Branch')
    dash.send('fail', text="model.n_layer=9: a branch keeps its model's shape")
    expect(error.first).to_have_text("model.n_layer=9: a branch keeps its model's shape")
    add(dash, events=[event('sample', 'a sample', 'DEBUG'), event('evaluated', 'validation loss 1.6', 'DEBUG')])  # routine
    expect(error.first).to_be_visible()
    add(dash, 'step 2010: saved on request')
    expect(error).to_have_count(1)
    expect(error).to_be_hidden()
    dash.send('fail', text='another')
    dash.send('done', text='evaluated')
    expect(error).to_be_hidden()
    expect(dash.find('.log.done')).to_have_text('evaluated')
    add(dash, "step 2020: 'sample' was not done: The character 'Γ'", warn=True)
    expect(dash.find('.log.error')).to_contain_text("'sample' was not done")
    add(dash, 'step 2030: learning rate × 2')
    expect(dash.find('.log.error')).to_have_count(0)


def test_the_dashboard_stays_after_the_end(dash):
    dash.find('button:text-is("Stop")').focus()
    dash.click('Stop')
    dash.send('add', status=status('finished', 4000, done=1, left=None, note='step 4000: ended'), actions=ENDED, events=[event('ended', 'ended')])
    expect(dash.find('.state')).to_have_text('finished')
    expect(dash.find('.state')).to_be_focused()  # not the page's body, where keys are the notebook's
    expect(dash.find('.controls')).to_be_hidden()
    expect(dash.find('.forms')).to_be_hidden()
    expect(dash.find('.tile').first).to_contain_text('★ best 1.6459')
    dash.sent()
    dash.find('.action input[name=steps]').fill('300')
    dash.find('.action input[name=steps]').press('Enter')
    dash.click('Evaluate')
    dash.click('Delete')
    assert dash.sent() == [{'do': 'continue', 'steps': 300}, {'do': 'evaluate_run', 'full': True}]
    dash.click('Really delete?')
    assert dash.sent() == [{'do': 'delete'}]
    dash.send('show', title='Evaluation', html='<p class="here">loss <b>1.65</b></p>')
    expect(dash.find('.results .here b')).to_have_text('1.65')
    dash.click('Close')
    expect(dash.find('.results')).to_be_hidden()


def test_hide_by_legend(dash):
    "It stays hidden when new values come, and after a reset; the other series go on"
    shown = dash.find('.curves table tbody th')
    expect(shown).to_have_text(['first try', 'wider', 'train', 'validation'])
    hide = dash.find('.curves .chart-legend').get_by_role('button', name='wider', exact=True)
    hide.click()
    expect(hide).to_have_attribute('aria-pressed', 'false')
    dash.find('.curves .chart-legend').get_by_role('button', name='first try, validation').click()
    dash.send('add', status=status(step=2100), rows=rows(2000, 2110))
    expect(shown).to_have_text(['first try', 'first try, validation', 'train', 'validation'])
    dash.send('reset', **reset())
    expect(shown).to_have_text(['first try', 'first try, validation', 'train', 'validation'])


def test_any_figure_on_either_axis(dash):
    caption = dash.find('.curves caption')
    show, by = dash.find('.tools').get_by_label('show'), dash.find('.tools').get_by_label('by')
    expect(caption).to_have_text('loss (nats per token) by step')
    show.select_option('grad_norm')
    by.select_option('tokens')
    expect(caption).to_have_text('gradient norm by tokens')
    show.select_option('val_loss')
    by.select_option('reward')
    expect(caption).to_have_text('validation loss (nats per token) by reward')
    show.select_option('reward')
    by.select_option('seconds')
    expect(dash.find('.curves tbody tr').last).to_contain_text('39')  # every fifth row has one
    dash.root.get_by_label('log scale').check()
    expect(caption).to_have_text('reward by time, logarithmic')


def test_gallery(dash, page):
    slider, text = dash.find('input.through'), dash.find('.column .text')
    expect(text).to_have_count(2)
    latest = text.first.text_content()
    slider.focus()
    page.keyboard.press('Home')
    expect(dash.find('.where')).to_have_text('0')
    assert text.first.text_content() != latest
    colors = text.first.locator('.tok').evaluate_all('tokens => tokens.map(t => t.style.background)')
    assert len(set(colors)) > 1
    dash.send('add', status=status(), samples=gallery(2200)[-2:])  # somebody looks at an early step: it stays
    expect(dash.find('.where')).to_have_text('0')
    page.keyboard.press('End')
    dash.send('add', status=status(), samples=gallery(2400)[-2:])
    expect(dash.find('.where')).to_have_text('2,200, the latest')
    page.clock.install()
    dash.click('Play')
    expect(dash.find('.where')).to_have_text('0')
    page.clock.run_for(20_000)
    expect(dash.find('.where')).to_have_text('2,200, the latest')
    page.emulate_media(reduced_motion='reduce')
    dash.send('add', status=status(step=2201))
    page.clock.run_for(100)
    expect(dash.find('.play')).to_be_hidden()


def test_notes_are_saved_once_and_not_overwritten(dash, page):
    dash.tab('Notes')
    box = dash.find('textarea')
    expect(box).to_have_value('A first note')
    page.clock.install()
    box.press_sequentially('! and more')
    dash.send('add', status=status(), notes=dict(text='from elsewhere', tags=[]))
    page.clock.run_for(2000)
    assert [m['text'] for m in dash.sent()] == [(typed := box.input_value())] and 'and more' in typed
    dash.find('.tag-field').fill('good, <b>odd</b>,')
    dash.find('.tag-field').press('Enter')
    assert dash.sent() == [{'do': 'notes', 'text': typed, 'tags': ['good', '<b>odd</b>']}]
    dash.send('add', status=status(), notes=dict(text='from elsewhere', tags=['good', '<b>odd</b>']))
    page.clock.run_for(100)
    expect(box).to_have_value('from elsewhere')
    expect(dash.find('.tag')).to_have_text(['good', '<b>odd</b>'])


def test_compare_and_differences(dash):
    dash.find('label:has-text("compare with") select').select_option('deeper')
    dash.click("Don't compare with wider any more")
    assert dash.sent() == [{'do': 'overlay', 'name': 'deeper', 'on': True}, {'do': 'overlay', 'name': 'wider', 'on': False}]
    dash.tab('Settings')
    expect(dash.find('tr.differs th')).to_have_text(['model.n_embd', 'train.lr'])
    dash.root.get_by_label('only differences').check()
    expect(dash.find('.settings-of-run tbody tr:visible')).to_have_count(2)
    dash.root.get_by_label('find').fill('LR')
    expect(dash.find('.settings-of-run tbody tr:visible')).to_have_count(1)


def test_events(dash):
    dash.tab('Log (1 warning)')
    expect(dash.find('.events tbody tr')).to_have_count(6)
    dash.root.get_by_label('only warnings').check()
    expect(dash.find('.events tbody tr:visible td')).to_have_text(['1,600', re.compile(r'\d\d:\d\d:\d\d$'), 'the gradient is 40 times its usual size'])


def test_panels_and_inside(dash):
    dash.tab('Panels')
    expect(dash.find('.panels section:visible h4')).to_have_text(['Reward', 'Machine %', 'Memory now MB'])
    dash.tab('Inside')
    expect(dash.find('.histograms figure')).to_have_count(6)
    dash.find('.inside select').last.select_option('heat map')
    expect(dash.find('.heat canvas')).to_have_attribute('aria-label', 'gradient norm of 6 blocks from step 100 to 1900, between 0.12 and 0.743')
    dash.find('.inside select').first.select_option('dead')
    expect(dash.find('.hint')).to_contain_text('stopped learning')


def test_tabs_by_keyboard_and_remembered(dash, page):
    d = dash
    d.root.get_by_role('tab', name='Samples').focus()
    page.keyboard.press('ArrowRight')
    page.keyboard.press('ArrowRight')
    expect(d.root.get_by_role('tab', name='Inside')).to_be_focused()
    expect(d.root.get_by_role('tabpanel')).to_contain_text('gradient norm')
    page.keyboard.press('End')
    again = DashboardPage(page)
    again.send('reset', **reset())
    expect(again.find('[aria-selected=true]')).to_have_text('Log (1 warning)')


MARKUP = '"><img src=x onerror="window.hacked=1"></select><b>bold</b><script>window.hacked=1</script>'


def hostile(value):
    "Every text replaced by markup, but for the words of the protocol"
    if isinstance(value, dict): return {k if k in KEEP else MARKUP + k: v if k in PLAIN else hostile(v) for k, v in value.items()}
    if isinstance(value, list): return [hostile(v) for v in value]
    return MARKUP + value if isinstance(value, str) else value


PLAIN = {'columns', 'evaluation_columns', 'kind', 'type', 'state', 'figures', 'event', 'level'}
KEEP = PLAIN | set('''run overlays runs samples inside panels settings overlay_settings notes status checkpoints actions name rows evaluations events step time message factor gallery prompt text temperature
    pieces blocks grad_norm update_ratio activation dead histogram lo hi counts title unit log tags steps seconds done left note warn best val_loss corpus device do label args fields value min confirm
    image sound'''.split())


def test_texts_are_texts(page):
    d = DashboardPage(page)
    d.send('reset', **hostile(reset(actions=ENDED, status=status('finished', note='n'), samples=gallery(400) + [dict(step=1, prompt='p', text='t', temperature=1, image='javascript:1', sound='x')])))
    for name in TABS:
        d.tab(name)
        page.wait_for_timeout(50)
        assert d.find('b b, script, [onerror], [src^=javascript], [src=x], .text b').count() == 0, name
    d.send('fail', text=MARKUP)
    d.send('done', text=MARKUP)
    expect(d.find('.log')).to_contain_text(MARKUP)
    assert not page.evaluate('window.hacked') and not [e for e in d.errors if 'TypeError' in e], d.errors


def test_nothing_overflows(page):
    page.set_viewport_size(dict(width=420, height=900))
    d = DashboardPage(page)
    long = 'a-very-long-name-of-a-run-that-nobody-would-type-but-a-sweep-does_' * 2
    d.send('reset', **reset(run=run_data(long), runs=[long + str(i) for i in range(20)], overlays=[run_data(long + str(i)) for i in range(10)], status=status(name=long, note=long)))
    for state in ('running', 'finished'):
        d.send('add', status=status(state, name=long), actions=ENDED)
        for name in TABS:
            d.tab(name)
            assert page.evaluate('document.documentElement.scrollWidth') <= 420, (state, name)


@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_accessible(page, scheme):
    "axe-core finds nothing serious: every field has a name, every text contrast, every scrolling box the keyboard's focus"
    page.emulate_media(color_scheme=scheme)
    d = DashboardPage(page)
    d.send('reset', **reset())
    found = {'running': axe.violations(page, '.dash')}
    for name in TABS[1:] if scheme == 'light' else ['Settings']:
        d.tab(name)
        found[name] = axe.violations(page, '.pane:not([hidden])')
    add(d, "step 2020: 'sample' was not done", warn=True)
    for state in ('paused', 'failed', 'finished'):
        d.send('add', status=status(state), actions=ENDED)
        d.send('fail', text='an error')
        found[state] = [v for part in ('.head', '.notices', '.actions') for v in axe.violations(page, part)] if state == 'failed' else axe.violations(page, '.head')
    assert not any(found.values()), '\n'.join(f'{k} {v}' for k, vs in found.items() for v in vs)


def test_a_long_run_stays_small_and_paints_once_a_frame(dash, page):
    page.evaluate("""() => { window.paints = 0; const fill = CanvasRenderingContext2D.prototype.clearRect;
        CanvasRenderingContext2D.prototype.clearRect = function(...a) { if (this.canvas.closest('.curves')) paints++; return fill.apply(this, a) } }""")
    page.evaluate("""async ([rows, status]) => { for (let i = 0; i < 1000; i++) { deliver({ what: 'add', status, rows: rows.map(r => [r[0] + 1000 * i, ...r.slice(1)]), events: [{ step: i, message: 'e' }],
        samples: [{ step: 1000 * i, gallery: 0, prompt: 'p', text: 't' }, { step: i, prompt: 'q', text: 't' }], inside: [] }) }
        for (let i = 0; i < 3; i++) await new Promise(requestAnimationFrame) }""", [rows(2000, 3000), status()])
    assert 0 < page.evaluate('paints') <= 4
    store = page.evaluate("(() => { const s = document.querySelector('.dash').dashboard.store; return [s.run.rows.length, s.run.events.length, s.samples.steps.length, s.samples.requested.length, s.run.rows.at(-1)[0]] })()")
    assert 2000 <= store[0] <= 4000 and store[1] <= 500 and store[2] <= 240 and store[3] <= 40 and store[4] == rows(2000, 3000)[-1][0] + 999_000, store
