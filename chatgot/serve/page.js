// The page of `chatgot serve`; lab/widgets.js comes before it. Text of a model or a person goes into the page as text, never as HTML.

const byId = id => document.getElementById(id);
const [model, character, me, turns, prompt, text, status] = ["model", "character", "me", "turns", "prompt", "text", "status"].map(byId);
const message = byId("say").querySelector("textarea"), key = byId("key").querySelector("input"), tip = tooltip();
const SHELVES = { chat: "Conversations", write: "Texts" }, MAX_KEPT = 50;
let models = [], tab = "chat", running = null; // `running` aborts the request that is under way

// --- the server ---

function say(words, isError = false) { status.textContent = words; status.classList.toggle("error", isError); }

async function call(path, body, signal) {
  const headers = { "content-type": "application/json", ...(key.value && { authorization: "Bearer " + key.value }) };
  const response = await fetch(path, { headers, signal, ...(body && { method: "POST", body: JSON.stringify(body) }) });
  if (response.ok) return response;
  if (response.status !== 401) throw new Error((await response.json()).error.message);
  // a server without keys never says so, and its page has no field for one; /openapi.json needs the key too
  byId("key").hidden = false; byId("api").hidden = true;
  throw new Error(key.value ? "This server knows no such API key." : "This server needs an API key.");
}

// Server-sent events; EventSource can't send a POST request
async function* readEvents(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (let buffer = ""; ;) {
    const { value, done } = await reader.read();
    if (done) return;
    const events = (buffer + value).split("\n\n");
    buffer = events.pop();
    for (const e of events) if (e !== "data: [DONE]") yield JSON.parse(e.slice(6));
  }
}

function busy(on) {
  for (const b of document.querySelectorAll(".stop")) b.disabled = !on;
  byId("again").disabled = byId("say").querySelector(".main").disabled = on;
  turns.ariaBusy = text.ariaBusy = on; // a screen reader reads a text that is complete
}

// Run a request to its end, to Stop, or to an error (false); `take` shows a choice of the stream and counts its tokens
async function generate({ path, body }, take) {
  running?.abort();
  const mine = running = new AbortController(), started = performance.now();
  let n = 0;
  busy(true);
  say("reading the prompt …");
  try {
    for await (const event of readEvents((await call(path, { ...body, stream: true }, mine.signal)).body)) {
      if (event.error) throw new Error(event.error.message);
      for (const choice of event.choices) n += take(choice);
      if (running === mine) say(`${n} tokens, ${(1000 * n / (performance.now() - started)).toFixed(0)} per second`);
    }
  } catch (e) {
    if (e.name !== "AbortError") { say(e.message, true); return false; }
    if (running === mine) say(`stopped after ${n} tokens`);
  } finally { if (running === mine) { running = null; busy(false); } }
  return true;
}

function samplingFields() {
  const given = [...byId("sampling").elements].filter(input => input.value !== "");
  return Object.fromEntries(given.map(input => [input.name, +input.value]));
}

// --- what is kept in this browser, newest first ---

function stored(name, fallback) { try { return JSON.parse(localStorage.getItem("chatgot." + name)) ?? fallback; } catch { return fallback; } }
function store(name, value) { try { localStorage.setItem("chatgot." + name, JSON.stringify(value)); return true; } catch { return false; } }

const newItem = fields => ({ id: `${Date.now()} ${Math.random()}`, time: Date.now(), model: model.value, ...fields });
const newTalk = () => newItem({ character: character.value, me: me.value, turns: [] });
const wholeText = item => item.prompt + item.tokens.map(t => t[0]).join("");
const titleOf = item => (item.turns ? item.turns.map(t => t.join(": ")).join(" ") : wholeText(item)).trim().slice(0, 100) || "(empty)";

function keep(item) {
  const shelf = item.turns ? "chat" : "write", list = [item, ...stored(shelf, []).filter(x => x.id !== item.id)].slice(0, MAX_KEPT);
  while (!store(shelf, list) && list.length > 1) list.pop(); // a browser keeps some megabytes
  drawKept();
}

