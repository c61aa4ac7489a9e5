// What the page's address asks for: `?recipe=ID` opens a saved recipe, `?parent=ID` takes the result of one as a face,
// `?picture=ID` its picture as a photo, which any model can read.

import { dataUrl, Problem } from "./api.js";
import { EMPTY, LETTERS, makeParent, NO_EDITS, withParent, withWeights } from "./state.js";
import { problems, steps, text } from "./strings.js";

const WELL_FORMED = /^[A-Za-z0-9_-]{1,64}$/;

export const pictureOf = (api, id) => `${api.base}/api/v1/recipes/${id}/picture`;

// tell(problem): says why nothing was opened. take(files): takes photos.
export async function openFromAddress({ api, store, say, tell, take }) {
  const asked = new URLSearchParams(location.search);
  const recipe = asked.get("recipe");
  const picture = asked.get("picture");
  const saved = asked.getAll("parent").filter((id) => WELL_FORMED.test(id)).slice(0, store.most);
  try {
    if (recipe !== null) await open(recipe, { api, store, say });
    else if (saved.length > 0) await adopt(saved, { api, store, say });
    else if (picture !== null) take([await fetched(picture, { api, say })]);
  } catch (error) {
    tell(error);
    if (error.saved) offer(error.saved, { api, store, say, tell, take });
  }
}

// What can be done with a saved recipe of another model: look at its page, or take its picture.
function offer(id, { api, store, say, tell, take }) {
  const line = document.getElementById("offer");
  const [page, use] = line.children;
  const hide = () => { line.hidden = true; };
  page.href = `${api.base}/r/${id}`;
  use.addEventListener("click", async () => {
    document.getElementById("file-a").focus();
    hide();
    try {
      take([await fetched(id, { api, say })]);
    } catch (error) {
      tell(error);
    }
  });
  store.addEventListener("change", hide);
  line.hidden = false;
}

// What is kept of a recipe, if the present model can mix it.
async function mixable(id, api) {
  const found = await api.get(`/api/v1/recipes/${id}`);
  if (found.available === false) {
    throw Object.assign(new Problem(problems.modelGone(found.recipe.model.name)), { saved: id });
  }
  return found;
}

async function adopt(ids, { api, store, say }) {
  say(text.opening);
  await Promise.all(ids.map((id) => mixable(id, api)));
  const parents = ids.map((id) => makeParent({ kind: "saved", saved: id, name: text.saved, thumb: pictureOf(api, id) }));
  store.update((state) => parents.reduce((next, parent) => withParent(next, parent), state), { label: steps.added(LETTERS[0]) });
}

async function fetched(id, { api, say }) {
  if (!WELL_FORMED.test(id)) throw new Problem(problems.noRecipe);
  say(text.openingPicture);
  const blob = await api.send(`/api/v1/recipes/${id}/picture`, { accept: "image/png" });
  return new File([blob], text.savedPicture, { type: blob.type });
}

async function open(id, { api, store, say }) {
  if (!WELL_FORMED.test(id)) throw new Problem(problems.noRecipe);
  say(text.opening);
  const { recipe } = await mixable(id, api);
  if (recipe.parents.length > store.most) throw new Problem(problems.tooMany(recipe.parents.length, store.most));
  const parents = await Promise.all(recipe.parents.map((parent, index) => parentOf(parent, LETTERS[index], recipe, api)));
  // What came from photographs is not in it; photographs that take a face's place bring theirs.
  const { detail, keep, placement } = NO_EDITS;
  const told = Object.fromEntries(Object.keys(NO_EDITS).map((name) => [name, recipe[name] ?? NO_EDITS[name]]));
  const edits = { ...told, detail, keep, placement };
  const weights = recipe.parents.map(({ weight }) => weight);
  store.update(() => withWeights({ ...EMPTY, parents, edits }, weights), { label: steps.opened });
  say(text.opened);
}

async function parentOf(parent, letter, { model, seed }, api) {
  if (parent.kind === "sample") {
    const thumb = api.sampleUrl(parent.number, seed);
    return makeParent({ kind: "sample", sample: parent.number, name: text.sample(parent.number + 1), thumb });
  }
  const latent = { model, z: parent.z, origin: parent.origin };
  const body = { parents: [{ latent }], image_format: "image/webp" };
  const { image } = await api.json("/api/v1/mix", body);
  return makeParent({ kind: "latent", latent, name: text.replayed(letter), thumb: dataUrl(image) });
}
