// What the dashboard knows of a run, as Python sends it: tables of figures, samples, events and more, each kept bounded.
// A row holds a value per column, the first three step, tokens and seconds; null or a shorter row where a record has no value.
const MAX_ROWS = 4000, MAX_EVENTS = 500, MAX_REQUESTED = 40, MAX_GALLERY = 240, MAX_INSIDE = 300;
const POSITIONS = ["step", "tokens", "seconds"];

const mean = (a, b) => a == null ? b : b == null ? a : typeof a === "number" && typeof b === "number" ? (a + b) / 2 : b;

// Average neighbouring rows once there are too many, so that memory and drawing time stay bounded in a long run.
// Positions are not averaged: a mean stands where its second row stood.
function downsample(rows, max = MAX_ROWS) {
  while (rows.length > max) {
    const half = [];
    for (let i = 0; i + 1 < rows.length; i += 2) {
      const [a, b] = rows[i].length > rows[i + 1].length ? [rows[i + 1], rows[i]] : [rows[i], rows[i + 1]];
      half.push(b.map((v, k) => k < 3 ? rows[i + 1][k] : mean(a[k], v)));
    }
    if (rows.length % 2) half.push(rows[rows.length - 1]);
    rows = half;
  }
  return rows;
}

// Drop every second item, but neither the first nor the last, until at most `max` are left
function thin(items, max) {
  while (items.length > max) items = items.filter((_, i) => i % 2 === 0 || i === items.length - 1);
  return items;
}

// The number of items whose key is at most `key`; `of` gives an item's key, in ascending order
function countUpTo(items, key, of) {
  let lo = 0, hi = items.length;
  while (lo < hi) { const mid = (lo + hi) >> 1; if (of(items[mid]) <= key) lo = mid + 1; else hi = mid; }
  return lo;
}

class RunData {
  constructor({ name = "", columns = [], rows = [], evaluation_columns = [], evaluations = [], events = [] } = {}) {
    Object.assign(this, { name, columns, evaluation_columns, cache: new Map(), rows: [], evaluations: [], events: [] });
    this.add({ rows, evaluations, events });
  }

  add({ columns, evaluation_columns, rows = [], evaluations = [], events = [] }) {
    if (columns) this.columns = columns;
    if (evaluation_columns) this.evaluation_columns = evaluation_columns;
    if (rows.length) this.rows = downsample(this.rows.concat(rows));
    if (evaluations.length) this.evaluations = downsample(this.evaluations.concat(evaluations));
    if (events.length) this.events = this.events.concat(events).slice(-MAX_EVENTS);
    if (rows.length || evaluations.length || columns || evaluation_columns) this.cache.clear();
  }

  // All figures but the positions; those of an evaluation come first
  get figures() { return [...new Set([...this.evaluation_columns, ...this.columns])].filter(c => !POSITIONS.includes(c)); }

  // The table that holds a figure, and the figure's column in it
  table(figure) {
    const k = this.columns.indexOf(figure);
    return k >= 0 ? [this.rows, k] : [this.evaluations, this.evaluation_columns.indexOf(figure)];
  }

  // A figure's values in order, without those that are missing
  values(figure) {
    const [rows, k] = this.table(figure);
    return k < 0 ? [] : rows.map(r => r[k]).filter(v => v != null);
  }

  // [x, y] of every record that has both, x ascending. Another table's x is that of its last record up to the same step.
  points(x, y) {
    const key = `${x}\n${y}`;
    if (!this.cache.has(key)) this.cache.set(key, this.makePoints(x, y));
    return this.cache.get(key);
  }

  makePoints(x, y) {
    const [rows, k] = this.table(y), position = POSITIONS.indexOf(x), [others, j] = position >= 0 ? [rows, position] : this.table(x);
    if (k < 0 || j < 0) return [];
    const find = others === rows ? r => r[j] : r => others[countUpTo(others, r[0], o => o[0]) - 1]?.[j];
    const points = rows.filter(r => r[k] != null).map(r => [find(r), r[k]]).filter(p => p[0] != null);
    return position >= 0 ? points : points.sort((a, b) => a[0] - b[0]);
  }

  // Where a step is on another axis: tokens and seconds between two records are interpolated
  place(step, x) {
    if (x === "step") return step;
    const k = POSITIONS.indexOf(x), n = countUpTo(this.rows, step, r => r[0]), a = this.rows[n - 1], b = this.rows[n];
    if (!a && !b) return null;
    if (!a) return b[0] ? b[k] * step / b[0] : b[k];
    return b && b[0] > a[0] ? a[k] + (b[k] - a[k]) * (step - a[0]) / (b[0] - a[0]) : a[k];
  }
}

// The samples of a run: those of the gallery by step and prompt, and those that somebody asked for, the latest first
class Samples {
  constructor(samples = []) {
    this.steps = [];
    this.requested = [];
    this.add(samples);
  }
  add(samples = []) {
    for (const s of samples) {
      if (s.gallery == null) { this.requested = [s, ...this.requested].slice(0, MAX_REQUESTED); continue; }
      let at = this.steps.findLast(g => g.step === s.step);
      if (!at) this.steps.push(at = { step: s.step, texts: [] });
      at.texts[s.gallery] = s;
    }
    this.steps = thin(this.steps, MAX_GALLERY);
  }
}

// Everything that is shown, by the messages reset and add
class Store {
  constructor() { this.status = {}; this.reset({ run: {} }); }

  reset(m) {
    const again = this.run?.name === (m.run?.name ?? "");
    Object.assign(this, { overlays: [], runs: [], inside: [], panels: [], settings: {}, overlay_settings: {}, notes: {}, figures: {}, checkpoints: [], actions: [] }, m);
    this.run = new RunData(m.run);
    this.overlays = this.overlays.map(o => new RunData(o));
    this.samples = new Samples(m.samples);
    this.inside = thin(this.inside, MAX_INSIDE);
    return again;
  }

  add(m) {
    this.run.add(m);
    if (m.samples?.length) this.samples.add(m.samples);
    if (m.inside?.length) this.inside = thin(this.inside.concat(m.inside), MAX_INSIDE);
    for (const name of ["status", "checkpoints", "actions", "panels", "notes", "figures", "runs"]) if (m[name]) this[name] = m[name];
  }

  get training() { return this.status.state === "running" || this.status.state === "paused"; }

  // What an axis or a panel calls a figure
  label(figure) {
    const { label = figure.replaceAll("_", " "), unit = "" } = this.figures[figure] ?? {};
    return unit ? `${label} (${unit})` : label;
  }

  // The best evaluation: what the status says, or the lowest validation loss
  get best() {
    if (this.status.best) return this.status.best;
    const points = this.run.points("step", "val_loss");
    if (!points.length) return null;
    const [step, val_loss] = points.reduce((a, b) => b[1] < a[1] ? b : a);
    return { step, val_loss };
  }
}
