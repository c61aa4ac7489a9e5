// Consent, asked before the first photo of one's own. What is remembered, in this browser alone, is the version of the
// text that was agreed to.

const KEY = "facemix.consent";
const HEADER = "X-Facemix-Consent";

function remembered() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

export class Consent {
  #asking = null;

  // version: of the text in force; undefined where the server does not ask.
  constructor(api, version) {
    Object.assign(this, { api, version, needed: version !== undefined });
    this.dialog = document.getElementById("consent");
    const box = document.querySelector(".consent-check input"); // of the form without scripts
    if (box) box.disabled = true;
    this.dialog?.querySelector("#consent-agree").addEventListener("click", () => this.dialog.close("agreed"));
    this.dialog?.querySelector("#consent-later").addEventListener("click", () => this.dialog.close());
    if (this.needed && remembered() === version) this.#state();
  }

  // Whether photos may be sent, asked once however many wait for the answer.
  ask() {
    if (!this.needed) return Promise.resolve(true);
    this.#asking ??= new Promise((resolve) => {
      this.dialog.returnValue = "";
      this.dialog.addEventListener("close", () => {
        this.#asking = null;
        if (this.dialog.returnValue === "agreed") this.#agree();
        resolve(!this.needed);
      }, { once: true });
      this.dialog.showModal();
      this.dialog.querySelector("#consent-later").focus(); // nobody agrees by pressing Enter once too often
    });
    return this.#asking;
  }

  #agree() {
    this.#state();
    try {
      localStorage.setItem(KEY, this.version);
    } catch { /* it holds for this page */ }
  }

  #state() {
    this.needed = false;
    this.api.photoHeaders = { [HEADER]: this.version };
  }
}
