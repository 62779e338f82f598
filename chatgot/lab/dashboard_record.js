// What is written down about a run: its settings beside those of other runs, notes and tags, and the log of events

const isWarning = e => e.level === "WARNING" || e.level === "ERROR" || e.event === "warning" || e.event === "failed";
const eventText = e => e.message ?? e.text ?? e.event ?? "";

class SettingsTable {
  constructor() {
    const [d, differing] = labelled("only differences", { type: "checkbox", onchange: () => this.filter() });
    const [f, find] = labelled("find", { type: "search", className: "find", spellcheck: false, oninput: () => this.filter() });
    Object.assign(this, { differing, find, differ: d });
    this.table = el("table");
    this.scroll = attributes(el("div", { className: "scroll" }, this.table), { tabindex: 0, role: "region", "aria-label": "settings" });
    this.el = el("div", { className: "settings-of-run" }, el("div", { className: "row" }, f, d), this.scroll);
  }
  paint({ run, settings, overlays, overlay_settings }) {
    const others = overlays.map(o => [o.name, overlay_settings[o.name] ?? {}]), key = JSON.stringify([run.name, settings, others]);
    this.differ.hidden = !others.length;
    if (key === this.key) return;
    this.key = key;
    const names = [...new Set([settings, ...others.map(([, s]) => s)].flatMap(s => Object.keys(s)))], cells = (tag, texts) => texts.map(t => el(tag, { textContent: t }));
    const head = el("tr", {}, ...["setting", run.name, ...others.map(([name]) => name)].map(t => attributes(el("th", { textContent: t }), { scope: "col" })));
    this.lines = names.map(name => {
      const values = [settings, ...others.map(([, s]) => s)].map(s => s[name] ?? "–"), differs = values.some(v => v !== values[0]);
      const line = el("tr", { className: differs ? "differs" : "" }, attributes(el("th", { textContent: name }), { scope: "row" }), ...cells("td", values));
      return { line, differs, text: `${name} ${values.join(" ")}`.toLowerCase() };
    });
    this.table.replaceChildren(el("thead", {}, head), el("tbody", {}, ...this.lines.map(l => l.line)));
    this.filter();
  }
  filter() {
    const wanted = this.find.value.toLowerCase(), only = this.differing.checked && !this.differ.hidden;
    for (const l of this.lines ?? []) l.line.hidden = (only && !l.differs) || !l.text.includes(wanted);
  }
}

const SAVE_AFTER = 600; // ms without typing

class Notes {
  constructor(send) {
    this.send = send;
    const changed = () => { this.dirty = true; write(this.state, "not saved yet"); clearTimeout(this.timer); this.timer = setTimeout(() => this.save(), SAVE_AFTER); };
    const [t, text] = labelled("notes", {}, el("textarea", { rows: 6, oninput: changed, onblur: () => this.save(), placeholder: "What you tried here, and what came of it" }));
    const [g, tags] = labelled("tags", { type: "text", oninput: changed, onblur: () => this.save(), placeholder: "separated by commas", className: "tag-field" });
    t.className = "above";
    Object.assign(this, { text, tags });
    this.state = attributes(el("span", { className: "faint" }), { role: "status" });
    this.el = el("div", { className: "notes" }, t, form("", () => this.save(), g, this.state));
  }
  // Python's notes, unless somebody is typing
  paint({ notes }) {
    const key = JSON.stringify(notes);
    if (this.dirty || key === this.key) return;
    this.key = key;
    this.text.value = notes.text ?? "";
    this.tags.value = (notes.tags ?? []).join(", ");
  }
  save() {
    clearTimeout(this.timer);
    if (!this.dirty) return;
    this.dirty = false;
    write(this.state, "saved");
    this.send({ do: "notes", text: this.text.value, tags: this.tags.value.split(",").map(t => t.trim()).filter(Boolean) });
  }
  remove() { this.save(); }
  failed() { if (this.state.textContent === "saved") write(this.state, "not saved"); }
}

class EventLog {
  constructor() {
    const [w, warnings] = labelled("only warnings", { type: "checkbox", onchange: () => this.filter() });
    this.warnings = warnings;
    this.list = el("tbody");
    const head = el("tr", {}, ...["step", "time", "what"].map(t => attributes(el("th", { textContent: t }), { scope: "col" })));
    this.scroll = attributes(el("div", { className: "scroll" }, el("table", {}, el("thead", {}, head), this.list)), { tabindex: 0, role: "region", "aria-label": "events" });
    this.empty = el("p", { className: "faint", textContent: "Nothing has happened yet." });
    this.el = el("div", { className: "events" }, el("div", { className: "row" }, w), this.scroll, this.empty);
  }
  // The latest first
  paint({ run: { events } }) {
    if (events === this.events) return;
    this.events = events;
    this.list.replaceChildren(...[...events].reverse().map(e => el("tr", { className: isWarning(e) ? "warns" : "" }, el("td", { className: "number", textContent: e.step == null ? "" : integer(e.step) }),
      el("td", { className: "faint", textContent: timeOfDay(e.time) }), el("td", { textContent: eventText(e) }))));
    this.filter();
  }
  filter() {
    let shown = 0;
    for (const line of this.list.children) { line.hidden = this.warnings.checked && line.className !== "warns"; shown += !line.hidden; }
    this.empty.hidden = shown > 0;
    this.scroll.hidden = !shown;
    write(this.empty, this.warnings.checked ? "No warnings." : "Nothing has happened yet.");
  }
}

// The time as the reader's clock shows it, with the day if it is another
function timeOfDay(time) {
  if (time == null) return "";
  const t = new Date(typeof time === "number" ? 1000 * time : time);
  if (isNaN(t)) return String(time);
  const hours = t.toLocaleTimeString([], { hour12: false });
  return t.toDateString() === new Date().toDateString() ? hours : `${t.toLocaleDateString()} ${hours}`;
}
