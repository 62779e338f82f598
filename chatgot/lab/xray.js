// The x-ray in the browser; widgets.js comes before it. Python sends the data of a view when its tab is first opened.

const MEANING = { previous: "the token before", same: "the same token, earlier", induction: "what came after the same token earlier (Olsson et al. 2022)",
  first: "the first token of the text", itself: "the token itself" };
const VIEWS = { surprise: surpriseView, attention: attentionView, lens: lensView, heads: headsView, ablation: ablationView, embeddings: embeddingsView };

const blue = share => `rgb(74 144 217 / ${share.toFixed(3)})`;
const signed = x => (x < 0 ? "−" : "+") + Math.abs(x).toFixed(3);
const lossColor = (x, largest) => x > 0 ? `rgb(224 123 0 / ${(0.75 * Math.sqrt(x / largest)).toFixed(3)})` : blue(0.75 * Math.sqrt(-x / largest));
const headName = (l, h) => `layer ${l}, head ${h}`;
const hint = text => el("p", { className: "faint hint", textContent: text });

function svg(tag, props = {}, ...children) {
  const e = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [k, v] of Object.entries(props)) e.setAttribute(k, v);
  e.append(...children);
  return e;
}

// Call `enter` with the item of the child under the pointer; children carry the item's index in data-i
function onHover(box, items, enter, leave) {
  box.onmouseover = e => { const t = e.target.closest("[data-i]"); t && box.contains(t) ? enter(items[t.dataset.i], t) : leave(); };
  box.onmouseleave = leave;
}

function surpriseView({ data, tip }) {
  const text = el("div", { className: "text" }, el("span", { className: "faint", textContent: data.first }));
  text.append(...data.tokens.map((t, i) => { const span = colored(t); span.dataset.i = i; return span; }));
  onHover(text, data.tokens, (t, at) => tip.show(at, ...alternatives(t)), tip.hide);
  return el("div", {}, el("div", { className: "row" }, hint(`${data.tokens.length} tokens, ${data.nats.toFixed(3)} nats each`),
                          el("span", { className: "gap" }), legend()), text);
}

// A square picture of shares from 0 to 1
function heatmap(canvas, size, share) {
  canvas.width = canvas.height = size;
  const c = canvas.getContext("2d"), image = c.createImageData(size, size);
  for (let i = 0; i < size * size; i++) {
    image.data[4 * i] = 74; image.data[4 * i + 1] = 144; image.data[4 * i + 2] = 217;
    image.data[4 * i + 3] = 255 * share(i);
  }
  c.putImageData(image, 0, 0);
}

function thumbnails(data, bytes, pick) {
  const { n_layer, n_head, size } = data, grid = el("div", { className: "thumbs" });
  grid.style.gridTemplateColumns = `auto repeat(${n_head}, auto)`;
  grid.append(el("span"), ...Array.from({ length: n_head }, (_, h) => el("span", { className: "faint", textContent: h })));
  for (let l = 0; l < n_layer; l++) {
    grid.append(el("span", { className: "faint", textContent: `layer ${l}` }));
    for (let h = 0; h < n_head; h++) {
      const canvas = el("canvas"), at = (l * n_head + h) * size * size;
      heatmap(canvas, size, i => bytes.getUint8(at + i) / 255);
      const b = el("button", { type: "button", className: "thumb", title: headName(l, h), onclick: () => pick(l, h) }, canvas);
      b.setAttribute("aria-label", headName(l, h));
      b.dataset.head = `${l},${h}`;
      grid.append(b);
    }
  }
  return grid;
}

