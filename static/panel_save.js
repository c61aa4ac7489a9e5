// Save: the picture as a file or in the clipboard, the recipe, the lines that make it again, and a link.

import { cliLine, curlLine, fileName, isShort, photosOf, pythonSnippet } from "./code_lines.js";
import { carries, inRecipe, plainEdits } from "./carrying.js";
import { copies, el, saveBlob, Trouble, Work } from "./panel_parts.js";
import { initLink } from "./panel_link.js";
import { initOnto } from "./panel_onto.js";
import { sameFaces } from "./state.js";
import { save as words } from "./strings_panels.js";

const LINES = { curl: curlLine, python: pythonSnippet, cli: cliLine };

export function init({ root, store, mixing, api, say }) {
  const find = (id) => root.querySelector(`#${id}`);
  const work = new Work({ say, trouble: new Trouble(find("save-message")) });
  const fromRecipe = find("code-portable");
  let recipe = null; // of the present result, null while it is not known
  let portableWanted = false; // lines for recipe.json also where the photos would do

  // --- files ---

  for (const one of root.querySelectorAll("[data-format]")) {
    one.addEventListener("click", () => work.run(one, words.drawing, async (options) => {
      const { state } = store;
      const blob = await mixing.ask("/api/v1/mix", { state, placed: true, accept: `image/${one.dataset.format}`, ...options });
      const file = fileName(state, store.letters, one.dataset.extension);
      saveBlob(blob, file);
      return words.saved(file);
    }));
  }

  find("copy-picture").addEventListener("click", ({ currentTarget }) => {
    if (!navigator.clipboard?.write || typeof ClipboardItem === "undefined") {
      say(words.cannotCopy);
      return;
    }
    work.run(currentTarget, words.copying, async (options) => {
      const drawn = mixing.ask("/api/v1/mix", { placed: true, accept: "image/png", ...options });
      drawn.catch(() => {}); // it is awaited below; until then nobody listens
      try {
        // The promise goes in as it is: Safari allows no waiting between the click and this call.
        await navigator.clipboard.write([new ClipboardItem({ "image/png": drawn })]);
      } catch {
        await drawn; // why there is no picture, if there is none
        return words.cannotCopy;
      }
      return words.copiedPicture;
    });
  });

  const toFile = find("save-recipe");
  toFile.addEventListener("click", () => work.run(toFile, words.writing, async (options) => {
    // Detail, and a photograph that the face is put onto, would be missing where it is drawn again.
    const placed = store.state.edits.placement?.onto === "plain";
    const { recipe: portable } = await mixing.ask("/api/v1/mix", { extra: { portable: true }, sharp: false, placed, ...options });
    saveBlob(new Blob([`${JSON.stringify(portable, null, 2)}\n`], { type: "application/json" }), "recipe.json");
    return words.saved("recipe.json");
  }));

  // --- the lines ---

  // The recipe of the last result, with what may have changed since: the faces are the same.
  function recipeOf(state) {
    const { recipe: last } = mixing;
    if (last === null || last.parents.length !== state.parents.length) return null;
    const parents = last.parents.map((parent, index) => ({ ...parent, weight: state.parents[index].weight }));
    return { ...last, ...plainEdits(state.edits), ...inRecipe(state), parents };
  }

  function writeLines() {
    const given = recipe === null ? null : {
      recipe,
      photos: photosOf(recipe, store.state.parents.map(({ name }) => name)),
      url: location.origin + api.base,
    };
    const short = given !== null && isShort(recipe);
    const portable = given !== null && (!short || portableWanted);
    fromRecipe.disabled = !short;
    fromRecipe.checked = portable || portableWanted;
    for (const [kind, line] of Object.entries(LINES)) {
      find(`code-${kind}`).replaceChildren(...(given === null ? [] : unbroken(line({ ...given, portable }))));
    }
    find("code-lines").hidden = given === null;
    find("code-text").textContent = explained(given, portable);
  }

  function explained(given, portable) {
    if (mixing.held) return words.held;
    if (given === null) return mixing.ready ? words.preparing : words.needFaces;
    if (portable) return words.needsRecipe(carries(store.state));
    return given.photos.length > 0 ? words.withPhotos(given.photos.map(({ file }) => file)) : "";
  }

  for (const one of root.querySelectorAll("[data-copy]")) {
    const { copy: kind } = one.dataset;
    copies(one, find(`code-${kind}`), words.line[kind], say);
  }
  fromRecipe.addEventListener("change", () => {
    portableWanted = fromRecipe.checked;
    writeLines();
  });

  // --- all of it ---

  // Of what a person looks at first there is nothing to save; what it was before is another result.
  function refresh() {
    if (mixing.held) recipe = null;
    find("save-controls").disabled = !mixing.ready || mixing.held;
    find("save-held").hidden = !mixing.held;
    writeLines();
  }

  initOnto({ root, store });
  initLink({ root, store, mixing, say });
  store.addEventListener("change", ({ detail: { state, before } }) => {
    recipe = mixing.ready && sameFaces(state, before) && recipe !== null ? recipeOf(state) : null;
    refresh();
  });
  mixing.addEventListener("problem", refresh);
  store.addEventListener("result", () => {
    recipe = recipeOf(store.state);
    writeLines();
  });
  refresh();
}

// The text of a line in parts: an option is not broken at its dashes.
function unbroken(text) {
  return text.split(/( )/).map((word) => (/^--?[a-z]/.test(word) ? el("span", { class: "option", text: word }) : word));
}
