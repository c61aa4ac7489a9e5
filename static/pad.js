// Three faces and more: a polygon with a face at each corner and a handle between them.

import { corners, inside, pointOf, reach, weightsInReach } from "./pad_geometry.js";
import { LETTERS, weightsOf, withRounded, withWeights } from "./state.js";
import { pad, percent, steps, text } from "./strings.js";

const SVG = "http://www.w3.org/2000/svg";
const SIDE = 100;
const MIDDLE = [50, 50];
// Of the polygon, so that it fills the square with a face at each corner.
const RADII = { 3: 42, 4: 52 };
const RADIUS = 38;
const FACE = 10; // radius of a parent's picture at its corner
const STEP = 1.5; // of an arrow key
const FAR = 6; // with Shift
const SNAP = 0.04; // of the way to a corner: a jump ends there

function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

const path = (points) => points.map((point) => point.map((value) => value.toFixed(3)).join(",")).join(" ");

export class Pad {
  #corners = [];
  #shown = "";
  #point = MIDDLE; // where the handle was put; the weights in the state may have come from elsewhere
  #made = null; // the weights that this point made

  constructor(store, root) {
    this.store = store;
    this.root = root;
    this.area = svg("polygon", { class: "pad-area" });
    this.open = svg("polygon", { class: "pad-open" });
    this.spokes = svg("g", { class: "pad-spokes" });
    this.faces = svg("g", { class: "pad-faces" });
    this.handle = svg("circle", {
      class: "pad-handle", r: "4.2", tabindex: "0", role: "slider", "aria-label": pad.label, "aria-roledescription": pad.role,
      "aria-valuemin": "0", "aria-valuemax": "100", "aria-describedby": "pad-description",
    });
    const picture = svg("svg", { viewBox: `0 0 ${SIDE} ${SIDE}`, class: "pad-picture" });
    picture.append(this.area, this.open, this.spokes, this.faces, this.handle);
    const description = document.createElement("p");
    description.id = "pad-description";
    description.className = "visually-hidden";
    description.textContent = pad.description;
    root.append(picture, description);
    this.picture = picture;
    this.#listen();
    store.addEventListener("change", () => this.draw());
    this.draw();
  }