function drawKept() {
  const list = stored(tab, []);
  byId("kept").hidden = !list.length;
  byId("kept-title").textContent = SHELVES[tab];
  byId("kept").querySelector("ul").replaceChildren(...list.map(item => el("li", {},
    button(titleOf(item), () => open(item), { title: `${item.model}, ${new Date(item.time).toLocaleString()}` }),
    button("Delete", () => { store(tab, stored(tab, []).filter(x => x.id !== item.id)); drawKept(); }, { ariaLabel: "Delete: " + titleOf(item) }))));
}

function choose(select, value) {
  if (![...select.options].some(o => o.value === value)) select.append(new Option(value));
  select.value = value;
}

function open(item) {
  running?.abort();
  if (models.some(m => m.id === item.model)) { model.value = item.model; showModel(); }
  if (item.turns) { talk = item; choose(character, item.character); choose(me, item.me); drawTalk(); }
  else { sheet = item; prompt.value = item.prompt; drawSheet(); }
  say("");
}

// --- chat: a turn is [name, text, …]; the person's and the character's names are those in the text that the model was trained on ---

let talk = newTalk();

function drawTalk() {
  followEnd(turns, () => turns.replaceChildren(...talk.turns.map(([name, words]) => el("div", { className: name === talk.me ? "bubble by-person" : "bubble" },
    el("b", { textContent: name || model.value }), el("span", { textContent: words })))));
  turns.dataset.hint = talk.character ? `No messages yet. You are ${talk.me}; ${talk.character} answers.`
    : "No messages yet. This model's text has no speakers: it goes on from what you write.";
}

// The request for an answer to all turns so far
function chatRequest(list = talk.turns) {
  const messages = list.map(([name, content]) => ({ role: name === talk.me ? "user" : "assistant", content, ...(talk.character && { name }) }));
  return { path: "v1/chat/completions", body: { model: model.value, messages, ...(talk.character && { character: talk.character }), ...samplingFields() } };
}

async function answer() {
  const mine = talk, request = chatRequest(), turn = [mine.character, ""];
  mine.turns.push(turn);
  drawTalk();
  const live = turns.lastChild.lastChild;
  turns.lastChild.classList.add("live");
  const ok = await generate({ ...request, body: { ...request.body, logprobs: true } }, ({ delta, logprobs }) => {
    turn[1] = (turn[1] + delta.content).trimStart();
    followEnd(turns, () => { live.textContent = turn[1]; });
    return logprobs.content.length;
  });
  turn[1] = turn[1].trimEnd();
  if (!turn[1]) mine.turns.splice(mine.turns.indexOf(turn), 1);
  if (!turn[1] && ok) say(`${mine.character || "The model"} said nothing. Ask again, or with a higher temperature.`);
  if (mine.turns.length && ok) keep(mine);
  if (mine === talk) drawTalk();
  return ok;
}

byId("say").onsubmit = async e => {
  e.preventDefault();
  const words = message.value.replace(/\n\s*\n/g, "\n").trim(); // a blank line would end the turn
  if (!words || running || !byId("sampling").reportValidity()) return;
  const mine = talk;
  mine.turns.push([mine.me, words]);
  message.value = "";
  if (await answer()) return;
  mine.turns.pop();
  message.value ||= words;
  if (mine === talk) drawTalk();
};
message.onkeydown = e => { if (e.key === "Enter" && !e.shiftKey && !e.isComposing) { e.preventDefault(); byId("say").requestSubmit(); } };
byId("again").onclick = () => {
  while (talk.turns.length && talk.turns.at(-1)[0] !== talk.me) talk.turns.pop();
  if (talk.turns.length) answer();
};
byId("new").onclick = () => { running?.abort(); talk = newTalk(); drawTalk(); message.focus(); };

// From now on somebody else speaks: what was said stays, in a conversation of its own
character.onchange = me.onchange = e => {
  const [other] = [...character.options].map(o => o.value).filter(name => name !== e.target.value);
  if (character.value === me.value && other) (e.target === me ? character : me).value = other;
  talk = { ...newTalk(), turns: [...talk.turns] };
  drawTalk();
};

// --- write: a token is [text, probability, [[text, probability] of the likeliest]] ---

let sheet = newItem({ prompt: "", tokens: [] }), tokenOf = new WeakMap(), at = -1; // `at`: the token that the arrow keys have reached

