// The two sheets that are drawn from the present state: its variations, and a grid of mixes of its faces. A cell that
// is taken brings back the state that the sheet was drawn from, with the weights and the variation of the cell.

import { blobOf } from "./api.js";
import { carries } from "./carrying.js";
import { begunAnew, dial, saveBlob, Trouble, Work } from "./panel_parts.js";
import { Sheet } from "./panel_sheet.js";
import { LETTERS, withEdits, withWeights } from "./state.js";
import { explore, percentOf } from "./strings_panels.js";

const PATH = "/api/v1/grids";
const CELL_SIZE = 256; // of what is shown, in pixels; saved sheets are as large as they get
const lettersOf = (state) => [...LETTERS].slice(0, state.parents.length);

// What both have in common. extra(): what is asked for beside the mix itself; cellWords(cell, state): what a cell is;
// takeStep: what taking one is called; headed: whether rows and columns have heads.
class Drawn {
  #state = null; // that the sheet was drawn from
  #extra = null;

  constructor({ root, store, mixing, say, label, extra, cellWords, takeStep, file, ids, headed = false }) {
    const find = (id) => root.querySelector(`#${id}`);
    Object.assign(this, { store, mixing, say, extra, cellWords, takeStep, file, headed });
    this.work = new Work({ say, trouble: new Trouble(find(ids.message)) });
    this.draw = find(ids.draw);
    this.save = find(ids.save);
    this.sheet = new Sheet({
      root: find(ids.sheet), label, words: (cell) => cellWords(cell, this.#state), take: (cell) => this.#take(cell),
    });
    this.draw.addEventListener("click", () => this.#draw());
    this.save.addEventListener("click", () => this.#save());
    store.addEventListener("change", () => { if (begunAnew(store)) this.#forget(); });
  }

  #draw() {
    return this.work.run(this.draw, explore.drawing, async (options) => {
      const { state } = this.store;
      const extra = this.extra(state);
      const shown = carries(state) ? { ...extra, size: CELL_SIZE } : extra;
      const answer = await this.mixing.ask(PATH, { state, extra: shown, ...options });
      const picture = await createImageBitmap(blobOf(answer.sheet));
      this.#state = state;
      this.#extra = extra;
      const heads = this.headed ? headsOf(answer) : null;
      this.sheet.show({ frames: answer.sheet, cells: answer.cells, picture, heads });
      picture.close();
      this.save.hidden = false;
      return explore.drawn(answer.cells.length);
    });
  }

  #forget() {
    this.work.cancel();
    this.sheet.clear();
    this.save.hidden = true;
    this.#state = null;
  }

  // The same request, whose answer is one labelled picture.
  #save() {
    return this.work.run(this.save, explore.drawing, async (options) => {
      const request = { state: this.#state, extra: this.#extra, accept: "image/png" };
      const blob = await this.mixing.ask(PATH, { ...request, ...options });
      saveBlob(blob, this.file);
      return explore.saved(this.file);
    });
  }

  #take(cell) {
    const state = withEdits(withWeights(this.#state, cell.weights), { variation: cell.recipe.variation });
    this.store.update(() => state, { label: this.takeStep });
    this.say(explore.taken(this.cellWords(cell, this.#state)));
  }
}

const headsOf = ({ row_labels: rows, column_labels: columns }) => ({ rows, columns });

export function initVariations({ root, store, mixing, say }) {
  const find = (id) => root.querySelector(`#${id}`);
  let radius = 0.3;
  let first = 0; // of the numbers on the next sheet
  const slider = dial({
    title: explore.radius, min: 0.05, max: 1, step: 0.05,
    onInput: (value) => {
      radius = value;
      first = 0; // the same neighbours, nearer or further
      slider.show(radius, percentOf(radius));
    },
  });
  slider.show(radius, percentOf(radius));
  find("radius").append(slider.row);
  const drawn = new Drawn({
    root, store, mixing, say,
    label: explore.sheet.variations, takeStep: explore.variation, file: "facemix-variations.png",
    ids: { draw: "variations-draw", save: "variations-save", sheet: "variations-sheet", message: "variations-message" },
    extra: () => {
      const extra = { kind: "variations", rows: 3, columns: 3, radius, first, variation: null };
      first += 9;
      return extra;
    },
    cellWords: ({ recipe: { variation } }) => explore.variationOf(variation.number, variation.radius),
  });

  const remove = find("variation-remove");
  remove.addEventListener("click", () => {
    store.update((state) => withEdits(state, { variation: null }), { label: explore.variationOff });
    say(`${explore.variationOff}.`);
    drawn.draw.focus();
  });
  function refresh() {
    const { variation } = store.state.edits;
    find("variations").disabled = !mixing.editable;
    find("variations-text").textContent = mixing.editable ? "" : explore.needs.variations;
    find("variation-now").hidden = variation === null;
    if (variation === null) return;
    find("variation-name").textContent = explore.variationOf(variation.number, variation.radius);
  }
  store.addEventListener("change", refresh);
  refresh();
}

export function initGrid({ root, store, mixing, say }) {
  const find = (id) => root.querySelector(`#${id}`);
  const kinds = [...root.querySelectorAll("[name=grid-kind]")];
  const size = find("grid-size");
  const kind = () => kinds.find(({ checked }) => checked).value;
  const enough = { weights: (count) => count >= 2, pairs: (count) => count >= 3, corners: (count) => count === 4 };
  const drawn = new Drawn({
    root, store, mixing, say, label: explore.sheet.grid, takeStep: explore.gridStep, file: "facemix-grid.png",
    ids: { draw: "grid-draw", save: "grid-save", sheet: "grid-sheet", message: "grid-message" },
    extra: () => {
      const steps = Number(size.value);
      const sides = { weights: { columns: steps }, pairs: {}, corners: { rows: steps, columns: steps } };
      return { kind: kind(), ...sides[kind()] };
    },
    cellWords: ({ weights }, state) => explore.cell(lettersOf(state), weights), headed: true,
  });

  function refresh() {
    const usable = enough[kind()](store.state.parents.length);
    drawn.draw.disabled = !usable;
    find("grid-text").textContent = usable ? "" : explore.needs[kind()];
    find("grid-size-row").hidden = kind() === "pairs";
  }
  for (const one of kinds) one.addEventListener("change", refresh);
  store.addEventListener("change", refresh);
  refresh();
}
