// Attributes in words: asks what a text means, sets the sliders accordingly, and shows how each word was understood.

import { el, Trouble, Work } from "./panel_parts.js";
import { adjust } from "./strings_panels.js";

export class Words {
  #asked = null;

  // nameOf(attribute, value): how far it was moved, in words. apply(attributes): puts them into the state.
  constructor({ root, api, say, nameOf, apply }) {
    const find = (id) => root.querySelector(`#${id}`);
    Object.assign(this, { root, api, nameOf, apply });
    [this.wanted, this.unwanted, this.button] = ["words-wanted", "words-unwanted", "words-apply"].map(find);
    this.found = find("words-found");
    this.known = find("words-known");
    this.work = new Work({ say, trouble: new Trouble(find("words-message")) });
    root.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#ask();
    });
    root.querySelector("#words-list").addEventListener("click", ({ target }) => {
      if (target.matches("button")) this.#add(target.textContent);
    });
  }

  enable(usable) {
    for (const one of [this.wanted, this.unwanted, this.button]) one.disabled = !usable;
  }

  // words: the vocabulary as GET /api/v1/attributes answers.
  list(words) {
    this.known.hidden = words.length === 0;
    const byAttribute = Map.groupBy(words, ({ attribute }) => attribute);
    this.root.querySelector("#words-list").replaceChildren(...[...byAttribute].flatMap(([attribute, all]) => [
      el("dt", { text: this.nameOf(attribute, 0) }),
      el("dd", {}, ...all.map(({ word }) => el("button", { type: "button", class: "word", text: word }))),
    ]));
  }

  #add(word) {
    const before = this.wanted.value.trim().replace(/,$/, "");
    this.wanted.value = before ? `${before}, ${word}` : word;
    this.wanted.focus();
  }

  async #ask() {
    const [prompt, negative] = [this.wanted.value.trim(), this.unwanted.value.trim()];
    if (!prompt && !negative) {
      this.found.replaceChildren();
      this.wanted.focus();
      return;
    }
    await this.work.run(this.button, adjust.reading, async (options) => {
      const answer = await this.api.json("/api/v1/prompts", { prompt, negative_prompt: negative }, options);
      this.apply(answer.attributes);
      this.#show(answer);
      return adjust.read(answer.terms.length, answer.unknown.length);
    });
  }

  // The notes are about what was not understood, with near matches.
  #show({ terms, notes }) {
    this.found.replaceChildren(
      ...terms.map((term) => el("li", { text: adjust.term(term.text, this.nameOf(term.attribute, term.value)) })),
      ...notes.map(({ message }) => el("li", { class: "unknown", text: message })),
    );
  }
}