function attentionView({ data, buffers, texts, tip, request }) {
  const T = texts.length, map = el("canvas", { className: "map" }), name = el("b"), maxShare = el("span", { className: "faint" });
  const text = el("div", { className: "text" }), spans = texts.map((t, i) => {
    const span = el("span", { className: t === "\n" ? "tok nl" : "tok", textContent: t });
    span.dataset.i = i;
    return span;
  });
  let shares = null, pinned = T - 1, pointed = null;
  const share = (i, j) => shares.getUint16(2 * (i * T + j), true) / 65535;
  function highlight(i, other = -1) {
    const largest = shares ? Math.max(...texts.slice(0, i + 1).map((_, j) => share(i, j))) : 1;
    spans.forEach((span, j) => {
      span.style.background = shares && j <= i ? blue(0.8 * share(i, j) / largest) : "";
      span.classList.toggle("from", j === i);
      span.classList.toggle("to", j === other);
    });
  }
  function topTargets(i) {
    const all = Array.from({ length: i + 1 }, (_, j) => [texts[j], share(i, j), i === j ? "itself" : `${i - j} back`]);
    return [el("code", { textContent: showWhitespace(texts[i]) }), " attends to", bars(all.sort((a, b) => b[1] - a[1]).slice(0, 5))];
  }
  text.append(...spans);
  const rest = () => { pointed = null; tip.hide(); highlight(pinned); };
  function point(span) {
    pointed = span; // the shares of a newly selected head may arrive later
    if (shares) { highlight(+span.dataset.i); tip.show(span, ...topTargets(+span.dataset.i)); }
  }
  onHover(text, spans, point, rest);
  text.onclick = e => { if (e.target.dataset.i) { pinned = +e.target.dataset.i; highlight(pinned); } };
  map.onmousemove = e => {
    const r = map.getBoundingClientRect(), i = Math.floor((e.clientY - r.top) / r.height * T), j = Math.floor((e.clientX - r.left) / r.width * T);
    if (!shares || i < 0 || j < 0 || j > i || i >= T) return rest();
    highlight(i, j);
    tip.show({ getClientRects: () => [{ left: e.clientX + 10, bottom: e.clientY + 8, top: e.clientY - 8 }] },
             el("code", { textContent: showWhitespace(texts[i]) }), " attends to ", el("code", { textContent: showWhitespace(texts[j]) }), `, ${i - j} back: ${percent(share(i, j))}`);
  };
  map.onmouseleave = rest;
  function pick(layer, head) {
    for (const b of thumbs.querySelectorAll("button")) b.classList.toggle("on", b.dataset.head === `${layer},${head}`);
    name.textContent = headName(layer, head);
    request("head", { head: [layer, head] });
  }
  const thumbs = thumbnails(data, buffers[0], pick);
  const node = el("div", { className: "split" },
    el("div", { className: "side" }, thumbs, hint("Every head at a glance. Click one to select it.")),
    el("div", { className: "side" }, name, maxShare, map, hint("A token (row) attends to those before it (columns).")),
    el("div", { className: "wide" }, hint("Point at a token to see what it attends to; click to keep it selected."), text));
  pick(...data.head);
  function head(m, [values]) {
    shares = values;
    let largest = 0; // not of the first tokens: with few others to attend to, their shares are always large
    for (let i = Math.min(8, T - 1); i < T; i++) for (let j = 0; j <= i; j++) largest = Math.max(largest, share(i, j));
    heatmap(map, T, i => Math.sqrt(Math.min(1, values.getUint16(2 * i, true) / 65535 / largest)));
    maxShare.textContent = `, largest share ${percent(largest)}`;
    if (pointed) point(pointed); else highlight(pinned);
  }
  return { node, head };
}

function lensView({ data, texts, tip }) {
  const cells = [], table = el("table", { className: "lens" }), row = (name, tds) => el("tr", {}, el("th", { textContent: name }), ...tds);
  data.predictions.forEach((predictions, l) => table.prepend(row(l ? `layer ${l}` : "embedding", predictions.map((top, t) => {
    const td = el("td", { textContent: showWhitespace(top[0][0]), className: top[0][0] === texts[t + 1] ? "right" : "" });
    td.style.background = blue(0.8 * top[0][1]);
    td.dataset.i = cells.push([l, t, top]) - 1;
    return td;
  }))));
  table.prepend(row("next", texts.map((_, t) => el("td", { className: "read", textContent: showWhitespace(texts[t + 1] ?? "") }))));
  table.append(row("read", texts.map(t => el("td", { className: "read", textContent: showWhitespace(t) }))));
  onHover(table, cells, ([l, t, top], at) => tip.show(at, l ? `Prediction after layer ${l}, following ` : "Embedding of ", el("code", { textContent: showWhitespace(texts[t]) }),
                                                        bars(top, texts[t + 1])), tip.hide);
  return el("div", {}, hint("The next token each layer would predict if it were the last: bluer is more probable, bold came true."),
            el("div", { className: "scroll" }, table));
}

function distances(values) {
  const w = 300, h = 90, largest = Math.max(...values), step = w / values.length;
  const bars = values.map((v, d) => svg("rect", { x: d * step + 0.5, width: step - 1, y: h - h * v / largest, height: h * v / largest }, svg("title", {}, `${d} back: ${percent(v)}`)));
  const label = (x, anchor, text) => svg("text", { x, y: h + 13, "text-anchor": anchor }, text);
  return svg("svg", { viewBox: `0 0 ${w} ${h + 16}`, class: "distances" }, ...bars, label(0, "start", "itself"), label(w, "end", `${values.length - 1} back`));
}

