// What the widgets of the lab share; it comes before playground.js and xray.js. They draw what Python sends and tell it what was clicked, nothing else.
// All text, whether a model's or a person's, goes into the page as text, never as HTML.

function el(tag, props = {}, ...children) {
  const e = Object.assign(document.createElement(tag), props);
  e.append(...children);
  return e;
}

const percent = p => (100 * p).toFixed(p >= 0.0995 ? 0 : p >= 0.001 ? 1 : 2) + " %";
const seen = text => JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"').replaceAll(" ", "␣");

// Sure tokens stay plain, surprising ones are ever warmer; the same scale as `shade` in playground.py
function shade(p) {
  const s = Math.sqrt(Math.min(Math.abs(Math.log10(Math.min(Math.max(p, 1e-9), 1))), 3) / 3);
  return `hsl(${50 - 45 * s} 90% 50% / ${0.6 * s})`;
}

function legend() {
  const steps = [1, 0.5, 0.1, 0.01, 0.001].map(p => {
    const i = el("i", { textContent: 100 * p + " %" });
    i.style.background = shade(p);
    return i;
  });
  return el("span", { className: "legend faint", title: "What the model itself gave each token" }, "probability ", ...steps);
}

// Texts and their probabilities as bars, each with a note if it has one; a text may be marked as chosen
function bars(list, chosen) {
  const box = el("div", { className: "bars" });
  for (const [text, p, note] of list) {
    const mark = text === chosen ? " chosen" : "", bar = el("div", { className: "bar" + mark });
    bar.style.width = 100 * p + "%";
    box.append(el("code", { className: mark, textContent: seen(text) }), bar, el("span", { className: "number" + mark, textContent: percent(p) + (note ? ", " + note : "") }));
  }
  return box;
}

// A token, its probability, and what else might have stood there
function alternatives([text, p, top]) {
  return [el("b", {}, el("code", { textContent: seen(text) })), ` with ${percent(p)} `, bars(top.some(([t]) => t === text) ? top : [...top, [text, p]], text)];
}

// A token in its colour
function colored([text, p]) {
  const span = el("span", { className: text === "\n" ? "tok nl" : "tok", textContent: text });
  span.style.background = shade(p);
  return span;
}

// One readout for all tokens, outside the notebook's scrolling parts
function tooltip() {
  const tip = el("div", { className: "chatgot chatgot-tip", hidden: true });
  document.body.append(tip);
  return {
    show(at, ...content) {
      tip.replaceChildren(...content);
      tip.hidden = false;
      const r = at.getClientRects()[0] ?? at.getBoundingClientRect(), h = tip.offsetHeight;
      tip.style.left = Math.max(4, Math.min(r.left, innerWidth - tip.offsetWidth - 4)) + "px";
      tip.style.top = (r.bottom + 6 + h > innerHeight ? r.top - 6 - h : r.bottom + 6) + "px";
    },
    hide() { tip.hidden = true; },
    remove() { tip.remove(); },
  };
}

function button(text, onclick, props = {}) { return el("button", { type: "button", textContent: text, onclick, ...props }); }

// What the widgets share: messages, and a tidy end
function connect(model, root, handlers) {
  root.dataset.lmSuppressShortcuts = "true"; // typing here is no command to JupyterLab
  const heard = (m, buffers) => handlers[m.do]?.(m, buffers);
  model.on("msg:custom", heard);
  model.send({ do: "hello" });
  return () => model.off("msg:custom", heard);
}
