// What asks the server for pictures of the state: the newest state wins, one request is under way, and one more is
// sent when it ends. Between two faces a whole strip of frames is fetched once and scrubbed through without requests.
// All of these are the model's own pictures; once the state rests, the one with the photographs' detail takes their place.
//
// The interface for panels:
//   await mixing.ask(path, { state, extra, sharp, placed, signal, onWait, accept, headers })
//                              posts the JSON body of POST /api/v1/mix for a state, which every endpoint that takes a
//                              MixBody takes, too; a face that the server no longer keeps is uploaded again first. sharp:
//                              with the photographs' detail, which is the usual case; placed: put onto what the state says.
//                              headers may be a function of the body that is sent
//   await mixing.renew(state, { signal, onWait })
//                              sends the photographs of a state again
//   mixing.ready               whether the state can be mixed
//   mixing.held                whether a person looks at the present result first: there is nothing of it to save
//   mixing.editable            whether there is a face that something can be done to
//   mixing.recipe, mixing.last the recipe of the last picture; the detail of the last "result"
// Events:
//   "frame"   { image, jump, sharp, sharpens }
//                              what is to be drawn, an ImageBitmap or null; whether it shows other faces than before,
//                              has the photographs' detail, and is the same as before but for that
//   "result"  { image: blob URL, recipe, notes, sharp, pending } once the state rests (also on the store). sharp: with the
//                              photographs' detail; pending: another result with that detail follows
//   "strip"   {}               the slider can move without requests now
//   "busy"    { message }      what is waited for, or null
//   "problem" { problem }      why there is no picture, or null

import { isAbort } from "./api.js";
import { Asking, edited, mixable } from "./asking.js";
import { carries } from "./carrying.js";
import { exactName, Frames } from "./frames.js";
import { sameFaces } from "./state.js";
import { text } from "./strings.js";

const PACE_MS = 70; // from one request to the next: a long drag stays within what a server lets one address ask for
const REST_MS = 180; // without a change: the state rests
const STRIP_MS = 700; // after an edit: the strip is fetched, too
const KEPT_URLS = 12;

export class Mixing extends EventTarget {
  #asking;
  #frames = new Frames();
  #running = null; // { controller, state, strip: whether it asks for one }
  #wanted = null; // what is asked for next: { state, strip }
  #sentAt = -Infinity;
  #soon = 0; // timer of the next request
  #ahead = null; // AbortController of a strip that nobody waits for
  #sharpening = null; // AbortController of the picture with detail
  #drawn = { name: "", sharp: false }; // what is shown
  #announced = 0;
  #resting = 0;
  #stripping = 0;
  #urls = [];
  #problem = null; // as the last "problem" said

