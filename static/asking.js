// How a state is put into a request, and what is done when the server has let go of a face in the meantime.

import { NO_EDITS } from "./state.js";

export class Asking {
  constructor(api, photos) {
    Object.assign(this, { api, photos });
  }

  // The members of POST /api/v1/mix that say what is to be drawn.
  body(state) {
    return { parents: state.parents.map((parent) => ({ ...this.#source(parent), weight: parent.weight })), ...edited(state) };
  }

  // The same for POST /api/v1/strip, which goes through all weights.
  pair(state) {
    return { parents: state.parents.map((parent) => this.#source(parent)), ...edited(state) };
  }

  // Posts `body()`. Where the answer is that faces are gone, sends their photos again and repeats it with their new ids.
  // options: as for `Api.json`, but `headers` may be a function of the body that is sent; and onRenew, called before
  // photos are sent again.
  async post(path, state, body, { onRenew, headers = {}, ...options } = {}) {
    const send = () => {
      const sent = body();
      return this.api.json(path, sent, { ...options, headers: typeof headers === "function" ? headers(sent) : headers });
    };
    try {
      return await send();
    } catch (error) {
      const again = error.code === "face_gone" ? this.#photosOf(state) : [];
      if (again.length === 0) throw error;
      onRenew?.();
      const { signal, onWait } = options;
      await Promise.all(again.map((parent) => this.photos.renew(parent, { signal, onWait })));
      return send();
    }
  }

  // A parent for each photo whose file is here. Where one id has expired the others are as old: all are sent again.
  #photosOf({ parents }) {
    const byPhoto = new Map();
    for (const parent of parents) {
      const photo = parent.kind === "photo" ? this.photos.of(parent.key) : null;
      if (photo !== null) byPhoto.set(photo, parent);
    }
    return [...byPhoto.values()];
  }

  // How a request names a parent.
  #source(parent) {
    if (parent.kind === "photo") return { face_id: this.photos.idOf(parent) };
    if (parent.kind === "sample") return { sample: parent.sample };
    if (parent.kind === "latent") return { latent: parent.latent };
    return { recipe: parent.saved };
  }
}

// The edits that do something.
export function edited({ edits }) {
  const differs = ([name, value]) => JSON.stringify(value) !== JSON.stringify(NO_EDITS[name]);
  return Object.fromEntries(Object.entries(edits).filter(differs));
}

// Whether there is something to draw: two faces and more, or one that something is done to.
export function mixable(state) {
  return state.parents.length > 1 || (state.parents.length === 1 && Object.keys(edited(state)).length > 0);
}
