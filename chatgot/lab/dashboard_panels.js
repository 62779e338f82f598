// Panels that a run declares for itself, and what goes on inside the model

const PANEL_HEIGHT = 170;

// A figure's name or a pattern with * and ?, as a regular expression
const pattern = glob => new RegExp(`^${glob.replace(/[.+^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*").replaceAll("?", ".")}$`);

class Panels {
  constructor(memory) {
    this.memory = memory;
    this.grid = el("div", { className: "grid" });
    this.empty = el("p", { className: "faint", textContent: "This run declares no panels." });
    this.el = el("div", { className: "panels" }, this.grid, this.empty);
  }
  paint(store) {
    const { panels } = store, key = JSON.stringify(panels);
    if (key !== this.key) {
      this.key = key;
      this.remove();
      this.boxes = panels.map(p => this.box(p));
      this.grid.replaceChildren(...this.boxes.map(b => b.el));
    }
    let shown = 0;
    for (const b of this.boxes) { b.el.hidden = !this.fill(b, store); shown += !b.el.hidden; }
    this.empty.hidden = shown > 0;
  }
  remove() { for (const b of this.boxes ?? []) b.chart?.destroy(); }
  box(panel) {
    const chart = panel.kind === "bars" ? null : new Chart({ height: PANEL_HEIGHT, label: panel.title }), body = chart?.el ?? el("div", { className: "bar-panel" });
    const node = attributes(el("section", { className: "box" }, el("h4", {}, panel.title, ...(panel.unit ? [el("span", { className: "faint", textContent: ` ${panel.unit}` })] : [])),
      body), { "aria-label": panel.title });
    return { panel, chart, body, el: node, patterns: (panel.figures ?? []).map(pattern) };
  }
  // Whether there is anything to draw. A panel of one figure shows the runs compared with, too.
  fill({ panel, chart, body, patterns }, store) {
    const { run, overlays } = store, figures = patterns.flatMap(p => run.figures.filter(f => p.test(f)))
      .filter((f, i, all) => all.indexOf(f) === i && run.values(f).length);
    if (!figures.length) return false;
    if (!chart) {
      body.replaceChildren(chartBars(figures.map(f => ({ label: store.label(f), value: run.values(f).at(-1) }))));
      return true;
    }
    const x = POSITIONS.includes(this.memory.get("x", "step")) ? this.memory.get("x", "step") : "step";
    const series = figures.map((f, i) => ({ id: f, name: store.figures[f]?.label ?? f.replaceAll("_", " "),
      points: run.points(x, f), color: i ? runColor(i - 1) : "--accent", width: 1.6 }));
    const others = figures.length > 1 ? [] : overlays.map((o, i) => ({ id: o.name, name: o.name, points: o.points(x, figures[0]), color: runColor(i), width: 1.2 }))
      .filter(s => s.points.length);
    chart.draw({ series: [...others, ...series], marks: [], xLabel: x === "seconds" ? "time" : store.label(x), yLabel: panel.unit ?? "", xFormat: axisFormat(x), yFormat: axisFormat(figures[0]),
      log: !!panel.log, smoothing: 0, key: `${run.name}|${x}` });
    return true;
  }
}

const MEASURES = [["grad_norm", "gradient norm", true, "How strongly each block is being changed. One block far above the others, or all near zero, tells of trouble."],
  ["update_ratio", "update ÷ weight", true, "How far one step moves the weights, relative to their size: about 0.001 is healthy, 0.1 is too fast, 0.00001 hardly learns."],
  ["activation", "activation (RMS)", true, "The scale of what each block puts out. It should neither grow from block to block without end nor vanish."],
  ["dead", "silent units", false, "The share of units that are zero for every token of a batch: they have stopped learning."]];

