// The dashboard of a training run: an ES module for anywidget and for the page of `chatgot watch`. It draws what Python sends and reports what a person does.
// Joined behind widgets.js, chart.js and the other dashboard_*.js. All text, a model's or a person's, goes into the page as text, never as HTML;
// only `show` brings HTML, in which Python has escaped it.

// Choices of the reader, kept in the browser for the next run
class Memory {
  constructor() {
    this.values = {};
    try { this.values = JSON.parse(localStorage.getItem("chatgot.dashboard")) ?? {}; } catch { /* no storage here: choices last as long as the page */ }
  }
  get(name, otherwise) { return this.values[name] ?? otherwise; }
  set(name, value) {
    this.values[name] = value;
    try { localStorage.setItem("chatgot.dashboard", JSON.stringify(this.values)); } catch { /* as above */ }
  }
}

let instances = 0;

// Tabs as the ARIA practices describe them: arrow keys choose, Tab leads into the panel
class Tabs {
  constructor(views, memory, change) {
    const prefix = `chatgot-dash-${instances++}`;
    Object.assign(this, { memory, change, views });
    this.tabs = views.map(([name, view]) => attributes(button(name, () => this.choose(name)), { role: "tab", id: `${prefix}-${name}`, "aria-controls": `${prefix}-${name}-panel` }));
    this.panes = views.map(([name, view]) => attributes(el("div", { className: "pane" }, view.el),
      { role: "tabpanel", id: `${prefix}-${name}-panel`, "aria-labelledby": `${prefix}-${name}` }));
    const list = attributes(el("div", { className: "tabs", onkeydown: e => this.key(e) }, ...this.tabs), { role: "tablist", "aria-label": "details of the run" });
    this.el = el("div", { className: "details" }, list, ...this.panes);
    this.select(memory.get("tab"));
  }
  select(name) {
    this.open = Math.max(0, this.views.findIndex(([n]) => n === name));
    this.tabs.forEach((t, i) => attributes(t, { "aria-selected": i === this.open, tabindex: i === this.open ? 0 : -1 }));
    this.panes.forEach((p, i) => { p.hidden = i !== this.open; });
  }
  choose(name) {
    this.select(name);
    this.memory.set("tab", name);
    this.change();
  }
  key(e) {
    const n = this.views.length, to = { ArrowRight: (this.open + 1) % n, ArrowLeft: (this.open + n - 1) % n, Home: 0, End: n - 1 }[e.key];
    if (to === undefined) return;
    e.preventDefault();
    this.choose(this.views[to][0]);
    this.tabs[to].focus();
  }
  // A closed tab is not drawn
  paint(store) {
    this.views[this.open][1].paint(store);
    const warnings = store.run.events.filter(isWarning).length, log = this.tabs[this.views.findIndex(([n]) => n === "Log")];
    write(log, warnings ? `Log (${warnings} ${warnings > 1 ? "warnings" : "warning"})` : "Log");
  }
}

class DashboardView {
  constructor(model) {
    const memory = new Memory(), change = () => this.refresh(), send = (message, text) => this.send(message, text);
    Object.assign(this, { model, store: new Store() });
    this.head = new Head();
    this.notices = new Notices();
    this.controls = new Controls(send);
    this.actions = new Actions(send, () => send({ do: "keep" }, "Keeping a picture"), !!model.get); // only a notebook's model has traits
    this.tiles = new Tiles();
    this.curves = new Curves(memory, change, (name, on) => send({ do: "overlay", name, on }, on ? `Comparing with ${name}` : `Taking ${name} away`));
    this.results = el("div", { className: "results" });
    this.gallery = new Gallery();
    this.notes = new Notes(message => model.send(message));
    const views = [["Samples", this.gallery], ["Panels", new Panels(memory)], ["Inside", new Inside(memory, change)],
      ["Settings", new SettingsTable()], ["Notes", this.notes], ["Log", new EventLog()]];
    this.tabs = new Tabs(views, memory, change);
    this.parts = [this.curves, ...views.map(([, view]) => view)];
    this.root = attributes(el("div", { className: "chatgot dash" }, this.head.el, this.controls.el, this.actions.el,
      this.notices.el, this.tiles.el, this.curves.el, this.controls.forms, this.results, this.tabs.el),
      { role: "region", "aria-label": "dashboard of a training run" });
    this.root.dashboard = this; // for a browser's console
    keepKeys(this.root);
    this.watch();
  }
  // What is out of sight is drawn when it comes into view
  watch() {
    this.seen = true;
    this.sight = new IntersectionObserver(([entry]) => { this.seen = entry.isIntersecting; if (this.seen) this.refresh(); });
    this.sight.observe(this.root);
  }
  send(message, text) {
    if (text) this.notices.ask(message, text);
    this.model.send(message);
  }
  receive(m) { if (["reset", "add", "fail", "done", "show"].includes(m.what)) this[m.what](m); }

  reset(m) {
    const before = this.store.status.state, again = this.store.reset(m);
    if (!again) this.gallery.reset();
    this.notices.reset(this.store.status);
    this.changed(again ? before : undefined);
  }
  add(m) {
    const before = this.store.status.state;
    this.store.add(m);
    const asked = this.notices.pending === "sample" && m.samples?.some(s => s.gallery == null) ? [{ event: "sample", message: "The sample is below." }] : [];
    this.notices.note(this.store.status, [...(m.events ?? []), ...asked]);
    this.changed(before);
  }
  // A new state is told aloud; the keyboard's focus doesn't fall off controls that go away
  changed(before) {
    const { state, name } = this.store.status, lost = !this.store.training && this.controls.el.parentNode &&
      (this.controls.el.contains(document.activeElement) || this.controls.forms.contains(document.activeElement));
    if (before && state !== before) this.notices.say(`${name} is ${state}`);
    this.paintHead();
    if (lost) this.head.state.focus();
    this.refresh();
  }
  fail({ text }) { this.notices.fail(text); this.notes.failed(); }
  done({ text }) { this.notices.done(text); }
  show({ title, html }) {
    const body = el("div", { className: "html" }), box = attributes(el("section", { className: "box" }), { "aria-label": title });
    body.innerHTML = html; // made and escaped by our Python
    box.append(el("div", { className: "row" }, el("h4", { textContent: title }), el("span", { className: "gap" }),
      button("Close", () => box.remove(), { title: "Take this result away" })),
      attributes(el("div", { className: "scroll" }, body), { tabindex: 0, role: "group", "aria-label": title }));
    this.results.prepend(box);
    while (this.results.children.length > 3) this.results.lastChild.remove();
    this.notices.done(`${title}: below`);
  }

  // At most one painting per frame
  refresh() { this.frame ||= requestAnimationFrame(() => { this.frame = 0; if (this.seen) this.paint(); }); }
  paintHead() { for (const part of [this.head, this.controls, this.actions]) part.paint(this.store); }
  paint() { for (const part of [this.tiles, this.curves, this.tabs]) part.paint(this.store); }

  remove() {
    for (const part of this.parts) part.remove?.();
    this.sight.disconnect();
    cancelAnimationFrame(this.frame);
  }
}

function render({ model, el: host }) {
  const view = new DashboardView(model), receive = m => view.receive(m);
  host.replaceChildren(view.root);
  saveNotebook(model, host);
  model.on("msg:custom", receive);
  model.send({ do: "ready" });
  return () => { model.off("msg:custom", receive); view.remove(); };
}
export default { render };