function addTokens(list) {
  followEnd(text, () => text.append(...list.map(token => {
    const span = colored(token);
    tokenOf.set(span, token);
    return span;
  })));
}
function drawSheet() {
  at = -1; tip.hide();
  text.replaceChildren(el("span", { className: "faint", textContent: sheet.prompt }));
  addTokens(sheet.tokens);
}

// The tokens of a choice; those that only together are a character are shown as one
function tokensOf({ text, logprobs: { tokens, token_logprobs, top_logprobs } }) {
  const list = tokens.map((t, i) => [t, Math.exp(token_logprobs[i]), Object.entries(top_logprobs[i] ?? {}).map(([t, p]) => [t, Math.exp(p)])]);
  return tokens.join("") === text ? list : text ? [[text, list.reduce((p, t) => p * t[1], 1), []]] : [];
}

function writeRequest() { return { path: "v1/completions", body: { model: model.value, prompt: prompt.value || null, ...samplingFields() } }; }

byId("compose").onsubmit = async e => {
  e.preventDefault();
  if (!byId("sampling").reportValidity()) return;
  const mine = sheet = newItem({ prompt: prompt.value, tokens: [] }), request = writeRequest();
  drawSheet();
  await generate({ ...request, body: { ...request.body, logprobs: 5 } }, choice => {
    const list = tokensOf(choice);
    mine.tokens.push(...list);
    if (mine === sheet) addTokens(list);
    return choice.logprobs.tokens.length;
  });
  if (mine.tokens.length) keep(mine);
};
prompt.onkeydown = e => { if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) byId("compose").requestSubmit(); };
byId("on").onclick = () => { prompt.value = sheet.tokens.length ? wholeText(sheet) : prompt.value; byId("compose").requestSubmit(); };

function point(span) {
  const token = tokenOf.get(span);
  if (token) tip.show(span, ...alternatives(token)); else tip.hide();
}
text.onmouseover = e => point(e.target);
text.onmouseleave = () => tip.hide();
text.onblur = () => { tip.hide(); text.querySelector(".at")?.classList.remove("at"); };
text.onkeydown = e => {
  const spans = text.querySelectorAll(".tok"), to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: spans.length - 1 }[e.key];
  if (e.key === "Escape") tip.hide();
  if (to === undefined || !spans.length) return;
  e.preventDefault();
  spans[at]?.classList.remove("at");
  at = Math.max(0, Math.min(to, spans.length - 1));
  spans[at].classList.add("at");
  spans[at].scrollIntoView({ block: "nearest" });
  point(spans[at]);
  const [word, p, top] = tokenOf.get(spans[at]);
  byId("token").textContent = `${showWhitespace(word)}, ${percent(p)}. ${top.map(([t, q]) => `${showWhitespace(t)} ${percent(q)}`).join(", ")}`;
};

// --- copy as ---

const KNOWN_TO_OPENAI = new Set(["model", "prompt", "messages", "max_tokens", "temperature", "top_p", "seed"]);

function python(v) {
  if (Array.isArray(v)) return `[${v.map(python).join(", ")}]`;
  if (v && typeof v === "object") return `{${Object.entries(v).map(([k, x]) => `${JSON.stringify(k)}: ${python(x)}`).join(", ")}}`;
  return { null: "None", true: "True", false: "False" }[v] ?? JSON.stringify(v);
}

// The request as it would be sent now: with what is typed, or else the one that led to the last answer
function currentRequest() {
  if (tab === "write") return writeRequest();
  const typed = message.value.trim(), list = [...talk.turns, ...(typed ? [[talk.me, typed]] : [])];
  while (list.length && list.at(-1)[0] !== talk.me) list.pop();
  return chatRequest(list.length ? list : [[talk.me, "Good day!"]]);
}

