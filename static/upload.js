// The photographs behind the parents: sending them, keeping their files for as long as a step of the session needs
// them, and sending one again when the server has let go of it.

import { dataUrl, Problem } from "./api.js";
import { makeParent } from "./state.js";
import { problems } from "./strings.js";

const AT_ONCE = 2;

export class Photos {
  #byKey = new Map(); // parent's key => photo
  #renewed = new Map(); // face id that is gone => the one that took its place
  #sending = 0;
  #waiting = [];

  constructor(api, maxUpload) {
    this.api = api;
    this.maxUpload = maxUpload;
  }

  // A photo: { file, url, width, height, faces, count, placed }, faces as POST /api/v1/faces answers.
  of(key) {
    return this.#byKey.get(key) ?? null;
  }

  // Looks for faces in a file.
  //
  // options: signal, onStart, onProgress, onWait. Throws Problem, also for a file that need not be sent at all.
  async find(file, placed = null, { onStart, ...options } = {}) {
    if (file.size === 0) throw new Problem(problems.empty(file.name));
    if (file.size > this.maxUpload) throw new Problem(problems.tooLarge(file.name, file.size, this.maxUpload));
    options.signal?.throwIfAborted();
    await this.#turn(options.signal);
    try {
      onStart?.();
      const { image, faces, count } = await this.api.faces(file, placed, options);
      return { file, url: URL.createObjectURL(file), width: image.width, height: image.height, faces, count, placed };
    } finally {
      this.#sending -= 1;
      this.#next();
    }
  }

  // A parent for one face of a photo, which is kept from now on.
  parentOf(photo, index) {
    const face = photo.faces[index];
    const parent = makeParent({
      kind: "photo", faceId: face.id, face: face.index, name: photo.file.name || "photo", thumb: dataUrl(face.crop),
    });
    this.#byKey.set(parent.key, photo);
    return parent;
  }

  // The id under which the server has this parent's face now.
  idOf({ faceId }) {
    let id = faceId;
    while (this.#renewed.has(id)) id = this.#renewed.get(id);
    return id;
  }

  // How a request names a parent by its photo itself; null where the file is not here any more.
  async inside(parent) {
    const photo = this.of(parent.key);
    if (photo === null) return null;
    const image = await base64Of(photo.file);
    if (photo.placed === null) return { image, face: parent.face };
    const points = Object.entries(photo.placed).map(([name, { x, y }]) => [name, [x, y].map((at) => Number(at.toFixed(2)))]);
    return { image, placed: Object.fromEntries(points) };
  }

  // Sends the photo of a parent again.
  async renew(parent, options) {
    const photo = this.of(parent.key);
    const answer = await this.api.faces(photo.file, photo.placed, options);
    for (const { index, id } of photo.faces) {
      const now = answer.faces.find((face) => face.index === index);
      const old = id === null ? null : this.idOf({ faceId: id });
      if (old !== null && now?.id && now.id !== old) this.#renewed.set(old, now.id);
    }
  }

  // Lets go of every photo that none of these keys needs, here and on the server.
  keepOnly(keys) {
    const dropped = [...this.#byKey].filter(([key]) => !keys.has(key));
    for (const [key] of dropped) this.#byKey.delete(key);
    const left = new Set(this.#byKey.values());
    for (const photo of new Set(dropped.map(([, gone]) => gone))) {
      if (!left.has(photo)) this.release(photo);
    }
  }

  release(photo) {
    URL.revokeObjectURL(photo.url);
    for (const { id } of photo.faces) {
      // It expires by itself; this is only sooner.
      if (id !== null) this.api.remove(`/api/v1/faces/${this.idOf({ faceId: id })}`, { keepalive: true }).catch(() => {});
    }
  }

  // Waits until no more than AT_ONCE others are being sent.
  #turn(signal) {
    return new Promise((resolve, reject) => {
      const turn = { go: () => { this.#sending += 1; resolve(); } };
      signal?.addEventListener("abort", () => {
        this.#waiting = this.#waiting.filter((other) => other !== turn);
        reject(new DOMException("cancelled", "AbortError"));
      }, { once: true });
      this.#waiting.push(turn);
      this.#next();
    });
  }

  #next() {
    while (this.#sending < AT_ONCE && this.#waiting.length > 0) this.#waiting.shift().go();
  }
}

function base64Of(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(new Problem(problems.gone(file.name)));
    reader.readAsDataURL(file);
  });
}