function headsView({ data, request }) {
  const names = Object.keys(data.scores), n_head = data.scores[names[0]][0].length;
  const heads = data.scores[names[0]].flatMap((row, l) => row.map((_, h) => [l, h]));
  const body = el("tbody"), name = el("b"), side = el("div", { className: "side" }), pairs = el("div");
  let sortedBy = "previous", selected = null;
  const cell = v => { const td = el("td", { textContent: v === null ? "–" : percent(v) }); td.style.background = blue(0.8 * (v ?? 0)); return td; };
  function draw() {
    const order = [...heads].sort(([a, b], [c, d]) => (data.scores[sortedBy][c][d] ?? 0) - (data.scores[sortedBy][a][b] ?? 0));
    body.replaceChildren(...order.map(([l, h]) => {
      const tr = el("tr", { onclick: () => pick(l, h), className: selected === `${l},${h}` ? "on" : "" }, el("th", { textContent: headName(l, h) }),
                    ...names.map(k => cell(data.scores[k][l][h])));
      tr.dataset.head = `${l},${h}`;
      return tr;
    }));
    for (const th of titles) th.classList.toggle("on", th.dataset.name === sortedBy);
    return order[0];
  }
  function pick(l, h) {
    selected = `${l},${h}`;
    for (const tr of body.children) tr.classList.toggle("on", tr.dataset.head === selected);
    name.textContent = headName(l, h);
    side.replaceChildren(name, hint("Mean attention by distance"), distances(data.distance[l][h]), pairs);
    request("pairs", { head: [l, h] });
  }
  const titles = names.map(k => { const th = el("th", { textContent: k, title: MEANING[k], onclick: () => { sortedBy = k; draw(); } }); th.dataset.name = k; return th; });
  const chance = el("tr", { className: "faint" }, el("th", { textContent: "by chance" }), ...names.map(k => el("td", { textContent: data.chance[k] === null ? "–" : percent(data.chance[k]) })));
  const table = el("table", { className: "heads" }, el("thead", {}, el("tr", {}, el("th"), ...titles), chance), body);
  pick(...draw());
  const node = el("div", {}, hint("The share of its attention each head spends on a pattern. Click a column to sort, a head for details."),
                  el("div", { className: "split" }, el("div", { className: "scroll tall" }, table), side));
  return { node, pairs(m) {
    pairs.replaceChildren(hint("Token pairs with most attention: mean share and count"), el("table", { className: "pairs" }, ...m.data.pairs.map(([a, b, p, n]) =>
      el("tr", {}, el("td", {}, el("code", { textContent: showWhitespace(a) }), " → ", el("code", { textContent: showWhitespace(b) })), el("td", { textContent: percent(p) }), el("td", { className: "faint", textContent: `× ${n}` })))));
  } };
}

function ranking(list, largest) {
  const table = el("table", { className: "ranking" });
  for (const [name, value, title] of list) {
    const bar = el("div", { className: value < 0 ? "bar less" : "bar" });
    bar.style.width = 100 * Math.abs(value) / largest + "%";
    table.append(el("tr", { title: title ?? "" }, el("th", { textContent: name }), el("td", {}, bar), el("td", { className: "number", textContent: signed(value) })));
  }
  return table;
}

function ablationView({ data, request }) {
  const off = new Set(), grid = el("div", { className: "thumbs" }), result = el("div", { className: "combined" }), n_head = data.heads[0].length;
  const heads = data.heads.flatMap((row, l) => row.map((v, h) => [headName(l, h), v])), largest = Math.max(1e-9, ...heads.map(h => Math.abs(h[1])));
  const neurons = data.neurons.map(([l, n, v, slope]) => [`layer ${l}, neuron ${n}`, v, `first-order estimate ${signed(slope)}`]);
  const ranked = list => [...list].sort((a, b) => b[1] - a[1]).slice(0, 12);
  function showCombined() {
    if (!off.size) return result.replaceChildren(hint(`Loss ${data.loss.toFixed(3)} with all heads. Click heads to remove several at once.`));
    request("without", { heads: [...off].map(key => key.split(",").map(Number)) });
  }
  grid.style.gridTemplateColumns = `auto repeat(${n_head}, auto)`;
  grid.append(el("span"), ...Array.from({ length: n_head }, (_, h) => el("span", { className: "faint", textContent: h })));
  data.heads.forEach((row, l) => grid.append(el("span", { className: "faint", textContent: `layer ${l}` }), ...row.map((v, h) => {
    const key = `${l},${h}`, b = button(signed(v), () => { off.has(key) ? off.delete(key) : off.add(key); b.classList.toggle("off", off.has(key)); showCombined(); },
                                        { className: "cell", title: `Remove ${headName(l, h)}` });
    b.style.background = lossColor(v, largest);
    return b;
  })));
  showCombined();
  const largestNeuron = Math.max(1e-9, ...neurons.map(n => Math.abs(n[1])));
  const node = el("div", {}, hint("The increase of the loss, in nats per token, when a head or neuron is removed (its contribution to the residual stream set to zero)."),
    el("div", { className: "split" }, el("div", { className: "side" }, grid, result),
      el("div", { className: "wide" }, el("b", { textContent: "Heads" }), ranking(ranked(heads), largest)),
      el("div", { className: "wide" }, el("b", { textContent: "Neurons" }), el("span", { className: "faint", textContent: " with the highest first-order estimates of each layer" }), ranking(ranked(neurons), largestNeuron))));
  return { node, without(m) {
    result.replaceChildren(el("span", { textContent: `${off.size} removed: loss ${data.loss.toFixed(3)} → ` }), el("b", { textContent: (data.loss + m.data.increase).toFixed(3) }),
                           el("span", { className: "faint", textContent: ` (${signed(m.data.increase)})` }));
  } };
}

