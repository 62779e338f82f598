// The page of `chatgot watch`; the dashboard's scripts come before it. All text goes into the page as text, never as HTML.

const byId = id => document.getElementById(id);
const [listPart, runPart, login] = ["list", "run", "login"].map(byId);
const rowsBody = listPart.querySelector("tbody"), filter = byId("filter").querySelector("input");
const nothing = () => {};
let leave = nothing; // ends what is shown

function say(words = "", isError = true) { byId("note").textContent = words; byId("note").classList.toggle("error", isError); }

// Whether a key was used: the cookie that stands for it can't be read by scripts
function usedKey(used) {
  try { return used === undefined ? localStorage.getItem("chatgot.watch.key") : localStorage[used ? "setItem" : "removeItem"]("chatgot.watch.key", "used"); } catch { return used; }
}

// A WebSocket that is opened again when it was lost. `receive` gets its messages; the first that goes out says that the page knows nothing.
function link(path, receive) {
  let socket, pause = 500, timer, ended = false;
  function begin() {
    socket = new WebSocket(new URL(path, location.href.replace(/#.*/, "")).href.replace(/^http/, "ws"));
    socket.onopen = () => { pause = 500; say(); socket.send('{"do": "ready"}'); };
    socket.onmessage = e => receive(JSON.parse(e.data));
    socket.onclose = async () => {
      // a WebSocket doesn't say why it was refused, the same address without one does
      const status = ended ? 0 : await fetch(path, { cache: "no-store" }).then(r => r.status, () => 0);
      if (ended) return;
      if (status === 401) return askForKey();
      if (status === 404) return say("There is no such run.");
      say(status === 429 ? "Too many keys were tried. Waiting …" : "The connection is lost. Trying again …");
      timer = setTimeout(begin, pause);
      pause = Math.min(2 * pause, 10_000);
    };
  }
  begin();
  return {
    send(message) { if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message)); },
    close() { ended = true; clearTimeout(timer); socket.close(); },
  };
}

// --- the key ---

function askForKey() {
  leave();
  leave = nothing;
  listPart.hidden = runPart.hidden = byId("leave").hidden = true;
  login.hidden = false;
  login.querySelector("input").focus();
}
login.onsubmit = async e => {
  e.preventDefault();
  const input = login.querySelector("input"), headers = { authorization: "Bearer " + input.value };
  const response = await fetch("session", { method: "POST", headers }).catch(() => null);
  say(response?.ok ? "" : response?.status === 401 ? "This is not a key of this server." : (await response?.json())?.error.message ?? "The server can't be reached.");
  input.value = "";
  if (!response?.ok) return;
  usedKey(true);
  show();
};
byId("leave").onclick = async () => { await fetch("session", { method: "DELETE" }); usedKey(false); askForKey(); };

// --- the list ---

const STEPS = new Intl.NumberFormat("en"), UNITS = ["B", "kB", "MB", "GB", "TB"];

function bytes(n) {
  const k = n ? Math.min(Math.floor(Math.log10(n) / 3), 4) : 0;
  return `${(n / 1000 ** k).toFixed(k > 1 ? 1 : 0)} ${UNITS[k]}`;
}

function tableRow(r) {
  const cell = (content, props = {}, label) => attributes(el("td", props, ...[content].flat()), label ? { "data-label": label } : {});
  const made = new Date(1000 * r.made), name = el("a", { className: "name", href: "#" + encodeURIComponent(r.name), textContent: r.name });
  const when = attributes(el("time", { textContent: made.toLocaleString([], { dateStyle: "medium", timeStyle: "short" }) }), { datetime: made.toISOString() });
  const row = el("tr", {},
    cell(name), cell(r.curve.length > 1 ? spark(r.curve, { height: 24 }) : []),
    cell(r.state, { className: r.state && "state " + r.state, title: r.damage }),
    cell(r.corpus),
    cell(`${STEPS.format(r.step)}${r.steps ? " of " + STEPS.format(r.steps) : ""}`, { className: "n" }, "step"),
    cell(r.best === null ? [] : r.best.toFixed(4), { className: "n" }, r.best === null ? "" : "best"),
    cell(r.bytes ? bytes(r.bytes) : [], { className: "n" }), cell(r.made ? when : []));
  row.found = [r.name, r.state, r.corpus].join(" ").toLowerCase();
  return row;
}

function applyFilter() {
  const words = filter.value.toLowerCase().split(/\s+/);
  for (const row of rowsBody.rows) row.hidden = !words.every(w => row.found.includes(w));
}
filter.oninput = applyFilter;

function showList() {
  const rows = new Map(), shown = new Map(); // by name: what Python said, and the table's row
  const connected = link("runs", message => {
    if (message.what !== "runs") return say(message.text);
    if (message.all) { rows.clear(); shown.clear(); }
    for (const name of message.gone) { rows.delete(name); shown.delete(name); }
    for (const r of message.rows) {
      const row = tableRow(r), before = shown.get(r.name), focused = before?.contains(document.activeElement);
      rows.set(r.name, r);
      shown.set(r.name, row);
      if (before?.isConnected) before.replaceWith(row);
      if (focused) row.querySelector("a").focus();
    }
    const order = [...rows.values()].sort((a, b) => b.made - a.made || (a.name < b.name ? -1 : 1)).map(r => shown.get(r.name));
    // moved only if it must be: a row that moves loses the focus
    if (order.length !== rowsBody.rows.length || order.some((row, i) => row !== rowsBody.rows[i])) rowsBody.replaceChildren(...order);
    byId("none").hidden = order.length > 0;
    applyFilter();
  });
  return () => { connected.close(); rowsBody.replaceChildren(); };
}

// --- a run ---

function showRun(name) {
  let tell = () => {};
  const connected = link("run/" + encodeURIComponent(name), message => {
    const { status } = message;
    if (status) document.title = `${status.state === "running" ? Math.round(100 * (status.done ?? 0)) + " %" : status.state}: ${status.name}`;
    tell(message);
  });
  // what Jupyter's widget model is for the dashboard; the link says that it is ready whenever it is
  const model = { on: (_, receive) => { tell = receive; }, off: () => { tell = () => {}; }, send: message => { if (message.do !== "ready") connected.send(message); } };
  const remove = render({ model, el: runPart });
  return () => { connected.close(); remove(); runPart.replaceChildren(); };
}

// A command is copied by a click
runPart.addEventListener("click", async e => {
  const command = e.target.closest?.(".command");
  if (!command) return;
  try { await navigator.clipboard.writeText(command.textContent); say("Copied", false); }
  catch { getSelection().selectAllChildren(command); } // a page from another machine without https may not write to the clipboard
});

// --- what the address asks for ---

function show() {
  let name = "";
  try { name = decodeURIComponent(location.hash.slice(1)); } catch { /* not made by this page */ }
  leave();
  login.hidden = true;
  byId("leave").hidden = !usedKey();
  say();
  listPart.hidden = byId("filter").hidden = !!name;
  runPart.hidden = byId("back").hidden = !name;
  document.querySelector("h1").hidden = !!name;
  document.title = name || "ChatGoT: runs";
  leave = name ? showRun(name) : showList();
}
addEventListener("hashchange", show);
show();
