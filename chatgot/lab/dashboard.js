// The dashboard of a training run: an ES module for anywidget. Python sends only what is new; the curves are SVG, with colours from lab.css.
// A row of metrics: [step, tokens, seconds, train_loss, lr, grad_norm, tokens_per_s, mfu, memory_mb]; an evaluation: [step, tokens, seconds, val_loss].
// The columns are METRIC_COLUMNS and EVALUATION_COLUMNS of lab/01_history.ipynb.
const X = { step: 0, tokens: 1, seconds: 2 }, TRAIN = 3, VAL = 3
const TILES = [['train loss', 3, v => v.toFixed(3)], ['learning rate', 4, v => v.toPrecision(2)], ['gradient norm', 5, v => v.toFixed(2)],
  ['tokens/s', 6, short], ['of peak FLOP/s', 7, v => (100 * v).toFixed(1) + '%'], ['memory', 8, v => v < 1e4 ? v.toFixed(0) + ' MB' : (v / 1e3).toFixed(1) + ' GB']]
const MAX_ROWS = 4000, PAD = { left: 46, right: 12, top: 8, bottom: 22 }, HEIGHT = 250
const NS = 'http://www.w3.org/2000/svg'

function short(v) { return v >= 1e9 ? (v / 1e9).toFixed(1) + 'G' : v >= 1e6 ? (v / 1e6).toFixed(1) + 'M' : v >= 1e4 ? (v / 1e3).toFixed(0) + 'k' : Math.round(v).toLocaleString('en') }
function clock(s) {
  const two = n => String(n).padStart(2, '0'), t = Math.round(s), h = Math.floor(t / 3600)
  return (h ? h + ':' + two(Math.floor(t / 60) % 60) : Math.floor(t / 60)) + ':' + two(t % 60)
}
function svg(name, attrs = {}, text) {
  const e = document.createElementNS(NS, name)
  for (const [k, v] of Object.entries(attrs)) e.setAttribute(k, v)
  if (text !== undefined) e.textContent = text
  return e
}
function make(name, cls = '', ...kids) {
  const e = document.createElement(name)
  e.className = cls
  e.append(...kids)
  return e
}

// Average neighbouring rows once there are too many, so that memory and drawing time stay bounded in a long run
function downsample(rows) {
  if (rows.length <= MAX_ROWS) return rows
  const half = []
  for (let i = 0; i + 1 < rows.length; i += 2) half.push(rows[i + 1].map((v, k) => k < 3 ? v : (v + rows[i][k]) / 2))
  return rows.length % 2 ? [...half, rows[rows.length - 1]] : half
}

function ticks(lo, hi, n) {
  const raw = Math.max(hi - lo, 1e-9 * Math.abs(hi)) / n || 1, mag = 10 ** Math.floor(Math.log10(raw)), step = [1, 2, 5, 10].find(m => m * mag >= raw) * mag
  const out = []
  for (let v = Math.ceil(lo / step) * step; v <= hi + step / 1e6; v += step) out.push(+v.toPrecision(12))
  return out
}
function logTicks(lo, hi) {
  const out = []
  for (let e = Math.floor(Math.log10(lo)); e <= Math.log10(hi); e++) for (const m of [1, 1.5, 2, 3, 5, 7]) if (m * 10 ** e >= lo && m * 10 ** e <= hi) out.push(+(m * 10 ** e).toPrecision(2))
  return out.length > 2 ? out : ticks(lo, hi, 4)
}

// Exponential moving average with Adam's bias correction: without it the curve would start near zero
function smooth(points, w) {
  let m = 0, norm = 0
  return points.map(([x, y]) => { m = w * m + (1 - w) * y; norm = w * norm + 1 - w; return [x, m / norm] })
}

