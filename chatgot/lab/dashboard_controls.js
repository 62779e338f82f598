// The head of the dashboard and what steers a run: state, progress, the latest note and error, controls while it trains, and actions.

const ASKED = { pause: "Pausing after the current step", resume: "Going on", stop: "Saving a checkpoint, then stopping", save: "Saving a checkpoint",
  evaluate: "Evaluating on the whole validation text", lr: "Changing the learning rate", sample: "Writing a sample", branch: "Branching" };
const ANSWERS = { pause: ["paused"], resume: ["resumed"], stop: ["stopped", "ended"], save: ["saved"], evaluate: ["evaluated"], lr: ["lr"], sample: ["sample"], branch: ["branched"] };

const attributes = (e, values) => { for (const [k, v] of Object.entries(values)) e.setAttribute(k, v); return e; };
const write = (e, text) => { if (e.textContent !== text) e.textContent = text; };
const integer = n => Math.round(n).toLocaleString("en");

function short(v) {
  const a = Math.abs(v);
  for (const [size, letter] of [[1e9, "G"], [1e6, "M"]]) if (a >= size) return (v / size).toFixed(1) + letter;
  return a >= 1e4 ? (v / 1e3).toFixed(0) + "k" : a >= 100 || Number.isInteger(v) ? integer(v) : String(+v.toPrecision(3));
}
function clock(s) {
  const two = n => String(n).padStart(2, "0"), t = Math.round(s), h = Math.floor(t / 3600), m = Math.floor(t / 60);
  return (h ? `${h}:${two(m % 60)}` : m) + ":" + two(t % 60);
}

// A label around its input, and the input
function labelled(text, props = {}, input = el("input", { autocomplete: "off", ...props })) { return [el("label", {}, text, input), input]; }

function choice(text, options, onchange) {
  const s = el("select", { onchange: () => onchange(s.value) });
  fillChoice(s, options);
  return [el("label", {}, text, s), s];
}
// Options are values or [value, label]; the chosen one stays chosen where it still exists
function fillChoice(select, options) {
  const key = JSON.stringify(options);
  if (select.dataset.options === key) return;
  const { value } = select;
  select.dataset.options = key;
  select.replaceChildren(...options.map(o => Array.isArray(o) ? new Option(o[1], o[0]) : new Option(o, o)));
  if ([...select.options].some(o => o.value === value)) select.value = value;
}

// A real form, so that Enter in any field submits it. Python checks the values: it says what is wrong with them.
function form(className, submit, ...children) {
  return el("form", { className: `row ${className}`, noValidate: true, onsubmit: e => { e.preventDefault(); submit(); } }, ...children);
}
const submitButton = (text, title, className = "") => el("button", { type: "submit", textContent: text, title, className });

const logLine = e => e ? (e.step == null ? "" : `step ${integer(e.step)}: `) + eventText(e) : "";

class Head {
  constructor() {
    this.name = el("b", { className: "name" });
    this.state = attributes(el("span", { className: "state" }), { tabindex: -1 });
    this.bar = el("i");
    this.progress = attributes(el("span", { className: "progress" }, this.bar), { role: "progressbar", "aria-label": "progress", "aria-valuemin": 0, "aria-valuemax": 100 });
    this.position = el("span", { className: "faint pos" });
    this.tags = el("span", { className: "tags" });
    this.el = el("div", { className: "row head" }, this.name, this.state, this.tags, this.progress, this.position);
  }
  paint({ status: st, training, notes }) {
    const done = Math.min(1, st.done ?? 0);
    write(this.name, st.name ?? "");
    write(this.state, st.state ?? "");
    this.state.className = `state ${st.state ?? ""}`;
    this.bar.style.width = `${100 * done}%`;
    attributes(this.progress, { "aria-valuenow": Math.round(100 * done) });
    write(this.position, st.step == null ? "" : [`step ${integer(st.step)}${st.steps ? ` of ${integer(st.steps)}` : ""}`, clock(st.seconds ?? 0),
      ...(training && st.left != null ? [`${clock(st.left)} left`] : [])].join(" · "));
    const tags = notes.tags ?? [];
    if (tags.join("\n") !== this.shown) { this.shown = tags.join("\n"); this.tags.replaceChildren(...tags.map(t => el("span", { className: "tag", textContent: t }))); }
  }
}

