// Regions: which parent each part of the face, and its colours, come from.

import { FaceMap } from "./panel_face_map.js";
import { decoded } from "./panel_masks.js";
import { el, offer, Trouble, whenShown } from "./panel_parts.js";
import { Shares } from "./panel_shares.js";
import { initWhole } from "./panel_whole.js";
import { LETTERS, withEdits, withWeights } from "./state.js";
import { regions as words } from "./strings_panels.js";

export function init({ root, store, api, say }) {
  const find = (id) => root.querySelector(`#${id}`);
  const again = find("regions-again");
  const trouble = new Trouble(find("regions-message"));
  const letters = () => [...LETTERS].slice(0, store.state.parents.length);
  let chosen = null; // the name of a region

  const map = new FaceMap({
    canvas: find("face-map"), buttons: find("face-buttons"), picture: document.getElementById("picture"),
    choose(name) {
      chosen = name;
      refresh();
      const own = store.state.edits.regions[name];
      say(words.button(map.titleOf(name), own ? words.shares(letters(), own) : words.whole));
    },
  });

  const region = new Shares({
    root: find("region-shares"), store, title: "",
    change: (weights, dragged = false) => store.update((state) => {
      const { [chosen]: _, ...others } = state.edits.regions;
      return withEdits(state, { regions: weights === null ? others : { ...others, [chosen]: weights } });
    }, { label: words.step(map.titleOf(chosen)), coalesce: dragged ? `region ${chosen}` : null }),
  });
  const colour = new Shares({
    root: find("colour-shares"), store, title: words.colour,
    change: (weights, dragged = false) => store.update((state) => withEdits(state, { colour: weights }),
      { label: words.colour, coalesce: dragged ? "colour" : null }),
  });

  find("regions-reset").addEventListener("blur", () => queueMicrotask(refresh));
  find("regions-reset").addEventListener("click", () => {
    if (Object.keys(store.state.edits.regions).length === 0) return;
    store.update((state) => withEdits(state, { regions: {} }), { label: words.allStep });
    say(words.allReset);
  });

  async function load() {
    trouble.clear();
    again.hidden = true;
    find("regions-text").textContent = words.loading;
    try {
      map.load(await decoded((await api.get("/api/v1/regions")).regions));
    } catch (error) {
      trouble.show(error);
      again.hidden = false;
    }
    find("regions-text").textContent = "";
    refresh();
  }

  function refresh() {
    if (root.hidden) return;
    const ready = store.state.parents.length > 1; // with one face every part follows it
    const { regions: own, colour: tint } = store.state.edits;
    const usable = map.loaded && ready;
    map.show({ own: ready ? own : {}, letters: letters(), chosen: ready ? chosen : null, usable });
    if (map.loaded) find("regions-text").textContent = ready ? "" : words.needFaces;
    find("regions-controls").disabled = !usable;
    find("colour-controls").disabled = !ready;
    find("region-title").textContent = chosen === null ? words.choose : map.titleOf(chosen);
    find("region-shares").hidden = chosen === null || !ready;
    find("colour-shares").hidden = !ready;
    offer(find("regions-reset"), Object.keys(own).length > 0);
    if (!ready) return;
    if (chosen !== null) region.show(own[chosen] ?? null, map.titleOf(chosen));
    colour.show(tint);
    presets.refresh();
  }

  const changed = () => {
    refresh();
    map.leaveAlone();
  };
  initWhole({ root, store });
  const presets = initPresets({ find, store, say, letters });
  again.addEventListener("click", load);
  store.addEventListener("change", changed);
  new MutationObserver(changed).observe(root, { attributeFilter: ["hidden"] });
  // Light or dark: by the device, or by the visitor's choice, which is written down at the root.
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", refresh);
  new MutationObserver(refresh).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  refresh();
  whenShown(root, load);
}

// Shape from one parent, colour from another: two buttons for two parents, two lists and a button for more.
function initPresets({ find, store, say, letters }) {
  const lists = [["preset-shape", 0], ["preset-colour", 1]].map(([id, usual]) => ({ list: find(id), usual }));

  function apply(shape, tint) {
    const only = (index) => store.state.parents.map((_, at) => Number(at === index));
    const label = words.preset(LETTERS[shape], LETTERS[tint]);
    store.update((state) => withEdits(withWeights(state, only(shape)), { colour: only(tint) }), { label });
    say(`${label}.`);
  }

  find("preset-apply").addEventListener("click", () => apply(...lists.map(({ list }) => Number(list.value))));
  for (const [id, shape] of [["preset-ab", 0], ["preset-ba", 1]]) {
    find(id).textContent = words.presetShort(LETTERS[shape], LETTERS[1 - shape]);
    find(id).addEventListener("click", () => apply(shape, 1 - shape));
  }

  return {
    refresh() {
      const { length: count } = letters();
      find("preset-two").hidden = count > 2;
      find("preset-more").hidden = count <= 2;
      for (const { list, usual } of lists) {
        if (list.length === count) continue;
        const before = list.length > 0 && Number(list.value) < count ? Number(list.value) : usual;
        list.replaceChildren(...letters().map((letter, index) => el("option", { value: String(index), text: letter })));
        list.value = String(before);
      }
    },
  };
}
