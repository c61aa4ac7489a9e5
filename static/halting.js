// While the operator has switched mixing off no photo or face can be given: what would begin it says so instead. It can
// still be reached and read, and works again once mixing is back.

import { text } from "./strings.js";

const POLL_MS = 5000;
const WAYS = ".file, .camera-open, button.paste, [data-sample]"; // by which a face gets in

export class Halting {
  #timer = 0;

  // ready(): { generation } as GET /readyz answers it. changed(): called when it goes off or on; back(): after it is on
  // again.
  constructor({ ready, say, changed, back }) {
    Object.assign(this, { ready, say, changed, back });
    document.addEventListener("click", (event) => this.#stop(event), { capture: true });
  }

  get on() {
    return this.#timer !== 0;
  }

  begin() {
    if (this.on) return;
    this.#timer = setInterval(() => this.#look(), POLL_MS);
    this.#draw();
  }

  // Whether it is off, which is said then.
  refuses() {
    if (this.on) this.say(text.switchedOff);
    return this.on;
  }

  async #look() {
    const { generation } = await this.ready();
    if (generation !== "on" || !this.on) return;
    clearInterval(this.#timer);
    this.#timer = 0;
    this.#draw();
    this.back();
  }

  // A label hands its click on to its field, so that this is all there is to stop.
  #stop(event) {
    if (!this.on || !event.target.closest?.(WAYS)) return;
    event.preventDefault();
    event.stopPropagation();
    this.refuses();
  }

  #draw() {
    document.documentElement.classList.toggle("halted", this.on);
    for (const way of document.querySelectorAll(WAYS)) {
      if (this.on) way.setAttribute("aria-disabled", "true");
      else way.removeAttribute("aria-disabled");
    }
    this.changed();
  }
}
