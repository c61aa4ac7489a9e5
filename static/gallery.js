// The gallery: what this browser has saved. The browser knows the keys; everything else is fetched.

import { Api, Problem } from "./api.js";
import { kept } from "./kept.js";
import { nobody, parentList, portrait } from "./lineage.js";
import { button, el, newId, Trouble } from "./panel_parts.js";
import { sentence } from "./strings.js";
import { gallery as words, lineage } from "./strings_gallery.js";

const AT_ONCE = 4;

const root = document.getElementById("gallery");
const [list, empty, count, status, dialog] = ["saved", "empty", "count", "status", "confirm"].map((id) => document.getElementById(id));
const api = new Api(root.dataset.base);
const cards = new Map(); // by id
const waiting = [];
let atWork = 0;

function say(message) {
  status.textContent = message;
}

// --- what is fetched, a few at a time ---

function enqueue(work) {
  waiting.push(work);
  next();
}

async function next() {
  if (atWork >= AT_ONCE || waiting.length === 0) return;
  atWork += 1;
  try {
    await waiting.shift()();
  } finally {
    atWork -= 1;
    next();
  }
}

// --- asking first ---

let answered = () => {};
dialog.addEventListener("close", () => answered(dialog.returnValue === "yes"));

function confirm(title, text, yes, { danger = false } = {}) {
  dialog.querySelector("#confirm-title").textContent = title;
  dialog.querySelector("#confirm-text").textContent = text;
  const agree = dialog.querySelector("#confirm-yes");
  agree.textContent = yes;
  agree.className = danger ? "danger" : "primary";
  dialog.returnValue = "";
  return new Promise((resolve) => {
    answered = resolve;
    dialog.showModal();
    dialog.querySelector("#confirm-no").focus();
  });
}

// --- one saved face ---

class Card {
  constructor(entry) {
    this.entry = entry;
    this.name = entry.name || words.unnamed;
    this.url = `${api.base}/r/${entry.id}`;
    const heading = newId("saved-name");
    this.picture = el("a", { class: "saved-picture", href: this.url, tabindex: "-1", "aria-hidden": "true" });
    this.title = el("h2", { id: heading, class: "saved-name", tabindex: "-1", text: this.name });
    this.times = el("p", { class: "saved-times" });
    this.state = el("div", { class: "saved-state", hidden: true });
    this.message = el("div", { class: "message" });
    this.trouble = new Trouble(this.message);
    this.actions = el("div", { class: "saved-actions" });
    this.parents = el("details", { class: "saved-lineage", hidden: true }, el("summary"));
    this.link = el("input", { type: "text", readonly: true, hidden: true, class: "saved-link", "aria-label": words.linkOf(this.name) });
    this.link.value = new URL(this.url, location.href).href;
    this.root = el("li", { class: "saved", dataset: { id: entry.id, state: "loading" } },
      el("article", { "aria-labelledby": heading },
        this.picture, this.title, this.times, this.state, this.actions, this.link, this.message, this.parents));
    this.times.textContent = words.saved(entry.savedAt);
    this.show("loading");
  }

  get known() {
    return kept.find(this.entry.id) !== null;
  }

  async load() {
    if (!this.root.isConnected) return;
    this.trouble.clear();
    try {
      this.filled(await api.get(`/api/v1/recipes/${this.entry.id}`));
    } catch (problem) {
      if (problem instanceof Problem && problem.code === "record_missing") this.gone();
      else this.failed(problem);
    }
  }

  show(state) {
    this.root.dataset.state = state;
    this.state.hidden = state === "loading" || state === "ready";
    if (state === "loading") this.put([]);
  }

  put(actions) {
    this.actions.replaceChildren(...actions);
  }

  // A button or link whose name says which face it is about.
  action(label, target, attributes = {}) {
    const named = { "aria-label": words.of(label, this.name), ...attributes };
    if (typeof target === "string") return el("a", { class: "button", href: target, text: label, ...named });
    return button(label, target, named);
  }

