// What a downloaded picture is put onto: a parent's photograph, the same blurred around the head, or a plain colour.

import { hasPhoto, placementOf, USUAL_COLOUR } from "./carrying.js";
import { el } from "./panel_parts.js";
import { withEdits } from "./state.js";
import { onto as words } from "./strings_panels.js";

const nameOf = (placement) => {
  if (placement === null) return "crop";
  return placement.onto === "plain" ? "plain" : `${placement.onto}:${placement.parent}`;
};

export function initOnto({ root, store }) {
  const list = root.querySelector("#onto");
  const colour = root.querySelector("#onto-colour");
  colour.value = USUAL_COLOUR;

  const put = (placement, coalesce = null) => store.update((state) => withEdits(state, { placement }),
    { label: words.step(wordsOf(nameOf(placement), store.letters)), coalesce });
  const plain = () => ({ onto: "plain", colour: colour.value });

  list.addEventListener("change", () => {
    const [onto, parent] = list.value.split(":");
    if (onto === "crop") put(null);
    else put(onto === "plain" ? plain() : { onto, parent: Number(parent) });
  });
  colour.addEventListener("input", () => put(plain(), "colour of the ground"));

  function refresh() {
    const { parents } = store.state;
    const placement = placementOf(store.state);
    const photos = parents.flatMap((parent, index) => (hasPhoto(parent) ? [`photo:${index}`, `blurred:${index}`] : []));
    const values = ["crop", ...photos, "plain"];
    const texts = values.map((value) => wordsOf(value, store.letters));
    if ([...list.options].map(({ text }) => text).join() !== texts.join()) {
      list.replaceChildren(...values.map((value, index) => el("option", { value, text: texts[index] })));
    }
    list.value = nameOf(placement);
    colour.disabled = placement?.onto !== "plain";
    if (!colour.disabled && colour.value !== placement.colour) colour.value = placement.colour;
    root.querySelector("#onto-text").textContent = placement === null ? words.alone : words.placed;
  }

  for (const name of ["change", "letters"]) store.addEventListener(name, refresh);
  refresh();
}

function wordsOf(value, letters) {
  const [onto, parent] = value.split(":");
  return words.name[onto](letters[parent]);
}
