// The large picture: the frame that belongs to the state, and a parent's face over it or beside it.
//
// While something is dragged nothing is cross-faded: what is drawn is always a face that the model made. A jump to
// other faces fades briefly, and so does the photographs' detail when it comes.

import { compare, text } from "./strings.js";
import { weightsOf } from "./state.js";

const FADE_MS = 180;
const SHARPEN_MS = 150;
const HOLD_MS = 120;

export class Picture extends EventTarget {
  #image = null;
  #scheduled = 0;
  #held = null; // index of the parent that is shown instead of the mix
  #beside = null; // index of the parent that is shown beside it
  #lettered = ""; // what the buttons say
  #thumbs = new Map();
  #fading = null; // an Animation

  constructor(store) {
    super();
    this.store = store;
    this.weights = [];
    this.root = document.getElementById("picture");
    const find = (id) => document.getElementById(id);
    this.canvas = find("result");
    this.context = this.canvas.getContext("2d");
    this.before = find("before");
    this.compared = find("compared");
    this.tag = find("tag");
    this.about = find("drawn-as");
    this.buttons = find("compare");
    this.toggle = find("split-toggle");
    this.range = find("split");
    this.line = this.root.querySelector(".split-line");
    this.reduced = matchMedia("(prefers-reduced-motion: reduce)");
    this.toggle.addEventListener("click", () => this.split(this.#beside === null ? 0 : null));
    this.range.addEventListener("input", () => this.#drawOver());
    this.#listen();
    for (const name of ["change", "letters"]) store.addEventListener(name, () => this.refresh());
    this.refresh();
  }

  get filled() {
    return this.#image !== null;
  }

  // Draws with the screen's next frame. `jump`: other faces than before, so that a soft change helps; `sharpens`: the
  // same with more or less detail.
  show(image, { jump = false, sharpens = false } = {}) {
    if ((jump || sharpens) && image && this.#image && !this.reduced.matches) this.#fade(sharpens ? SHARPEN_MS : FADE_MS);
    this.#image = image;
    if (!this.#scheduled) {
      this.#scheduled = requestAnimationFrame(() => {
        this.#scheduled = 0;
        this.#draw();
      });
    }
    this.refresh();
  }

  // What follows from the state: names, the compare buttons, what cannot be compared any more.
  refresh() {
    const { state: { parents }, letters } = this.store;
    this.canvas.setAttribute("aria-label", this.filled ? text.picture(letters, weightsOf(this.store.state)) : text.noPicture);
    this.toggle.disabled = !this.filled;
    this.buttons.hidden = !this.filled;
    if (!this.filled || this.#beside >= parents.length) this.split(null);
    if (!this.filled || this.#held >= parents.length) this.hold(null);
    if (this.#lettered !== letters.join("")) this.#makeButtons(letters);
    this.showShares(weightsOf(this.store.state));
    this.#drawOver();
  }

  // Says what is drawn: with the photographs' detail, or the model's own picture.
  say(sharp) {
    this.about.textContent = sharp ? text.drawnSharp : text.drawnOwn;
    this.#drawOver();
  }

  // Says nothing of detail that is not there yet, or not any more.
  soften() {
    if (this.about.textContent !== text.drawnSharp) return;
    this.about.textContent = "";
    this.#drawOver();
  }

  // Shows a parent instead of the mix, or the mix again (null).
  hold(index) {
    if (index !== null && !this.#canShow(index)) return;
    this.#held = index;
    this.#drawOver();
  }

  // Shows a parent beside the mix, or the mix alone (null).
  split(index) {
    if (index !== null && !this.#canShow(index)) return;
    this.#beside = index;
    this.toggle.setAttribute("aria-pressed", String(index !== null));
    this.#drawButtons();
    this.#drawOver();
  }

  // The shares on the buttons; while the way between two faces is played they run ahead of the state.
  showShares(weights) {
    this.weights = weights;
    this.#drawButtons();
  }

  toggleSplit() {
    this.split(this.#beside === null ? 0 : null);
  }

  // A small square of what is shown, as an address.
  thumb(size = 96) {
    const small = document.createElement("canvas");
    small.width = small.height = size;
    const context = small.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(this.#image ?? this.canvas, 0, 0, size, size);
    return small.toDataURL("image/webp", 0.85);
  }

  #canShow(index) {
    return this.filled && index >= 0 && index < this.store.state.parents.length;
  }

  #draw() {
    const { canvas, context } = this;
    if (this.#image === null) {
      context.clearRect(0, 0, canvas.width, canvas.height);
      return;
    }
    context.imageSmoothingQuality = "high";
    context.drawImage(this.#image, 0, 0, canvas.width, canvas.height);
    this.dispatchEvent(new Event("drawn"));
  }

  #fade(duration) {
    this.#fading?.cancel();
    this.before.getContext("2d").drawImage(this.canvas, 0, 0);
    this.before.hidden = false;
    const fading = this.before.animate([{ opacity: 1 }, { opacity: 0 }], { duration, easing: "ease-out" });
    fading.onfinish = () => { this.before.hidden = true; };
    this.#fading = fading;
  }

  #drawOver() {
    const shown = this.#held ?? this.#beside;
    const splitting = this.#held === null && this.#beside !== null;
    this.compared.hidden = shown === null;
    this.tag.hidden = shown === null;
    this.about.hidden = shown !== null || !this.filled || this.about.textContent === "";
    this.line.hidden = !splitting;
    this.range.parentElement.hidden = !splitting;
    this.root.classList.toggle("splitting", splitting);
    if (shown === null) return;
    const percent = Number(this.range.value);
    this.compared.style.clipPath = splitting ? `inset(0 ${100 - percent}% 0 0)` : "none";
    this.line.style.insetInlineStart = `${percent}%`;
    const parent = this.store.state.parents[shown];
    const letter = this.store.letters[shown];
    this.tag.textContent = compare.tag(letter);
    this.tag.className = `tag letter letter-${letter.toLowerCase()}`;
    this.#drawThumb(parent.thumb);
  }

  #drawThumb(url) {
    let image = this.#thumbs.get(url);
    if (!image) {
      this.#thumbs.clear(); // at most one is shown
      image = new Image();
      image.src = url;
      this.#thumbs.set(url, image);
    }
    const draw = () => {
      if (this.#thumbs.get(url) !== image) return;
      const context = this.compared.getContext("2d");
      context.imageSmoothingQuality = "high";
      context.drawImage(image, 0, 0, this.compared.width, this.compared.height);
    };
    if (image.complete && image.naturalWidth > 0) {
      draw();
    } else {
      this.compared.getContext("2d").clearRect(0, 0, this.compared.width, this.compared.height);
      image.decode().then(draw, () => {});
    }
  }

  #makeButtons(letters) {
    this.#lettered = letters.join("");
    this.buttons.replaceChildren(...letters.map((letter, index) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = `pill letter-${letter.toLowerCase()}`;
      const share = document.createElement("span");
      button.append(letter, share);
      button.addEventListener("pointerdown", (event) => {
        if (event.button !== 0 || this.#beside !== null) return;
        button.setPointerCapture(event.pointerId);
        this.hold(index);
      });
      for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
        button.addEventListener(end, () => this.hold(null));
      }
      button.addEventListener("contextmenu", (event) => event.preventDefault()); // a long press on a phone
      button.addEventListener("click", () => {
        if (this.#beside !== null) this.split(index);
      });
      button.addEventListener("keydown", (event) => {
        if (this.#beside !== null || (event.key !== " " && event.key !== "Enter")) return;
        event.preventDefault();
        this.hold(index);
      });
      for (const end of ["keyup", "blur"]) button.addEventListener(end, () => this.hold(null));
      return button;
    }));
  }

  #drawButtons() {
    [...this.buttons.children].forEach((button, at) => {
      const weight = this.weights[at] ?? 0;
      const label = (this.#beside === null ? compare.hold : compare.beside)(this.store.letters[at], weight);
      button.lastElementChild.textContent = compare.share(weight);
      button.setAttribute("aria-label", label);
      button.title = label;
      if (this.#beside === null) button.removeAttribute("aria-pressed");
      else button.setAttribute("aria-pressed", String(at === this.#beside));
    });
  }

  // On the picture itself: hold to see the parent that weighs most; while it is divided, drag the line.
  #listen() {
    let timer = 0;
    let dragging = false;
    const follow = (event) => {
      const { left, width } = this.root.getBoundingClientRect();
      this.range.value = String(Math.round(((event.clientX - left) / width) * 100));
      this.#drawOver();
    };
    this.root.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || !this.filled || event.target.closest("button, a")) return;
      if (this.#beside !== null) {
        event.preventDefault();
        dragging = true;
        this.root.setPointerCapture(event.pointerId);
        follow(event);
        return;
      }
      const weights = weightsOf(this.store.state);
      const heaviest = weights.indexOf(Math.max(...weights));
      timer = setTimeout(() => this.hold(heaviest), HOLD_MS);
    });
    this.root.addEventListener("pointermove", (event) => {
      if (dragging) follow(event);
    });
    for (const end of ["pointerup", "pointercancel", "pointerleave"]) {
      this.root.addEventListener(end, () => {
        clearTimeout(timer);
        dragging = false;
        if (this.#held !== null) this.hold(null);
      });
    }
    this.canvas.addEventListener("contextmenu", (event) => {
      if (this.#held !== null) event.preventDefault();
    });
  }
}
