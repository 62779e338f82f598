// Shared by the widgets of the lab; it comes before playground.js, chat.js and xray.js. They draw what Python sends and report clicks, nothing else.
// All text, a model's or a person's, goes into the page as text, never as HTML.

function el(tag, props = {}, ...children) {
  const e = Object.assign(document.createElement(tag), props);
  e.append(...children);
  return e;
}

const percent = p => (100 * p).toFixed(p >= 0.0995 ? 0 : p >= 0.001 ? 1 : 2) + " %";
const showWhitespace = text => JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"').replaceAll(" ", "␣");

// Likely tokens stay plain, unlikely ones turn from yellow to red; the same scale as `probability_color` in lab/04_widgets.ipynb
function probabilityColor(p) {
  const s = Math.sqrt(Math.min(Math.abs(Math.log10(Math.min(Math.max(p, 1e-9), 1))), 3) / 3);
  return `hsl(${50 - 45 * s} 90% 50% / ${0.6 * s})`;
}

function legend() {
  const steps = [1, 0.5, 0.1, 0.01, 0.001].map(p => {
    const i = el("i", { textContent: 100 * p + " %" });
    i.style.background = probabilityColor(p);
    return i;
  });
  return el("span", { className: "legend faint", title: "The model's own probability of each token, before temperature and filters" }, "probability ", ...steps);
}

// Texts and their probabilities as bars, each with an optional note; one may be marked as chosen
function bars(list, chosen) {
  const box = el("div", { className: "bars" });
  for (const [text, p, note] of list) {
    const mark = text === chosen ? " chosen" : "", bar = el("div", { className: "bar" + mark });
    bar.style.width = 100 * p + "%";
    box.append(el("code", { className: mark, textContent: showWhitespace(text) }), bar, el("span", { className: "number" + mark, textContent: percent(p) + (note ? ", " + note : "") }));
  }
  return box;
}

// A token, its probability, and the likeliest alternatives
function alternatives([text, p, top]) {
  return [el("b", {}, el("code", { textContent: showWhitespace(text) })), ` with ${percent(p)} `, bars(top.some(([t]) => t === text) ? top : [...top, [text, p]], text)];
}

// A token in its colour
function colored([text, p]) {
  const span = el("span", { className: text === "\n" ? "tok nl" : "tok", textContent: text });
  span.style.background = probabilityColor(p);
  return span;
}

// One tooltip for all tokens, on the page itself: inside a scrolling output it would be clipped
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

// Keys typed here are for the fields here. JupyterLab would take letters for commands, and cancel Enter in whatever lies in a cell:
// no form would be submitted, no line broken. Its listener is on the field itself, so the event must not get there.
function keepKeys(root) {
  root.dataset.lmSuppressShortcuts = "true";
  root.addEventListener("beforeinput", e => { if (e.inputType === "insertLineBreak") e.stopPropagation(); }, true);
}

// Receive messages until the returned function is called
function connect(model, root, handlers) {
  keepKeys(root);
  const receive = (m, buffers) => handlers[m.do]?.(m, buffers);
  model.on("msg:custom", receive);
  model.send({ do: "hello" });
  return () => model.off("msg:custom", receive);
}

// Keep the end of a growing text in view, unless a person has scrolled away from it
function followEnd(box, change) {
  const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
  change();
  if (atEnd) box.scrollTop = box.scrollHeight;
}

function keepButton(model, root, error) {
  return button("Keep", () => {
    model.send({ do: "keep" });
    setTimeout(() => {
      if (root.isConnected && !error.textContent) error.textContent =
        "This output can't be replaced, probably because the page was reloaded. Put .html() of it into a cell instead.";
    }, 3000);
  }, { title: "Replace the widget by what it shows, so that it stays in the saved notebook" });
}

// An output that is in no file is gone when the page is closed, while its kernel works on: so the notebook is saved once the first view is in it.
// One without a name is left alone: JupyterLab would ask for it.
function saveNotebook(model, el) {
  if (!model.get?.("unsaved")) return; // the page of `chatgot watch` is no notebook
  setTimeout(() => {
    const panel = el.closest(".jp-NotebookPanel"), tab = panel && document.querySelector(`[data-id="${panel.id}"]`);
    const save = panel?.querySelector('[data-command="docmanager:save"]');
    if (!save || /^Untitled/.test((tab?.textContent || document.title).trim())) return;
    model.set("unsaved", false);
    model.save_changes();
    save.click();
  }, 500);
}
