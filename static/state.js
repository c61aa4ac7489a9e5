// What a person has made, as one frozen value.
//
//   state = {
//     parents: [{ key, kind, faceId, face, sample, latent, saved, name, thumb, weight, locked }],
//     edits: {
//       interpolation, vividness, attributes: {}, regions: {}, colour, variation, seed, detail, keep: {}, placement,
//     },
//   }
//
// kind    "photo" (faceId, face: its number in the photo), "sample" (sample: its number), "latent" (latent:
//         { model, z }, as POST /api/v1/mix takes it) or "saved" (saved: the id of a saved recipe); the other
//         sources are null
// thumb   an address for <img>
// weight  0..1; the weights of all parents sum to 1
// locked  its weight stays while others move
// regions, colour and variation are as in the recipe: lists have one weight per parent, in the parents' order. So are
// detail, keep and placement, which say what comes from the photographs (carrying.js).
//
// Everything below is a function from one state to the next. Which of them is shown, and the steps that led to it, are
// in store.js.

import { hasPhoto, movedTo } from "./carrying.js";

export const LETTERS = "ABCDEFGH";
export const MOST_PARENTS = LETTERS.length;

export const NO_EDITS = deepFreeze({
  interpolation: "lerp", vividness: 0, attributes: {}, regions: {}, colour: null, variation: null, seed: 0,
  detail: 1, keep: {}, placement: null,
});
export const EMPTY = deepFreeze({ parents: [], edits: NO_EDITS });

export function deepFreeze(value) {
  if (value !== null && typeof value === "object" && !Object.isFrozen(value)) {
    Object.freeze(value);
    Object.values(value).forEach(deepFreeze);
  }
  return value;
}

let keys = 0;

// A parent with a key of its own; give its kind, the source that belongs to it, a name and a thumb.
export function makeParent(fields) {
  keys += 1;
  return {
    key: `p${keys}`, faceId: null, face: null, sample: null, latent: null, saved: null, name: "", thumb: "",
    weight: 0, locked: false, ...fields,
  };
}

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
export const weightsOf = (state) => state.parents.map(({ weight }) => weight);
export const indexOf = (state, key) => state.parents.findIndex((parent) => parent.key === key);

// Shares `total` among `weights` in proportion to them, or evenly where all are 0.
function shared(weights, total) {
  const whole = sum(weights);
  return weights.map((weight) => (whole > 0 ? (weight / whole) * total : total / weights.length));
}

// The unlocked parents get `next(their weights, what the locked ones leave)`.
function withUnlocked(state, next) {
  const free = state.parents.filter(({ locked }) => !locked);
  if (free.length === 0) return state;
  const rest = Math.max(0, 1 - sum(state.parents.filter(({ locked }) => locked).map(({ weight }) => weight)));
  const weights = next(free.map(({ weight }) => weight), rest);
  const byKey = new Map(free.map(({ key }, index) => [key, weights[index]]));
  return withWeights(state, state.parents.map(({ key, weight }) => byKey.get(key) ?? weight));
}

// weights: one per parent, none negative, at least one above 0; scaled to sum to 1.
export function withWeights(state, weights) {
  const scaled = shared(weights, 1);
  return { ...state, parents: state.parents.map((parent, index) => ({ ...parent, weight: scaled[index] })) };
}

// The same, with four decimals each but for the locked ones; the largest of the others takes what rounding leaves.
export function withRounded(state, weights) {
  const rounded = state.parents.map(({ locked }, index) => (locked ? weights[index] : Math.round(weights[index] * 1e4) / 1e4));
  const free = rounded.map((weight, index) => (state.parents[index].locked ? -1 : weight));
  const largest = free.indexOf(Math.max(...free));
  if (free[largest] < 0) return withWeights(state, weights);
  const left = 1 - sum(rounded.filter((_, index) => index !== largest));
  rounded[largest] = Math.max(0, Math.round(left * 1e12) / 1e12);
  return { ...state, parents: state.parents.map((parent, index) => ({ ...parent, weight: rounded[index] })) };
}

// One parent's weight, as near to the wish as the locked ones allow; the unlocked others share what is left.
export function withWeight(state, key, wish) {
  const others = state.parents.filter((parent) => parent.key !== key);
  const fixed = sum(others.filter(({ locked }) => locked).map(({ weight }) => weight));
  const free = others.filter(({ locked }) => !locked);
  const room = Math.max(0, 1 - fixed);
  const weight = free.length === 0 ? room : Math.min(Math.max(wish, 0), room);
  const rest = shared(free.map((parent) => parent.weight), room - weight);
  const byKey = new Map(free.map((parent, index) => [parent.key, rest[index]]));
  return withWeights(
    state,
    state.parents.map((parent) => (parent.key === key ? weight : byKey.get(parent.key) ?? parent.weight)),
  );
}