// What was asked for and what came of it: one line for the latest note, one for an error, and a live region for screen readers
class Notices {
  constructor() {
    this.log = el("div", { className: "log faint" });
    this.error = el("div", { className: "error" });
    this.live = attributes(el("div", { className: "heard" }), { role: "status", "aria-live": "polite" });
    this.el = el("div", { className: "notices" }, this.error, this.log, this.live);
  }
  say(text) { this.live.textContent = text; }
  show(text, kind) {
    this.log.className = `log ${kind}`;
    write(this.log, text);
  }
  ask(message, text) {
    this.error.textContent = "";
    this.pending = message.do;
    this.show(`${text} …`, "asked");
    this.say(text);
  }
  fail(text) {
    this.pending = null;
    const says = this.log.textContent.includes(text.split("\n")[0]); // the log tells how the run ended, too
    if (says || this.log.classList.contains("asked")) this.show("", "faint");
    this.error.textContent = text;
    this.say(`Error: ${text}`);
  }
  done(text) {
    this.pending = null;
    this.error.textContent = "";
    this.show(text, text.endsWith("…") ? "asked" : "done"); // what goes on isn't done
    this.say(text);
  }
  // What the log says. An answer to what was asked for is told aloud; a note that is neither a warning nor routine is a success, and takes an error away.
  note({ note = "", warn }, events = []) {
    const changed = note !== this.last, answer = events.findLast(e => ANSWERS[this.pending]?.includes(e.event)), warning = changed && warn ? note : logLine(events.findLast(isWarning));
    this.last = note;
    if (answer) return this.done(logLine(answer));
    if (warning) {
      if (warning.includes(`'${this.pending}'`)) this.pending = null;
      const [first] = this.error.textContent.split("\n");
      if (first && warning.includes(first)) return;
      this.show(warning, "error");
      return this.say(warning);
    }
    if (!changed && !events.length) return;
    if (events.length && events.every(e => e.level === "DEBUG")) {
      if (this.log.classList.contains("faint")) this.show(note || logLine(events.at(-1)), "faint"); // neither an answer nor a warning is pushed aside
      return;
    }
    this.error.textContent = "";
    if (this.pending) this.done(note || logLine(events.at(-1)));
    else this.show(note || logLine(events.at(-1)), "faint");
  }
  // A reset tells how things are, not what has just happened
  reset({ note = "", warn }) {
    if (note === this.last && this.pending !== "overlay") return;
    if (this.pending === "overlay") this.pending = null; // the runs are there
    this.last = note;
    this.show(note, warn ? "error" : "faint");
  }
}

