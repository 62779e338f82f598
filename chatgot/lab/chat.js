// The chat widget in the browser; widgets.js comes before it

function bubble(name, text, byPerson) {
  return el("div", { className: byPerson ? "bubble by-person" : "bubble" }, el("b", { textContent: name }), el("span", { textContent: text }));
}

function chat(model, root) {
  const about = model.get("about"), error = el("div", { className: "error" });
  const character = el("select", { title: "The character that answers" }, ...about.speakers.map(textContent => el("option", { textContent })));
  const me = el("b", { className: "me" });
  const conversation = el("div", { className: "conversation" });
  const message = el("textarea", { rows: 2, spellcheck: false });
  const send = button("Send", () => {
    error.textContent = "";
    sent = message.value;
    model.send({ do: "say", text: sent });
    message.value = "";
    busy(true);
  }, { className: "main" });
  const stop = button("Stop", () => model.send({ do: "stop" }));
  const clear = button("New", () => { error.textContent = ""; model.send({ do: "clear" }); }, { title: "Start a new conversation" });
  const keep = keepButton(model, root, error);
  let last = null, sent = "";

  function busy(on) { send.disabled = clear.disabled = character.disabled = on; stop.disabled = !on; keep.disabled = on || !conversation.children.length; }
  function draw(m) {
    const nodes = m.turns.map(([name, text, byPerson]) => bubble(name, text, byPerson));
    followEnd(conversation, () => conversation.replaceChildren(...nodes));
    last = m.busy ? nodes.at(-1) : null;
    last?.classList.add("live");
    conversation.dataset.hint = `No messages yet. You are ${m.me}.`;
    me.textContent = m.me;
    message.placeholder = `Your message as ${m.me} (Enter sends, Shift+Enter starts a new line)`;
    character.value = m.as_;
    busy(m.busy);
  }
  const handlers = {
    turns: draw,
    more(m) { if (last) followEnd(conversation, () => { last.lastChild.textContent += m.text; }); },
    error(m) { error.textContent = m.text; message.value ||= sent; },
  };
  character.onchange = () => { error.textContent = ""; model.send({ do: "set_character", name: character.value }); };
  message.onkeydown = e => { if (e.key === "Enter" && !e.shiftKey) { e.preventDefault(); if (!send.disabled) send.click(); } };
  root.append(el("div", { className: "row" }, el("h4", { textContent: "Chat" }), el("span", { className: "faint", textContent: about.title }),
                 el("span", { className: "gap" }), el("label", {}, "with", character), el("span", { className: "faint" }, "you speak as ", me), clear, keep),
              conversation, error, el("div", { className: "compose" }, message, send, stop));
  return connect(model, root, handlers);
}

export default {
  render({ model, el: host }) {
    const root = el("div", { className: "chatgot" });
    host.append(root);
    return chat(model, root);
  },
};