class Inside {
  constructor(memory, change) {
    this.memory = memory;
    const [m, measure] = choice("show", MEASURES.map(([id, label]) => [id, label]), v => { memory.set("measure", v); change(); });
    const [h, how] = choice("as", ["lines", "heat map"], v => { memory.set("how", v); change(); });
    Object.assign(this, { measure, how });
    this.hint = el("p", { className: "faint hint" });
    this.chart = new Chart({ height: 220, label: "figures of each block" });
    this.map = el("div", { className: "heat" });
    this.counts = el("div", { className: "grid histograms" });
    this.countsTitle = el("h4");
    this.body = el("div", {}, el("div", { className: "row" }, m, h), this.hint, this.chart.el, this.map, this.countsTitle, this.counts);
    this.empty = el("p", { className: "faint", textContent: "Nothing measured yet: train.inside_every says how often to look inside the model." });
    this.el = el("div", { className: "inside" }, this.body, this.empty);
  }
  paint(store) {
    const records = store.inside, last = records.at(-1);
    this.body.hidden = !last;
    this.empty.hidden = !!last;
    if (!last) return;
    const [id, label, log, hint] = MEASURES.find(([id]) => id === this.memory.get("measure", "grad_norm")) ?? MEASURES[0], how = this.memory.get("how", "lines");
    this.measure.value = id;
    this.how.value = how;
    write(this.hint, hint);
    this.chart.el.hidden = how !== "lines";
    this.map.hidden = how === "lines";
    if (how === "lines") this.lines(records, last.blocks, id, label, log, store.run.name);
    else this.heat(records, last.blocks, id, label, log);
    if (last !== this.drawn) this.histograms(this.drawn = last);
  }
  remove() { this.chart.destroy(); }
  // From the first block to the last the colour turns from blue to orange
  lines(records, blocks, id, label, log, name) {
    const series = blocks.map((block, i) => ({ id: block, name: block, points: records.filter(r => r[id]?.[i] != null).map(r => [r.step, r[id][i]]),
      color: `--depth-${blocks.length > 1 ? Math.round(7 * i / (blocks.length - 1)) : 0}`, width: 1.6 }));
    const positive = log && series.every(s => s.points.every(p => p[1] > 0));
    this.chart.draw({ series, marks: [], xLabel: "step", yLabel: label, log: positive, smoothing: 0, key: `${name}|${id}` });
  }
  // One row per block, one column per measurement; the darker, the larger, on a logarithmic scale where the measure spans decades
  heat(records, blocks, id, label, log) {
    const values = records.flatMap(r => r[id] ?? []).filter(v => v != null && (!log || v > 0)), f = log ? Math.log : v => v;
    const lo = Math.min(...values.map(f)), hi = Math.max(...values.map(f)),
      canvas = el("canvas", { width: records.length, height: blocks.length }), c = canvas.getContext("2d");
    const [r, g, b] = rgb(this.el, "--accent");
    records.forEach((record, x) => blocks.forEach((_, y) => {
      const v = record[id]?.[y];
      if (v == null || (log && v <= 0)) return;
      c.fillStyle = `rgb(${r} ${g} ${b} / ${0.06 + 0.94 * (hi > lo ? (f(v) - lo) / (hi - lo) : 0.5)})`;
      c.fillRect(x, blocks.length - 1 - y, 1, 1);
    }));
    const ends = log ? [Math.exp(lo), Math.exp(hi)] : [lo, hi], said = el("span", { className: "faint", textContent: `pale ${short3(ends[0])}, dark ${short3(ends[1])}` });
    attributes(canvas, { role: "img",
      "aria-label": `${label} of ${blocks.length} blocks from step ${records[0].step} to ${records.at(-1).step}, between ${short3(ends[0])} and ${short3(ends[1])}` });
    canvas.onmousemove = e => {
      const x = Math.min(records.length - 1, Math.floor(e.offsetX / canvas.clientWidth * records.length)),
        y = blocks.length - 1 - Math.min(blocks.length - 1, Math.floor(e.offsetY / canvas.clientHeight * blocks.length));
      write(said, `${blocks[y]} at step ${integer(records[x].step)}: ${short3(records[x][id]?.[y])}`);
    };
    canvas.style.height = `${Math.max(80, Math.min(320, 18 * blocks.length))}px`;
    this.map.replaceChildren(el("div", { className: "rows" }, ...[...blocks].reverse().map(b => el("span", { className: "faint", textContent: b }))), canvas,
      el("div", { className: "steps faint" }, el("span", { textContent: integer(records[0].step) }), said, el("span", { textContent: `step ${integer(records.at(-1).step)}` })));
  }
  histograms({ step, blocks, histogram: h }) {
    this.countsTitle.hidden = !h;
    if (!h) return this.counts.replaceChildren();
    write(this.countsTitle, `Activations at step ${integer(step)}`);
    const at = (v, i) => Array.isArray(v) ? v[i] : v;
    this.counts.replaceChildren(...blocks.map((name, i) => el("figure", { className: "box" }, el("figcaption", { className: "faint", textContent: name }),
      chartHistogram({ lo: at(h.lo, i), hi: at(h.hi, i), counts: h.counts[i] ?? [] }))));
  }
}

const short3 = v => v == null ? "–" : v !== 0 && (Math.abs(v) < 1e-3 || Math.abs(v) >= 1e6) ? v.toExponential(1) : String(+v.toPrecision(3));

// A CSS colour's red, green and blue, as the canvas paints it
function rgb(node, name) {
  const c = el("canvas", { width: 1, height: 1 }).getContext("2d"), probe = el("i");
  probe.style.color = `var(${name})`;
  node.append(probe);
  c.fillStyle = getComputedStyle(probe).color;
  probe.remove();
  c.fillRect(0, 0, 1, 1);
  return c.getImageData(0, 0, 1, 1).data;
}
