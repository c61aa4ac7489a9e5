// How a state is put into a request, and what is done when the server has let go of a face, or of its photograph, in the
// meantime.

import { carried, hasPhoto, placementOf, plainEdits } from "./carrying.js";
import { NO_EDITS } from "./state.js";

export class Asking {
  constructor(api, photos) {
    Object.assign(this, { api, photos });
  }

  // The members of POST /api/v1/mix that say what is to be drawn.
  //
  // sharp: with the photographs' detail. placed: put onto what the state says. whole: with the photographs themselves in
  // the place of the ids of their faces. What a face is put onto is sent in any case: the server keeps none.
  async body(state, { sharp = true, placed = false, whole = false } = {}) {
    const placement = placed ? placementOf(state) : null;
    const ground = placement?.parent ?? -1;
    const parents = await Promise.all(state.parents.map(async (parent, index) =>
      ({ ...(await this.#source(parent, whole || index === ground)), weight: parent.weight })));
    return { parents, ...edited(state), ...(sharp ? carried(state) : {}), ...(placement ? { placement } : {}) };
  }

  // The same for POST /api/v1/strip, which goes through all weights; without detail, so that it comes at once.
  async pair(state) {
    const parents = await Promise.all(state.parents.map((parent) => this.#source(parent, false)));
    return { parents, ...edited(state) };
  }

  // Posts what `body(whole)` makes. Where the answer is that faces, or their photographs, are gone, sends the photos again
  // and repeats it with their new ids; where that does not help, because the server keeps no photographs or has several
  // processes, sends them within the request.
  // options: as for `Api.json`, but `headers` may be a function of the body that is sent; and onRenew, called before
  // photos are sent again.
  async post(path, state, body, { onRenew, headers = {}, ...options } = {}) {
    const send = async (whole = false) => {
      const sent = await body(whole);
      const withPhotos = sent.parents.some(({ image }) => image !== undefined);
      const own = typeof headers === "function" ? headers(sent) : headers;
      return this.api.json(path, sent, { ...options, headers: { ...(withPhotos ? this.api.photoHeaders : {}), ...own } });
    };
    try {
      return await send();
    } catch (error) {
      if (!["face_gone", "photograph_missing"].includes(error.code) || this.#photosOf(state).length === 0) throw error;
      onRenew?.();
      await this.renew(state, options);
    }
    try {
      return await send();
    } catch (error) {
      if (error.code !== "photograph_missing") throw error;
      return send(true);
    }
  }

  // Sends the photos of a state again.
  async renew(state, { signal, onWait } = {}) {
    await Promise.all(this.#photosOf(state).map((parent) => this.photos.renew(parent, { signal, onWait })));
  }

  // A parent for each photo whose file is here. Where one id has expired the others are as old: all are sent again.
  #photosOf({ parents }) {
    const byPhoto = new Map();
    for (const parent of parents) {
      const photo = hasPhoto(parent) ? this.photos.of(parent.key) : null;
      if (photo !== null) byPhoto.set(photo, parent);
    }
    return [...byPhoto.values()];
  }

  // How a request names a parent.
  async #source(parent, whole) {
    if (hasPhoto(parent)) return (whole ? await this.photos.inside(parent) : null) ?? { face_id: this.photos.idOf(parent) };
    if (parent.kind === "sample") return { sample: parent.sample };
    if (parent.kind === "latent") return { latent: parent.latent };
    return { recipe: parent.saved };
  }
}

// The edits that do something to the model's own picture.
export function edited({ edits }) {
  const differs = ([name, value]) => JSON.stringify(value) !== JSON.stringify(NO_EDITS[name]);
  return Object.fromEntries(Object.entries(plainEdits(edits)).filter(differs));
}

// Whether there is something to draw: two faces and more, or one that something is done to.
export function mixable(state) {
  return state.parents.length > 1 || (state.parents.length === 1 && Object.keys(edited(state)).length > 0);
}
