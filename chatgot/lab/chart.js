// Curves on a canvas, and small pictures of numbers: `Chart`, `spark`, `chartBars`, `chartHistogram`. A library for the pages of the lab, without
// dependencies; it comes before the scripts that use it in one module, and only these four names are seen outside.
// All text goes into the page as text, never as HTML. Values that are not finite numbers are gaps.
const { Chart, spark, chartBars, chartHistogram } = (() => {

const NS = "http://www.w3.org/2000/svg";
const LIMIT = 1e300, SMALL = 1e-280; // beyond them a difference or a quotient of two numbers may be infinite
const LABEL = 11, LANE = 18, NEAR = 14, MARK_GAP = 17, MAX_TIP = 14; // pixels, but the last: rows of the tip
const WARN = new Set(["warning", "failed"]);

// Symbols of events, about 10 pixels wide around 0, 0
const SHAPES = {
  started: "M-3 -4.5L4.5 0L-3 4.5Z", resumed: "M-3 -4.5L4.5 0L-3 4.5Z", paused: "M-3.5 -4.5h2.5v9h-2.5ZM1 -4.5h2.5v9h-2.5Z", stopped: "M-3.5 -3.5h7v7h-7Z",
  ended: "M-3.5 -5h1.5v10h-1.5ZM-1.5 -5h6l-2 2.75l2 2.75h-6Z", saved: "M-4 -4.5h6.5l1.5 1.5v7.5h-8ZM-2 -3v2h3.5v-2ZM-2 1v3h4v-3Z", lr: "M0 -5L4.5 0L0 5L-4.5 0Z",
  evaluated: "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0ZM-2.3 0a2.3 2.3 0 1 1 4.6 0a2.3 2.3 0 1 1 -4.6 0Z", sample: "M-4.5 -4h9v1.7h-9ZM-4.5 -0.9h9v1.7h-9ZM-4.5 2.2h6v1.7h-6Z",
  branched: "M-0.8 5v-4.6l-3.6 -3.6l1.2 -1.2l3.2 3.2l3.2 -3.2l1.2 1.2l-3.6 3.6v4.6Z", warning: "M0 -5L5.2 4.5H-5.2ZM-0.8 -1.8v3.2h1.6v-3.2ZM-0.8 2.2v1.4h1.6v-1.4Z",
  failed: "M-4.5 -3.2L-3.2 -4.5L0 -1.3L3.2 -4.5L4.5 -3.2L1.3 0L4.5 3.2L3.2 4.5L0 1.3L-3.2 4.5L-4.5 3.2L-1.3 0Z", other: "M-2.5 0a2.5 2.5 0 1 0 5 0a2.5 2.5 0 1 0 -5 0Z",
  best: "M0 -7.5L2.1 -2.6L7.1 -2.3L3.3 1L4.5 6L0 3.3L-4.5 6L-3.3 1L-7.1 -2.3L-2.1 -2.6Z",
};
const shapes = {};
const shape = kind => shapes[kind] ??= new Path2D(SHAPES[kind] ?? SHAPES.other);

function make(tag, className = "", ...children) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  e.append(...children);
  return e;
}
function svg(tag, attrs = {}, ...children) {
  const e = document.createElementNS(NS, tag);
  for (const [k, v] of Object.entries(attrs)) e.setAttribute(k, v);
  e.append(...children);
  return e;
}
const write = (e, text) => { if (e.textContent !== text) e.textContent = text; };
const clamp = (v, lo, hi) => v < lo ? lo : v > hi ? hi : v;
const narrow = (lo, hi, share) => Math.max(SMALL, share * Math.max(Math.abs(lo), Math.abs(hi))); // a range that is no wider has no inside
const finite = v => typeof v === "number" && v > -LIMIT && v < LIMIT; // false for NaN too

// --- Numbers as text -------------------------------------------------------------------------------------------------------------------------

const thousands = text => text.replace(/^-?\d{4,}/, n => n.replace(/\B(?=(\d{3})+$)/g, ","));

// A value by itself: four decimals where losses are, else four or five digits
function figure(v) {
  const a = Math.abs(v);
  if (v === 0) return "0";
  if (a < 1e-3 || a >= 1e9) return v.toExponential(2).replace("e+", "e");
  return a >= 1e4 ? thousands(v.toFixed(0)) : a >= 100 ? thousands(String(+v.toFixed(2))) : a >= 10 ? v.toFixed(3) : a >= 0.01 ? v.toFixed(4) : v.toFixed(5);
}

// A value on an axis, with as many digits as tell it from a neighbour `step` away; all ticks of an axis share a unit
function tickText(v, step, largest) {
  const [unit, letter] = [[1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""]].find(([u]) => largest >= (u === 1e3 ? 1e4 : u)) ?? [1, ""];
  const digits = Math.ceil(-Math.log10(step / unit) - 1e-9);
  if (v === 0) return "0";
  if (largest >= 1e15 || largest < 1e-3) return v.toExponential(clamp(Math.round(Math.log10(Math.abs(v) / step)), 0, 12)).replace("e+", "e");
  return thousands(digits > 3 && unit > 1 ? v.toFixed(clamp(Math.ceil(-Math.log10(step) - 1e-9), 0, 12)) : (v / unit).toFixed(clamp(digits, 0, 12))) + (digits > 3 ? "" : letter);
}

// About n round values between lo and hi. Their number is bounded: a range that differs in the last bit only has steps too small to add.
function ticks(lo, hi, n) {
  const raw = Math.max(hi - lo, narrow(lo, hi, 1e-12)) / Math.max(1, n), size = 10 ** Math.floor(Math.log10(raw));
  const step = ([1, 2, 5].find(m => m * size >= raw * (1 - 1e-9)) ?? 10) * size, out = { step, values: [] };
  for (let i = 0, k = Math.ceil(lo / step - 1e-9); i <= 2 * n + 2 && (k + i) * step <= hi + step * 1e-9; i++) out.values.push(+((k + i) * step).toPrecision(12));
  return out;
}
// lo and hi are logarithms to base 10, as are the values
function logTicks(lo, hi, n) {
  const decades = hi - lo, out = [];
  if (decades > n) { const { values, step } = ticks(lo, hi, n); return { values: values.filter(Number.isInteger), step }; }
  const marks = [[1], [1, 3], [1, 2, 5], [1, 1.5, 2, 3, 5, 7]].find(m => m.length * decades >= n * 0.7) ?? [];
  for (let e = Math.floor(lo); e <= hi && out.length < 60; e++) for (const m of marks) { const v = e + Math.log10(m); if (v >= lo && v <= hi) out.push(v); }
  if (out.length > 2) return { values: out, step: 0 };
  const linear = ticks(10 ** lo, 10 ** hi, n); // less than a decade: round numbers
  return { values: linear.values.filter(v => v > 0).map(Math.log10), step: linear.step };
}

// --- Series ----------------------------------------------------------------------------------------------------------------------------------

// Exponential moving average with Adam's bias correction: without it the curve would start near zero. Gaps stay gaps.
function smooth(ys, w) {
  const out = new Float64Array(ys.length);
  for (let i = 0, m = 0, norm = 0; i < ys.length; i++) {
    const y = ys[i];
    if (y !== y) { out[i] = NaN; continue; }
    m = w * m + (1 - w) * y;
    norm = w * norm + 1 - w;
    out[i] = m / norm;
  }
  return out;
}

// The index of the first x that is at least `x`
function lower(xs, x) {
  let lo = 0, hi = xs.length;
  while (lo < hi) { const mid = (lo + hi) >> 1; if (xs[mid] < x) lo = mid + 1; else hi = mid; }
  return lo;
}

// A series as typed arrays: x ascending, y (NaN: gap), what is shown (`shown`, smoothed), and both on the axis' scale (`v`, `raw`)
function prepare(s, smoothing, log) {
  let points = s.points.filter(p => p && finite(p[0]));
  if (points.some((p, i) => i && p[0] < points[i - 1][0])) points = [...points].sort((a, b) => a[0] - b[0]);
  const n = points.length, x = new Float64Array(n), y = new Float64Array(n);
  for (let i = 0; i < n; i++) { x[i] = points[i][0]; y[i] = finite(points[i][1]) ? points[i][1] : NaN; }
  const smoothed = s.smoothable && smoothing > 0, shown = smoothed ? smooth(y, Math.min(smoothing, 0.999)) : y;
  const scale = ys => log ? ys.map(v => v > 0 ? Math.log10(v) : NaN) : ys;
  const v = scale(shown), raw = smoothed ? scale(y) : v, lone = [];
  let last = -1, least = -1, count = 0;
  for (let i = 0; i < n; i++) if (v[i] === v[i]) {
    count++;
    last = i;
    if (least < 0 || y[i] < y[least]) least = i;
    if (!(i && v[i - 1] === v[i - 1]) && !(i + 1 < n && v[i + 1] === v[i + 1])) lone.push(i);
  }
  return { x, y, shown, v, raw, smoothed, lone, last, least, count };
}

// The value of a broken line at x, NaN outside of it or in a gap
function along(xs, vs, x) {
  const i = lower(xs, x);
  if (i < xs.length && xs[i] === x) return vs[i];
  if (i === 0 || i === xs.length) return NaN;
  return vs[i - 1] + (vs[i] - vs[i - 1]) * ((x - xs[i - 1]) / (xs[i] - xs[i - 1]));
}

// The index of the finite value nearest to x, or -1
function nearest(p, x) {
  let b = lower(p.x, x), a = b - 1;
  while (a >= 0 && p.v[a] !== p.v[a]) a--;
  while (b < p.x.length && p.v[b] !== p.v[b]) b++;
  return b >= p.x.length ? a : a < 0 || p.x[b] - x < x - p.x[a] ? b : a;
}

// Add a broken line to the path: where several points share a column of pixels the lowest and highest of them, so that the cost is bounded by the width
function trace(path, xs, vs, from, to, { ax, bx, ay, by, left, right }) {
  const cut = x => clamp(x, left - 50, right + 50); // far outside a coordinate would lose its digits: there the line is cut
  let open = false, column = NaN, count = 0, x = 0, y = 0, min = 0, max = 0, rising = true;
  const flush = () => {
    if (!count) return;
    if (count === 1 || max - min < 0.5) { if (open) path.lineTo(x, y); else path.moveTo(x, y); }
    else {
      if (open) path.lineTo(column + 0.5, rising ? min : max); else path.moveTo(column + 0.5, rising ? min : max);
      path.lineTo(column + 0.5, rising ? max : min);
    }
    open = true;
    count = 0;
  };
  for (let i = from; i < to; i++) {
    let v = vs[i], px = ax * xs[i] + bx;
    if (v !== v) { flush(); open = false; column = NaN; continue; }
    if (px !== cut(px)) {
      const other = px < left ? i + 1 : i - 1;
      if (other < from || other >= to || vs[other] !== vs[other]) continue;
      px = cut(px);
      v = along(xs, vs, (px - bx) / ax);
    }
    const py = clamp(ay * v + by, -9999, 9999), k = Math.floor(px);
    if (k === column) {
      if (py < min) { min = py; rising = false; }
      if (py > max) { max = py; rising = true; }
    } else {
      flush();
      column = k;
      min = max = py;
    }
    count++;
    x = px;
    y = py;
  }
  flush();
}

let charts = 0;

// --- The chart -------------------------------------------------------------------------------------------------------------------------------

class Chart {
  // height in pixels; label: what a screen reader calls the chart
  constructor({ height = 250, label = "chart" } = {}) {
    Object.assign(this, { height, label, width: 0, scale: 1, series: [], hidden: new Set(), view: null, range: [0, 1], left: 0, seen: true, lit: null, cursor: null, pointer: null });
    this.data = { series: [], marks: [] };
    this.onhide = () => {};
    this.colors = new Map();
    this.calm = matchMedia("(prefers-reduced-motion: reduce)");
    this.build();
    this.listen();
  }

  build() {
    const id = `chatgot-chart-${charts++}`;
    const tool = (text, title, act) => {
      const b = Object.assign(make("button", "chart-tool", text), { type: "button", title, onclick: act });
      b.setAttribute("aria-label", title);
      return b;
    };
    this.legend = make("div", "chart-legend");
    this.legend.setAttribute("role", "group");
    this.legend.setAttribute("aria-label", `series of ${this.label}`);
    this.tools = make("div", "chart-tools", tool("Reset", "Reset zoom: show everything", () => this.reset()), tool("−", "Zoom out", () => this.zoomBy(2)), tool("+", "Zoom in", () => this.zoomBy(0.5)));
    this.tools.firstChild.className += " reset";
    this.base = make("canvas");
    this.base.setAttribute("aria-hidden", "true");
    this.top = make("canvas", "chart-top");
    for (const [k, v] of Object.entries({ tabindex: 0, role: "application", "aria-roledescription": "chart", "aria-label": this.label, "aria-describedby": `${id}-help ${id}-summary` })) this.top.setAttribute(k, v);
    this.top.dataset.lmSuppressShortcuts = "true"; // or JupyterLab would take arrow keys for commands
    this.tip = make("div", "chart-tip");
    this.tip.hidden = true;
    this.probe = make("i", "chart-probe"); // its colours have a transition, whose start tells of another theme, whatever changed it
    this.probe.setAttribute("aria-hidden", "true");
    this.plot = make("div", "chart-plot", this.base, this.top, this.tip, this.probe);
    this.plot.style.height = `${this.height}px`;
    this.said = make("div", "chart-heard");
    this.said.setAttribute("aria-live", "polite");
    this.help = make("p", "chart-heard", "Left and right arrow keys read values, up and down choose a series, plus and minus zoom, shift and an arrow pan, Home shows everything.");
    this.summary = make("p", "chart-heard");
    this.help.id = `${id}-help`;
    this.summary.id = `${id}-summary`;
    this.table = make("div", "chart-heard");
    this.el = make("div", "chart", make("div", "chart-head", this.legend, this.tools), this.plot, this.said, this.help, this.summary, this.table);
    this.el.chart = this;
  }

  listen() {
    const { top } = this;
    top.addEventListener("pointerdown", e => this.down(e));
    top.addEventListener("pointermove", e => this.move(e));
    top.addEventListener("pointerup", e => this.up(e));
    const away = () => { this.drag = this.pointer = null; this.schedule("over"); };
    top.addEventListener("pointercancel", away); // the page scrolls under a finger
    top.addEventListener("pointerleave", e => { if (!this.drag && e.pointerType !== "touch") away(); }); // after a tap the tip stays
    top.addEventListener("dblclick", () => this.reset());
    top.addEventListener("wheel", e => this.wheel(e), { passive: false });
    top.addEventListener("keydown", e => this.key(e));
    top.addEventListener("blur", () => { this.cursor = null; this.light(null); away(); });
    this.probe.addEventListener("transitionrun", () => { this.colors.clear(); this.schedule(); });
    this.sizes = new ResizeObserver(entries => this.resize(entries[entries.length - 1]));
    try { this.sizes.observe(this.top, { box: "device-pixel-content-box" }); } catch { this.sizes.observe(this.top); }
    // Charts that nobody sees are not drawn
    this.views = new IntersectionObserver(entries => { this.seen = entries[entries.length - 1].isIntersecting; if (this.seen && this.dirty) this.schedule(this.dirty); }, { rootMargin: "300px" });
    this.views.observe(this.el);
  }
  // For a chart that is thrown away
  destroy() { this.sizes.disconnect(); this.views.disconnect(); cancelAnimationFrame(this.queued); clearTimeout(this.rest); this.queued = -1; }

  resize(entry) {
    const { clientWidth: w } = this.top;
    if (!w) return;
    const device = entry.devicePixelContentBoxSize?.[0];
    Object.assign(this, { width: w, scale: device ? device.inlineSize / w : devicePixelRatio });
    for (const c of [this.base, this.top]) {
      const [dw, dh] = [Math.round(w * this.scale), Math.round(this.height * this.scale)];
      if (c.width !== dw || c.height !== dh) Object.assign(c, { width: dw, height: dh });
    }
    this.left = 0;
    this.queued ? null : this.paint(); // at once: a canvas that got another size is empty
    this.schedule();
  }

  // What is drawn from now on; see SPEC in lab/02_dashboard.ipynb. `key`: zoom and hidden series stay while it stays the same.
  draw(data) {
    if (data.key !== this.data.key || !this.drawn) { this.hidden = new Set(); this.known = new Set(); this.view = null; this.cursor = null; this.lit = null; this.left = 0; }
    for (const s of data.series) if (!this.known.has(s.id)) { this.known.add(s.id); if (s.hidden) this.hidden.add(s.id); }
    const before = new Map(this.series.map(s => [s.id, s])), { smoothing = 0, log = false } = data;
    this.series = data.series.map(s => {
      const old = before.get(s.id), same = old && old.points === s.points && old.n === s.points.length && old.smoothing === smoothing && old.log === log && old.smoothable === s.smoothable;
      return { ...s, smoothing, log, n: s.points.length, p: same ? old.p : prepare(s, smoothing, log) };
    });
    this.data = { marks: [], ...data };
    this.marks = this.data.marks.filter(m => finite(m.x));
    this.drawn = true;
    this.full = this.extent();
    this.groups = null;
    this.colors.clear();
    this.paintLegend();
    this.tell = true;
    this.schedule();
  }

  get visible() { return this.series.filter(s => !this.hidden.has(s.id) && s.p.count); }

  // The x range of all that is not hidden
  extent() {
    let lo = Infinity, hi = -Infinity;
    for (const s of this.visible) { lo = Math.min(lo, s.p.x[0]); hi = Math.max(hi, s.p.x[s.p.x.length - 1]); }
    if (lo > hi) return [0, 1];
    if (hi - lo <= narrow(lo, hi, 1e-12)) return Math.abs(hi) > SMALL ? [Math.min(0, 2 * lo), Math.max(0, 2 * hi)] : [0, 1];
    return [lo, hi];
  }

  // --- Frames ---

  // Draw in the next frame: all, or only what follows the pointer
  schedule(what = "all") {
    if (this.queued === -1) return;
    if (this.dirty !== "all") this.dirty = what;
    if (this.seen) this.queued ||= requestAnimationFrame(() => { this.queued = 0; this.paint(); });
  }
  paint() {
    const { dirty } = this;
    this.dirty = null;
    if (!this.width || !this.drawn) return;
    if (dirty === "over") return this.over();
    this.animate();
    this.layout();
    this.under();
    this.over();
    if (this.moving) this.schedule();
    else if (this.tell) { this.tell = false; this.describe(); }
  }

  // The range that is shown moves towards what is asked for
  animate() {
    const to = this.view ?? this.full, m = this.moving;
    if (!m) { this.range = to; return; }
    const t = Math.min(1, (performance.now() - m.start) / 180), ease = t * (2 - t);
    this.range = m.from.map((v, i) => v + (to[i] - v) * ease);
    if (t === 1) { this.moving = null; this.range = to; }
  }

  layout() {
    const { width: w, height: h, range: [x0, x1], data } = this, c = this.base.getContext("2d");
    const log = !!data.log, visible = this.visible;
    this.font ??= getComputedStyle(this.el).fontFamily;
    c.font = `${LABEL}px ${this.font}`;
    let [y0, y1] = this.vertical(visible, x0, x1);
    if (y0 > y1) [y0, y1] = [0, 1];
    if (y1 - y0 <= narrow(y0, y1, 1e-9)) { const r = log ? 0.05 : Math.abs(y0) > SMALL ? 0.05 * Math.abs(y0) : 1; y0 -= r; y1 += r; }
    const margin = 0.05 * (y1 - y0);
    y0 -= margin; y1 += margin;
    const lanes = this.marks.some(m => m.kind !== "best") ? LANE : 0;
    const box = this.box = { top: data.yLabel ? 20 : 8, bottom: h - 20 - lanes, lane: lanes ? h - 20 - lanes / 2 : 0 };
    const n = clamp(Math.round((box.bottom - box.top) / 44), 2, 8), { values, step } = log ? logTicks(y0, y1, n) : ticks(y0, y1, n);
    const labels = this.labels(values.map(v => log ? 10 ** v : v), step, data.yFormat);
    let gutter = 38;
    for (const t of labels) gutter = Math.max(gutter, c.measureText(t).width + 12);
    this.left = Math.max(this.left, Math.ceil(gutter / 6) * 6); // grows only, so that the plot doesn't jump while it is panned
    box.left = this.left;
    box.ends = this.ends(c, visible, w);
    box.right = w - (box.ends ? box.ends : 12);
    const ax = (box.right - box.left) / (x1 - x0), ay = (box.top - box.bottom) / (y1 - y0);
    this.t = { ax, bx: box.left - x0 * ax, ay, by: box.bottom - y0 * ay, left: box.left, right: box.right };
    this.yTicks = values.map((v, i) => [v, labels[i]]);
    const xs = ticks(x0, x1, clamp(Math.floor((box.right - box.left) / 76), 2, 12));
    this.xTicks = this.labels(xs.values, xs.step, data.xFormat).map((t, i) => [xs.values[i], t]);
  }

  // The page's own format, unless neighbours look the same in it or it pads with decimals
  labels(values, step, format) {
    const largest = Math.max(...values.map(Math.abs));
    if (format) { const own = values.map(v => this.text(v, format)); if (new Set(own).size === own.length && !own.every(t => /^-?[\d,]*\.\d+$/.test(t))) return own; }
    if (step) return values.map(v => tickText(v, step, largest));
    return values.map(v => { // on a logarithmic axis
      const decade = 10 ** Math.floor(Math.log10(v) + 1e-9), m = v / decade;
      return tickText(v, Math.abs(m - Math.round(m)) < 1e-6 ? decade : decade / 10, v);
    });
  }
  text(v, format = figure) { try { return String(format(v)); } catch { return figure(v); } }

  // The lowest and highest value between two x, the places where lines cross the edges included
  vertical(visible, x0, x1) {
    let lo = Infinity, hi = -Infinity;
    for (const s of visible) {
      for (const vs of this.behind(s, visible) ? [s.p.v, s.p.raw] : [s.p.v]) {
        const { x } = s.p, end = lower(x, x1);
        for (let i = lower(x, x0); i < x.length && (i < end || x[i] === x1); i++) { const v = vs[i]; if (v < lo) lo = v; if (v > hi) hi = v; }
        const a = along(x, vs, x0), b = along(x, vs, x1);
        if (a < lo) lo = a;
        if (a > hi) hi = a;
        if (b < lo) lo = b;
        if (b > hi) hi = b;
      }
    }
    return [lo, hi];
  }
  // Whether the unsmoothed curve is drawn behind: of the last series, which is on top, and of others where there are few
  behind(s, visible) {
    if (!s.p.smoothed) return false;
    const all = visible.filter(o => o.p.smoothed);
    return all.length <= 3 || s === all[all.length - 1] || s.id === this.lit;
  }

  // Room for names at the right end of lines, 0 if there is none
  ends(c, visible, w) {
    const named = visible.filter(s => s.width !== 0 && s.p.count > 1);
    this.named = [];
    if (w < 640 || named.length < 2 || named.length * 13 > this.height - 50) return 0;
    this.named = named;
    let widest = 0;
    for (const s of named) widest = Math.max(widest, c.measureText(s.name).width);
    return Math.min(150, Math.ceil(widest) + 20);
  }

  color(name) {
    let c = this.colors.get(name);
    if (c === undefined) {
      const i = make("i", "chart-color");
      i.style.color = name.startsWith("--") ? `var(${name})` : name;
      this.plot.append(i);
      c = getComputedStyle(i).color;
      i.remove();
      this.colors.set(name, c);
    }
    return c;
  }

  // Axes, curves, marks
  under() {
    const { box, t, width: w, height: h, data } = this, c = this.base.getContext("2d");
    c.setTransform(this.scale, 0, 0, this.scale, 0, 0);
    c.clearRect(0, 0, w, h);
    c.font = `${LABEL}px ${this.font}`;
    c.textBaseline = "middle";
    this.axes(c);
    const visible = this.visible;
    if (!visible.length) {
      c.textAlign = "center";
      c.fillStyle = this.color("--faint");
      c.fillText(!this.series.some(s => s.n) ? data.empty ?? "waiting for the first values" : this.series.some(s => s.p.count) ? "all series are hidden" : data.log ? "nothing above zero for a log axis" : "no values", (box.left + box.right) / 2, (box.top + box.bottom) / 2);
    }
    this.inside(c, () => {
      this.rules(c);
      for (const s of visible) if (this.behind(s, visible)) this.curve(c, s, s.p.raw, 1, 0.28);
      for (const s of visible) this.curve(c, s, s.p.v, s.width ?? 1.6, s.faint ? 0.35 : 1);
    });
    for (const s of visible) this.dots(c, s);
    this.names(c);
    this.paintMarks(c);
    c.globalAlpha = 1;
  }

  // Draw with the plot's rectangle as a window
  inside(c, draw) {
    const { left, right, top, bottom } = this.box;
    c.save();
    c.beginPath();
    c.rect(left, top - 6, right - left, bottom - top + 6);
    c.clip();
    draw();
    c.restore();
  }

  axes(c) {
    const { box, t, height: h, width: w, data, scale } = this, crisp = v => (Math.round(v * scale) + (Math.round(scale) % 2) / 2) / scale;
    c.lineWidth = Math.max(1, Math.round(scale)) / scale;
    c.strokeStyle = this.color("--line");
    c.fillStyle = this.color("--faint");
    c.textAlign = "right";
    c.globalAlpha = 0.7;
    c.beginPath();
    for (const [v] of this.yTicks) { const y = crisp(t.ay * v + t.by); c.moveTo(box.left, y); c.lineTo(box.right, y); }
    c.stroke();
    c.globalAlpha = 1;
    for (const [v, text] of this.yTicks) c.fillText(text, box.left - 7, t.ay * v + t.by);
    c.beginPath();
    c.moveTo(box.left, crisp(box.bottom));
    c.lineTo(box.right, crisp(box.bottom));
    // The name of the axis stands left of its first number, or at the end where it is too long for that
    const xLabel = data.xLabel ?? "", long = c.measureText(xLabel).width, atEnd = long > box.left - 20, room = atEnd ? box.right - long - 10 : w;
    c.textAlign = "center";
    let taken = -Infinity;
    for (const [v, text] of this.xTicks) {
      const x = t.ax * v + t.bx, half = c.measureText(text).width / 2;
      c.moveTo(crisp(x), box.bottom);
      c.lineTo(crisp(x), box.bottom + 4);
      if (x + half < room && x - half > Math.max(0, taken)) { c.fillText(text, x, h - 9); taken = x + half + 8; }
    }
    c.stroke();
    c.textAlign = "right";
    c.fillText(xLabel, atEnd ? box.right : box.left - 14, h - 9);
    c.textAlign = "left";
    if (data.yLabel) c.fillText(data.yLabel, 2, 8);
    if (this.view) this.position(c);
  }

  // Zoomed: where the window lies in the whole, on the axis
  position(c) {
    const { box, full: [a, b], range: [x0, x1] } = this, f = v => box.left + (v - a) / (b - a) * (box.right - box.left);
    const from = clamp(f(x0), box.left, box.right), to = clamp(f(x1), box.left, box.right);
    c.fillStyle = this.color("--accent");
    c.fillRect(Math.min(from, box.right - 4), box.bottom - 1, Math.max(4, to - from), 2.5);
  }

  curve(c, s, vs, width, alpha) {
    if (!width) return;
    const { x } = s.p, [x0, x1] = this.range, from = Math.max(0, lower(x, x0) - 1), to = Math.min(x.length, lower(x, x1) + 2), path = new Path2D(), lit = s.id === this.lit;
    trace(path, x, vs, from, to, this.t);
    c.strokeStyle = this.color(s.color);
    c.globalAlpha = this.lit !== null && !lit ? alpha * 0.25 : alpha;
    c.lineJoin = "bevel";
    const wide = (width + (lit ? 0.8 : 0)) * this.scale, hair = 1 / this.scale;
    if (wide > 1 && !s.dash && (this.swift || to - from > this.width / 2)) this.hairlines(c, path, wide, hair);
    else {
      c.lineWidth = wide * hair;
      c.setLineDash(s.dash ?? []);
      c.stroke(path);
      c.setLineDash([]);
    }
  }
  // Without a GPU a line of one pixel is drawn ten times as fast as a wider one: dense and moving curves are two or more of them side by side
  hairlines(c, path, wide, hair) {
    const n = Math.min(Math.round(wide), this.swift ? 2 : 9), gap = n > 1 ? Math.min(1, (wide - 1) / (n - 1)) * hair : 0; // at most a pixel apart, or paper would show between them
    c.lineWidth = hair;
    for (let i = 0; i < n; i++) {
      const d = (i - (n - 1) / 2) * gap;
      c.translate(0.5 * d, d);
      c.stroke(path);
      c.translate(-0.5 * d, -d);
    }
  }

  // Points of a series: where they are asked for and there is room, and those without neighbours
  dots(c, s) {
    const { x, v, lone } = s.p, { t, box, range: [x0, x1] } = this, from = lower(x, x0), to = lower(x, x1 + 1e-9 * Math.abs(x1)), cloud = s.width === 0;
    const every = s.dots && (cloud || to - from <= (box.right - box.left) / 9);
    if (!every && !lone.length) return;
    c.beginPath();
    c.fillStyle = this.color(s.color);
    c.globalAlpha = (this.lit !== null && this.lit !== s.id ? 0.25 : 1) * (cloud && to - from > 300 ? 0.5 : 1);
    const dot = i => {
      const px = t.ax * x[i] + t.bx, py = t.ay * v[i] + t.by;
      if (!(py > -50 && py < 9999) || px < box.left - 1 || px > box.right + 1) return;
      if (cloud && to - from > 300) c.rect(px - 1.25, py - 1.25, 2.5, 2.5);
      else { c.moveTo(px + 2.8, py); c.arc(px, py, 2.8, 0, 7); }
    };
    if (every) for (let i = from; i < to; i++) dot(i); else for (const i of lone) dot(i);
    c.fill();
  }

  // Names at the ends of lines, moved apart where they would overlap
  names(c) {
    if (!this.named.length) return;
    const { box, t, range: [x0, x1] } = this, spots = []; // of a line that ends earlier, at the height of its end
    for (const s of this.named) {
      const last = s.p.x[s.p.last], at = last <= x1 ? last : x1, v = last <= x1 ? s.p.v[s.p.last] : along(s.p.x, s.p.v, x1);
      if (at >= x0 && v === v) spots.push({ s, y: clamp(t.ay * v + t.by, box.top, box.bottom) });
    }
    spots.sort((a, b) => a.y - b.y);
    let floor = box.top - 8;
    for (const p of spots) { p.to = Math.max(p.y, floor + 13); floor = p.to; }
    let roof = box.bottom + 7;
    for (const p of spots.reverse()) { p.to = Math.min(p.to, roof - 13 + 6); roof = p.to - 6; }
    c.textAlign = "left";
    for (const { s, y, to } of spots) {
      c.globalAlpha = this.lit !== null && this.lit !== s.id ? 0.35 : 1;
      c.strokeStyle = c.fillStyle = this.color(s.color);
      c.lineWidth = 1;
      c.beginPath();
      c.moveTo(box.right + 1, y);
      c.lineTo(box.right + 10, to);
      c.stroke();
      c.fillText(this.fit(c, s.name, this.width - box.right - 15), box.right + 13, to);
    }
  }
  fit(c, text, room) {
    if (c.measureText(text).width <= room) return text;
    let n = text.length;
    while (n > 1 && c.measureText(text.slice(0, n) + "…").width > room) n--;
    return text.slice(0, n) + "…";
  }

  // --- Marks ---

  // Events that would overlap are one group. Groups depend on the scale only, so that panning doesn't regroup them.
  grouped() {
    const { ax } = this.t;
    if (this.groups?.ax === ax) return this.groups;
    const out = [];
    for (const m of this.marks.filter(m => m.kind !== "best").sort((a, b) => a.x - b.x)) {
      const g = out[out.length - 1];
      if (g && (m.x - g.start) * ax < MARK_GAP) { g.marks.push(m); g.end = m.x; } else out.push({ start: m.x, end: m.x, marks: [m] });
    }
    for (const g of out) g.x = (g.start + g.end) / 2;
    out.ax = ax;
    return this.groups = out;
  }
  markColor(m) { return this.color(m.kind === "failed" ? "--bad" : WARN.has(m.kind) ? "--warm" : m.kind === "lr" || m.kind === "branched" ? "--accent" : "--faint"); }

  // Thin lines through the plot where something changed the course
  rules(c) {
    const { box, t } = this;
    c.lineWidth = 1;
    c.setLineDash([2, 3]);
    c.globalAlpha = 0.5;
    for (const m of this.marks) if (m.kind === "lr" || m.kind === "failed" || m.kind === "warning") {
      const x = t.ax * m.x + t.bx;
      if (x < box.left || x > box.right) continue;
      c.strokeStyle = this.markColor(m);
      c.beginPath();
      c.moveTo(x, box.top);
      c.lineTo(x, box.bottom);
      c.stroke();
    }
    c.setLineDash([]);
  }
  paintMarks(c) {
    const { box, t } = this;
    c.globalAlpha = 1;
    c.textAlign = "center";
    for (const g of box.lane ? this.grouped() : []) {
      let x = t.ax * g.x + t.bx;
      if (!this.view) x += clamp(box.left - x, 0, 14) + clamp(box.right - x, -14, 0); // a mark may lie a little before the first point or after the last
      g.px = x;
      if (x < box.left - 1 || x > box.right + 1) continue;
      const worst = g.marks.find(m => m.kind === "failed") ?? g.marks.find(m => WARN.has(m.kind)) ?? g.marks[0];
      c.fillStyle = c.strokeStyle = this.markColor(worst);
      if (g.marks.length === 1) this.symbol(c, worst, x, box.lane + 1);
      else {
        const text = g.marks.length < 100 ? String(g.marks.length) : "99+", half = c.measureText(text).width / 2 + 3.5;
        c.beginPath();
        c.roundRect(x - half, box.lane - 5.5, 2 * half, 13, 6.5);
        c.globalAlpha = 0.16;
        c.fill();
        c.globalAlpha = 1;
        c.fillStyle = this.color(WARN.has(worst.kind) ? "--ink" : "--faint");
        c.fillText(text, x, box.lane + 1.5);
      }
    }
    for (const m of this.marks) if (m.kind === "best") {
      const v = this.data.log ? m.y > 0 ? Math.log10(m.y) : NaN : m.y, x = t.ax * m.x + t.bx, y = t.ay * v + t.by;
      if (!finite(v) || this.hidden.has(m.series) || x < box.left - 1 || x > box.right + 1 || y < box.top - 6 || y > box.bottom) continue;
      c.save();
      c.translate(x, y);
      c.lineWidth = 2.5;
      c.lineJoin = "round";
      c.strokeStyle = this.color("--paper");
      c.fillStyle = this.color(m.color ?? "--warm");
      c.stroke(shape("best"));
      c.fill(shape("best"));
      c.restore();
    }
  }
  icon(m) {
    const e = make("i");
    if (!(m.kind in SHAPES) && m.symbol) e.append(m.symbol);
    else e.append(svg("svg", { viewBox: "-8 -8 16 16", width: 14, height: 14 }, svg("path", { d: SHAPES[m.kind] ?? SHAPES.other, "fill-rule": "evenodd" })));
    e.style.color = m.kind === "best" ? "var(--warm)" : this.markColor(m);
    e.setAttribute("aria-hidden", "true");
    return e;
  }
  symbol(c, m, x, y) {
    if (!(m.kind in SHAPES) && m.symbol) return c.fillText(m.symbol, x, y);
    c.translate(x, y);
    c.fill(shape(m.kind), "evenodd");
    c.translate(-x, -y);
  }

  // --- What follows the pointer or the keyboard's cursor ---

  // The value of each visible series near x: { s, i, x, y } in data and { px, py } in pixels; of a series that is not there, nothing
  readings(x) {
    const { t, box } = this, out = [];
    for (const s of this.visible) {
      const i = nearest(s.p, x), px = t.ax * s.p.x[i] + t.bx, at = t.ax * x + t.bx;
      const inside = x >= s.p.x[0] && x <= s.p.x[s.p.last];
      if (i < 0 || (!inside && Math.abs(px - at) > 12) || (inside && Math.abs(px - at) > 400)) continue;
      out.push({ s, i, x: s.p.x[i], y: s.p.shown[i], raw: s.p.y[i], px, py: t.ay * s.p.v[i] + t.by });
    }
    return out;
  }
  // Where the pointer is: the x of the nearest point of the nearest curve, and the readings there
  aim() {
    const { t, box, pointer } = this;
    if (this.cursor !== null && !pointer) {
      const found = this.readings(this.cursor);
      return { x: this.cursor, found, near: found.find(r => r.s === this.walked) };
    }
    if (!pointer || pointer.x < box.left - 8 || pointer.x > box.right + 8 || pointer.y > this.height) return null;
    const x = clamp((pointer.x - t.bx) / t.ax, ...this.range), first = this.readings(x);
    if (!first.length) return { x, found: [] };
    const near = first.reduce((a, b) => Math.hypot(b.px - pointer.x, b.py - pointer.y) < Math.hypot(a.px - pointer.x, a.py - pointer.y) ? b : a);
    if (Math.abs(near.px - pointer.x) > 60) return { x, found: [] };
    const found = this.readings(near.x);
    return { x: near.x, found, near: found.find(r => r.s === near.s) };
  }
  marksNear(px, reach) {
    const group = !this.box.lane || px === undefined ? null : this.grouped().filter(g => g.px >= this.box.left - 1 && g.px <= this.box.right + 1)
      .reduce((a, b) => Math.abs(b.px - px) <= reach && (!a || Math.abs(b.px - px) < Math.abs(a.px - px)) ? b : a, null);
    return group?.marks ?? [];
  }

  over() {
    const { box, t, scale, width: w, height: h, drag } = this, c = this.top.getContext("2d");
    c.setTransform(scale, 0, 0, scale, 0, 0);
    c.clearRect(0, 0, w, h);
    if (!box) return;
    if (drag?.kind === "zoom" && drag.moved) { this.tip.hidden = true; return this.selection(c); }
    if (drag?.kind === "pan" && drag.moved) { this.tip.hidden = true; return; }
    const inLane = this.pointer && box.lane && this.pointer.y > box.bottom + 1, aim = this.aim(), px = aim && t.ax * aim.x + t.bx;
    const marks = inLane ? this.marksNear(this.pointer.x, NEAR) : aim ? this.marksNear(px, 5).concat(this.marks.filter(m => m.kind === "best" && Math.abs(t.ax * m.x + t.bx - px) < 5)) : [];
    if (inLane && !marks.length || !aim || (!aim.found.length && !marks.length)) { this.tip.hidden = true; return; }
    if (inLane) {
      this.rule(c, this.grouped().find(g => g.marks === marks)?.px);
      return this.showTip(null, [], null, marks, this.pointer.x, box.bottom);
    }
    this.rule(c, px);
    if (aim.near && aim.found.length > 3) this.inside(c, () => this.curve(c, aim.near.s, aim.near.s.p.v, (aim.near.s.width ?? 1.6) + 1, 1));
    c.globalAlpha = 1;
    c.lineWidth = 2;
    c.strokeStyle = this.color("--paper");
    for (const r of aim.found) {
      if (r.py < box.top - 6 || r.py > box.bottom + 6 || r.px < box.left - 1 || r.px > box.right + 1) continue;
      c.fillStyle = this.color(r.s.color);
      c.beginPath();
      c.arc(r.px, r.py, r === aim.near ? 5 : 3.5, 0, 7);
      c.stroke();
      c.fill();
    }
    this.showTip(aim.x, aim.found, aim.near, marks, px, this.pointer?.y ?? aim.near?.py ?? box.top);
  }
  rule(c, x) {
    if (x === undefined) return;
    c.strokeStyle = this.color("--faint");
    c.lineWidth = 1;
    c.setLineDash([3, 3]);
    c.beginPath();
    c.moveTo(Math.round(x) + 0.5, this.box.top);
    c.lineTo(Math.round(x) + 0.5, this.box.bottom);
    c.stroke();
    c.setLineDash([]);
  }
  selection(c) {
    const { box, drag } = this, a = clamp(Math.min(drag.x, drag.now), box.left, box.right), b = clamp(Math.max(drag.x, drag.now), box.left, box.right);
    c.fillStyle = c.strokeStyle = this.color("--accent");
    c.globalAlpha = 0.14;
    c.fillRect(a, box.top, b - a, box.bottom - box.top);
    c.globalAlpha = 0.9;
    c.fillRect(a, box.top, 1, box.bottom - box.top);
    c.fillRect(b - 1, box.top, 1, box.bottom - box.top);
    c.globalAlpha = 1;
  }

  xText(x) { return this.text(x, this.data.xFormat ?? (v => Number.isInteger(v) && Math.abs(v) < 1e9 ? thousands(String(v)) : String(+v.toPrecision(5)))); }
  place(x) { return `${this.data.xLabel ?? "x"} ${this.xText(x)}`; }
  showTip(x, found, near, marks, px, py) {
    const { data, tip, width: w } = this, rows = [...found].sort((a, b) => b.y - a.y);
    let from = 0;
    if (rows.length > MAX_TIP) from = clamp(rows.indexOf(near) - MAX_TIP / 2, 0, rows.length - MAX_TIP);
    const line = r => {
      const key = make("i", "chart-key"), away = Math.abs(r.px - (this.t.ax * x + this.t.bx)) > 12;
      this.dress(key, r.s);
      const e = make("div", r === near && found.length > 1 ? "near" : "", key, make("span", "name", r.s.name), make("b", "", this.text(r.y, data.yFormat)));
      const note = [r.s.p.smoothed && (r === near || rows.length < 4) ? `raw ${this.text(r.raw, data.yFormat)}` : "", away ? `at ${this.xText(r.x)}` : ""].filter(Boolean).join(", ");
      e.append(make("small", "", note));
      return e;
    };
    const more = rows.length - MAX_TIP, events = marks.slice(0, 8).map(m => make("div", "mark", this.icon(m), m.text ?? m.kind));
    tip.replaceChildren(...(x === null ? [make("div", "at", marks.length === 1 ? this.place(marks[0].x) : `${marks.length} events, ${this.place(marks[0].x)} to ${this.xText(marks[marks.length - 1].x)}`)] : [make("div", "at", this.place(x))]),
      make("div", "rows", ...rows.slice(from, from + MAX_TIP).map(line)), ...(more > 0 ? [make("div", "at", `${more} more`)] : []), ...events,
      ...(marks.length > 8 ? [make("div", "at", `${marks.length - 8} more events`)] : []));
    tip.hidden = false;
    const tw = tip.offsetWidth, th = tip.offsetHeight, left = px + 14 + tw <= w ? px + 14 : px - 14 - tw >= 0 ? px - 14 - tw : null;
    const top = left !== null ? clamp(py - th / 2, -20, Math.max(-20, this.height - th)) : py - th - 20 > -50 ? py - th - 20 : py + 24; // no room beside it: above or below
    tip.style.transform = `translate(${Math.round(left ?? clamp(px - tw / 2, 0, w - tw))}px, ${Math.round(top)}px)`;
  }

  // --- Pointer, wheel, keys ---

  at(e) { const r = this.top.getBoundingClientRect(); return { x: e.clientX - r.left, y: e.clientY - r.top }; }
  down(e) {
    if (e.button || !e.isPrimary || !this.box) return;
    const p = this.at(e), touch = e.pointerType === "touch";
    if (p.x < this.box.left - 8 || p.x > this.box.right + 8) return;
    this.drag = { kind: e.shiftKey || (touch && this.view) ? "pan" : "zoom", x: p.x, now: p.x, moved: false, range: this.view ?? this.full };
    this.pointer = p;
    this.cursor = null;
    this.top.setPointerCapture(e.pointerId);
    this.schedule("over");
  }
  move(e) {
    const p = this.at(e), d = this.drag;
    this.pointer = p;
    this.top.classList.toggle("pan", d ? d.kind === "pan" : e.shiftKey);
    if (!d) return this.schedule("over");
    d.now = p.x;
    d.moved ||= Math.abs(p.x - d.x) > 4;
    if (d.kind === "pan" && d.moved) this.show(d.range.map(v => v - (p.x - d.x) / this.t.ax), false);
    else this.schedule("over");
  }
  up(e) {
    const d = this.drag;
    this.drag = null;
    if (e.pointerType === "touch" && d?.moved) this.pointer = null;
    if (d?.kind === "zoom" && d.moved && Math.abs(d.now - d.x) > 4) {
      const { t, box } = this, f = px => (clamp(px, box.left, box.right) - t.bx) / t.ax;
      this.show([f(Math.min(d.x, d.now)), f(Math.max(d.x, d.now))]);
    } else this.schedule("over");
  }
  wheel(e) {
    const dx = e.deltaX || (e.shiftKey ? e.deltaY : 0);
    if (!this.view || e.ctrlKey || Math.abs(dx) < Math.abs(e.shiftKey ? 0 : e.deltaY)) return; // the page scrolls
    e.preventDefault();
    this.panBy(dx * (e.deltaMode ? 30 : 1) / (this.box.right - this.box.left));
  }

  // Show a range of x; all of it: no zoom. It stays within the data and wider than rounding errors.
  show([a, b], animated = true) {
    const [lo, hi] = this.full, least = Math.max((hi - lo) * 1e-5, 1e-9 * Math.max(Math.abs(lo), Math.abs(hi))), size = clamp(b - a, least, hi - lo);
    const start = clamp(b - a < least ? (a + b - size) / 2 : a, lo, hi - size), view = size >= (hi - lo) * (1 - 1e-9) ? null : [start, start + size];
    this.moving = animated && !this.calm.matches && this.t ? { from: this.range, start: performance.now() } : null;
    this.view = view;
    if (!view) this.left = 0;
    this.el.classList.toggle("zoomed", !!view);
    this.swift = true; // until nothing has moved for a moment
    clearTimeout(this.rest);
    this.rest = setTimeout(() => { this.swift = false; this.tell = true; this.schedule(); }, 150);
    this.schedule();
  }
  reset() {
    this.cursor = null;
    if (this.view) this.show(this.full); else this.schedule("over");
  }
  get zoom() { return this.view; }
  // Pan by a share of the window
  panBy(share) { const [a, b] = this.view ?? this.full; this.show([a + share * (b - a), b + share * (b - a)], false); }
  // Zoom around the cursor or the middle; above 1: out
  zoomBy(factor) {
    const [a, b] = this.view ?? this.full, c = this.cursor ?? (a + b) / 2, half = (b - a) * factor / 2, from = clamp(c - half, this.full[0], this.full[1] - 2 * half);
    this.show(2 * half >= this.full[1] - this.full[0] ? this.full : [from, from + 2 * half]);
  }

  key(e) {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    const act = { ArrowLeft: () => e.shiftKey ? this.panBy(-0.1) : this.step(-1), ArrowRight: () => e.shiftKey ? this.panBy(0.1) : this.step(1), PageUp: () => this.step(-10), PageDown: () => this.step(10),
      End: () => this.step(Infinity), ArrowUp: () => this.choose(-1), ArrowDown: () => this.choose(1), "+": () => this.zoomBy(0.5), "=": () => this.zoomBy(0.5), "-": () => this.zoomBy(2), "−": () => this.zoomBy(2),
      Home: () => this.reset(), Escape: () => { this.light(null); this.reset(); } }[e.key];
    if (!act) return;
    e.preventDefault();
    e.stopPropagation();
    this.pointer = null;
    act();
    if (["+", "=", "-", "−", "Home", "Escape"].includes(e.key) || e.shiftKey) this.announce(this.view ? `${this.place(this.view[0])} to ${this.xText(this.view[1])}` : "everything is shown");
  }
  // The series that arrow keys walk along: the chosen one, else of those with most points the one on top
  get walked() { const v = this.visible; return v.find(s => s.id === this.lit) ?? v.reduce((a, b) => a && a.p.count > b.p.count ? a : b, null); }
  // Move the cursor by a hundredth of the window, but at least to the next point
  step(by) {
    const s = this.walked, [x0, x1] = this.view ?? this.full;
    if (!s) return this.announce("nothing is shown");
    const { p } = s, dir = Math.sign(by), here = this.cursor ?? (dir > 0 ? x0 - (x1 - x0) * by / 100 : x1 - (x1 - x0) * by / 100);
    let i = Number.isFinite(by) ? nearest(p, clamp(here + (x1 - x0) * by / 100, x0, x1)) : nearest(p, x1);
    if (this.cursor !== null && (p.x[i] - here) * dir <= 0) { // the next point with a value
      i = dir > 0 ? lower(p.x, here + Number.EPSILON * Math.abs(here)) : lower(p.x, here) - 1;
      while (i >= 0 && i < p.x.length && (p.v[i] !== p.v[i] || p.x[i] === here)) i += dir;
    }
    if (i < 0 || i >= p.x.length) return this.announce(dir > 0 ? "the end" : "the beginning");
    this.cursor = p.x[i];
    if (this.view && (this.cursor < x0 || this.cursor > x1)) this.panBy((this.cursor - (x0 + x1) / 2) / (x1 - x0));
    this.read();
  }
  choose(by) {
    const v = this.visible;
    if (!v.length) return;
    const i = v.findIndex(s => s.id === this.lit);
    this.light(v[i < 0 ? (by > 0 ? 0 : v.length - 1) : (i + by + v.length) % v.length].id);
    if (this.cursor === null) this.announce(this.walked.name); else this.read();
  }
  read() {
    this.schedule("over");
    if (!this.t) return;
    const found = this.readings(this.cursor), { walked } = this, say = r => `${r.s.name} ${this.text(r.y, this.data.yFormat)}`;
    const first = found.find(r => r.s === walked), rest = found.filter(r => r !== first).sort((a, b) => b.y - a.y);
    const events = this.marks.filter(m => Math.abs(this.t.ax * (m.x - this.cursor)) < 5).map(m => m.text ?? m.kind).slice(0, 3);
    this.announce([this.place(this.cursor), ...(first ? [say(first)] : []), ...rest.slice(0, 10).map(say), ...events].join(", "));
  }
  announce(text) { this.said.textContent = text; }

  // Let one series stand out; null: none
  light(id) { if (id !== this.lit) { this.lit = id; this.schedule(); } }

  // --- Legend and words ---

  dress(key, s) {
    key.style.setProperty("--c", s.color.startsWith("--") ? `var(${s.color})` : s.color);
    key.classList.toggle("dashed", !!s.dash?.length);
    key.classList.toggle("dotted", !!s.dots);
    key.classList.toggle("cloud", s.width === 0);
  }
  // Buttons stay the same elements, so that new values don't take the keyboard's focus away
  paintLegend() {
    const shown = this.series.filter(s => s.n), old = this.buttons ?? new Map();
    this.buttons = new Map(shown.map(s => {
      const b = old.get(s.id) ?? this.legendButton(s.id);
      write(b.lastChild, s.name);
      this.dress(b.firstChild, s);
      b.setAttribute("aria-pressed", String(!this.hidden.has(s.id)));
      return [s.id, b];
    }));
    const wanted = [...this.buttons.values()];
    if (wanted.length !== this.legend.children.length || wanted.some((b, i) => b !== this.legend.children[i])) this.legend.replaceChildren(...wanted);
    this.el.classList.toggle("zoomed", !!this.view);
    this.legend.hidden = !shown.length;
  }
  legendButton(id) {
    const b = Object.assign(make("button", "", make("i", "chart-key"), make("span")), { type: "button", title: "Hide or show; with Shift only this one" });
    b.addEventListener("click", e => this.toggle(id, e.shiftKey));
    b.addEventListener("pointerenter", e => { if (e.pointerType === "mouse" && !this.hidden.has(id)) this.light(id); });
    b.addEventListener("pointerleave", () => this.light(null));
    b.addEventListener("focus", () => { if (b.matches(":focus-visible") && !this.hidden.has(id)) this.light(id); });
    b.addEventListener("blur", () => this.light(null));
    return b;
  }
  // Hide or show a series; `only`: hide all others, or show all again
  toggle(id, only = false) {
    const others = this.series.map(s => s.id).filter(o => o !== id);
    if (only) this.hidden = !this.hidden.has(id) && others.every(o => this.hidden.has(o)) ? new Set() : new Set(others);
    else if (!this.hidden.delete(id)) this.hidden.add(id);
    if (this.hidden.has(this.lit)) this.lit = null;
    this.full = this.extent();
    this.left = 0;
    if (this.view) this.show(this.view, false);
    this.paintLegend();
    this.tell = true;
    this.schedule();
    this.onhide([...this.hidden]);
  }

  // The chart in words and as a table, for those who don't see it (and for tests)
  describe() {
    const { data } = this, x = v => this.xText(v), y = v => this.text(v, data.yFormat), visible = this.visible, [x0, x1] = this.view ?? this.full;
    const what = `${data.yLabel ?? this.label} by ${data.xLabel ?? "x"}${data.log ? ", logarithmic" : ""}`;
    write(this.summary, !visible.length ? "Nothing is shown." : `${what}, from ${x(x0)} to ${x(x1)}${this.view ? ", zoomed" : ""}. ` + visible.slice(-4).reverse().map(s => `${s.name}: last ${y(s.p.y[s.p.last])}, lowest ${y(s.p.y[s.p.least])} at ${x(s.p.x[s.p.least])}.`).join(" ")
      + (visible.length > 4 ? ` And ${visible.length - 4} more.` : ""));
    const cell = (tag, text, scope) => { const e = make(tag, "", text); if (scope) e.setAttribute("scope", scope); return e; };
    const rows = visible.map(s => {
      const r = make("tr", "", cell("th", s.name, "row"), ...[String(s.p.count), y(s.p.y[s.p.last]), x(s.p.x[s.p.last]), y(s.p.y[s.p.least]), x(s.p.x[s.p.least])].map(v => cell("td", v)));
      r.dataset.id = s.id;
      return r;
    });
    this.table.replaceChildren(make("table", "", make("caption", "", what), make("thead", "", make("tr", "", ...["series", "points", "last", "at", "lowest", "at"].map(t => cell("th", t, "col")))), make("tbody", "", ...rows)));
  }
}

// --- Small pictures --------------------------------------------------------------------------------------------------------------------------

// The course of values without axes. Wide lists are drawn by the lowest and highest of each of 120 parts.
function spark(values, { height = 22, label, color = "--accent", format = figure } = {}) {
  const vs = [...values].map(v => finite(v) ? v : NaN), known = vs.filter(v => v === v), e = svg("svg", { viewBox: `0 0 100 ${height}`, preserveAspectRatio: "none", class: "spark", role: "img", height });
  let lo = Infinity, hi = -Infinity;
  for (const v of known) { lo = Math.min(lo, v); hi = Math.max(hi, v); }
  e.setAttribute("aria-label", label ?? (known.length ? `from ${format(known[0])} to ${format(known[known.length - 1])}, between ${format(lo)} and ${format(hi)}` : "no values"));
  e.style.setProperty("--c", color.startsWith("--") ? `var(${color})` : color);
  if (!known.length) return e;
  const y = v => (height - 3 - (hi > lo ? (v - lo) / (hi - lo) : 0.5) * (height - 6)).toFixed(2), x = i => (vs.length > 1 ? i / (vs.length - 1) * 98 : 98).toFixed(2);
  let d = "", open = false;
  const wide = Math.max(1, Math.ceil(vs.length / 120));
  for (let i = 0; i < vs.length; i += wide) {
    let a = -1, b = -1;
    for (let k = i; k < Math.min(i + wide, vs.length); k++) if (vs[k] === vs[k]) { if (a < 0 || vs[k] < vs[a]) a = k; if (b < 0 || vs[k] > vs[b]) b = k; }
    if (a < 0) { open = false; continue; }
    for (const k of a === b ? [a] : a < b ? [a, b] : [b, a]) { d += `${open ? "L" : "M"}${x(k)} ${y(vs[k])}`; open = true; }
  }
  const last = vs.findLastIndex(v => v === v);
  if (known.length === vs.length && vs.length > 1) e.append(svg("path", { class: "area", d: `${d}L98 ${height}L0 ${height}Z` }));
  e.append(svg("path", { class: "line", d }), svg("path", { class: "end", d: `M${x(last)} ${y(vs[last])}h0` }));
  return e;
}

// Bars with their names and values: items of { label, value, text, color, title }
function chartBars(items, { format = figure, max, log = false, label } = {}) {
  const size = v => !finite(v) ? 0 : log ? (v > 0 ? Math.log10(v) : NaN) : Math.abs(v), sizes = items.map(i => size(i.value)), known = sizes.filter(v => v === v);
  const lo = log ? Math.floor(Math.min(...known, 0)) - 0.2 : 0, hi = max !== undefined ? size(max) : Math.max(...known, log ? lo + 1 : 0);
  const list = make("ul", "chart-bars", ...items.map((item, i) => {
    const bar = make("i"), row = make("li", item.value < 0 ? "below" : "", make("span", "name", item.label ?? item.name ?? ""), make("span", "track", bar), make("b", "", item.text ?? (finite(item.value) ? format(item.value) : "–")));
    bar.style.width = `${clamp(100 * (sizes[i] - lo) / (hi - lo || 1), 0, 100) || 0}%`;
    if (item.color) bar.style.setProperty("--c", item.color.startsWith("--") ? `var(${item.color})` : item.color);
    row.title = item.title ?? "";
    return row;
  }));
  if (label) list.setAttribute("aria-label", label);
  return list;
}

// Counts of values in equal parts between lo and hi
function chartHistogram({ lo, hi, counts = [] }, { height = 56, label, format = v => String(+v.toPrecision(2)), color = "--accent" } = {}) {
  const n = counts.length, known = counts.map(v => finite(v) && v > 0 ? v : 0), most = Math.max(1e-300, ...known), total = known.reduce((a, b) => a + b, 0), ok = finite(lo) && finite(hi) && n > 0;
  const peak = known.indexOf(most), at = i => lo + (hi - lo) * i / n;
  const e = svg("svg", { viewBox: `0 0 ${Math.max(n, 1)} ${height}`, preserveAspectRatio: "none", role: "img", height, "aria-label": label ?? (ok && total ? `histogram from ${format(lo)} to ${format(hi)}, most between ${format(at(peak))} and ${format(at(peak + 1))}` : "no values") });
  e.style.setProperty("--c", color.startsWith("--") ? `var(${color})` : color);
  if (ok) {
    for (const [i, v] of known.entries()) if (v) e.append(svg("rect", { x: i + 0.06, width: 0.88, y: (height * (1 - v / most)).toFixed(2), height: (height * v / most).toFixed(2) }, svg("title", {}, `${format(at(i))} to ${format(at(i + 1))}: ${v.toLocaleString("en")}`)));
    if (lo < 0 && hi > 0) e.append(svg("path", { class: "zero", d: `M${-lo / (hi - lo) * n} 0V${height}` }));
  }
  return make("div", "chart-histogram", e, make("div", "ends", make("span", "", ok ? format(lo) : ""), make("span", "", ok ? format(hi) : "")));
}

return { Chart, spark, chartBars, chartHistogram };
})();