function embeddingsView({ data, tip }) {
  const w = 640, h = 420, pad = 18, xs = data.xy.map(p => p[0]), ys = data.xy.map(p => p[1]);
  const scale = (vs, a, b) => { const lo = Math.min(...vs), hi = Math.max(...vs); return v => a + (v - lo) / (hi - lo || 1) * (b - a); };
  const sx = scale(xs, pad, w - pad), sy = scale(ys, h - pad, pad), lines = svg("g", { class: "lines" });
  const marks = data.texts.map((t, i) => {
    const m = svg("text", { x: sx(xs[i]), y: sy(ys[i]), "text-anchor": "middle", "dominant-baseline": "central", class: data.kinds[i], "data-i": i });
    m.textContent = showWhitespace(t);
    return m;
  });
  const box = svg("svg", { viewBox: `0 0 ${w} ${h}`, class: "plane" }, lines, ...marks);
  onHover(box, data.texts.map((_, i) => i), (i, at) => {
    lines.replaceChildren(...data.like[i].map(j => svg("line", { x1: sx(xs[i]), y1: sy(ys[i]), x2: sx(xs[j]), y2: sy(ys[j]) })));
    tip.show(at, el("b", {}, el("code", { textContent: showWhitespace(data.texts[i]) })), ", most similar by cosine: ", ...data.like[i].flatMap(j => [el("code", { textContent: showWhitespace(data.texts[j]) }), " "]));
  }, () => { tip.hide(); lines.replaceChildren(); });
  const kinds = [...new Set(data.kinds)].map(k => el("span", { className: "kind " + k, textContent: k }));
  return el("div", {}, el("div", { className: "row" }, hint(`The first two principal components of the token embeddings (${data.share.map(percent).join(" and ")} of the variance).`),
                          el("span", { className: "gap" }), ...kinds), box);
}

function xray(model, root) {
  const tip = tooltip(), error = el("div", { className: "error" }), pane = el("div", { className: "pane" }), status = el("span", { className: "faint status" });
  const text = el("textarea", { rows: 2, placeholder: "Text to read", spellcheck: false });
  const request = (what, more = {}) => model.send({ do: "view", what, ...more });
  let open = "surprise", views = {}, texts = [];
  const tabs = Object.keys(VIEWS).map(name => button(name, () => show(name), { className: "tab", role: "tab" }));
  function put(name) { pane.replaceChildren(views[name].node); pane.classList.remove("loading"); status.textContent = ""; }
  function show(name) {
    open = name;
    error.textContent = "";
    tip.hide();
    for (const t of tabs) t.setAttribute("aria-selected", t.textContent === name);
    if (views[name]) return put(name);
    pane.classList.add("loading");
    status.textContent = name === "ablation" ? "removing each head and neuron in turn …" : "computing …";
    request(name);
  }
  function read() { error.textContent = ""; status.textContent = "reading …"; model.send({ do: "read", text: text.value }); }
  const handlers = {
    text(m) { text.value = m.text; texts = m.texts; views = {}; error.textContent = ""; show(open); },
    show(m, buffers) {
      if (!VIEWS[m.what]) return Object.values(views).find(v => v[m.what])?.[m.what](m, buffers);
      const made = VIEWS[m.what]({ data: m.data, buffers, texts, tip, request });
      views[m.what] = made.node ? made : { node: made };
      if (m.what === open) put(open);
    },
    error(m) {
      error.textContent = m.text; status.textContent = "";
      views[open] ? put(open) : pane.replaceChildren();
    },
  };
  text.onkeydown = e => { if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) { e.preventDefault(); read(); } };
  root.classList.add("xray");
  root.append(el("div", { className: "row" }, el("h4", { textContent: "X-ray" }), el("span", { className: "faint", textContent: model.get("about").title }), el("span", { className: "gap" }), status),
              el("div", { className: "input" }, text, button("Read", read, { className: "main", title: "Ctrl+Enter" })),
              error, el("div", { className: "tabs", role: "tablist" }, ...tabs), pane);
  const disconnect = connect(model, root, handlers);
  return () => { disconnect(); tip.remove(); };
}

export default {
  render({ model, el: host }) {
    const root = el("div", { className: "chatgot" });
    host.append(root);
    return xray(model, root);
  },
};
