// Draws the frame that belongs to the slider. All frames are here already, so nothing is fetched and nothing
// is cross-faded: what is drawn is always a face that the model made.

import { bytesOf } from "./api.js";

const SWEEP_MS = 5000;

export class Scrubber {
  constructor(canvas, slider, { onShow }) {
    this.canvas = canvas;
    this.slider = slider;
    this.onShow = onShow;
    this.context = canvas.getContext("2d");
    this.sheet = null;
    this.weights = [];
    this.scheduled = 0;
    this.playing = null;
    this.reduced = matchMedia("(prefers-reduced-motion: reduce)");
    slider.addEventListener("input", () => {
      this.stop();
      this.refresh();
    });
  }

  get filled() {
    return this.sheet !== null;
  }

  get weight() {
    return Number(this.slider.value);
  }

  // answer: what /api/v1/strip sent. Decodes before anything changes, so that a failure leaves the old frames.
  async load(answer, signal) {
    const { frames, weights } = answer;
    const blob = new Blob([bytesOf(frames.base64)], { type: frames.media_type });
    const picture = await createImageBitmap(blob);
    if (signal.aborted) {
      picture.close();
      return;
    }
    this.sheet?.picture.close();
    const { frame_width: width, frame_height: height, columns } = frames;
    this.sheet = { picture, width, height, columns };
    this.frames = weights.map((_, index) => index);
    this.weights = weights;
    this.refresh();
  }

  clear() {
    this.stop();
    this.sheet?.picture.close();
    this.sheet = null;
    this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.refresh();
  }

  // The second face becomes the first.
  reverse() {
    this.frames.reverse();
    this.weights = this.weights.map((weight) => 1 - weight).reverse();
    this.refresh();
  }

  // Says the new place at once, for those who listen to it; draws with the screen's next frame.
  refresh() {
    this.onShow(Math.round(this.weight * 100), this.filled);
    if (!this.scheduled) {
      this.scheduled = requestAnimationFrame(() => {
        this.scheduled = 0;
        this.#draw();
      });
    }
  }

  #draw() {
    if (this.sheet) {
      const { picture, width, height, columns } = this.sheet;
      let nearest = 0;
      this.weights.forEach((weight, index) => {
        if (Math.abs(weight - this.weight) < Math.abs(this.weights[nearest] - this.weight)) nearest = index;
      });
      const frame = this.frames[nearest];
      const x = (frame % columns) * width;
      const y = Math.floor(frame / columns) * height;
      this.context.imageSmoothingQuality = "high";
      // Half a pixel inside, so that smoothing does not reach into the neighbouring frame.
      this.context.drawImage(picture, x + 0.5, y + 0.5, width - 1, height - 1, 0, 0, this.canvas.width, this.canvas.height);
    }
  }

  // Sweeps to and fro until stopped; with reduced motion, one slow pass in ten steps.
  play(onEnd) {
    this.stop();
    const token = { onEnd };
    this.playing = token;
    if (this.reduced.matches) {
      let step = 0;
      const next = () => {
        if (this.playing !== token) return;
        this.#move(step / 10);
        step += 1;
        if (step > 10) this.stop();
        else setTimeout(next, 1000);
      };
      next();
      return;
    }
    let last = null;
    let phase = this.weight; // 0 to 1 forth, 1 to 2 back
    const tick = (now) => {
      if (this.playing !== token) return;
      phase = (phase + (last === null ? 0 : (now - last) / SWEEP_MS)) % 2;
      last = now;
      this.#move(phase <= 1 ? phase : 2 - phase);
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }

  stop() {
    const token = this.playing;
    this.playing = null;
    token?.onEnd();
  }

  #move(weight) {
    this.slider.value = String(weight);
    this.refresh();
  }
}