const SNIPPETS = {
  curl({ url, body, secret }) {
    return `curl ${url} -H 'content-type: application/json'${secret ? ' -H "authorization: Bearer $CHATGOT_KEY"' : ""} \\\n  -d '${JSON.stringify(body).replaceAll("'", "'\\''")}'\n`;
  },
  python({ url, body, secret }) {
    const authorization = secret ? ", 'authorization': 'Bearer ' + os.environ['CHATGOT_KEY']" : "", answer = body.messages ? "['message']['content']" : "['text']";
    return `import json, os\nfrom urllib.request import Request, urlopen\n\nbody = ${python(body)}\nheaders = {'content-type': 'application/json'${authorization}}\n` +
      `with urlopen(Request('${url}', json.dumps(body).encode(), headers)) as response:\n    print(json.load(response)['choices'][0]${answer})\n`;
  },
  openai({ base, body, secret }) {
    const known = Object.entries(body).filter(([k]) => KNOWN_TO_OPENAI.has(k)), more = Object.entries(body).filter(([k]) => !KNOWN_TO_OPENAI.has(k));
    const args = [...known.map(([k, v]) => `${k}=${python(v)}`), ...(more.length ? [`extra_body=${python(Object.fromEntries(more))}`] : [])].join(", ");
    return `import os\nfrom openai import OpenAI\n\nclient = OpenAI(base_url='${base}', api_key=${secret ? "os.environ['CHATGOT_KEY']" : "'none'"})\n` +
      `answer = client.${body.messages ? "chat." : ""}completions.create(${args})\nprint(answer.choices[0].${body.messages ? "message.content" : "text"})\n`;
  },
};

async function copy(words) {
  // a page from another machine without https has no navigator.clipboard
  if (navigator.clipboard) return navigator.clipboard.writeText(words);
  const area = el("textarea", { value: words, className: "unseen" });
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

byId("copy").onclick = async e => {
  if (!(e.target.value in SNIPPETS)) return;
  const { path, body } = currentRequest(), at = path => new URL(path, location.href).href, secret = !byId("key").hidden;
  await copy(SNIPPETS[e.target.value]({ url: at(path), base: at("v1"), body, secret }));
  say(`Copied.${secret ? " It takes the key from the environment variable CHATGOT_KEY." : ""}`);
};

// --- the page ---

function setTab(name) {
  tab = name;
  for (const other of Object.keys(SHELVES)) {
    const here = other === name;
    byId(other).hidden = !here;
    Object.assign(byId(other + "-tab"), { ariaSelected: here, tabIndex: here ? 0 : -1 });
  }
  tip.hide();
  if (!running) say("");
  drawKept();
}
for (const name of Object.keys(SHELVES)) {
  const other = name === "chat" ? "write" : "chat", it = byId(name + "-tab");
  it.onclick = () => { setTab(name); store("tab", name); };
  it.onkeydown = e => { if (e.key === "ArrowLeft" || e.key === "ArrowRight") byId(other + "-tab").click(), byId(other + "-tab").focus(); };
}

function showModel() {
  const { step, context, characters = [] } = models.find(m => m.id === model.value) ?? {};
  byId("about").textContent = step === undefined ? "" : `step ${step.toLocaleString("en")}, context ${context.toLocaleString("en")}`;
  byId("who").hidden = !characters.length;
  const fill = (select, names) => select.replaceChildren(...names.map(name => new Option(name)));
  fill(character, characters.length ? characters : [""]);
  fill(me, characters.length > 1 ? characters : ["You"]);
  me.selectedIndex = characters.length > 1 ? 1 : 0;
  if (!talk.turns.length || talk.model !== model.value) talk = newTalk();
  drawTalk();
}

async function listModels() {
  try {
    models = (await (await call("v1/models")).json()).data;
    model.replaceChildren(...models.map(m => new Option(m.id)));
    showModel();
    setTab(stored("tab", "") in SHELVES ? stored("tab", "") : models[0]?.characters.length ? "chat" : "write");
    say("");
  } catch (e) { say(e.message, true); }
}

model.onchange = () => { running?.abort(); showModel(); };
byId("key").onsubmit = e => { e.preventDefault(); listModels(); };
byId("sampling").onsubmit = e => e.preventDefault();
byId("forget").onclick = () => { store(tab, []); drawKept(); };
for (const b of document.querySelectorAll(".stop")) b.onclick = () => running?.abort();
byId("legend").replaceWith(legend());
setTab("chat");
drawTalk();
drawSheet();
listModels();
