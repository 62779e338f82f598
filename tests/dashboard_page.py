"The dashboard's page without Jupyter: a plain page, a model object that records what is sent, and messages as Python sends them"
import math

from chatgot.lab.dashboard import DashboardWidget

URL = 'http://dashboard.test/'
HTML = '<!DOCTYPE html><html lang="en"><link rel="icon" href="data:,"><meta name="viewport" content="width=device-width"><title>dashboard</title><style>STYLES</style><style>body { margin: 0; background: Canvas; }</style><main></main></html>'
START = """async code => {
    window.sent = [];
    const module = await import(URL.createObjectURL(new Blob([code], { type: 'text/javascript' })));
    const model = { send: m => sent.push(m), on: (_, f) => { window.deliver = f; }, off: () => {} };
    window.close_dashboard = module.default.render({ model, el: document.querySelector('main') });
}"""


class DashboardPage:
    "A dashboard in a plain page"
    def __init__(self, page):
        self.page, self.errors = page, []
        page.on('pageerror', lambda e: self.errors.append(str(e)))
        page.on('console', lambda m: self.errors.append(m.text) if m.type == 'error' else None)
        # an address, for a page without one has no storage
        page.route(URL, lambda route: route.fulfill(body=HTML.replace('STYLES', DashboardWidget._css), content_type='text/html'))
        page.goto(URL)
        page.evaluate(START, DashboardWidget._esm)
        self.root = page.locator('.dash')

    def send(self, what, **message):
        "Deliver a message and wait until it is painted"
        self.page.evaluate('async m => { deliver(m); for (let i = 0; i < 2; i++) await new Promise(requestAnimationFrame); }', {'what': what, **message})

    def sent(self):
        "What the page has sent since the last call"
        return self.page.evaluate('sent.splice(0)')

    def find(self, css): return self.root.locator(css)
    def click(self, name): self.root.get_by_role('button', name=name, exact=True).click()
    def tab(self, name): self.root.get_by_role('tab', name=name).click()


COLUMNS = 'step tokens seconds train_loss lr grad_norm tokens_per_s mfu memory_mb cpu reward'.split()
FIGURES = {'train_loss': dict(label='training loss', unit='nats per token'), 'val_loss': dict(label='validation loss', unit='nats per token'),
           'lr': dict(label='learning rate', unit=''), 'grad_norm': dict(label='gradient norm', unit=''), 'tokens_per_s': dict(label='speed', unit='tokens/s'),
           'memory_mb': dict(label='memory', unit='MB'), 'cpu': dict(label='CPU', unit='%'), 'reward': dict(label='reward', unit='')}


def rows(first, last, every=10, fall=1.):
    "Rows of a run that learns"
    return [[s, 640*s, s/50, 1.4 + 2.4*math.exp(-fall*s/500) + .05*math.sin(7*s), 1e-3*min(1, s/100), 1 + .3*math.sin(s), 3e4 + 900*math.sin(s), 0, 800 + s/50,
             40 + 20*math.sin(s/90), s/1e3 if s % 50 == 0 else None] for s in range(first, last, every)]


def evaluations(last, every=200, fall=1.): return [[s, 640*s, s/50, 1.5 + 2.4*math.exp(-fall*s/500) + (s > 1400)*(s - 1400)/4000] for s in range(0, last, every)]


def run_data(name='shakespeare', last=2000, fall=1., events=()):
    "A run as `reset` carries it"
    return dict(name=name, columns=COLUMNS, rows=rows(10, last, fall=fall), evaluation_columns=[*COLUMNS[:3], 'val_loss'], evaluations=evaluations(last, fall=fall), events=list(events))


def gallery(last, every=200):
    "Samples of two prompts at every evaluation, from noise to words"
    goal, out = 'the king is come, and with him all his men', []
    for step in range(0, last, every):
        p = min(.97, .03 + step/last)
        for i, prompt in enumerate(('ROMEO:\n', 'The sequence ')):
            pieces = [[c if math.sin(37*k*(i+1)*(step+1)) < 2*p - 1 else 'qxzvk~#'[(k*7 + step) % 7], max(.002, p - (k % 5)*.15)] for k, c in enumerate(goal*3)]
            out.append(dict(step=step, gallery=i, prompt=prompt, text=''.join(t for t, _ in pieces), temperature=.8, pieces=pieces))
    return out