  constructor(store, api, photos) {
    super();
    this.store = store;
    this.#asking = new Asking(api, photos);
    this.last = null;
    store.addEventListener("change", ({ detail }) => this.#changed(detail));
  }

  get ready() {
    return mixable(this.store.state);
  }

  get editable() {
    return this.store.state.parents.length > 0;
  }

  get recipe() {
    return this.last?.recipe ?? null;
  }

  get held() {
    return this.#problem?.code === "held_for_review";
  }

  async ask(path, { state = this.store.state, extra = {}, sharp = true, placed = false, ...options } = {}) {
    const body = async (whole) => ({ ...(await this.#asking.body(state, { sharp, placed, whole })), ...extra });
    return this.#asking.post(path, state, body, options);
  }

  async renew(state, options) {
    await this.#asking.renew(state, options);
  }

  // Asks again for the present state.
  retry() {
    const { state } = this.store;
    const found = this.#frames.find(state);
    this.#tell("problem", { problem: null });
    if (found && carries(state)) this.#rest(state, found);
    else this.#want(state, false);
  }

  // Draws a share of the second face without making it the state, while a strip is here.
  preview(share) {
    const state = this.store.state;
    const [first, second] = state.parents;
    const at = { ...state, parents: [{ ...first, weight: 1 - share }, { ...second, weight: share }] };
    const found = this.#frames.find(at);
    if (found) this.#draw(at, found);
  }

  get hasStrip() {
    return this.#frames.hasStrip(this.store.state);
  }

  clear() {
    this.#stop();
    this.#frames.clear();
    this.#urls.splice(0).forEach((url) => URL.revokeObjectURL(url));
  }

  #changed({ state, before }) {
    clearTimeout(this.#resting);
    clearTimeout(this.#stripping);
    this.#leaveSharp();
    const faces = sameFaces(state, before);
    if (!faces) this.#stop();
    this.#tell("problem", { problem: null });
    if (!mixable(state)) {
      this.#stop();
      this.last = null;
      this.#drawn = { name: "", sharp: false };
      this.#tell("frame", { image: null, jump: false, sharp: false, sharpens: false });
      return;
    }
    const found = this.#frames.find(state);
    if (found) {
      this.#stop(); // an answer that is under way would show nothing newer
      this.#show(state, found, !faces);
      return;
    }
    if (!faces) this.last = null;
    // A strip of edited faces takes long: a single picture first.
    const strip = state.parents.length === 2 && !faces && Object.keys(edited(state)).length === 0;
    if (this.#running?.strip) {
      if (this.#running.state.edits === state.edits) return; // it will hold this share, too
      this.#stop();
    }
    this.#want(state, strip);
  }

  #want(state, strip) {
    this.#ahead?.abort();
    this.#wanted = { state, strip };
    if (this.#running === null) this.#schedule();
  }

  #schedule() {
    clearTimeout(this.#soon);
    const wait = this.#sentAt + PACE_MS - performance.now();
    if (wait > 0) this.#soon = setTimeout(() => this.#next(), wait);
    else this.#next();
  }

  #stop() {
    clearTimeout(this.#soon);
    this.#running?.controller.abort();
    this.#ahead?.abort();
    this.#leaveSharp();
    this.#running = null;
    this.#wanted = null;
    this.#tell("busy", { message: null });
  }

  async #next() {
    const { state, strip } = this.#wanted;
    const running = { controller: new AbortController(), state, strip };
    this.#wanted = null;
    this.#running = running;
    this.#sentAt = performance.now();
    this.#tell("busy", { message: text.mixing });
    this.#tell("problem", { problem: null });
    let problem = null;
    try {
      await this.#fetch(state, strip, {
        signal: running.controller.signal,
        onWait: (seconds) => this.#tell("busy", { message: text.busy(seconds) }),
        onRenew: () => this.#tell("busy", { message: text.sendingAgain }),
      });
    } catch (error) {
      problem = error;
    }
    if (this.#running !== running) return; // other faces have taken their place
    this.#running = null;
    if (problem !== null) this.#failed(problem);
    else this.#arrived(state);
    if (this.#wanted !== null) this.#schedule();
    else this.#tell("busy", { message: null });
  }

  async #fetch(state, strip, options) {
    if (strip) {
      const body = () => this.#asking.pair(state);
      await this.#frames.addStrip(state, await this.#asking.post("/api/v1/strip", state, body, options));
    } else {
      await this.#frames.addPicture(state, await this.ask("/api/v1/mix", { state, sharp: false, ...options }));
    }
    options.signal.throwIfAborted();
  }

  #arrived(state) {
    const now = this.store.state;
    const found = this.#frames.find(now);
    if (found) {
      this.#wanted = null;
      this.#show(now, found, this.last === null);
    } else {
      // Not the newest any more, but newer than what is drawn.
      this.#draw(state, this.#frames.find(state));
    }
  }

  #failed(problem) {
    if (isAbort(problem) || this.#wanted !== null) return;
    this.#tell("problem", { problem });
  }

  #show(state, found, jump) {
    // Where only the detail is another one, what is drawn stays until that is here.
    if (!carries(state) || !this.#drawn.sharp || this.#drawn.name !== exactName(state)) this.#draw(state, found, { jump });
    clearTimeout(this.#resting);
    this.#resting = setTimeout(() => this.#rest(state, found), REST_MS);
    if (state.parents.length === 2 && !this.#frames.hasStrip(state)) {
      clearTimeout(this.#stripping);
      this.#stripping = setTimeout(() => this.#fetchAhead(state), STRIP_MS);
    }
  }

  #draw(state, { image }, { jump = false, sharp = false } = {}) {
    const name = exactName(state);
    const sharpens = this.#drawn.name === name && this.#drawn.sharp !== sharp;
    this.#drawn = { name, sharp };
    this.#tell("frame", { image, jump, sharp, sharpens });
  }

  #rest(state, found) {
    const sharp = carries(state) ? this.#frames.findSharp(state) : null;
    if (!carries(state)) this.#announce(state, found);
    else if (sharp !== null) this.#sharpened(state, sharp);
    else this.#sharpen(state, found);
  }

  // Asks for the picture with the photographs' detail.
  async #sharpen(state, found) {
    const sharpening = new AbortController();
    this.#leaveSharp();
    this.#sharpening = sharpening;
    this.#announce(state, found, { pending: true });
    this.#tell("busy", { message: text.sharpening });
    let problem = null;
    try {
      const answer = await this.ask("/api/v1/mix", {
        state,
        signal: sharpening.signal,
        onWait: (seconds) => this.#tell("busy", { message: text.busy(seconds) }),
        onRenew: () => this.#tell("busy", { message: text.sendingAgain }),
      });
      await this.#frames.addSharp(state, answer);
    } catch (error) {
      problem = error;
    }
    if (this.#sharpening !== sharpening) return; // the state has changed
    this.#leaveSharp();
    if (problem === null) this.#sharpened(state, this.#frames.findSharp(state));
    else this.#failed(problem);
  }

  #sharpened(state, found) {
    this.#draw(state, found, { sharp: true });
    this.#announce(state, found, { sharp: true });
  }

  // Gives up what is under way of it.
  #leaveSharp() {
    if (this.#sharpening === null) return;
    this.#sharpening.abort();
    this.#sharpening = null;
    this.#tell("busy", { message: null });
  }

  async #announce(state, { image: drawn, blob, recipe, notes }, { sharp = false, pending = false } = {}) {
    this.#announced += 1;
    const turn = this.#announced;
    const picture = blob ?? await pngOf(drawn);
    if (this.store.state !== state || turn !== this.#announced) return;
    const image = URL.createObjectURL(picture);
    this.#urls.push(image);
    if (this.#urls.length > KEPT_URLS) URL.revokeObjectURL(this.#urls.shift());
    this.last = { image, recipe, notes, sharp, pending };
    this.#tell("result", this.last);
    this.store.announce(this.last);
  }

  // The slider works without it, only less smoothly: a failure is of no interest.
  async #fetchAhead(state) {
    const ahead = new AbortController();
    this.#ahead = ahead;
    try {
      await this.#fetch(state, true, { signal: ahead.signal, tries: 1 });
      this.#tell("strip", {});
    } catch { /* the next step asks for a single picture */ }
  }

  #tell(name, detail) {
    if (name === "problem") this.#problem = detail.problem;
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

function pngOf(image) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.width, image.height];
  canvas.getContext("2d").drawImage(image, 0, 0);
  return new Promise((resolve) => { canvas.toBlob(resolve, "image/png"); });
}
