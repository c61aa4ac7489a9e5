// Pictures that have arrived: the strips between two faces, single mixes, and the same with the photographs' detail. The
// latest few of each are kept, so that going back and forth in the session asks for nothing twice.

import { blobOf } from "./api.js";
import { carried, plainEdits } from "./carrying.js";
import { withOrder } from "./state.js";

const MOST_STRIPS = 6;
const MOST_PICTURES = 60;
const MOST_SHARP = 24;

// Identifies what a strip lies between: two faces and all edits of the model's own picture, but not the weights.
const nameOf = ({ parents, edits }) => JSON.stringify([parents.map(({ key, faceId }) => [key, faceId]), plainEdits(edits)]);
// Identifies the model's own picture of a state, and the one with the photographs' detail.
export const exactName = (state) => JSON.stringify([nameOf(state), state.parents.map(({ weight }) => weight.toFixed(6))]);
const sharpName = (state) => JSON.stringify([exactName(state), carried(state)]);

class Recent extends Map {
  constructor(most, drop) {
    super();
    this.most = most;
    this.drop = drop;
  }

  set(name, value) {
    this.delete(name);
    super.set(name, value);
    while (this.size > this.most) {
      const [oldest, gone] = this.entries().next().value;
      this.delete(oldest);
      this.drop(gone);
    }
    return this;
  }

  empty() {
    this.forEach(this.drop);
    this.clear();
  }
}

export class Frames {
  #strips = new Recent(MOST_STRIPS, ({ images }) => images.forEach((image) => image.close()));
  #pictures = new Recent(MOST_PICTURES, ({ image }) => image.close());
  #sharp = new Recent(MOST_SHARP, ({ image }) => image.close());

  // answer: what POST /api/v1/strip sent for a state.
  async addStrip(state, answer) {
    const { frames, weights, recipe, notes = null } = answer; // each frame would have its own
    const { frame_width: width, frame_height: height, columns } = frames;
    const sheet = await createImageBitmap(blobOf(frames));
    // Cut apart: enlarged within their sheet, frames would be smoothed into their neighbours.
    const images = await Promise.all(weights.map((_, index) =>
      createImageBitmap(sheet, (index % columns) * width, Math.floor(index / columns) * height, width, height)));
    sheet.close();
    this.#strips.set(nameOf(state), { images, weights, recipe, notes });
  }

  // answer: what POST /api/v1/mix sent for a state.
  async addPicture(state, answer) {
    this.#pictures.set(exactName(state), await pictureOf(answer));
  }

  // The same with the photographs' detail.
  async addSharp(state, answer) {
    this.#sharp.set(sharpName(state), await pictureOf(answer));
  }

  // The picture of a state with the photographs' detail, if it is here, or null.
  findSharp(state) {
    return this.#sharp.get(sharpName(state)) ?? null;
  }

  hasStrip(state) {
    return this.#stripOf(state) !== null;
  }

  // The picture of a state, if it is here: { image, blob or null, recipe, notes }.
  find(state) {
    const picture = this.#pictures.get(exactName(state));
    if (picture) return picture;
    const strip = this.#stripOf(state);
    return strip === null ? null : frameOf(strip, state.parents[1].weight);
  }

  clear() {
    for (const kept of [this.#strips, this.#pictures, this.#sharp]) kept.empty();
  }

  // A strip can be walked from either end.
  #stripOf(state) {
    if (state.parents.length !== 2) return null;
    const strip = this.#strips.get(nameOf(state));
    if (strip) return { ...strip, turned: false };
    const turned = this.#strips.get(nameOf(withOrder(state, [1, 0])));
    return turned ? { ...turned, turned: true } : null;
  }
}

async function pictureOf({ image: embedded, recipe, notes }) {
  const blob = blobOf(embedded);
  return { image: await createImageBitmap(blob), blob, recipe, notes: notes ?? [] };
}

// The frame nearest to a share of the second face.
function frameOf({ images, weights, recipe, notes, turned }, share) {
  const ofSecond = turned ? 1 - share : share;
  let nearest = 0;
  weights.forEach((weight, index) => {
    if (Math.abs(weight - ofSecond) < Math.abs(weights[nearest] - ofSecond)) nearest = index;
  });
  const parents = recipe.parents.map((parent, index) => ({ ...parent, weight: index === 0 ? 1 - ofSecond : ofSecond }));
  return {
    image: images[nearest],
    blob: null,
    recipe: { ...recipe, ...turnedLists(recipe, turned), parents: turned ? parents.reverse() : parents },
    notes,
  };
}

// The lists with one weight per parent, in the parents' order.
function turnedLists({ regions = {}, colour = null }, turned) {
  const turn = (list) => (turned ? list.toReversed() : list);
  return {
    regions: Object.fromEntries(Object.entries(regions).map(([name, list]) => [name, turn(list)])),
    colour: colour === null ? null : turn(colour),
  };
}
