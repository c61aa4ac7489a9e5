// A job on the server: asks how far it is, shows it, and fetches the result. One that nobody waits for is cancelled.

import { isAbort, Problem } from "./api.js";
import { animate as words } from "./strings_panels.js";

const ASK_MS = 600;
const MOST_MISSED = 4; // questions in a row that may fail before it is given up

export class Job {
  constructor({ root, api }) {
    Object.assign(this, { root, api });
    this.text = root.querySelector("#job-text");
    this.progress = root.querySelector("progress");
    this.address = null;
    window.addEventListener("pagehide", () => this.#drop());
  }

  // begin() starts it and returns how it stands; the result is returned as a Blob.
  async run(begin, signal) {
    this.root.hidden = false;
    this.#show({ state: "queued", done: 0, total: 0 });
    try {
      const job = await begin();
      this.address = `/api/v1/jobs/${job.id}`;
      await this.#wait(job, signal);
      this.text.textContent = words.fetching;
      const blob = await this.api.send(`${this.address}/result`, { accept: "*/*", signal });
      this.address = null;
      return blob;
    } catch (error) {
      this.#drop();
      throw error;
    } finally {
      this.root.hidden = true;
    }
  }

  async #wait(first, signal) {
    let job = first;
    let missed = 0;
    while (job.state === "queued" || job.state === "running") {
      this.#show(job);
      await pause(ASK_MS, signal);
      try {
        job = await this.api.get(this.address, { signal });
        missed = 0;
      } catch (error) {
        missed += 1;
        if (isAbort(error) || error.code === "job_gone" || missed > MOST_MISSED) throw error;
      }
    }
    if (job.state === "failed") throw new Problem(job.problem);
    if (job.state === "cancelled") throw new Problem({ title: words.ended, detail: "", hint: "" });
  }

  #show({ state, done, total }) {
    const running = state === "running" && total > 0;
    this.text.textContent = running ? words.running(Math.min(done + 1, total), total) : words.queued;
    // Without a value it moves to and fro: how long it waits is not known.
    if (running) this.progress.value = done / total;
    else this.progress.removeAttribute("value");
  }

  #drop() {
    if (this.address === null) return;
    this.api.remove(this.address, { keepalive: true }).catch(() => {}); // it ends by itself, too
    this.address = null;
  }
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("cancelled", "AbortError"));
    }, { once: true });
  });
}