def inside(last, every=100, blocks=6):
    "What was measured in each block"
    names = ['embedding', *(f'block {i}' for i in range(1, blocks - 1)), 'head']
    value = lambda step, i, size: size*(1 + .4*math.sin(step/150 + i))*(1 + i/3)
    return [dict(step=s, blocks=names, grad_norm=[value(s, i, .2) for i in range(blocks)], update_ratio=[value(s, i, 1e-3) for i in range(blocks)],
                 activation=[value(s, i, .9) for i in range(blocks)], dead=[.01*i for i in range(blocks)],
                 histogram=dict(lo=-3, hi=3, counts=[[round(400*math.exp(-((k - 12)/(3 + i))**2)) for k in range(24)] for i in range(blocks)])) for s in range(every, last, every)]


EVENTS = [dict(step=0, time='2026-11-25T08:00:00.000+00:00', level='INFO', event='started', message='training on cpu, 800,000 parameters'),
          dict(step=400, time='2026-11-25T08:00:08.000+00:00', level='INFO', event='paused', message='paused'),
          dict(step=400, time='2026-11-25T08:01:00.000+00:00', level='INFO', event='resumed', message='resumed'),
          dict(step=800, time='2026-11-25T08:01:20.000+00:00', level='INFO', event='lr', factor=.5, message='learning rate × 0.5'),
          dict(step=1000, time='2026-11-25T08:01:30.000+00:00', level='DEBUG', event='saved', message='saved, the best so far: 1.8253'),
          dict(step=1600, time='2026-11-25T08:02:00.000+00:00', level='WARNING', event='warning', message='the gradient is 40 times its usual size')]
SETTINGS = {'data.corpus': 'tinyshakespeare.txt', 'data.seq_len': '128', 'model.n_embd': '128', 'model.n_layer': '4', 'train.lr': '0.001', 'train.steps': '2000', 'train.batch_size': '32'}
PANELS = [dict(title='Reward', kind='lines', figures=['rew*'], unit='', log=False), dict(title='Machine', kind='lines', figures=['cpu', 'gpu'], unit='%', log=False),
          dict(title='Memory now', kind='bars', figures=['memory_mb', 'cpu'], unit='MB', log=False), dict(title='Nothing', kind='lines', figures=['not_there'], unit='', log=False)]
ENDED = [dict(do='continue', label='Continue', title='Train on', args={}, fields=[dict(name='steps', label='steps', type='number', value=500, min=1)]),
         dict(do='playground', label='Playground', title='Try the model', args={}, fields=[]), dict(do='evaluate_run', label='Evaluate', title='A report', args={'full': True}, fields=[]),
         dict(do='delete', label='Delete', title='Delete the run', args={}, fields=[], confirm='Really delete?')]


def status(state='running', step=1990, **changes):
    "A status as Python sends it"
    return dict(name='shakespeare', state=state, step=step, steps=4000, seconds=step/50, done=step/4000, left=40., note='', warn=False, best=dict(step=1400, val_loss=1.6459),
                corpus='tinyshakespeare.txt', device='cpu') | changes


def reset(**changes):
    "A whole dashboard"
    others = [run_data('first try', fall=.6), run_data('wider', 1600, fall=1.4)]
    requested = [dict(step=1500, prompt='KING:\n', text='Good my lord, <b>the</b> matter is as you say.', temperature=.8)]
    return dict(run=run_data(events=EVENTS), overlays=others, runs=['first try', 'wider', 'deeper', 'with dropout'], samples=gallery(2000) + requested, inside=inside(2000), panels=PANELS,
                settings=SETTINGS, overlay_settings={'first try': SETTINGS | {'train.lr': '0.0003'}, 'wider': SETTINGS | {'model.n_embd': '256'}}, notes=dict(text='A first note', tags=['good', 'small']),
                figures=FIGURES, status=status(), checkpoints=[500, 1000, 1500], actions=[]) | changes

