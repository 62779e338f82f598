// The chart of a run with the runs it is compared with, the choice of figures, and the tiles above it

const RUN_COLORS = 10;
const runColor = i => `--run-${i % RUN_COLORS}`;
const SYMBOLS = { started: "▸", resumed: "▸", paused: "Ⅱ", lr: "×", saved: "▾", evaluated: "○", branched: "⑂",
  sample: "¶", warning: "!", stopped: "■", ended: "■", failed: "✕" };

const fixed = digits => v => v.toFixed(digits);
const megabytes = v => v < 1e4 ? `${v.toFixed(0)} MB` : `${(v / 1e3).toFixed(1)} GB`;
const FORMATS = { train_loss: fixed(3), val_loss: fixed(4), loss: fixed(4), lr: v => short3(v), grad_norm: fixed(2), tokens_per_s: short, mfu: v => `${(100 * v).toFixed(1)}%`,
  memory_mb: megabytes, gpu_mb: megabytes, system_mb: megabytes, seconds: clock, step: integer, tokens: short };
const format = figure => FORMATS[figure] ?? short;
// An axis' own format suits most figures; not these
const axisFormat = figure => ["seconds", "mfu", "memory_mb", "gpu_mb", "system_mb"].includes(figure) ? FORMATS[figure] : undefined;
// label, figures of which the first that was logged is shown, the smallest value that is worth a tile
const TILES = [["train loss", ["train_loss"]], ["learning rate", ["lr"]], ["gradient norm", ["grad_norm"]], ["tokens/s", ["tokens_per_s"]],
  ["of peak FLOP/s", ["mfu"], 1e-9], ["memory", ["gpu_mb", "memory_mb"]]];
const SPARK_VALUES = 240, MAX_ROUTINE_MARKS = 60;

class Tiles {
  constructor() { this.el = el("div", { className: "tiles" }); }
  paint({ run, best }) {
    if (run.cache === this.cache && run.rows.length === this.rows && run.evaluations.length === this.evaluations
      && this.last === run.rows[run.rows.length - 1]) return;
    Object.assign(this, { cache: run.cache, rows: run.rows.length, evaluations: run.evaluations.length, last: run.rows[run.rows.length - 1] });
    this.el.replaceChildren(this.tile("validation", run.values("val_loss"), FORMATS.val_loss, best && `best ${best.val_loss.toFixed(4)}`),
      ...TILES.flatMap(([label, names, least = -Infinity]) => {
      const name = names.find(n => run.values(n).length) ?? names[0], values = run.values(name);
      return values.length && values[values.length - 1] < least ? [] : [this.tile(label, values, format(name))];
    }));
  }
  tile(label, values, show, note) {
    const last = values[values.length - 1];
    return el("div", { className: "tile" }, el("span", { className: "faint", textContent: label }), el("b", { textContent: last == null ? "–" : show(last) }),
      ...(note ? [el("span", { className: "faint note", textContent: `★ ${note}` })] : []), ...(values.length > 1 ? [attributes(spark(values.slice(-SPARK_VALUES), { height: 22 }), { "aria-hidden": "true" })] : []));
  }
}

class Curves {
  constructor(memory, change, overlay) {
    Object.assign(this, { memory, change, overlay });
    this.chart = new Chart({ height: 280, label: "curves of the run" });
    const set = name => value => { this.memory.set(name, value); change(); };
    const [y, ySelect] = choice("show", [], set("y")), [x, xSelect] = choice("by", [], set("x"));
    const [log, logBox] = labelled("log scale", { type: "checkbox", checked: memory.get("log", false), onchange: () => set("log")(logBox.checked) });
    const [smooth, slider] = labelled("smooth", { type: "range", min: 0, max: 0.98, step: 0.02 });
    slider.value = memory.get("smoothing", 0.6); // after the limits, or it is rounded to whole numbers
    slider.oninput = () => set("smoothing")(+slider.value);
    const [compare, runs] = choice("compare with", [], name => { if (name) overlay(name, true); runs.value = ""; });
    Object.assign(this, { ySelect, xSelect, runs, compare });
    this.pins = el("span", { className: "pins" });
    this.el = el("div", { className: "curves" }, el("div", { className: "row tools" }, y, x, log, smooth, el("span", { className: "gap" }), compare), this.pins, this.chart.el);
  }

