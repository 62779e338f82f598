// The playground in the browser; widgets.js comes before it

function field(name, props, title) {
  const input = el("input", { type: "number", ...props });
  return [el("label", { title }, name, input), input];
}

const NUMBERS = [
  ["top_k", "top-k", { min: 1, step: 1, placeholder: "off" }, "Keep the k likeliest tokens"],
  ["top_p", "top-p", { min: 0, max: 1, step: 0.05, placeholder: "off" }, "Keep the likeliest tokens that together hold this probability"],
  ["min_p", "min-p", { min: 0, max: 1, step: 0.01, placeholder: "off" }, "Drop tokens below this share of the likeliest"],
  ["tokens", "length", { min: 1, step: 50 }, "Tokens to generate"],
  ["seed", "seed", { min: 0, step: 1, placeholder: "new", className: "wide" }, "The same seed generates the same text; empty: a new seed each time"],
];

function controls() {
  const t = el("input", { type: "range", min: 0, max: 2, step: 0.05 }), shown = el("output");
  t.oninput = () => { shown.textContent = (+t.value).toFixed(2); };
  const row = el("div", { className: "row settings" },
    el("label", { title: "0: always the likeliest token; 1: the model's own probabilities" }, "temperature", t, shown));
  const inputs = {};
  for (const [key, name, props, title] of NUMBERS) {
    const [label, input] = field(name, props, title);
    inputs[key] = input;
    row.append(label);
  }
  const n = el("select", {}, ...[1, 2, 3, 4].map(i => el("option", { textContent: i })));
  row.append(el("label", { title: "Texts to generate side by side" }, "samples", n));
  return {
    row, seed: inputs.seed,
    fill(s) {
      t.value = s.temperature; t.oninput();
      for (const key in inputs) inputs[key].value = s[key] ?? "";
    },
    samples(count) { n.value = count; },
    read() {
      const numbers = Object.entries(inputs).map(([key, input]) => [key, input.value === "" ? null : +input.value]);
      return { n: +n.value, settings: { temperature: +t.value, ...Object.fromEntries(numbers.filter(([k, v]) => v !== null || k !== "tokens")) } };
    },
  };
}

function column(prompt, seed, tip, useSeed) {
  const text = el("div", { className: "text" }, el("span", { className: "faint", textContent: prompt }));
  const surprise = el("span"), tokens = new WeakMap();
  const seedLink = el("a", { textContent: `seed ${seed}`, title: "Use this seed", onclick: () => useSeed(seed) });
  let nats = 0, count = 0;
  text.onmouseover = e => { const t = tokens.get(e.target); t ? tip.show(e.target, ...alternatives(t)) : tip.hide(); };
  text.onmouseleave = () => tip.hide();
  text.onscroll = () => tip.hide();
  return {
    node: el("div", { className: "column" }, el("div", { className: "head faint" }, seedLink, surprise), text),
    add(list) {
      followEnd(text, () => text.append(...list.map(t => {
        const span = colored(t);
        tokens.set(span, t);
        nats -= Math.log(t[1]); count += 1;
        return span;
      })));
      if (count) surprise.textContent = `${count} tokens, ${(nats / count).toFixed(2)} nats each`;
    },
  };
}

function playground(model, root) {
  const about = model.get("about"), tip = tooltip(), settings = controls();
  const prompt = el("textarea", { rows: 2, value: about.settings.prompt, placeholder: "Text to continue", spellcheck: false });
  const error = el("div", { className: "error" }), status = el("span", { className: "faint status" });
  const columns = el("div", { className: "columns" });
  const generate = button("Generate", () => {
    error.textContent = "";
    model.send({ do: "generate", prompt: prompt.value, ...settings.read() });
    busy(true);
  }, { className: "main", title: "Ctrl+Enter" });
  const stop = button("Stop", () => model.send({ do: "stop" }));
  const keep = keepButton(model, root, error);
  let shown = [], count = 0, start = 0;

  function busy(on) { generate.disabled = on; stop.disabled = !on; keep.disabled = on || !shown.length; }
  function useSeed(seed) { settings.seed.value = seed; }
  function show(m) {
    error.textContent = "";
    shown = Array.from({ length: m.n }, (_, i) => column(m.prompt, m.seed + i, tip, useSeed));
    columns.replaceChildren(...shown.map(c => c.node));
    count = 0; start = performance.now();
    status.textContent = "reading the prompt …";
    busy(true);
  }
  function add(m) {
    for (const [i, list] of m.tokens) { shown[i].add(list); count += list.length; }
    const speed = count / (performance.now() - start) * 1000;
    status.textContent = `${count} tokens, ${speed.toFixed(0)} per second`;
  }
  const handlers = {
    start: show,
    tokens: add,
    end(m) { status.textContent = `${m.tokens} tokens in ${m.seconds.toFixed(1)} s${m.stopped ? ", stopped" : ""}`; busy(false); },
    error(m) { error.textContent = m.text; if (!count) status.textContent = ""; busy(false); },
    state(m) {
      prompt.value = m.prompt; settings.fill({ ...m.settings, seed: null }); settings.samples(m.n);
      show(m); add(m); status.textContent = ""; busy(m.busy);
    },
  };
  prompt.onkeydown = e => { if (e.key === "Enter" && (e.ctrlKey || e.metaKey) && !generate.disabled) { e.preventDefault(); generate.click(); } };
  settings.fill(about.settings);
  busy(false);
  root.append(el("div", { className: "row" }, el("h4", { textContent: "Playground" }), el("span", { className: "faint", textContent: about.title }),
                 el("span", { className: "gap" }), legend()),
              prompt, settings.row, el("div", { className: "row" }, generate, stop, keep, status), error, columns);
  const disconnect = connect(model, root, handlers);
  return () => { disconnect(); tip.remove(); };
}

export default {
  render({ model, el: host }) {
    const root = el("div", { className: "chatgot" });
    host.append(root);
    return playground(model, root);
  },
};
