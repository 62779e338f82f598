// Samples: the same prompts and seeds through training, with a slider, and below them what somebody asked for

const reducedMotion = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

// A text with its tokens in the colour of their probability, where they are known
function sampleText(s) {
  const tokens = s.pieces?.length ? s.pieces.map(([text, p]) => Object.assign(colored([text, p]), { title: `${showWhitespace(text)} ${percent(p)}` })) : [s.text ?? ""];
  return attributes(el("div", { className: "text" }, el("span", { className: "given", textContent: s.prompt ?? "" }), ...tokens),
    { tabindex: 0, role: "group", "aria-label": `sample of step ${s.step}` });
}

// A picture or a sound comes as a data URL; nothing else is loaded
function media(s) {
  const out = [];
  if (s.image?.startsWith("data:image/")) out.push(el("img", { src: s.image, alt: `picture of step ${s.step}${s.prompt ? `: ${s.prompt}` : ""}` }));
  if (s.sound?.startsWith("data:audio/")) out.push(attributes(el("audio", { src: s.sound, controls: true }), { "aria-label": `sound of step ${s.step}` }));
  return out;
}

// Nats per token as the model itself rates the text
function surprise(s) {
  if (!s.pieces?.length) return "";
  return `${(s.pieces.reduce((sum, [, p]) => sum - Math.log(Math.max(p, 1e-9)), 0) / s.pieces.length).toFixed(2)} nats per token`;
}

class Gallery {
  constructor() {
    const [label, slider] = labelled("step", { type: "range", min: 0, max: 0, step: 1, value: 0, className: "through" });
    Object.assign(this, { slider, follow: true });
    slider.oninput = () => { this.stop(); this.move(+slider.value); };
    this.where = el("output", { className: "where" });
    this.play = button("Play", () => this.timer ? this.stop() : this.start(), { className: "play", title: "Go through training from the beginning" });
    this.columns = el("div", { className: "columns" });
    this.bar = el("div", { className: "row" }, label, this.where, this.play, el("span", { className: "gap" }), legend());
    this.requested = el("div", { className: "samples" });
    this.heading = el("h4", { textContent: "On request" });
    this.empty = el("p", { className: "faint", textContent: "No samples yet." });
    this.el = el("div", { className: "gallery" }, this.bar, this.columns, this.heading, this.requested, this.empty);
  }
  reset() { this.stop(); this.follow = true; }
  paint({ samples }) {
    const { steps, requested } = this.samples = samples, last = steps.length - 1;
    this.bar.hidden = !steps.length;
    this.heading.hidden = !steps.length || !requested.length;
    this.empty.hidden = steps.length + requested.length > 0;
    this.play.hidden = last < 1 || reducedMotion();
    this.slider.disabled = last < 1;
    // a thinned list has fewer steps: the slider stays at the step that is shown
    const at = this.follow ? last : Math.max(0, countUpTo(steps, this.step ?? 0, g => g.step) - 1);
    this.slider.max = Math.max(0, last);
    if (steps.length) this.show(at);
    if (requested[0] !== this.newest || requested.length !== this.requested.children.length) {
      this.newest = requested[0];
      this.requested.replaceChildren(...requested.map(s => this.card(s)));
    }
  }
  move(i) {
    this.follow = i === this.samples.steps.length - 1;
    this.show(i);
  }
  show(i) {
    const { step, texts } = this.samples.steps[i], last = this.samples.steps.length - 1;
    this.slider.value = i;
    this.step = step;
    write(this.where, `${integer(step)}${this.follow && i === last && last > 0 ? ", the latest" : ""}`);
    attributes(this.slider, { "aria-valuetext": `step ${integer(step)}` });
    const shown = texts.filter(Boolean);
    if (shown.length === this.shown?.length && shown.every((s, k) => s === this.shown[k])) return;
    this.shown = shown;
    this.columns.replaceChildren(...shown.map(s => el("div", { className: "column" },
      el("div", { className: "caption faint" }, el("span", { className: "prompt-name", textContent: `“${showWhitespace(s.prompt ?? "").slice(0, 40)}”` }),
        el("span", { textContent: surprise(s) })), sampleText(s), ...media(s))));
  }
  // From the first step, or from here where there is something left to see
  start() {
    let i = +this.slider.value;
    if (i >= this.samples.steps.length - 1) i = -1;
    const next = () => {
      this.move(++i);
      if (i >= this.samples.steps.length - 1 || !this.el.isConnected || this.el.closest("[hidden]")) this.stop();
      else this.timer = setTimeout(next, 600);
    };
    write(this.play, "Stop");
    this.timer = 1;
    next();
  }
  stop() {
    clearTimeout(this.timer);
    this.timer = 0;
    write(this.play, "Play");
  }
  remove() { this.stop(); }
  card(s) {
    const facts = [`step ${integer(s.step ?? 0)}`, s.temperature == null ? "" : `temperature ${s.temperature}`, surprise(s)].filter(Boolean).join(", ");
    return el("div", { className: "sample" }, el("div", { className: "caption faint", textContent: facts }), sampleText(s), ...media(s));
  }
}
