// The faces that this browser has saved, each to be added to the open ones. The browser knows their keys and names; a
// picture that does not come, as of one that has expired, leaves its face out.

import { Problem } from "./api.js";
import { kept } from "./kept.js";
import { pictureOf } from "./opening.js";
import { begunAnew, el, Trouble, Work } from "./panel_parts.js";
import { roving } from "./panel_sheet.js";
import { LETTERS, makeParent, withParent } from "./state.js";
import { explore } from "./strings_panels.js";

const MOST_SHOWN = 16;
const words = explore.kept;

export function initKept({ root, store, api, say }) {
  const [part, list, more, message] = ["kept-part", "kept", "kept-more", "kept-message"].map((id) => root.querySelector(`#${id}`));
  const work = new Work({ say, trouble: new Trouble(message) });
  const rove = roving(list, () => getComputedStyle(list).gridTemplateColumns.split(" ").length);
  const gone = new Set(); // ids
  let shown = null; // the ids and names that stand there

  function leaveOut(id) {
    const button = list.querySelector(`[data-saved="${id}"]`);
    const next = button?.nextElementSibling ?? button?.previousElementSibling;
    const focused = button !== null && button === document.activeElement;
    gone.add(id);
    button?.remove();
    part.hidden = list.childElementCount === 0;
    if (!part.hidden) rove.reset();
    if (focused) next?.focus();
  }

  async function use({ id, name }) {
    if (store.state.parents.length >= store.most) {
      say(explore.full);
      return;
    }
    await work.run(list.querySelector(`[data-saved="${id}"]`), words.asking, async (options) => {
      const found = await api.get(`/api/v1/recipes/${id}`, options).catch((error) => {
        if (error.code !== "record_missing") throw error;
        return null;
      });
      if (found === null) {
        leaveOut(id);
        return words.gone;
      }
      if (found.available === false) throw new Problem(words.other(found.recipe.model.name));
      const at = store.state.parents.length;
      if (at >= store.most) return explore.full; // others came while it was looked for
      const parent = makeParent({ kind: "saved", saved: id, name, thumb: pictureOf(api, id) });
      store.update((state) => withParent(state, parent), { label: explore.addedStep(LETTERS[at]) });
      return explore.added(LETTERS[at]);
    });
  }

  function button({ id, name }) {
    const image = el("img", { src: pictureOf(api, id), alt: "", width: "96", height: "96", on: { error: () => leaveOut(id) } });
    return el("button", {
      type: "button", class: "kept-face", dataset: { saved: id }, "aria-label": words.use(name), title: name,
      on: { click: () => use({ id, name }) },
    }, el("span", { class: "face-cell" }, image), el("span", { class: "kept-name", text: name }));
  }

  function refresh() {
    if (root.hidden) return;
    const all = kept.list().filter(({ id }) => !gone.has(id));
    const faces = all.slice(0, MOST_SHOWN).map(({ id, name }) => ({ id, name: name || words.unnamed }));
    more.hidden = all.length <= MOST_SHOWN;
    more.textContent = words.more(all.length);
    if (JSON.stringify(faces) === shown) return;
    shown = JSON.stringify(faces);
    list.replaceChildren(...faces.map(button));
    part.hidden = faces.length === 0;
    if (faces.length > 0) rove.reset();
  }

  kept.onChange(refresh);
  // Of what was saved in this tab nothing tells; the panel was away meanwhile.
  new MutationObserver(refresh).observe(root, { attributeFilter: ["hidden"] });
  store.addEventListener("change", () => { if (begunAnew(store)) work.cancel(); });
  refresh();
}
