// Two faces: the slider between them, swapping them, and playing the way from one to the other.

import { withOrder, withWeight } from "./state.js";
import { steps, text } from "./strings.js";

const SWEEP_MS = 5000;

export class Pair {
  #playing = null;

  constructor({ store, mixing, say, onPreview }) {
    const find = (id) => document.getElementById(id);
    Object.assign(this, { store, mixing, say, onPreview });
    this.root = find("scrub");
    this.slider = find("weight");
    this.swapButton = find("swap");
    this.playButton = find("play");
    this.reduced = matchMedia("(prefers-reduced-motion: reduce)");
    this.slider.addEventListener("input", () => {
      this.#end();
      this.#commit();
    });
    this.slider.addEventListener("keydown", (event) => this.#key(event));
    this.swapButton.addEventListener("click", () => this.swap());
    this.playButton.addEventListener("click", () => this.toggle());
    store.addEventListener("change", () => this.draw());
    for (const name of ["frame", "strip"]) mixing.addEventListener(name, () => this.draw());
    this.draw();
  }

  get share() {
    return Number(this.slider.value);
  }

  draw() {
    const { parents } = this.store.state;
    const two = parents.length === 2;
    this.root.hidden = parents.length > 2;
    for (const button of [this.swapButton, this.playButton]) button.hidden = parents.length > 2;
    this.slider.disabled = !two;
    this.swapButton.disabled = !two;
    this.playButton.disabled = !two || !this.mixing.hasStrip;
    if (this.#playing) {
      if (!two || !this.mixing.hasStrip || parents[1].weight !== this.#playing.from) this.#end();
      else return;
    }
    if (two) this.slider.value = String(parents[1].weight);
    this.slider.setAttribute("aria-valuetext", text.valuetext(this.share));
  }

  swap() {
    if (this.swapButton.disabled) return;
    this.stop();
    this.store.update((state) => withOrder(state, [1, 0]), { label: steps.swapped });
    this.say(text.swapped);
  }

  toggle() {
    if (this.#playing) this.stop();
    else if (!this.playButton.disabled) this.#play();
  }

  // Ends playing where it is, which becomes the state.
  stop() {
    if (!this.#playing) return;
    this.#end();
    this.#commit();
  }

  #commit() {
    const second = this.store.state.parents[1];
    this.store.update((state) => withWeight(state, second.key, this.share), { label: steps.weights, coalesce: "slider" });
  }

  // Shift makes a step of ten.
  #key(event) {
    const step = { ArrowLeft: -0.1, ArrowDown: -0.1, ArrowRight: 0.1, ArrowUp: 0.1 }[event.key];
    if (!step || !event.shiftKey) return;
    event.preventDefault();
    this.slider.value = String(Math.round((this.share + step) * 100) / 100);
    this.slider.dispatchEvent(new Event("input"));
  }

  #end() {
    this.#playing = null;
    this.#drawPlay(false);
  }

  #drawPlay(playing) {
    const label = playing ? text.pause : text.play;
    this.playButton.setAttribute("aria-pressed", String(playing));
    this.playButton.setAttribute("aria-label", label);
    this.playButton.title = label;
    this.playButton.querySelector("use").setAttribute("href", playing ? "#icon-pause" : "#icon-play");
  }

  #move(share) {
    this.slider.value = String(share);
    this.slider.setAttribute("aria-valuetext", text.valuetext(share));
    this.mixing.preview(share);
    this.onPreview([1 - share, share]);
  }

  // Sweeps to and fro until stopped; with reduced motion, one slow pass in ten steps.
  #play() {
    const token = { from: this.store.state.parents[1].weight };
    this.#playing = token;
    this.#drawPlay(true);
    if (this.reduced.matches) {
      let step = 0;
      const next = () => {
        if (this.#playing !== token) return;
        this.#move(step / 10);
        step += 1;
        if (step > 10) this.stop();
        else setTimeout(next, 1000);
      };
      next();
      return;
    }
    let last = null;
    let phase = this.share; // 0 to 1 forth, 1 to 2 back
    const tick = (now) => {
      if (this.#playing !== token) return;
      phase = (phase + (last === null ? 0 : (now - last) / SWEEP_MS)) % 2;
      last = now;
      this.#move(phase <= 1 ? phase : 2 - phase);
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }
}
