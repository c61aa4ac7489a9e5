// A link to the result: saves its recipe on the server and shows, this once, where it is and how it is deleted.

import { kept } from "./kept.js";
import { copies, el, RequestKeys, Trouble, Work } from "./panel_parts.js";
import { dayOf, parts, save as words } from "./strings_panels.js";

export function initLink({ root, store, mixing, say }) {
  const find = (id) => root.querySelector(`#${id}`);
  const work = new Work({ say, trouble: new Trouble(find("link-message")) });
  const keys = new RequestKeys();
  const made = find("links");

  function field(label, value, what) {
    const input = el("input", { type: "text", readonly: true, value, on: { focus: () => input.select() } });
    const copy = el("button", { type: "button", text: parts.copy });
    copies(copy, input, what, say);
    return el("div", { class: "made-link" }, el("label", {}, el("span", { text: label }), input), copy);
  }

  function show({ url, delete_url: deleteUrl, expires_at: expiresAt }, name, isKept) {
    const lines = [expiresAt === null ? words.forEver : words.until(dayOf(expiresAt))];
    if (!isKept) lines.push(words.notKept);
    const item = el("li", { tabindex: "-1" },
      el("p", { class: "made-name", text: name }),
      field(words.linkLabel, url, words.link),
      field(words.deleteLabel, deleteUrl, words.deleteLink),
      el("p", { class: "small", text: lines.join(" ") }));
    made.prepend(item);
    made.hidden = false;
    item.focus();
  }

  find("link").addEventListener("submit", (event) => {
    event.preventDefault();
    if (!mixing.ready) return;
    work.run(find("link-save"), words.linking, async (options) => {
      const { state } = store;
      const { value } = find("link-expiry");
      const extra = { expires_in: value === "" ? null : Number(value) };
      // A link holds no photograph, and so its picture shows no more than can be drawn again from it.
      const send = (keyed) => mixing.ask("/api/v1/recipes", { state, extra, sharp: false, ...keyed, ...options });
      const answer = await keys.within(send);
      const name = words.name(state.parents.map((parent, index) => parent.name || store.letters[index]));
      const entry = {
        id: answer.id, deleteToken: answer.delete_token, savedAt: new Date().toISOString(),
        expiresAt: answer.expires_at, name,
      };
      show(answer, name, remembered(entry));
      return words.linked;
    });
  });
}

// Whether this browser will still know of it tomorrow.
function remembered(entry) {
  try {
    return kept.add(entry);
  } catch {
    return false; // the list on the page is what counts
  }
}
