// The three calls of the page. Every failure arrives as a Problem, a superseded call as an AbortError.

import { problems } from "./strings.js";

const MOST_TRIES = 5;
const TIMEOUT_MS = 120_000;

export class Problem extends Error {
  constructor({ title, detail, hint, code = "", where = null }) {
    super(detail);
    Object.assign(this, { title, detail, hint, code, where });
  }
}

export const isAbort = (error) => error.name === "AbortError";

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("superseded", "AbortError"));
    }, { once: true });
  });
}

async function problemOf(response) {
  try {
    const body = await response.json();
    if (body.title && body.detail) return new Problem(body);
  } catch { /* not JSON: a proxy between us and the server, perhaps */ }
  return new Problem(problems.unreadable(response.status));
}

async function once(url, options, signal) {
  const controller = new AbortController();
  const abort = () => controller.abort();
  if (signal?.aborted) throw new DOMException("superseded", "AbortError");
  signal?.addEventListener("abort", abort, { once: true });
  let late = false;
  const timer = setTimeout(() => { late = true; controller.abort(); }, TIMEOUT_MS);
  try {
    const response = await fetch(url, { ...options, signal: controller.signal });
    // The body is read here, so that the time limit and the abort reach it as well.
    return { response, body: response.ok ? await response.blob() : null, problem: response.ok ? null : await problemOf(response) };
  } catch (error) {
    if (late) throw new Problem(problems.slow);
    if (isAbort(error)) throw error;
    throw new Problem(problems.unreachable);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

export class Api {
  constructor(base) {
    this.base = base;
  }

  // Sends a form; a 503 is tried again after the time that the server names.
  async post(path, form, { accept = "application/json", signal, onWait } = {}) {
    for (let attempt = 1; ; attempt += 1) {
      const options = { method: "POST", body: form, headers: { Accept: accept } };
      const { response, body, problem } = await once(this.base + path, options, signal);
      if (response.ok) return body;
      const seconds = Number(response.headers.get("Retry-After"));
      if (response.status !== 503 || !(seconds > 0) || attempt >= MOST_TRIES) throw problem;
      onWait?.(Math.min(seconds, 30));
      await pause(Math.min(seconds, 30), signal);
    }
  }

  async faces(file, options) {
    const form = new FormData();
    form.append("image", file, file.name || "photo");
    return this.#parsed(await this.post("/api/v1/faces", form, options));
  }

  async strip(form, options) {
    return this.#parsed(await this.post("/api/v1/strip", form, options));
  }

  async #parsed(body) {
    try {
      return JSON.parse(await body.text());
    } catch {
      throw new Problem(problems.unreadable(200));
    }
  }

  mix(form, options) {
    return this.post("/api/v1/mix", form, { accept: "image/png", ...options });
  }

  sampleUrl(number) {
    return `${this.base}/api/v1/samples/${number}`;
  }

  // Whether the model is loaded and, if it never will be, the problem that says why.
  async readiness() {
    try {
      const response = await fetch(`${this.base}/readyz`);
      const problem = response.ok ? null : await response.json();
      return { ready: response.ok, failure: problem?.code === "not_ready" ? null : problem };
    } catch {
      return { ready: false, failure: null };
    }
  }
}

export function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}
