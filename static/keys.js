// Keyboard shortcuts, and the sheet that lists them. Those of a single key can be switched off, and are silent while
// something is typed.

import { LETTERS } from "./state.js";
import { shortcuts } from "./strings.js";

const typing = (target) =>
  target.closest?.("input:not([type=range], [type=checkbox], [type=radio], [type=file]), textarea, select, [contenteditable]") !== null;

export class Keys {
  // on: undo, redo, hold(letter or null), split, swap, play, even, random.
  constructor(on) {
    this.on = on;
    this.help = document.getElementById("help");
    this.single = document.getElementById("single-keys");
    this.held = null;
    this.#fill(document.getElementById("shortcuts"));
    document.getElementById("help-open").addEventListener("click", () => this.help.showModal());
    document.addEventListener("keydown", (event) => this.#down(event));
    document.addEventListener("keyup", (event) => this.#up(event));
    window.addEventListener("blur", () => this.#up({ key: this.held }));
  }

  #fill(list) {
    for (const [keys, meaning] of shortcuts) {
      const row = document.createElement("div");
      const term = document.createElement("dt");
      const key = document.createElement("kbd");
      key.textContent = keys;
      term.append(key);
      const description = document.createElement("dd");
      description.textContent = meaning;
      row.append(term, description);
      list.append(row);
    }
  }

  #down(event) {
    if (event.defaultPrevented || event.altKey || typing(event.target)) return;
    const act = event.ctrlKey || event.metaKey ? this.#withControl(event) : this.#alone(event);
    if (!act) return;
    event.preventDefault();
    act();
  }

  #withControl({ key, shiftKey }) {
    if (document.querySelector("dialog[open]")) return null;
    const letter = key.toLowerCase();
    if (letter === "z") return shiftKey ? this.on.redo : this.on.undo;
    return letter === "y" ? this.on.redo : null;
  }

  #alone({ key, repeat }) {
    if (!this.single.checked) return null;
    if (key === "?") return this.help.open ? () => this.help.close() : this.#unlessOpen(() => this.help.showModal());
    if (document.querySelector("dialog[open]") || repeat) return null;
    const letter = key.toUpperCase();
    if (key.length === 1 && LETTERS.includes(letter)) {
      return () => {
        this.held = key;
        this.on.hold(letter);
      };
    }
    return { v: this.on.split, x: this.on.swap, p: this.on.play, 0: this.on.even, r: this.on.random }[key.toLowerCase()];
  }

  #unlessOpen(act) {
    return document.querySelector("dialog[open]") ? null : act;
  }

  #up({ key }) {
    if (this.held === null || key?.toLowerCase() !== this.held.toLowerCase()) return;
    this.held = null;
    this.on.hold(null);
  }
}
