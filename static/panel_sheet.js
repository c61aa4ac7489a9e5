// A sheet of small faces to choose from. One of them is in the tab order, arrow keys move between them.

import { el } from "./panel_parts.js";

// Makes the buttons of a grid one stop of the tab key. columns(): how many stand in a row.
export function roving(root, columns) {
  const all = () => [...root.querySelectorAll("button")];
  const aim = (chosen) => { for (const one of all()) one.tabIndex = one === chosen ? 0 : -1; };
  root.addEventListener("focusin", ({ target }) => { if (target.matches("button")) aim(target); });
  root.addEventListener("keydown", (event) => {
    const buttons = all();
    const at = buttons.indexOf(event.target);
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns(), ArrowDown: columns() }[event.key];
    const next = { Home: 0, End: buttons.length - 1 }[event.key] ?? at + step;
    if (at < 0 || Number.isNaN(next)) return;
    event.preventDefault();
    buttons[next]?.focus();
  });
  return { reset: () => aim(all()[0]) };
}

export class Sheet {
  #rove;
  #columns = 1;

  // label: what it shows. words(cell): what a cell is. take(cell): it was clicked.
  constructor({ root, label, words, take }) {
    Object.assign(this, { root, words, take });
    root.setAttribute("role", "grid");
    root.setAttribute("aria-label", label);
    this.#rove = roving(root, () => this.#columns);
  }

  // frames: a FrameSheet; cells: [{ row, column }], in the order of the frames; picture: the sheet, to be drawn from.
  // heads: { rows, columns }, what stands beside the rows and above the columns, or null.
  show({ frames, cells, picture, heads = null }) {
    const rows = Math.max(...cells.map(({ row }) => row)) + 1;
    this.#columns = Math.max(...cells.map(({ column }) => column)) + 1;
    const made = Array.from({ length: rows }, (_, row) => el("div", { role: "row", class: "sheet-row" },
      ...(heads ? [el("span", { role: "rowheader", class: "sheet-head", text: heads.rows[row] })] : [])));
    cells.forEach((cell, index) => {
      const button = el("button", {
        type: "button", class: "face-cell", title: this.words(cell), "aria-label": this.words(cell),
        on: { click: () => this.#chosen(button, cell) },
      }, cutOut(picture, frames, index));
      made[cell.row].append(el("div", { role: "gridcell" }, button));
    });
    const top = heads && el("div", { role: "row", class: "sheet-row" }, el("span", { role: "presentation" }),
      ...heads.columns.map((text) => el("span", { role: "columnheader", class: "sheet-head", text })));
    this.root.replaceChildren(...(top ? [top] : []), ...made);
    this.root.style.setProperty("--columns", String(this.#columns));
    this.root.classList.toggle("headed", heads !== null);
    this.#rove.reset();
    this.root.hidden = false;
  }

  clear() {
    this.root.replaceChildren();
    this.root.hidden = true;
  }

  #chosen(button, cell) {
    for (const one of this.root.querySelectorAll("[aria-current]")) one.removeAttribute("aria-current");
    button.setAttribute("aria-current", "true");
    this.take(cell);
  }
}

function cutOut(picture, { frame_width: width, frame_height: height, columns }, index) {
  const canvas = el("canvas", { width, height, "aria-hidden": "true" });
  const [x, y] = [(index % columns) * width, Math.floor(index / columns) * height];
  canvas.getContext("2d").drawImage(picture, x, y, width, height, 0, 0, width, height);
  return canvas;
}
