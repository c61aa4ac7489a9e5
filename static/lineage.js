// What a saved face was mixed of: its parents, and on demand theirs.

import { el } from "./panel_parts.js";
import { sentence } from "./strings.js";
import { lineage as words } from "./strings_gallery.js";

const SVG = "http://www.w3.org/2000/svg";
const ID = /^[A-Za-z0-9_-]{16}$/;

// A head of nobody in particular, where there is no picture to show.
export function nobody() {
  const made = document.createElementNS(SVG, "svg");
  for (const [name, value] of Object.entries({ viewBox: "0 0 48 48", class: "nobody", "aria-hidden": "true" })) {
    made.setAttribute(name, value);
  }
  const head = document.createElementNS(SVG, "circle");
  for (const [name, value] of Object.entries({ cx: 24, cy: 18, r: 8 })) head.setAttribute(name, String(value));
  const shoulders = document.createElementNS(SVG, "path");
  shoulders.setAttribute("d", "M8 42c1-10 8-14 16-14s15 4 16 14");
  made.append(head, shoulders);
  return made;
}

// A picture that becomes nobody's when it cannot be fetched; `onGone` hears of it.
export function portrait(src, { alt = "", onGone = () => {}, ...attributes } = {}) {
  const image = el("img", { src, alt, loading: "lazy", decoding: "async", ...attributes });
  image.addEventListener("error", () => {
    image.replaceWith(nobody());
    onGone();
  }, { once: true });
  return image;
}

// saved: what GET /api/v1/recipes/{id} answers. A list of its parents; those that are saved recipes themselves link to
// their page and unfold what they were mixed of, fetched when somebody looks.
export function parentList(saved, api) {
  return el("ul", { class: "lineage" }, ...saved.parents.map((parent) => item(parent, saved, api)));
}

function item(parent, saved, api) {
  const share = el("span", { class: "note", text: words.share(parent.weight) });
  const line = (picture, title) => [picture, el("span", { class: "lineage-title" }, title, " ", share)];
  if (parent.kind === "sample") {
    const number = parent.sample + 1;
    // Another model draws somebody else under the same number.
    const picture = saved.available ? portrait(api.sampleUrl(parent.sample, saved.recipe.seed)) : nobody();
    return el("li", {}, el("span", {}, ...line(picture, saved.available ? words.sample(number) : words.oldSample(number))));
  }
  if (!ID.test(parent.origin ?? "")) return el("li", {}, el("span", {}, ...line(nobody(), words.photo)));
  return descendant(parent.origin, line, api);
}

function descendant(id, line, api) {
  const title = document.createTextNode(words.saved);
  const link = el("a", { href: `${api.base}/r/${id}` });
  const made = el("li", {}, link);
  const further = el("details", { class: "further" }, el("summary", { text: words.further }));
  const gone = () => {
    title.textContent = words.gone;
    link.removeAttribute("href");
    further.remove();
  };
  link.append(...line(portrait(`${api.base}/api/v1/recipes/${id}/picture`, { onGone: gone }), title));
  further.addEventListener("toggle", () => unfold(further, id, api));
  made.append(further);
  return made;
}

async function unfold(further, id, api) {
  if (!further.open || further.dataset.state === "busy" || further.dataset.state === "done") return;
  further.dataset.state = "busy";
  const waiting = el("p", { class: "small", text: words.loading });
  further.replaceChildren(further.firstElementChild, waiting);
  try {
    waiting.replaceWith(parentList(await api.get(`/api/v1/recipes/${id}`), api));
    further.dataset.state = "done";
  } catch (problem) {
    waiting.textContent = [problem.title, problem.hint].map(sentence).filter(Boolean).join(" ");
    further.dataset.state = "";
  }
}
