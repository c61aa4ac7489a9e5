// What the result says of itself: that, and how, it goes beyond its parents. A frame of a strip came without; then it
// is asked for, but only while somebody looks.

import { el } from "./panel_parts.js";

export class Notes {
  #asking = null; // AbortController

  // root: the panel; list: where the notes stand in it.
  constructor({ root, list, store, mixing }) {
    Object.assign(this, { root, list, store, mixing });
    store.addEventListener("change", () => {
      this.#asking?.abort();
      if (!this.#any) this.#show([]);
    });
    store.addEventListener("result", () => this.#refresh());
    new MutationObserver(() => this.#refresh()).observe(root, { attributeFilter: ["hidden"] });
  }

  // Without moved attributes there is nothing to say.
  get #any() {
    return this.mixing.ready && Object.keys(this.store.state.edits.attributes).length > 0;
  }

  #refresh() {
    const notes = this.mixing.last?.notes ?? null;
    if (!this.#any) this.#show([]);
    else if (notes !== null) this.#show(notes);
    else if (this.mixing.last !== null && !this.mixing.last.pending && !this.root.hidden) this.#ask();
  }

  async #ask() {
    const asking = new AbortController();
    this.#asking?.abort();
    this.#asking = asking;
    try {
      const extra = { image_format: "image/webp" };
      const { notes } = await this.mixing.ask("/api/v1/mix", { extra, sharp: false, signal: asking.signal });
      this.#show(notes);
    } catch {
      if (this.#asking === asking && !asking.signal.aborted) this.#show([]); // the picture is there; that counts
    }
  }

  #show(notes) {
    this.list.replaceChildren(...notes.map(({ message }) => el("li", { text: message })));
  }
}