class Chart {
  constructor(opts) {
    this.opts = opts
    this.el = make('div', 'chart')
    this.svg = svg('svg', { height: HEIGHT, role: 'img', 'aria-label': 'training and validation loss' })
    this.tip = make('div', 'tip')
    this.el.append(this.svg, this.tip)
    this.svg.addEventListener('mousemove', e => this.hover(e))
    this.svg.addEventListener('mouseleave', () => this.leave())
  }
  lines() {
    const { rows, evaluations, overlays, x, smoothing } = this.opts(), k = X[x]
    const raw = rows.map(r => [r[k], r[TRAIN]])
    const out = overlays.flatMap((o, i) => [
      { name: o.name, cls: `over o${i % 4}`, points: smooth(o.rows.map(r => [r[k], r[TRAIN]]), smoothing) },
      { name: `${o.name}, validation`, cls: `over o${i % 4} validation`, points: o.evaluations.map(r => [r[k], r[VAL]]), hidden: true }])
    if (smoothing) out.push({ name: 'train, unsmoothed', cls: 'raw', points: raw, hidden: true })
    return [...out, { name: 'train', cls: 'train', points: smooth(raw, smoothing) }, { name: 'validation', cls: 'val', points: evaluations.map(r => [r[k], r[VAL]]), dots: true }]
  }
  draw() {
    const lines = this.drawn = this.lines().filter(l => l.points.length), { x, log } = this.opts()
    const w = this.el.clientWidth || 640, s = this.svg
    s.setAttribute('width', w)
    s.replaceChildren()
    if (!lines.length) return s.append(svg('text', { x: w / 2, y: HEIGHT / 2, 'text-anchor': 'middle', class: 'axis' }, 'waiting for the first metrics'))
    let [x0, x1, y0, y1] = [Infinity, -Infinity, Infinity, -Infinity]
    for (const l of lines) for (const [px, py] of l.points) { x0 = Math.min(x0, px); x1 = Math.max(x1, px); y0 = Math.min(y0, py); y1 = Math.max(y1, py) }
    if (x0 === x1) [x0, x1] = [0, x1 || 1]
    if (y1 - y0 < 1e-6 * y1) { y0 *= 0.9; y1 *= 1.1 }
    const f = log ? Math.log : v => v, margin = 0.04 * (f(y1) - f(y0)), lo = f(y0) - margin, hi = f(y1) + margin
    const sx = this.sx = v => PAD.left + (v - x0) / (x1 - x0) * (w - PAD.left - PAD.right)
    const sy = this.sy = v => PAD.top + (hi - f(v)) / (hi - lo) * (HEIGHT - PAD.top - PAD.bottom)
    const inv = log ? Math.exp : v => v
    for (const v of log ? logTicks(inv(lo), inv(hi)) : ticks(lo, hi, 5)) {
      s.append(svg('line', { x1: PAD.left, x2: w - PAD.right, y1: sy(v), y2: sy(v), class: 'grid' }), svg('text', { x: PAD.left - 6, y: sy(v) + 4, 'text-anchor': 'end', class: 'axis' }, +v.toPrecision(3)))
    }
    for (const v of ticks(x0, x1, Math.max(2, Math.floor(w / 110)))) {
      if (sx(v) > w - 24) continue
      s.append(svg('line', { x1: sx(v), x2: sx(v), y1: HEIGHT - PAD.bottom, y2: HEIGHT - PAD.bottom + 4, class: 'grid' }), svg('text', { x: sx(v), y: HEIGHT - 4, 'text-anchor': 'middle', class: 'axis' }, x === 'seconds' ? clock(v) : short(v)))
    }
    for (const l of lines) {
      if (l.points.length > 1) s.append(svg('path', { class: 'curve ' + l.cls, d: 'M' + l.points.map(([px, py]) => sx(px).toFixed(1) + ' ' + sy(py).toFixed(1)).join('L') }))
      if (l.dots || l.points.length === 1) for (const [px, py] of l.points.slice(-60)) s.append(svg('circle', { class: 'dot ' + l.cls, cx: sx(px), cy: sy(py), r: 2.6 }))
    }
    this.rule = svg('line', { class: 'rule', y1: PAD.top, y2: HEIGHT - PAD.bottom, visibility: 'hidden' })
    s.append(this.rule)
  }
  hover(e) {
    if (!this.drawn?.length || !this.sx) return
    const box = this.svg.getBoundingClientRect(), at = e.clientX - box.left, { x } = this.opts()
    const near = this.drawn.map(l => [l, l.points.reduce((a, b) => Math.abs(this.sx(b[0]) - at) < Math.abs(this.sx(a[0]) - at) ? b : a)]).filter(([, p]) => Math.abs(this.sx(p[0]) - at) < 40)
    if (!near.length) return this.leave()
    const [px] = near.find(([l]) => l.cls === 'train')?.[1] ?? near[0][1], where = this.sx(px)
    this.rule.setAttribute('x1', where); this.rule.setAttribute('x2', where); this.rule.setAttribute('visibility', 'visible')
    this.tip.replaceChildren(make('div', 'faint', `${x} ${x === 'seconds' ? clock(px) : Math.round(px).toLocaleString('en')}`),
      ...near.map(([l, p]) => make('div', '', make('i', l.cls), `${l.name} `, make('b', '', p[1].toFixed(4)))))
    this.tip.style.display = 'block'
    this.tip.style.left = (where > box.width / 2 ? where - this.tip.offsetWidth - 10 : where + 10) + 'px'
  }
  leave() { this.tip.style.display = 'none'; this.rule?.setAttribute('visibility', 'hidden') }
}

