// How the page speaks to the server. Every failure arrives as a Problem, a superseded call as an AbortError.

import { problems } from "./strings.js";

const MOST_TRIES = 5;
const TIMEOUT_MS = 120_000;

export class Problem extends Error {
  // page_url: where a person sees how it stands, of what is held.
  constructor({ title, detail, hint, code = "", where = null, page_url: pageUrl = null }) {
    super(detail);
    Object.assign(this, { title, detail, hint, code, where, pageUrl });
  }
}

export const isAbort = (error) => error.name === "AbortError";
const superseded = () => new DOMException("superseded", "AbortError");

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(superseded());
    }, { once: true });
  });
}

function problemOf(status, body) {
  try {
    const parsed = JSON.parse(body);
    if (parsed.title && parsed.detail) return new Problem(parsed);
  } catch { /* not JSON: a proxy between us and the server, perhaps */ }
  return new Problem(problems.unreadable(status));
}

// Sends once. Returns { status, ok, retryAfter, blob, problem }; the body is read inside the time limit.
async function byFetch(url, { signal, ...options }) {
  const controller = new AbortController();
  const abort = () => controller.abort();
  if (signal?.aborted) throw superseded();
  signal?.addEventListener("abort", abort, { once: true });
  let late = false;
  const timer = setTimeout(() => { late = true; controller.abort(); }, TIMEOUT_MS);
  try {
    const response = await fetch(url, { ...options, signal: controller.signal });
    const { ok, status } = response;
    return {
      ok,
      status,
      retryAfter: response.headers.get("Retry-After"),
      blob: ok ? await response.blob() : null,
      problem: ok ? null : problemOf(status, await response.text()),
    };
  } catch (error) {
    if (late) throw new Problem(problems.slow);
    if (isAbort(error)) throw error;
    throw new Problem(problems.unreachable);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

// The same by XMLHttpRequest, the only one that tells how much of an upload has left. The time limit begins when
// everything has been sent.
function byRequest(url, { method, body, headers, signal, onProgress }) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(superseded());
      return;
    }
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    let timer = 0;
    const settle = (settled, value) => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
      settled(value);
    };
    request.open(method, url);
    request.responseType = "blob";
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = ({ loaded, total }) => onProgress({ sent: loaded, total });
    request.upload.onload = ({ loaded, total }) => {
      onProgress({ sent: loaded, total });
      timer = setTimeout(() => {
        settle(reject, new Problem(problems.slow));
        request.abort();
      }, TIMEOUT_MS);
    };
    request.onerror = () => settle(reject, new Problem(problems.unreachable));
    request.onabort = () => settle(reject, superseded());
    request.onload = async () => {
      const ok = request.status >= 200 && request.status < 300;
      settle(resolve, {
        ok,
        status: request.status,
        retryAfter: request.getResponseHeader("Retry-After"),
        blob: ok ? request.response : null,
        problem: ok ? null : problemOf(request.status, await request.response.text()),
      });
    };
    signal?.addEventListener("abort", abort, { once: true });
    request.send(body);
  });
}

async function parsed(blob) {
  try {
    return JSON.parse(await blob.text());
  } catch {
    throw new Problem(problems.unreadable(200));
  }
}

// A result that a person looks at first comes as a success without the result; jobs are accepted by 202, too.
async function heldOf(blob) {
  const said = await parsed(blob);
  if (said.code !== "held_for_review") return null;
  const twice = said.detail.toLowerCase() === said.title.toLowerCase();
  return new Problem({ ...said, detail: twice ? "" : said.detail });
}

export class Api {
  photoHeaders = {}; // what goes along with every photo

  constructor(base) {
    this.base = base;
  }

  // Sends and returns the answer's body as a Blob; what comes too early or too often is sent again after the time that
  // the server names.
  // `onWait(seconds)` is called before each such wait, `onProgress({ sent, total })` while the body is sent.
  async send(path, { method = "GET", accept = "application/json", headers = {}, onWait, onProgress, tries = MOST_TRIES, ...options } = {}) {
    for (let attempt = 1; ; attempt += 1) {
      const send = onProgress ? byRequest : byFetch;
      const answer = await send(this.base + path, { method, headers: { Accept: accept, ...headers }, onProgress, ...options });
      if (answer.ok) {
        const held = answer.status === 202 ? await heldOf(answer.blob) : null;
        if (held) throw held;
        return answer.blob;
      }
      const seconds = Number(answer.retryAfter);
      // Nobody knows how long what the operator has switched off stays so.
      if (answer.problem?.code === "halted") throw answer.problem;
      if (![429, 503].includes(answer.status) || !(seconds > 0) || attempt >= tries) throw answer.problem;
      onWait?.(Math.min(seconds, 30));
      await pause(Math.min(seconds, 30), options.signal);
    }
  }

  // Posts an object as JSON. The answer is parsed, or a Blob where something else than JSON was accepted.
  async json(path, body, { accept = "application/json", headers = {}, ...options } = {}) {
    const sent = { "Content-Type": "application/json", ...headers };
    const blob = await this.send(path, { method: "POST", body: JSON.stringify(body), accept, headers: sent, ...options });
    return accept === "application/json" ? parsed(blob) : blob;
  }

  async get(path, options = {}) {
    return parsed(await this.send(path, options));
  }

  async remove(path, options = {}) {
    await this.send(path, { method: "DELETE", ...options });
  }

  // placed: { left_eye, right_eye, mouth }, each { x, y } in pixels of the upright photo, or null.
  async faces(file, placed, options) {
    const form = new FormData();
    form.append("image", file, file.name || "photo");
    for (const [name, { x, y }] of Object.entries(placed ?? {})) form.append(name, `${x.toFixed(2)},${y.toFixed(2)}`);
    return parsed(await this.send("/api/v1/faces", { method: "POST", body: form, headers: this.photoHeaders, ...options }));
  }

  sampleUrl(number, seed = 0) {
    return `${this.base}/api/v1/samples/${number}${seed ? `?seed=${seed}` : ""}`;
  }

  // Whether the model is loaded and, if it never will be, the problem that says why; and whether mixing is "on".
  async readiness() {
    try {
      const response = await fetch(`${this.base}/readyz`);
      const said = await response.json();
      const failure = response.ok || said.code === "not_ready" ? null : said;
      return { ready: response.ok, failure, generation: said.generation ?? null };
    } catch {
      return { ready: false, failure: null, generation: null };
    }
  }
}

export function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

// An EmbeddedImage of the interface, as a Blob and as an address.
export const blobOf = ({ base64, media_type: type }) => new Blob([bytesOf(base64)], { type });
export const dataUrl = ({ base64, media_type: type }) => `data:${type};base64,${base64}`;
