// Whose hair, glasses and background the result has: what nobody wants to see half of.

import { carries, hasPhoto, TRAITS } from "./carrying.js";
import { el } from "./panel_parts.js";
import { withEdits } from "./state.js";
import { whole as words } from "./strings_panels.js";

const AUTOMATIC = "";

export function initWhole({ root, store }) {
  const lists = TRAITS.map((trait) => ({ trait, list: root.querySelector(`#keep-${trait}`) }));

  function choose(trait, value) {
    store.update((state) => {
      const { [trait]: _, ...others } = state.edits.keep;
      if (value === AUTOMATIC) return withEdits(state, { keep: others });
      return withEdits(state, { keep: { ...others, [trait]: value === "mixed" ? value : Number(value) } });
    }, { label: words.step(words.title[trait], nameOf(value, store.letters)) });
  }

  for (const { trait, list } of lists) list.addEventListener("change", () => choose(trait, list.value));

  function refresh() {
    const { parents, edits: { keep } } = store.state;
    const places = parents.flatMap((parent, index) => (hasPhoto(parent) ? [String(index)] : []));
    const values = [AUTOMATIC, ...places, "mixed"];
    for (const { trait, list } of lists) {
      const texts = values.map((value) => nameOf(value, store.letters));
      if ([...list.options].map(({ text }) => text).join() !== texts.join()) {
        list.replaceChildren(...values.map((value, index) => el("option", { value, text: texts[index] })));
      }
      list.value = String(keep[trait] ?? AUTOMATIC);
    }
    const usable = parents.length > 1 && carries(store.state);
    root.querySelector("#whole").disabled = !usable;
    root.querySelector("#whole-text").textContent = usable ? words.about : parents.length > 1 ? words.needDetail : words.needFaces;
  }

  for (const name of ["change", "letters"]) store.addEventListener(name, refresh);
  refresh();
}

function nameOf(value, letters) {
  if (value === AUTOMATIC) return words.automatic;
  return value === "mixed" ? words.mixed : letters[value];
}
