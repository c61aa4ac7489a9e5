// The steps of this session: undo, redo, and a strip of small pictures that lead back.

import { steps, text } from "./strings.js";

// Every entry with its place, and `newest`: which of its parents came last.
function withNewest(entries) {
  let key = null;
  let before = new Set();
  return entries.map((entry, place) => {
    const keys = entry.state.parents.map((parent) => parent.key);
    key = keys.findLast((one) => !before.has(one)) ?? (keys.includes(key) ? key : keys.at(-1));
    before = new Set(keys);
    return { ...entry, place, newest: keys.indexOf(key) };
  });
}

export class History {
  constructor({ store, say }) {
    const find = (id) => document.getElementById(id);
    Object.assign(this, { store, say });
    this.root = find("history");
    this.row = find("history-row");
    this.undoButton = find("undo");
    this.redoButton = find("redo");
    this.undoButton.addEventListener("click", () => this.undo());
    this.redoButton.addEventListener("click", () => this.redo());
    this.row.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) store.jump(Number(button.dataset.entry));
    });
    for (const name of ["change", "entries", "letters"]) store.addEventListener(name, () => this.draw());
    this.draw();
  }

  undo() {
    const { label } = this.store.entries[this.store.index];
    if (!this.store.canUndo) return;
    this.store.undo();
    this.say(text.undone(label));
  }

  redo() {
    if (!this.store.canRedo) return;
    this.store.redo();
    this.say(text.redone(this.store.entries[this.store.index].label));
  }

  draw() {
    const { entries, index } = this.store;
    this.#able(this.undoButton, this.store.canUndo, this.redoButton);
    this.#able(this.redoButton, this.store.canRedo, this.undoButton);
    this.root.hidden = entries.length < 2;
    // The empty page at the beginning is not worth a picture.
    const shown = withNewest(entries).filter(({ state }) => state.parents.length > 0);
    while (this.row.childElementCount > shown.length) this.row.lastElementChild.remove();
    while (this.row.childElementCount < shown.length) this.row.append(this.#item());
    shown.forEach((entry, at) => this.#draw(this.row.children[at].firstElementChild, entry, entry.place === index));
  }

  // A button that becomes disabled under the keyboard hands its focus on.
  #able(button, able, other) {
    if (!able && document.activeElement === button) {
      other.disabled = false;
      other.focus();
    }
    button.disabled = !able;
  }

  #item() {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    const image = document.createElement("img");
    image.alt = "";
    const letter = document.createElement("span");
    letter.setAttribute("aria-hidden", "true");
    button.append(image, letter);
    item.append(button);
    return item;
  }

  #draw(button, { label, state, thumb, place, newest }, current) {
    const source = thumb ?? state.parents[newest].thumb;
    const [image, letter] = button.children;
    letter.hidden = thumb !== null;
    letter.textContent = this.store.lettersOf(state)[newest];
    letter.className = `letter letter-${letter.textContent.toLowerCase()}`;
    if (image.getAttribute("src") !== source) image.src = source;
    button.dataset.entry = String(place);
    button.classList.toggle("unmixed", thumb === null);
    button.setAttribute("aria-label", steps.goTo(place, label || steps.start));
    button.title = label || steps.start;
    if (!current) {
      button.removeAttribute("aria-current");
    } else if (button.getAttribute("aria-current") !== "step") {
      button.setAttribute("aria-current", "step");
      const { offsetLeft, offsetWidth } = button.parentElement;
      this.row.scrollLeft = offsetLeft + offsetWidth / 2 - this.row.clientWidth / 2;
    }
  }
}
