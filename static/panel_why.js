// Why this face: who drew what, what each change moved, the nearest training faces, and what it was made under.

import { dataUrl } from "./api.js";
import { attributesOf } from "./panel_catalogue.js";
import { el, letterOf, saveBlob, Trouble, Work } from "./panel_parts.js";
import { percentOf, why as words } from "./strings_panels.js";

const REGIONS = ["eyes", "nose", "mouth", "skin", "hair", "frame"];

export function init({ root, store, mixing, api, say }) {
  const find = (id) => root.querySelector(`#${id}`);
  const work = new Work({ say, trouble: new Trouble(find("why-message")) });
  const begin = find("why-explain");
  let found = null; // the answer about the present state

  // --- what is shown ---

  const map = (picture, alt, ...caption) => el("figure", { class: "why-map" },
    el("img", { src: dataUrl(picture), alt, width: String(picture.width), height: String(picture.height) }),
    el("figcaption", {}, ...caption));

  const cells = (name, texts) => el("tr", {}, el("th", { scope: "row" }, name), ...texts.map((text) => el("td", { text })));

  function fill(table, heads, rows) {
    table.querySelectorAll("thead, tbody").forEach((part) => part.remove());
    const head = heads.map((text) => (text ? el("th", { scope: "col", text }) : el("td")));
    table.append(el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...rows));
  }

  // With the letters of the page: the server does not know where the only face stands.
  const named = (answer) => ({ ...answer, parents: answer.parents.map((one, index) => ({ ...one, name: store.letters[index] })) });

  function showParents({ parents }) {
    find("why-parents").replaceChildren(...parents.map((one) => map(one.picture, words.mapOf(one), letterOf(one.name), words.drew(one))));
    fill(find("why-regions"), ["", ...parents.map(({ name }) => name)], REGIONS.map((region) =>
      cells(words.regions[region], parents.map(({ regions }) => percentOf(regions[region])))));
  }

  function showEdits({ edits, edits_left_out: left }, titles) {
    find("why-edits-part").hidden = edits.length === 0;
    find("why-edits").replaceChildren(...edits.map((one) => {
      const title = titles[one.name] ?? words.variation;
      return map(one.picture, words.editMap(title, one), words.moved(title, one));
    }));
    find("why-edits-text").textContent = words.editsText(left.map((name) => titles[name] ?? words.variation));
  }

  function showNear({ closeness }) {
    const said = find("why-words");
    said.textContent = closeness === null ? words.noIndex : closeness.words;
    said.className = closeness?.alarm ? "notice notice-bad" : "";
    find("why-near-table").hidden = closeness === null;
    find("why-near-text").textContent = closeness === null ? "" : words.nearText(closeness);
    if (closeness === null) return;
    find("why-near-caption").textContent = words.nearCaption(closeness.faces);
    fill(find("why-near"), words.nearHeads, closeness.neighbours.map((one, index) => {
      const name = one.picture === null ? String(index + 1)
        : el("img", { class: "why-neighbour", src: dataUrl(one.picture), alt: words.neighbour(index + 1), width: "64", height: "64" });
      const row = cells(name, [words.degrees(one.distance), words.nearer(one.percentile)]);
      row.append(el("td", {}, el("code", { text: one.hash })));
      return row;
    }));
  }

  function showRecord({ record }) {
    find("why-record").replaceChildren(...words.record(record).map(([name, value]) =>
      el("div", {}, el("dt", { text: name }), el("dd", { text: value }))));
  }

  // --- asking ---

  begin.addEventListener("click", () => work.run(begin, words.explaining, async (options) => {
    const { state } = store;
    const extra = { image_format: "image/webp" };
    const answer = await mixing.ask("/api/v1/explain", { state, extra, sharp: false, ...options });
    const known = await attributesOf(api).then(({ attributes }) => attributes, () => []);
    if (store.state !== state) return words.changed;
    found = answer;
    showParents(named(found));
    showEdits(found, Object.fromEntries(known.map(({ name, title }) => [name, title])));
    showNear(found);
    showRecord(found);
    refresh();
    return words.explained(named(found));
  }));

  // The pictures of the answer can be had again; what is kept as a file is what was said.
  find("why-save").addEventListener("click", () => {
    const told = JSON.stringify(found, (key, value) => (key === "picture" ? undefined : value), 2);
    saveBlob(new Blob([`${told}\n`], { type: "application/json" }), words.file);
    say(words.saved);
  });

  function refresh() {
    begin.disabled = !mixing.editable;
    find("why-text").textContent = mixing.editable ? words.about : words.needFace;
    find("why-found").hidden = found === null;
  }

  store.addEventListener("letters", () => {
    if (found !== null) showParents(named(found));
  });
  store.addEventListener("change", ({ detail: { state, before } }) => {
    if (state !== before) {
      found = null;
      work.cancel();
      for (const id of ["why-parents", "why-edits", "why-record"]) find(id).replaceChildren();
      for (const id of ["why-regions", "why-near"]) fill(find(id), [], []);
    }
    refresh();
  });
  refresh();
}
