// What the panels are made of: elements, dials, messages, and the way in which every one of them waits.

import { isAbort, Problem } from "./api.js";
import { EMPTY } from "./state.js";
import { sentence, text } from "./strings.js";
import { parts } from "./strings_panels.js";

// An element. `text`, `dataset` and `on` (listeners by event) are set as such, `true` and `false` as the presence of
// an attribute, everything else as an attribute.
export function el(name, { text: content, dataset = {}, on = {}, ...attributes } = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "boolean") made.toggleAttribute(key, value);
    else if (value !== null && value !== undefined) made.setAttribute(key, value);
  }
  Object.assign(made.dataset, dataset);
  for (const [event, listener] of Object.entries(on)) made.addEventListener(event, listener);
  if (content !== undefined) made.textContent = content;
  made.append(...children);
  return made;
}

export function button(label, onClick, attributes = {}) {
  return el("button", { type: "button", text: label, on: { click: onClick }, ...attributes });
}

export function icon(name) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  made.setAttribute("class", "icon");
  made.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#icon-${name}`);
  made.append(use);
  return made;
}

export function letterOf(letter) {
  return el("span", { class: `letter letter-${letter.toLowerCase()}`, text: letter, "aria-hidden": "true" });
}

let ids = 0;
export const newId = (name) => `${name}-${(ids += 1)}`;

// A slider in a row: its title, its value in words, a button that resets it, and what lies at its ends.
//
// origin: the value from which the track is filled; usual: what a reset leads back to. Returns { row, input, show(value, words, measured) }; `show` also
// tells whether there is anything to reset, and `measured` is told to whoever points at the words.
export function dial({
  id = newId("dial"), title, head = title, min, max, step, origin = min, usual = origin, ends = null, onInput, onReset = null,
}) {
  const output = el("output", { class: "dial-value", for: id });
  const input = el("input", {
    type: "range", id, min: String(min), max: String(max), step: String(step),
    on: { input: () => onInput(Number(input.value)) },
  });
  const resets = parts.reset(title);
  const reset = onReset && button("", onReset, { class: "dial-reset", "aria-label": resets, title: resets });
  reset?.append(icon("undo"));
  const row = el("div", { class: "dial" },
    el("div", { class: "dial-head" }, el("label", { for: id }, head), output, ...(reset ? [reset] : [])), input);
  if (ends) {
    const both = ends.map((text) => el("span", { text }));
    row.append(el("div", { class: "dial-ends", "aria-hidden": "true" }, ...both));
  }
  const part = (value) => `${((value - min) / (max - min)) * 100}%`;
  // Hidden without leaving its place, so that nothing moves; one that has the focus stays as long as it has it.
  const offerReset = () => {
    reset?.classList.toggle("unneeded", Number(input.value) === usual && reset !== document.activeElement);
  };
  reset?.addEventListener("blur", () => queueMicrotask(offerReset));
  return {
    row,
    input,
    show(value, words, measured = "") {
      input.value = String(value);
      input.style.setProperty("--from", part(Math.min(value, origin)));
      input.style.setProperty("--to", part(Math.max(value, origin)));
      input.setAttribute("aria-valuetext", words || parts.unchanged);
      output.textContent = words;
      if (measured) output.title = measured;
      else output.removeAttribute("title");
      offerReset();
    },
  };
}

// Disables a button that has nothing to do, but not under the focus, which would be lost: that waits until it leaves.
export function offer(control, useful) {
  control.disabled = !useful && control !== document.activeElement;
}

// A problem where it belongs; empty while there is none.
export class Trouble {
  constructor(root) {
    this.root = root;
  }

  show(problem) {
    const shown = problem instanceof Problem ? problem : { title: text.defect, detail: "", hint: "" };
    if (!(problem instanceof Problem)) console.error(problem);
    const more = [sentence(shown.detail), sentence(shown.hint)].filter(Boolean).join(" ");
    this.root.replaceChildren(el("p", { class: "refusal-title", text: shown.title }));
    if (more) this.root.append(el("p", { text: more }));
    if (shown.pageUrl) this.root.append(el("p", {}, el("a", { href: shown.pageUrl, target: "_blank", rel: "noopener", text: text.stands })));
    return shown;
  }