  draw() {
    const { parents } = this.store.state;
    this.root.hidden = parents.length < 3;
    if (parents.length < 3) return;
    const weights = weightsOf(this.store.state);
    this.#drawFaces(parents);
    const locked = parents.map((parent) => parent.locked);
    const { polygon } = reach(this.#corners, weights, locked);
    this.open.setAttribute("points", locked.some(Boolean) ? path(polygon) : "");
    // A handle that was put down stays where it is; weights from elsewhere place it at their mean.
    if (this.#made === null || weights.some((weight, index) => Math.abs(weight - this.#made[index]) > 1e-6)) {
      this.#made = null;
      this.#point = pointOf(this.#corners, weights);
    }
    const [x, y] = this.#point;
    this.handle.setAttribute("cx", x.toFixed(3));
    this.handle.setAttribute("cy", y.toFixed(3));
    const letters = [...LETTERS].slice(0, parents.length);
    const heaviest = weights.indexOf(Math.max(...weights));
    this.handle.setAttribute("aria-valuenow", percent(weights[heaviest]));
    this.handle.setAttribute("aria-valuetext", text.share(letters, weights));
    [...this.spokes.children].forEach((line, index) => {
      const [cornerX, cornerY] = this.#corners[index];
      for (const [name, value] of Object.entries({ x1: x, y1: y, x2: cornerX, y2: cornerY })) line.setAttribute(name, value.toFixed(3));
      line.style.strokeWidth = (0.25 + 3.2 * weights[index]).toFixed(2);
    });
    [...this.faces.children].forEach((face, index) => {
      face.style.setProperty("--share", weights[index].toFixed(3));
    });
  }

  #drawFaces(parents) {
    const shown = JSON.stringify(parents.map(({ key, thumb }) => [key, thumb.length]));
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#made = null;
    const count = parents.length;
    this.#corners = corners(count, count === 3 ? [50, 58] : MIDDLE, RADII[count] ?? RADIUS);
    this.area.setAttribute("points", path(this.#corners));
    this.spokes.replaceChildren(...parents.map((_, index) =>
      svg("line", { class: `spoke-${LETTERS[index].toLowerCase()}` })));
    this.faces.replaceChildren(...parents.map(({ thumb }, index) => {
      const [x, y] = this.#corners[index];
      const letter = LETTERS[index];
      const clip = svg("clipPath", { id: `pad-clip-${index}` }, svg("circle", { cx: x, cy: y, r: FACE }));
      const image = svg("image", {
        href: thumb, x: x - FACE, y: y - FACE, width: 2 * FACE, height: 2 * FACE, "clip-path": `url(#pad-clip-${index})`,
        preserveAspectRatio: "xMidYMid slice",
      });
      const ring = svg("circle", { class: "pad-ring", cx: x, cy: y, r: FACE });
      const [labelX, labelY] = [x + FACE * 0.72, y + FACE * 0.72];
      const label = svg("text", { x: labelX, y: labelY + 0.15, class: "pad-letter" });
      label.textContent = letter;
      const disc = svg("circle", { class: "pad-disc", cx: labelX, cy: labelY, r: 3.6 });
      return svg("g", { class: `pad-face pad-face-${letter.toLowerCase()}`, "data-corner": index }, clip, image, ring, disc, label);
    }));
  }

  // Moves the handle as near to a point as the locks allow. What is dragged means no more than four decimals.
  #move(point, set = withRounded) {
    const { parents } = this.store.state;
    const locked = parents.map((parent) => parent.locked);
    const weights = weightsInReach(this.#corners, weightsOf(this.store.state), locked, point);
    const open = reach(this.#corners, weightsOf(this.store.state), locked).polygon;
    this.#point = open.length > 0 ? inside(open, point) : this.#point;
    const next = set(this.store.state, weights);
    this.#made = weightsOf(next);
    this.store.update(() => next, { label: steps.weights, coalesce: "pad" });
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { key, shiftKey } = event;
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
    const corner = this.#corners[Number(key) - 1];
    if (step) {
      const size = shiftKey ? FAR : STEP;
      this.#move(this.#point.map((value, axis) => value + step[axis] * size));
    } else if (key === "Home") {
      const even = this.#corners.map(() => 1 / this.#corners.length);
      this.#move(pointOf(this.#corners, even), withWeights);
    } else if (corner && key !== " ") {
      this.#jump(corner);
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  // Half of the way that is left, so that a few presses go far and one stays near.
  #jump(corner) {
    const half = this.#point.map((value, axis) => (value + corner[axis]) / 2);
    const left = Math.hypot(corner[0] - half[0], corner[1] - half[1]);
    this.#move(left < SNAP * RADIUS ? corner : half);
  }

  #listen() {
    const at = ({ clientX, clientY }) => {
      const { left, top, width, height } = this.picture.getBoundingClientRect();
      return [((clientX - left) / width) * SIDE, ((clientY - top) / height) * SIDE];
    };
    let pointer = null;
    this.picture.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || pointer !== null) return;
      event.preventDefault();
      pointer = event.pointerId;
      this.picture.setPointerCapture(pointer);
      this.handle.focus({ preventScroll: true, focusVisible: false });
      const corner = event.target.closest("[data-corner]");
      this.#move(corner ? this.#corners[Number(corner.dataset.corner)] : at(event));
    });
    this.picture.addEventListener("pointermove", (event) => {
      if (event.pointerId === pointer) this.#move(at(event));
    });
    for (const end of ["pointerup", "pointercancel"]) {
      this.picture.addEventListener(end, (event) => {
        if (event.pointerId === pointer) pointer = null;
      });
    }
    this.handle.addEventListener("keydown", (event) => this.#key(event));
  }
}