function spark(rows, k) {
  const vs = rows.slice(-240).map(r => r[k]), s = svg('svg', { viewBox: '0 0 100 22', preserveAspectRatio: 'none', class: 'spark' })
  const lo = Math.min(...vs), hi = Math.max(...vs)
  if (vs.length > 1) s.append(svg('path', { d: 'M' + vs.map((v, i) => `${(i / (vs.length - 1) * 100).toFixed(1)} ${(20 - (hi > lo ? (v - lo) / (hi - lo) : 0.5) * 18).toFixed(1)}`).join('L') }))
  return s
}

function button(label, title, act, cls = '') {
  const b = make('button', cls, label)
  b.title = title
  b.addEventListener('click', act)
  return b
}
function field(label, type, value, attrs = {}) {
  const input = make('input')
  Object.assign(input, { type, value, ...attrs })
  return [make('label', '', label, input), input]
}
function choice(label, options, act) {
  const s = make('select')
  for (const o of options) s.append(new Option(o, o))
  s.addEventListener('change', () => act(s.value))
  return make('label', '', label, s)
}

class View {
  constructor(model, el) {
    this.model = model
    this.data = { rows: [], evaluations: [], overlays: [], samples: [], checkpoints: [], status: {} }
    this.options = { x: 'step', log: false, smoothing: 0.6 }
    this.chart = new Chart(() => ({ ...this.data, ...this.options }))
    this.build(el)
    this.size = new ResizeObserver(() => this.chart.draw())
    this.size.observe(this.chart.el)
  }
  request(message) { this.error.textContent = ''; this.model.send(message) }

  build(el) {
    this.name = make('b', 'name'); this.state = make('span', 'state'); this.pos = make('span', 'faint pos'); this.bar = make('i')
    this.tiles = make('div', 'tiles'); this.samples = make('div', 'samples'); this.error = make('div', 'error'); this.log = make('div', 'faint log'); this.legend = make('span', 'legend')
    el.replaceChildren(make('div', 'chatgot dash',
      make('div', 'row', this.name, this.state, make('span', 'progress', this.bar), this.pos), this.controls(), this.tiles, this.toolbar(), this.chart.el,
      this.error, this.log, this.forms(), this.samples))
  }
  controls() {
    this.pause = button('Pause', 'Pause after the current step', () => this.request({ do: this.data.status.state === 'paused' ? 'resume' : 'pause' }), 'main')
    const [lr, factor] = field('learning rate ×', 'number', 1, { min: 0.01, step: 0.1 })
    factor.addEventListener('change', () => this.request({ do: 'lr', factor: +factor.value }))
    factor.className = 'factor'
    this.live = [this.pause, button('Stop', 'Save a checkpoint and stop', () => this.request({ do: 'stop' })), button('Save now', 'Save a checkpoint now', () => this.request({ do: 'save' })),
      button('Evaluate now', 'Evaluate on the whole validation text now', () => this.request({ do: 'evaluate' })), factor]
    this.keep = button('Keep as picture', 'Put a picture here that stays in the saved notebook', () => this.request({ do: 'keep' }))
    return make('div', 'row', ...this.live.slice(0, 4), lr, this.keep)
  }
  toolbar() {
    const [box, log] = field('log', 'checkbox', '', {}), [slide, w] = field('smooth', 'range', this.options.smoothing, { min: 0, max: 0.98, step: 0.02 })
    log.addEventListener('change', () => { this.options.log = log.checked; this.chart.draw() })
    w.value = this.options.smoothing
    w.addEventListener('input', () => { this.options.smoothing = +w.value; this.chart.draw() })
    return make('div', 'row tools', choice('by', Object.keys(X), x => { this.options.x = x; this.chart.draw() }), box, slide, this.legend)
  }
  forms() {
    const [p, prompt] = field('prompt', 'text', '\\n', { title: '\\n is a new line' }), [n, tokens] = field('tokens', 'number', 200, { min: 1 }), [t, temp] = field('temperature', 'number', 0.8, { min: 0, step: 0.1 })
    prompt.className = 'prompt'
    const sample = button('Sample now', 'Generate a sample now', () => this.request({ do: 'sample', prompt: prompt.value.replaceAll('\\n', '\n'), tokens: +tokens.value, temperature: +temp.value }))
    this.from = make('select', 'from')
    const [s, settings] = field('with', 'text', 'train.lr=1e-3', { title: 'settings as section.name=value, separated by spaces' }), [m, name] = field('as', 'text', '', { placeholder: 'name of the new run' })
    const branch = button('Branch', 'Save and stop this run, and continue from a checkpoint as a new run', () =>
      this.request({ do: 'branch', step: +this.from.value, settings: settings.value.split(/\s+/).filter(Boolean), ...(name.value && { name: name.value }) }))
    this.live.push(prompt, tokens, temp, sample, this.from, settings, name, branch)
    return make('div', 'forms', make('div', 'row', sample, p, n, t), make('div', 'row', branch, make('label', '', 'from step', this.from), s, m))
  }