  clear() {
    this.root.replaceChildren();
  }
}

// One piece of work at a time that a button begins. The words of what it waits for, and of how it ended, go into the
// live region and, where that is out of sight, beside the button; a problem is shown where it belongs. The button keeps
// the focus: it is not disabled, only deaf.
export class Work {
  #under = null;

  constructor({ say, trouble }) {
    const echo = el("p", { class: "small echo", "aria-hidden": "true" });
    trouble.root.after(echo);
    this.trouble = trouble;
    this.say = (message, { aside = true } = {}) => {
      say(message);
      echo.textContent = aside ? message : "";
    };
  }

  get busy() {
    return this.#under !== null;
  }

  cancel() {
    this.#under?.abort();
  }

  // work({ signal, onWait }) may return what to say in the end. Whether it succeeded.
  async run(control, waiting, work) {
    if (this.#under !== null) {
      this.say(parts.busy);
      return false;
    }
    const controller = new AbortController();
    this.#under = controller;
    this.trouble.clear();
    control?.setAttribute("aria-disabled", "true");
    this.say(waiting);
    try {
      const done = await work({ signal: controller.signal, onWait: (seconds) => this.say(text.busy(seconds)) });
      if (done) this.say(done);
      return true;
    } catch (error) {
      if (isAbort(error)) {
        this.say(text.cancelled);
      } else {
        this.say(sentence(this.trouble.show(error).title), { aside: false });
      }
      return false;
    } finally {
      this.#under = null;
      control?.removeAttribute("aria-disabled");
    }
  }
}

// Calls back once, when the panel is first shown: what nobody looks at is not fetched.
export function whenShown(root, callback) {
  if (!root.hidden) {
    callback();
    return;
  }
  const observer = new MutationObserver(() => {
    if (root.hidden) return;
    observer.disconnect();
    callback();
  });
  observer.observe(root, { attributeFilter: ["hidden"] });
}

// Whether the session was cleared: then nothing may be left of its faces.
export const begunAnew = (store) => store.state === EMPTY && !store.canUndo && !store.canRedo;

export function saveBlob(blob, name) {
  const link = el("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

// Keys that make the repetition of a request harmless: where the answer was lost, the same request goes out under the
// same key, and is done once. One that was answered, even by a refusal, is over.
export class RequestKeys {
  #last = { text: "", key: "" };

  // work({ headers }) sends the request; `headers` is a function of its body.
  async within(work) {
    const headers = (body) => {
      const text = JSON.stringify(body);
      if (text !== this.#last.text) this.#last = { text, key: newKey() };
      return { "Idempotency-Key": this.#last.key };
    };
    try {
      const answer = await work({ headers });
      this.#last = { text: "", key: "" };
      return answer;
    } catch (error) {
      if (error.code) this.#last = { text: "", key: "" };
      throw error;
    }
  }
}

// crypto.randomUUID exists in secure contexts only.
function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function randomNumber() {
  return crypto.getRandomValues(new Uint32Array(1))[0] % 2 ** 31;
}

// Makes a button copy what an element shows. Where copying is not allowed the text is marked instead.
export function copies(control, element, what, say) {
  const isField = element instanceof HTMLInputElement;
  let timer = 0;
  control.setAttribute("aria-label", parts.copyOf(what));
  control.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(isField ? element.value : element.textContent);
    } catch {
      if (isField) element.select();
      else getSelection().selectAllChildren(element);
      say(parts.notCopied);
      return;
    }
    say(parts.copied(what));
    control.textContent = parts.copiedShort;
    clearTimeout(timer);
    timer = setTimeout(() => { control.textContent = parts.copy; }, 2000);
  });
}