  paint(store) {
    const { run, overlays } = store, figures = run.figures;
    const y = this.pick(this.ySelect, "y", ["loss", ...figures].map(f => [f, f === "loss" ? f : store.label(f)]), "loss");
    const x = this.pick(this.xSelect, "x", [...POSITIONS, ...figures].map(f => [f, f === "seconds" ? "time" : store.label(f)]), "step");
    this.paintRuns(store);
    const scattered = !POSITIONS.includes(x), smoothing = scattered ? 0 : this.memory.get("smoothing", 0.6);
    const series = [...overlays.flatMap((o, i) => this.series(o, x, y, runColor(i), true)), ...this.series(run, x, y, "--accent", false)]
      .filter(s => s.points.length)
      .map(s => scattered ? { ...s, width: 0, dots: true, smoothable: false } : s);
    this.chart.draw({ series, marks: scattered ? [] : this.marks(store, x, y), xLabel: x === "seconds" ? "time" : store.label(x), yLabel: y === "loss" ? this.lossLabel(store) : store.label(y),
      xFormat: axisFormat(x), yFormat: axisFormat(y), log: this.memory.get("log", false), smoothing, key: `${run.name}|${x}|${y}` });
  }
  lossLabel(store) { return `loss (${store.figures.val_loss?.unit || store.figures.train_loss?.unit || "nats per token"})`; }

  // What is remembered may be a figure that this run doesn't log
  pick(select, name, options, otherwise) {
    fillChoice(select, options);
    const wanted = this.memory.get(name, otherwise), value = options.some(([v]) => v === wanted) ? wanted : otherwise;
    select.value = value;
    return value;
  }

  series(run, x, y, color, over) {
    const id = what => over ? `${run.name}, ${what}` : what, name = what => over && what === "train" ? run.name : id(what);
    const line = (what, figure, props) => ({ id: id(what), name: name(what), points: run.points(x, figure), color, width: over ? 1.3 : 1.8, ...props });
    if (y !== "loss") {
      const rare = run.table(y)[0] === run.evaluations;
      return [{ ...line("train", y, { smoothable: !rare, dots: rare && !over }), name: over ? run.name : run.name || "this run" }];
    }
    return [line("train", "train_loss", { smoothable: true }), line("validation", "val_loss", over ? { dash: [4, 3], hidden: true } : { color: "--warm", dots: true })];
  }

  // Events where they happened, and a star at the best evaluation
  marks({ run, best }, x, y) {
    const events = run.events.filter(e => e.step != null), routine = events.filter(e => e.level === "DEBUG");
    const marks = [...events.filter(e => e.level !== "DEBUG"), ...thin(routine, MAX_ROUTINE_MARKS)]
      .map(e => ({ x: run.place(e.step, x), kind: e.event || "note", text: eventText(e), symbol: SYMBOLS[e.event] ?? (isWarning(e) ? "!" : "•") }))
      .filter(m => m.x != null);
    if (best && (y === "loss" || y === "val_loss")) marks.push({ x: run.place(best.step, x), y: best.val_loss, kind: "best",
      text: `best validation loss ${best.val_loss.toFixed(4)} at step ${integer(best.step)}`, symbol: "★" });
    return marks;
  }

  remove() { this.chart.destroy(); }

  // The runs beside this one, and a chip for each that is shown
  paintRuns({ overlays, runs }) {
    const pinned = overlays.map(o => o.name), others = runs.filter(n => !pinned.includes(n));
    this.compare.hidden = !others.length;
    fillChoice(this.runs, [["", "another run …"], ...others.map(n => [n, n])]);
    const key = pinned.join("\n");
    if (key === this.pinned) return;
    this.pinned = key;
    this.pins.replaceChildren(...pinned.map((name, i) => {
      const dot = el("i"), b = button("", () => this.overlay(name, false), { className: "pin", title: `Don't compare with ${name} any more` });
      dot.style.background = `var(${runColor(i)})`;
      b.append(dot, el("span", { textContent: name }), attributes(el("span", { textContent: "✕" }), { "aria-hidden": "true" }));
      return attributes(b, { "aria-label": `Don't compare with ${name} any more` });
    }));
  }
}
