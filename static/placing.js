// Eyes and mouth placed by hand, with a preview of the crop that follows from them.

import { placing } from "./strings.js";

const NAMES = ["left_eye", "right_eye", "mouth"];
const EYES_APART = 90; // pixels of the screen that the zoom begins with, if it knows where the eyes are
const START = { left_eye: [0.4, 0.42], right_eye: [0.6, 0.42], mouth: [0.5, 0.62] };
// Where eyes and the middle of the mouth come to lie in the crop, as in facemix/faces/align.py.
const TARGET = [[0.293, 0.306], [0.707, 0.306], [0.5, 0.7]];

// The least-squares similarity from `source` to `target` as [a, b, x, y]: (u, v) => (a u - b v + x, b u + a v + y).
function similarity(source, target) {
  const mean = (points) => [0, 1].map((axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length);
  const [from, to] = [mean(source), mean(target)];
  let [spread, along, across] = [0, 0, 0];
  source.forEach((point, index) => {
    const [u, v] = [point[0] - from[0], point[1] - from[1]];
    const [s, t] = [target[index][0] - to[0], target[index][1] - to[1]];
    spread += u * u + v * v;
    along += u * s + v * t;
    across += u * t - v * s;
  });
  if (spread < 1e-9) return null;
  const [a, b] = [along / spread, across / spread];
  return [a, b, to[0] - a * from[0] + b * from[1], to[1] - b * from[0] - a * from[1]];
}

export class Placer {
  #points = {}; // by name, [x, y] in pixels of the upright photo
  #active = null;

  constructor() {
    const find = (id) => document.getElementById(id);
    this.dialog = find("placing");
    this.text = find("placing-text");
    this.photo = find("placing-photo");
    this.image = find("placing-image");
    this.window = find("placing-window");
    this.zoom = find("placing-zoom");
    this.hover = matchMedia("(hover: hover)"); // where there is none, there is hardly a keyboard
    this.preview = find("placing-preview");
    this.use = find("placing-use");
    this.buttons = Object.fromEntries(NAMES.map((name) => [name, this.dialog.querySelector(`[data-point=${name}]`)]));
    this.image.addEventListener("click", (event) => this.#click(event));
    this.photo.addEventListener("keydown", (event) => this.#key(event));
    find("placing-again").addEventListener("click", () => {
      this.#points = {};
      this.#draw();
      this.photo.focus();
    });
    this.use.addEventListener("click", () => this.dialog.close("use"));
    this.zoom.addEventListener("input", () => this.#magnify(Number(this.zoom.value)));
    for (const name of NAMES) this.#listen(name);
  }

  // { left_eye, right_eye, mouth } of { x, y } in pixels of the upright photo, or null. `placed` are points from
  // before, `landmarks` what the detector found.
  async place(file, placed, landmarks) {
    this.#points = {};
    if (placed !== null) {
      for (const name of NAMES) this.#points[name] = [placed[name].x, placed[name].y];
    } else if (landmarks !== null) {
      const { left_eye: left, right_eye: right, left_mouth: one, right_mouth: other } = landmarks;
      this.#points = {
        left_eye: [left.x, left.y], right_eye: [right.x, right.y],
        mouth: [(one.x + other.x) / 2, (one.y + other.y) / 2],
      };
    }
    const url = URL.createObjectURL(file);
    this.image.src = url;
    let drawable = true;
    try {
      await this.image.decode();
    } catch {
      drawable = false;
    }
    this.window.hidden = !drawable;
    this.drawable = drawable;
    this.dialog.showModal();
    this.#draw();
    if (drawable) this.#lookAtFace();
    if (drawable) this.photo.focus();
    return new Promise((resolve) => {
      this.dialog.addEventListener("close", () => {
        const used = this.dialog.returnValue === "use";
        this.dialog.returnValue = "";
        URL.revokeObjectURL(url);
        this.image.removeAttribute("src");
        const point = (name) => ({ x: this.#points[name][0], y: this.#points[name][1] });
        resolve(used ? Object.fromEntries(NAMES.map((name) => [name, point(name)])) : null);
      }, { once: true });
    });
  }

  // As large as the window lets the whole photo be, times `zoom`. What is at `middle`, in parts of the photo, comes to
  // the middle of the window; without it, what was there stays.
  #magnify(zoom, middle = null) {
    const { clientWidth, clientHeight } = this.window;
    const shown = this.image.getBoundingClientRect();
    const frame = this.window.getBoundingClientRect();
    const [x, y] = middle ?? [
      (frame.left + clientWidth / 2 - shown.left) / shown.width, (frame.top + clientHeight / 2 - shown.top) / shown.height,
    ];
    const [wide, high] = this.#size;
    const width = Math.min(clientWidth, (clientHeight * wide) / high) * zoom;
    this.image.style.width = `${width}px`;
    this.window.scrollTo(x * width - clientWidth / 2, ((y * width) / wide) * high - clientHeight / 2);
  }

  #lookAtFace() {
    const [wide, high] = this.#size;
    this.zoom.value = "1";
    this.#magnify(1, [0.5, 0.5]);
    const { left_eye: left, right_eye: right } = this.#points;
    if (!left || !right) return;
    const apart = (Math.hypot(right[0] - left[0], right[1] - left[1]) / wide) * this.image.getBoundingClientRect().width;
    this.zoom.value = String(EYES_APART / Math.max(apart, 1));
    this.#magnify(Number(this.zoom.value), [(left[0] + right[0]) / 2 / wide, (left[1] + right[1]) / 2 / high]);
  }

  get #size() {
    return [this.image.naturalWidth, this.image.naturalHeight];
  }

  #at(event) {
    const { left, top, width, height } = this.image.getBoundingClientRect();
    const [wide, high] = this.#size;
    return this.#inside([((event.clientX - left) / width) * wide, ((event.clientY - top) / height) * high]);
  }

  #inside([x, y]) {
    const [wide, high] = this.#size;
    return [Math.min(Math.max(x, 0), wide), Math.min(Math.max(y, 0), high)];
  }

  #click(event) {
    const name = NAMES.find((one) => !this.#points[one]) ?? this.#active;
    if (name) this.#move(name, this.#at(event));
  }

  #move(name, point) {
    this.#points[name] = this.#inside(point);
    this.#active = name;
    this.#draw();
  }

  #listen(name) {
    const button = this.buttons[name];
    button.addEventListener("focus", () => { this.#active = name; });
    button.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      button.setPointerCapture(event.pointerId);
      this.#active = name;
    });
    button.addEventListener("pointermove", (event) => {
      if (button.hasPointerCapture(event.pointerId)) this.#move(name, this.#at(event));
    });
  }

  // Enter on the photo sets the points down in the middle; arrows move the one that has the focus, by a screen's
  // pixel, or by ten with Shift.
  #key(event) {
    if (event.key === "Enter" && event.target === this.photo) {
      event.preventDefault();
      const [wide, high] = this.#size;
      for (const name of NAMES) this.#points[name] ??= [START[name][0] * wide, START[name][1] * high];
      this.#draw();
      this.buttons.left_eye.focus();
      return;
    }
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    const name = event.target.dataset?.point;
    if (!step || !name) return;
    event.preventDefault();
    const scale = (this.#size[0] / this.image.getBoundingClientRect().width) * (event.shiftKey ? 10 : 1);
    this.#move(name, this.#points[name].map((value, axis) => value + step[axis] * scale));
  }

  #draw() {
    const [wide, high] = this.#size;
    const missing = NAMES.find((name) => !this.#points[name]);
    for (const name of NAMES) {
      const button = this.buttons[name];
      const point = this.#points[name];
      button.hidden = !point;
      if (!point) continue;
      button.style.left = `${(point[0] / wide) * 100}%`;
      button.style.top = `${(point[1] / high) * 100}%`;
      button.setAttribute("aria-label", placing.at(placing.point[name], ...point));
    }
    const some = NAMES.some((name) => this.#points[name]);
    if (!this.drawable) this.text.textContent = placing.undrawable;
    else if (missing) this.#say(placing.next[missing], some ? "" : placing.keyboard);
    else this.#say(placing.correct, placing.keys);
    const matrix = missing ? null : similarity(NAMES.map((name) => this.#points[name]), TARGET);
    this.use.disabled = matrix === null;
    this.#drawPreview(matrix);
  }

  #say(message, keys) {
    this.text.textContent = this.hover.matches && keys !== "" ? `${message} ${keys}` : message;
  }

  #drawPreview(matrix) {
    const { width: side } = this.preview;
    const context = this.preview.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, side, side);
    if (matrix === null) return;
    const [a, b, x, y] = matrix.map((value) => value * side);
    context.setTransform(a, b, -b, a, x, y);
    context.imageSmoothingQuality = "high";
    context.drawImage(this.image, 0, 0);
  }
}