  filled(saved) {
    const { id } = saved;
    this.expiresAt = saved.expires_at;
    this.title.replaceChildren(el("a", { href: this.url, text: this.name }));
    this.times.replaceChildren(words.saved(saved.created_at), el("br"), words.ends(this.expiresAt));
    this.picture.replaceChildren(portrait(`${api.base}/api/v1/recipes/${id}/picture`, {
      alt: words.picture(this.name, saved.created_at), width: "256", height: "256",
    }));
    this.picture.removeAttribute("aria-hidden");
    this.picture.removeAttribute("tabindex");
    this.show(saved.available ? "ready" : "other");
    if (!saved.available) {
      const { name, weights } = saved.recipe.model;
      this.state.textContent = words.otherModel(`${name}@${weights.slice(0, 12)}`, saved.live?.id ?? null);
    }
    const adopt = saved.live ? [this.action(words.adopt, `${api.base}/?picture=${id}`)] : [];
    this.put([
      ...(saved.available
        ? [this.action(words.open, `${api.base}/?recipe=${id}`, { class: "button primary" }), this.action(words.parent, `${api.base}/?parent=${id}`)]
        : adopt),
      this.action(words.copy, () => this.copy()),
      ...(this.entry.deleteToken ? [this.action(words.remove, () => this.remove(), { class: "quiet" })] : []),
      this.action(words.forget, () => this.forget(), { class: "quiet" }),
    ]);
    this.parents.hidden = false;
    this.parents.replaceChildren(el("summary", { text: lineage.summary(saved.parents.length) }), parentList(saved, api));
  }

  gone() {
    const { expiresAt } = this.entry;
    const over = expiresAt !== null && Date.parse(expiresAt) <= Date.now();
    this.state.textContent = over ? words.expired(expiresAt) : words.gone;
    this.blank();
    this.show("gone");
    this.put([this.action(words.dismiss, () => this.dismiss(words.dismissed(this.name)))]);
  }

  failed(problem) {
    this.blank();
    this.show("failed");
    const shown = this.trouble.show(problem);
    this.state.textContent = sentence(shown.title);
    this.put([
      this.action(words.retry, () => { this.show("loading"); enqueue(() => this.load()); }),
      this.action(words.forget, () => this.forget(), { class: "quiet" }),
    ]);
  }

  // Without what only a face that is there can have.
  blank() {
    this.picture.replaceChildren(nobody());
    this.picture.setAttribute("aria-hidden", "true");
    this.picture.tabIndex = -1;
    this.title.textContent = this.name;
    this.parents.hidden = true;
    this.link.hidden = true;
  }

  // Where copying is not allowed (no https, for one) the link is shown and marked instead.
  async copy() {
    try {
      await navigator.clipboard.writeText(this.link.value);
      say(words.copied);
    } catch {
      this.link.hidden = false;
      this.link.select();
      say(words.notCopied);
    }
  }

  async remove() {
    if (!await confirm(words.askDelete, words.askDeleteText(this.name), words.yesDelete, { danger: true })) return;
    say(words.deleting);
    this.trouble.clear();
    try {
      await api.remove(`/api/v1/recipes/${this.entry.id}`, { headers: { "X-Facemix-Delete-Token": this.entry.deleteToken } });
    } catch (problem) {
      if (problem instanceof Problem && problem.code === "record_missing") this.dismiss(words.wasGone);
      else say(sentence(this.trouble.show(problem).title));
      return;
    }
    kept.remove(this.entry.id);
    const receipt = words.deleted(this.entry.id, new Date());
    this.blank();
    this.times.replaceChildren();
    this.state.textContent = receipt;
    this.show("deleted");
    this.put([this.action(words.dismiss, () => this.dismiss(words.dismissed(this.name)))]);
    say(receipt);
    this.title.focus();
    summarise();
  }

  async forget() {
    const text = words.askForgetText(this.expiresAt ?? this.entry.expiresAt, this.entry.deleteToken !== null);
    if (await confirm(words.askForget, text, words.yesForget)) this.dismiss(words.forgotten(this.name));
  }

  // Off the list; the focus goes to the face that takes its place.
  dismiss(message) {
    kept.remove(this.entry.id);
    if (this.known) {
      say(words.notStored);
      return;
    }
    const neighbour = this.root.nextElementSibling ?? this.root.previousElementSibling;
    this.root.remove();
    cards.delete(this.entry.id);
    summarise();
    (neighbour ? cards.get(neighbour.dataset.id).title : document.getElementById("gallery-title")).focus();
    say(message);
  }
}

// --- the list ---

function summarise() {
  const entries = kept.list();
  empty.hidden = cards.size > 0;
  list.hidden = cards.size === 0;
  count.textContent = entries.length > 0 ? words.count(entries.length) : "";
}

// Cards are kept as they are; those that are new come in, and those that another tab has removed go, unless they show
// a receipt.
function refresh() {
  const entries = kept.list();
  const ids = new Set(entries.map(({ id }) => id));
  for (const [id, card] of cards) {
    if (!ids.has(id) && card.root.dataset.state !== "deleted") {
      card.root.remove();
      cards.delete(id);
    }
  }
  entries.forEach((entry, index) => {
    if (cards.has(entry.id)) return;
    const card = new Card(entry);
    cards.set(entry.id, card);
    list.insertBefore(card.root, list.children[index] ?? null);
    enqueue(() => card.load());
  });
  summarise();
}

kept.onChange(refresh);
refresh();
