// Adjust: attributes by slider and by words, and how the faces are blended.

import { hasPhoto } from "./carrying.js";
import { attributesOf } from "./panel_catalogue.js";
import { Notes } from "./panel_notes.js";
import { dial, offer, randomNumber, Trouble, whenShown } from "./panel_parts.js";
import { Words } from "./panel_words.js";
import { NO_EDITS, withEdits } from "./state.js";
import { adjust, percentOf } from "./strings_panels.js";

const MOST_SEED = 2 ** 31 - 1;

export function init({ root, store, mixing, api, say }) {
  const find = (id) => root.querySelector(`#${id}`);
  const trouble = new Trouble(find("attributes-message"));
  const again = find("attributes-again");
  const resetAll = find("attributes-reset");
  const dials = new Map(); // name => { attribute, dial }
  let count = null; // of the model's attributes, null while they are not known

  const set = (name, title, value, coalesce = null) => store.update((state) => {
    const { [name]: _, ...others } = state.edits.attributes;
    return withEdits(state, { attributes: value === 0 ? others : { ...others, [name]: value } });
  }, { label: title, coalesce });

  function build(attributes) {
    for (const attribute of attributes) {
      const { name, title, low, high, limit } = attribute;
      const made = dial({
        title, min: -limit, max: limit, step: 0.1, origin: 0, ends: [low, high],
        onInput: (value) => set(name, title, value, `attribute ${name}`),
        onReset: () => set(name, title, 0),
      });
      made.input.dataset.attribute = name;
      dials.set(name, { attribute, dial: made });
    }
    find("attributes").replaceChildren(...[...dials.values()].map((one) => one.dial.row));
    count = attributes.length;
  }

  async function load() {
    trouble.clear();
    again.hidden = true;
    find("attributes-text").textContent = adjust.loading;
    try {
      const { attributes, words } = await attributesOf(api);
      build(attributes);
      if (attributes.length > 0) vocabulary.list(words);
    } catch (error) {
      trouble.show(error);
      again.hidden = false;
    }
    find("attributes-text").textContent = "";
    refresh();
  }

  const vocabulary = new Words({
    root: find("words"), api, say,
    nameOf: (name, value) => {
      const one = dials.get(name);
      return one ? adjust.moved(one.attribute.title, adjust.words(one.attribute, value)) : name;
    },
    apply: (attributes) => store.update(
      (state) => withEdits(state, { attributes: nonZero({ ...state.edits.attributes, ...attributes }) }),
      { label: adjust.inWords },
    ),
  });

  const vividness = dial({
    id: "vividness-slider", title: adjust.vividness, min: 0, max: 0.5, step: 0.05,
    onInput: (value) => store.update((state) => withEdits(state, { vividness: value }),
      { label: adjust.vividness, coalesce: "vividness" }),
    onReset: () => store.update((state) => withEdits(state, { vividness: 0 }), { label: adjust.vividness }),
  });
  find("vividness").append(vividness.row);

  const detail = dial({
    id: "detail-slider", title: adjust.detail, min: 0, max: 1, step: 0.01, usual: NO_EDITS.detail,
    onInput: (value) => store.update((state) => withEdits(state, { detail: value }), { label: adjust.detail, coalesce: "detail" }),
    onReset: () => store.update((state) => withEdits(state, { detail: NO_EDITS.detail }), { label: adjust.detail }),
  });
  find("detail").append(detail.row);

  const paths = [...root.querySelectorAll("[name=interpolation]")];
  for (const path of paths) {
    path.addEventListener("change", () => store.update(
      // A round path loses nothing that could be given back, and the server refuses to give it.
      (state) => withEdits(state, { interpolation: path.value, ...(path.value === "slerp" ? { vividness: 0 } : {}) }),
      { label: adjust.path[path.value] },
    ));
  }

  const seed = find("seed");
  // Other faces stand under the numbers of sample faces then.
  const sow = (value) => store.update((state) => ({
    ...withEdits(state, { seed: value }),
    parents: state.parents.map((parent) =>
      (parent.kind === "sample" ? { ...parent, thumb: api.sampleUrl(parent.sample, value) } : parent)),
  }), { label: adjust.seed, coalesce: "seed" });
  seed.addEventListener("change", () => {
    const value = Math.round(Number(seed.value));
    if (seed.value.trim() !== "" && value >= 0 && value <= MOST_SEED) sow(value);
    else seed.value = String(store.state.edits.seed);
  });
  find("seed-random").addEventListener("click", () => {
    sow(randomNumber());
    say(adjust.seeded(store.state.edits.seed));
  });

  resetAll.addEventListener("click", () => {
    if (Object.keys(store.state.edits.attributes).length === 0) return;
    store.update((state) => withEdits(state, { attributes: {} }), { label: adjust.resetAll });
    say(adjust.allReset);
  });
  resetAll.addEventListener("blur", () => queueMicrotask(refresh));
  again.addEventListener("click", load);

  function refresh() {
    const { attributes, vividness: vivid, interpolation, seed: sown, detail: carried } = store.state.edits;
    const photos = store.state.parents.some(hasPhoto);
    const { editable } = mixing;
    const several = store.state.parents.length > 1;
    for (const [name, one] of dials) {
      const value = attributes[name] ?? 0;
      one.dial.show(value, adjust.words(one.attribute, value), adjust.measured(one.attribute, value));
    }
    find("attributes").disabled = !editable;
    if (count === 0) find("attributes-text").textContent = adjust.noDirections;
    else if (count !== null) find("attributes-text").textContent = editable ? "" : adjust.needFace;
    vocabulary.enable(count > 0 && editable);
    offer(resetAll, Object.keys(attributes).length > 0);
    for (const path of paths) {
      path.checked = path.value === interpolation;
      path.disabled = !several;
    }
    const straight = interpolation === NO_EDITS.interpolation;
    vividness.show(vivid, vivid > 0 ? percentOf(vivid) : "");
    vividness.input.disabled = !several || !straight;
    find("vividness-text").textContent = several ? adjust.vividnessText[interpolation] : adjust.needTwo;
    detail.show(carried, percentOf(carried));
    detail.input.disabled = !photos;
    find("detail-text").textContent = photos ? adjust.detailText(carried) : adjust.needPhotos;
    if (document.activeElement !== seed) seed.value = String(sown);
  }

  new Notes({ root, list: find("result-notes"), store, mixing });
  store.addEventListener("change", refresh);
  refresh();
  whenShown(root, load);
}

const nonZero = (values) => Object.fromEntries(Object.entries(values).filter(([, value]) => value !== 0));