// Controls of a run that trains: each writes a request that the training loop handles after its step
class Controls {
  constructor(send) {
    const ask = message => send(message, ASKED[message.do]);
    this.pause = button("Pause", () => ask({ do: this.paused ? "resume" : "pause" }), { className: "main", title: "Pause after the current step, or go on" });
    const [lr, factor] = labelled("learning rate ×", { type: "number", value: 1, step: "any", className: "factor" });
    this.el = el("div", { className: "row controls" }, this.pause,
      button("Stop", () => ask({ do: "stop" }), { title: "Save a checkpoint and stop" }),
      button("Save now", () => ask({ do: "save" }), { title: "Save a checkpoint now" }),
      button("Evaluate now", () => ask({ do: "evaluate" }), { title: "Evaluate on the whole validation text now" }),
      form("rate", () => ask({ do: "lr", factor: +factor.value }), lr, submitButton("Set", "Multiply the planned learning rate from the next step on")));
    this.forms = el("div", { className: "forms" }, this.sampleForm(ask), this.branchForm(ask));
  }
  sampleForm(ask) {
    const [p, prompt] = labelled("prompt", { type: "text", value: "\\n", title: "\\n is a new line", className: "prompt", spellcheck: false });
    const [n, tokens] = labelled("tokens", { type: "number", value: 200, step: "any" }), [t, temperature] = labelled("temperature", { type: "number", value: 0.8, step: "any" });
    return form("sample-form", () => ask({ do: "sample", prompt: prompt.value.replaceAll("\\n", "\n"), tokens: +tokens.value, temperature: +temperature.value }),
      submitButton("Sample now", "Generate a sample from the model as it is now"), p, n, t);
  }
  branchForm(ask) {
    this.from = el("select", { className: "from", onchange: () => { this.chosen = true; } });
    const [f] = labelled("from step", {}, this.from),
      [w, settings] = labelled("with", { type: "text", value: "train.lr=1e-3", className: "with", title: "settings as section.name=value, separated by spaces", spellcheck: false });
    const [a, name] = labelled("as", { type: "text", placeholder: "name of the new run", className: "as", spellcheck: false });
    return form("branch-form", () => ask({ do: "branch", step: +this.from.value, settings: settings.value.split(/\s+/).filter(Boolean), ...(name.value && { name: name.value }) }),
      submitButton("Branch", "Save and stop this run, and continue from a checkpoint as a new run"), f, w, a);
  }
  paint({ status, training, checkpoints }) {
    this.paused = status.state === "paused";
    write(this.pause, this.paused ? "Resume" : "Pause");
    this.el.hidden = this.forms.hidden = !training;
    if (!training) return;
    fillChoice(this.from, [...checkpoints].reverse());
    if (!this.chosen) this.from.value = checkpoints.at(-1); // the latest, until somebody chooses another
  }
}

// Buttons that Python offers, each with the fields it needs
class Actions {
  constructor(send, keep, inNotebook) {
    Object.assign(this, { send, inNotebook });
    this.list = el("span", { className: "row" });
    this.keep = button("Keep as picture", keep, { title: "Bring the picture that stays in the saved notebook up to date" });
    this.el = el("div", { className: "row actions" }, this.list, this.keep);
  }
  paint({ actions, training, status }) {
    this.keep.hidden = !this.inNotebook || training || !status.state;
    this.el.hidden = this.keep.hidden && !actions.length;
    const key = JSON.stringify(actions);
    if (key === this.key) return;
    this.key = key;
    this.list.replaceChildren(...actions.map((a, i) => this.action(a, !training && i === 0)));
  }
  action({ do: what, label, title = "", args = {}, fields = [], confirm }, first) {
    const inputs = fields.map(f => [f, ...this.field(f)]), b = submitButton(label, title, first ? "main" : "");
    const submit = () => {
      if (confirm && b.dataset.asked !== "true") return this.confirm(b, label, confirm);
      this.send({ do: what, ...args, ...Object.fromEntries(inputs.map(([f, , read]) => [f.name, read()])) }, label);
    };
    return form("action", submit, b, ...inputs.map(([, label]) => label));
  }
  field({ label, name, type = "text", value = "", min, options }) {
    if (options) { const [l, s] = choice(label ?? name, options, () => {}); s.value = value; return [l, () => s.value]; }
    const [l, input] = labelled(label ?? name, type === "checkbox" ? { type, checked: !!value }
      : { type, value: value ?? "", ...(min != null && { min }), ...(type === "number" && { step: "any" }) });
    input.name = name;
    return [l, () => type === "checkbox" ? input.checked : type === "number" ? (input.value === "" ? null : +input.value) : input.value];
  }
  // The button itself asks, and takes it back after a while
  confirm(b, label, question) {
    b.dataset.asked = "true";
    b.textContent = question === true ? `${label}: sure?` : question;
    setTimeout(() => { b.dataset.asked = ""; b.textContent = label; }, 5000);
  }
}