export function withLock(state, key, locked) {
  return { ...state, parents: state.parents.map((parent) => (parent.key === key ? { ...parent, locked } : parent)) };
}

export const withEvenWeights = (state) =>
  withUnlocked(state, (weights, rest) => weights.map(() => rest / weights.length));

// Evenly distributed over all shares (a flat Dirichlet: exponential draws, scaled).
export const withRandomWeights = (state) =>
  withUnlocked(state, (weights, rest) => shared(weights.map(() => -Math.log(1 - Math.random())), rest));

export const withEdits = (state, edits) => ({ ...state, edits: { ...state.edits, ...edits } });

// regions and colour after `change` of their lists of weights; a list without any weight left is dropped.
function withColumns(edits, change) {
  const changed = (list) => {
    const next = change(list);
    return sum(next) > 0 ? shared(next, 1) : null;
  };
  const regions = Object.entries(edits.regions).map(([name, list]) => [name, changed(list)]);
  return {
    ...edits,
    regions: Object.fromEntries(regions.filter(([, list]) => list !== null)),
    colour: edits.colour === null ? null : changed(edits.colour),
  };
}

// One parent more, with an even share of what is not locked.
export function withParent(state, parent, at = state.parents.length) {
  const locked = sum(state.parents.filter((other) => other.locked).map(({ weight }) => weight));
  const free = state.parents.filter((other) => !other.locked);
  const share = (1 - locked) / (free.length + 1);
  const rest = shared(free.map(({ weight }) => weight), 1 - locked - share);
  const byKey = new Map(free.map(({ key }, index) => [key, rest[index]]));
  const parents = state.parents.map((other) => ({ ...other, weight: byKey.get(other.key) ?? other.weight }));
  parents.splice(at, 0, { ...parent, weight: share });
  const columns = withColumns(state.edits, (list) => [...list.slice(0, at), 0, ...list.slice(at)]);
  const edits = movedTo((index) => index + Number(index >= at), columns);
  return withWeights({ ...state, parents, edits }, parents.map(({ weight }) => weight));
}

// Without one parent and its column of every list. A lock does not outlive the choice that it limits.
export function withoutParent(state, key) {
  const at = indexOf(state, key);
  if (at < 0) return state;
  let parents = state.parents.filter((parent) => parent.key !== key);
  if (parents.length < 3) parents = parents.map((parent) => ({ ...parent, locked: false }));
  const columns = withColumns(state.edits, (list) => list.filter((_, index) => index !== at));
  const edits = movedTo((index) => (index === at ? -1 : index - Number(index > at)), columns);
  const left = { ...state, parents, edits };
  if (parents.length === 0) return left;
  const fixed = sum(parents.filter(({ locked }) => locked).map(({ weight }) => weight));
  if (parents.every(({ locked }) => locked) || fixed >= 1) {
    return withWeights(left, parents.map(({ weight }) => weight));
  }
  return withUnlocked(left, shared);
}

// Another face in the same place, with the same weight and lock.
export function withReplaced(state, key, parent) {
  const parents = state.parents.map((old) =>
    (old.key === key ? { ...parent, weight: old.weight, locked: old.locked } : old));
  // Nothing is kept of a face without a photograph, nor is anything put onto it.
  const edits = movedTo((index) => (hasPhoto(parents[index]) ? index : -1), state.edits);
  return { ...state, parents, edits };
}

// The parents in another order; `order` lists their present places.
export function withOrder(state, order) {
  const columns = withColumns(state.edits, (list) => order.map((index) => list[index]));
  const edits = movedTo((index) => order.indexOf(index), columns);
  return { ...state, parents: order.map((index) => state.parents[index]), edits };
}

// Whether two states differ in nothing but the weights and locks of their parents.
export function samePicture(first, second) {
  return first !== null && second !== null && first.edits === second.edits && sameFaces(first, second);
}

export function sameFaces(first, second) {
  return first.parents.length === second.parents.length
    && first.parents.every(({ key, faceId }, index) =>
      key === second.parents[index].key && faceId === second.parents[index].faceId);
}