  reset(d) { Object.assign(this.data, d, { rows: downsample(d.rows) }); this.samples.replaceChildren(); this.addSamples(d.samples); this.refresh() }
  add(d) {
    this.data.rows = downsample(this.data.rows.concat(d.rows))
    this.data.evaluations = downsample(this.data.evaluations.concat(d.evaluations))
    this.data.status = d.status
    this.data.checkpoints = d.checkpoints
    this.addSamples(d.samples)
    this.refresh()
  }
  addSamples(samples) {
    for (const s of samples) this.samples.prepend(make('div', 'sample', make('div', 'faint', `step ${s.step}, temperature ${s.temperature}`), make('div', 'text', make('span', 'given', s.prompt), s.text)))
    while (this.samples.children.length > 40) this.samples.lastChild.remove()
  }
  refresh() {
    if (!this.queued) this.queued = requestAnimationFrame(() => { this.queued = 0; this.paint() })
  }
  paint() {
    const { rows, evaluations, status: st, overlays } = this.data, on = st.state === 'running' || st.state === 'paused'
    this.name.textContent = st.name ?? ''
    this.state.textContent = st.state ?? ''
    this.state.className = 'state ' + st.state
    this.pause.textContent = st.state === 'paused' ? 'Resume' : 'Pause'
    for (const b of this.live) b.disabled = !on
    this.keep.style.display = on ? 'none' : ''
    this.bar.style.width = 100 * Math.min(1, st.done ?? 0) + '%'
    this.pos.textContent = st.step === undefined ? '' : `step ${st.step.toLocaleString('en')}${st.steps ? ' of ' + st.steps.toLocaleString('en') : ''}, ${clock(st.seconds)}${on && st.left !== null ? `, ${clock(st.left)} left` : ''}`
    this.log.textContent = st.note ?? ''
    this.log.className = 'log ' + (st.warn ? 'error' : 'faint')
    const last = rows[rows.length - 1], best = evaluations.length ? Math.min(...evaluations.map(e => e[VAL])) : null
    const tile = (label, value, extra) => make('div', 'tile', make('span', 'faint', label), make('b', '', value), extra ?? '')
    this.tiles.replaceChildren(tile('validation', evaluations.length ? evaluations[evaluations.length - 1][VAL].toFixed(4) : '–', make('span', 'faint', best === null ? '' : 'best ' + best.toFixed(4))),
      ...TILES.map(([label, k, show]) => tile(label, last ? show(last[k]) : '–', spark(rows, k))))
    this.legend.replaceChildren(...[['train', 'train'], ['val', 'validation'], ...overlays.map((o, i) => [`over o${i % 4}`, o.name])].map(([cls, name]) => make('span', '', make('i', cls), name)))
    const steps = this.data.checkpoints.join()
    if (steps !== this.steps) { this.steps = steps; this.from.replaceChildren(...[...this.data.checkpoints].reverse().map(s => new Option(s, s))) }
    this.chart.draw()
  }
  fail(text) { this.error.textContent = text }
}

function render({ model, el }) {
  const view = new View(model, el), receive = m => view[m.what]?.(m.what === 'fail' ? m.text : m)
  model.on('msg:custom', receive)
  model.send({ do: 'ready' })
  return () => { model.off('msg:custom', receive); view.size.disconnect() }
}
export default { render }
