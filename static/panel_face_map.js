// The small face whose parts are chosen, and the brush: one part painted over the picture while it is pointed at, or
// from when it was chosen until something is done.

import { colourOf, colourOfWeights, drawBrush, drawFace } from "./panel_masks.js";
import { button, el } from "./panel_parts.js";
import { regions as words } from "./strings_panels.js";

const place = (part, half) => `clamp(${half}, ${part * 100}%, 100% - ${half})`; // so that no label is cut off

export class FaceMap {
  #regions = [];
  #pointed = null; // the name of the one under the pointer or the focus
  #fresh = false; // whether one was chosen and nothing done since
  #shown = { own: {}, letters: [], chosen: null, usable: false };

  // canvas, buttons: where the small face and its labels go; picture: what the brush is painted over;
  // choose(name): one was clicked.
  constructor({ canvas, buttons, picture, choose }) {
    Object.assign(this, { canvas, buttons, choose });
    this.brush = el("canvas", { class: "brush", "aria-hidden": "true", hidden: true });
    picture.append(this.brush);
    canvas.addEventListener("click", (event) => { if (this.#shown.usable) this.#choose(this.#at(event)); });
    canvas.addEventListener("pointermove", (event) => {
      if (event.pointerType === "mouse" && this.#shown.usable) this.#point(this.#at(event));
    });
    canvas.addEventListener("pointerleave", () => this.#point(null));
  }

  get loaded() {
    return this.#regions.length > 0;
  }

  titleOf(name) {
    return this.#regions.find((one) => one.name === name).title;
  }

  // regions: as `decoded` makes them.
  load(regions) {
    this.#regions = regions;
    this.buttons.replaceChildren(...regions.map(({ name, title, at }) => {
      const made = button(title, () => this.#choose(name), { class: "face-button", dataset: { region: name } });
      [made.style.left, made.style.top] = [place(at[0], "3.4rem"), place(at[1], "1rem")];
      for (const event of ["pointerenter", "focus"]) made.addEventListener(event, () => this.#point(name));
      for (const event of ["pointerleave", "blur"]) {
        made.addEventListener(event, () => { if (this.#pointed === name) this.#point(null); });
      }
      return made;
    }));
  }

  // own: weights by region, of those that have their own; chosen: the name of one; usable: whether one can be chosen.
  show({ own, letters, chosen, usable }) {
    this.#shown = { own, letters, chosen, usable };
    if (!this.loaded) return;
    const colours = Object.entries(own).map(([name, weights]) => [name, colourOfWeights(letters, weights)]);
    drawFace(this.canvas, this.#regions, { colours: Object.fromEntries(colours), chosen });
    for (const one of this.buttons.children) {
      const { region: name } = one.dataset;
      const share = name in own ? words.shares(letters, own[name]) : "";
      one.setAttribute("aria-pressed", String(name === chosen));
      one.setAttribute("aria-label", words.button(this.titleOf(name), share));
      one.classList.toggle("own", name in own);
    }
  }

  // Something else is done now, and the picture is to be seen.
  leaveAlone() {
    this.#fresh = false;
    this.#pointed = null;
    this.#paint();
  }

  #choose(name) {
    this.#fresh = true;
    this.choose(name);
    this.#paint();
  }

  #point(name) {
    if (name === this.#pointed) return;
    this.#pointed = name;
    this.#paint();
  }

  // Beside the buttons, the region that has most of the place is meant.
  #at(event) {
    const { left, top, width, height } = this.canvas.getBoundingClientRect();
    const { size } = this.#regions[0];
    const step = (part) => Math.min(size - 1, Math.max(0, Math.floor(part * size)));
    const pixel = step((event.clientY - top) / height) * size + step((event.clientX - left) / width);
    return this.#regions.reduce((most, one) => (one.alpha[pixel] > most.alpha[pixel] ? one : most)).name;
  }

  #paint() {
    const { own, letters, chosen, usable } = this.#shown;
    const name = usable ? this.#pointed ?? (this.#fresh ? chosen : null) : null;
    this.brush.hidden = name === null;
    if (name === null) return;
    const colour = name in own ? colourOfWeights(letters, own[name]).map(Math.round) : colourOf("focus");
    drawBrush(this.brush, this.#regions.find((one) => one.name === name), colour);
  }
}
