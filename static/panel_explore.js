// Explore: random people, a surprise, and the sheets of variations and mixes.

import { attributesOf } from "./panel_catalogue.js";
import { initGrid, initVariations } from "./panel_grids.js";
import { initKept } from "./panel_kept.js";
import { el, randomNumber, whenShown } from "./panel_parts.js";
import { roving } from "./panel_sheet.js";
import { EMPTY, LETTERS, makeParent, withEdits, withParent, withRandomWeights, weightsOf } from "./state.js";
import { adjust, explore } from "./strings_panels.js";

const SHEET = 8;
const MOST_SURPRISE = { people: 4, attributes: 2 };
const PEOPLE = 1_000_000; // short enough to be read out

const below = (count) => Math.floor(Math.random() * count);
const person = () => randomNumber() % PEOPLE;

export function init({ root, store, mixing, api, say }) {
  const find = (id) => root.querySelector(`#${id}`);
  const people = find("people");
  const most = Number(document.getElementById("studio").dataset.maxParents);
  let numbers = [];

  const parentOf = (number, seed) => makeParent({
    kind: "sample", sample: number, name: explore.personName(number), thumb: api.sampleUrl(number, seed),
  });

  // --- random people ---

  function draw() {
    const { seed } = store.state.edits;
    people.replaceChildren(...numbers.map((number, index) => {
      const image = el("img", { src: api.sampleUrl(number, seed), alt: "", width: "96", height: "96" });
      const button = el("button", {
        type: "button", class: "face-cell", "aria-label": explore.person(index + 1), title: explore.use,
        on: { click: () => use(number) },
      }, image);
      image.addEventListener("error", () => {
        button.disabled = true;
        button.title = explore.failedPicture;
      }, { once: true });
      return button;
    }));
    rove.reset();
  }

  function more() {
    numbers = Array.from({ length: SHEET }, person);
    draw();
  }

  function use(number) {
    const { parents, edits } = store.state;
    if (parents.length >= most) {
      say(explore.full);
      return;
    }
    const letter = LETTERS[parents.length];
    store.update((state) => withParent(state, parentOf(number, edits.seed)), { label: explore.addedStep(letter) });
    say(explore.added(letter));
  }

  const rove = roving(people, () => getComputedStyle(people).gridTemplateColumns.split(" ").length);
  find("people-more").addEventListener("click", more);

  // --- a surprise ---

  // In the state of nothing: people, their shares, and with directions an attribute or two, not too far from usual.
  async function surprise() {
    const attributes = await attributesOf(api).then((known) => known.attributes, () => []);
    const count = Math.min(most, 2 + below(MOST_SURPRISE.people - 1));
    let made = withEdits(EMPTY, { seed: store.state.edits.seed });
    for (let index = 0; index < count; index += 1) made = withParent(made, parentOf(person(), made.edits.seed));
    made = withRandomWeights(made);
    const moved = new Map();
    for (let left = attributes.length > 0 ? below(MOST_SURPRISE.attributes + 1) : 0; left > 0; left -= 1) {
      moved.set(attributes[below(attributes.length)], Math.round((0.5 + Math.random()) * (below(2) ? 10 : -10)) / 10);
    }
    made = withEdits(made, { attributes: Object.fromEntries([...moved].map(([{ name }, value]) => [name, value])) });
    store.update(() => made, { label: explore.surprise });
    const words = [...moved].map(([attribute, value]) => adjust.moved(attribute.title, adjust.words(attribute, value)));
    say(explore.surprised([...LETTERS].slice(0, count), weightsOf(made), words));
  }

  find("surprise").addEventListener("click", surprise);

  // --- all of it ---

  initKept({ root, store, api, say });
  initVariations({ root, store, mixing, say });
  initGrid({ root, store, mixing, say });
  store.addEventListener("change", ({ detail: { state, before } }) => {
    if (state.edits.seed !== before.edits.seed && numbers.length > 0) draw();
  });
  if (!people.parentElement.hidden) whenShown(root, more); // while mixing is switched off nobody is drawn
}
