// The lines that make a result again outside the page. Pure text: nothing here asks the server or reads the page.
//
// A recipe is the object that POST /api/v1/mix answers. A photo is { sha256, file }, file being a name that a person has
// in a folder: it may hold blanks, quotes, dollar signs, or begin with a dash.

import { placementOf } from "./carrying.js";
import { weightsOf } from "./state.js";

const PORTABLE = "recipe.json";

// One word for a POSIX shell, whatever is in it.
export function quoted(text) {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

// A path that no program takes for an option, for the standard input or for a sample face.
const path = (file) => (/^([-@<]|sample:)/.test(file) ? `./${file}` : file);

// The file to write; never one of the photos.
const outputBeside = (photos) => (photos.some(({ file }) => file === "mix.png") ? "mix-result.png" : "mix.png");

// A file in curl's -F: there `;` and `,` mean something outside of quotes, as do backslashes and quotes inside.
function part(name, file) {
  const safe = /[;,"\\]/.test(file) ? `"${file.replace(/[\\"]/g, "\\$&")}"` : file;
  return `-F ${quoted(`${name}=@${safe}`)}`;
}

// The photos of a recipe, each once, in the order of its parents. names: the file of each parent, by its place.
export function photosOf(recipe, names) {
  const photos = new Map();
  recipe.parents.forEach(({ kind, sha256 }, index) => {
    if (kind === "photo" && !photos.has(sha256)) photos.set(sha256, names[index]);
  });
  const taken = new Set();
  return [...photos].map(([sha256, name]) => {
    // Two photos of one name, of different folders: nobody has them in one under it.
    let file = name;
    for (let number = 2; taken.has(file); number += 1) file = `${number}-${name}`;
    taken.add(file);
    return { sha256, file };
  });
}

// What a reader of a recipe fills in by itself; without it the lines are short enough to be read.
const USUAL = {
  interpolation: "lerp", vividness: 0, attributes: {}, regions: {}, colour: null, variation: null, seed: 0,
  detail: 0, keep: {}, size: null, placement: null,
};

function concise(recipe) {
  const told = Object.entries(recipe).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(USUAL[name]));
  const given = (parent) => Object.entries(parent).filter(([, value]) => value !== null);
  const parents = recipe.parents.map((parent) => Object.fromEntries(given(parent)));
  return { ...Object.fromEntries(told), parents };
}

// Whether a recipe names all that it is made of without holding latents, which are too long for a line.
export const isShort = (recipe) => recipe.parents.every(({ kind }) => kind !== "latent");

// url: the server's address with its path, without a slash at its end. portable: for recipe.json instead of the recipe
// itself and its photos.
export function curlLine({ recipe, photos, url, portable }) {
  const text = JSON.stringify(concise(recipe));
  const given = portable
    ? [`-F ${quoted(`recipe=<${PORTABLE}`)}`]
    // In -F a semicolon would end the value.
    : [`${text.includes(";") ? "--form-string" : "-F"} ${quoted(`recipe=${text}`)}`,
      ...photos.map(({ file }, index) => part(`photo_${index}`, path(file)))];
  const asked = ["curl -sS --fail-with-body", quoted(`${url}/api/v1/mix`), "-H 'Accept: image/png'"];
  return [...asked, ...given, `-o ${outputBeside(photos)}`].join(" ");
}

// Weights with four decimals at most where, scaled to sum to 1 as the command does, they are the same.
function short(weights) {
  const scaled = (numbers) => {
    const total = numbers.reduce((sum, number) => sum + number, 0);
    return numbers.map((number) => number / total);
  };
  const rounded = weights.map((weight) => Number(weight.toFixed(4)));
  const [exact, near] = [weights, rounded].map(scaled);
  return exact.every((weight, index) => Math.abs(weight - near[index]) < 1e-9) ? rounded : weights;
}

export function cliLine({ recipe, photos, portable }) {
  const line = portable ? `facemix replay ${PORTABLE}` : mixLine(recipe, photos);
  return `${line} -o ${outputBeside(photos)}`;
}

function mixLine(recipe, photos) {
  const { parents } = recipe;
  const file = new Map(photos.map((photo) => [photo.sha256, path(photo.file)]));
  const named = (parent) => (parent.kind === "sample" ? `sample:${parent.number}` : file.get(parent.sha256));
  const words = parents.map((parent) => quoted(named(parent)));
  const list = (numbers) => numbers.map(String).join(",");
  words.push("--weights", list(short(parents.map(({ weight }) => weight))));
  for (const [name, value] of Object.entries(recipe.attributes)) words.push("--set", quoted(`${name}=${value}`));
  for (const [name, weights] of Object.entries(recipe.regions)) words.push("--region", quoted(`${name}=${list(short(weights))}`));
  if (recipe.colour !== null) words.push("--colour", list(short(recipe.colour)));
  if (recipe.vividness !== 0) words.push("--vividness", String(recipe.vividness));
  if (recipe.interpolation !== "lerp") words.push("--interpolation", recipe.interpolation);
  if (recipe.variation !== null) words.push("--variation", `${recipe.variation.number}:${recipe.variation.radius}`);
  words.push(...carriedWords(recipe));
  if (recipe.seed !== 0) words.push("--seed", String(recipe.seed));
  if (parents.some(({ face }) => face)) words.push("--faces", list(parents.map(({ face }) => face ?? 0)));
  parents.forEach(({ placed }, index) => {
    if (placed) words.push("--placed", `${index}:${list([placed.left_eye, placed.right_eye, placed.mouth].flat())}`);
  });
  return ["facemix mix", ...words].join(" ");
}

// Without the option, the command takes all detail where every face is a photograph, and none otherwise.
function carriedWords({ parents, detail = 0, keep = {}, size = null, placement = null }) {
  const words = [];
  const letter = (index) => String.fromCharCode(97 + index);
  if (detail !== Number(parents.every(({ kind }) => kind === "photo"))) words.push("--detail", String(detail));
  for (const [trait, whose] of Object.entries(keep)) words.push("--keep", `${trait}=${whose === "mixed" ? whose : letter(whose)}`);
  if (size !== null) words.push("--size", String(size));
  if (placement !== null) {
    const { onto, colour, parent } = placement;
    words.push("--onto", quoted(onto === "plain" ? `plain:${colour}` : `${onto}:${letter(parent)}`));
  }
  return words;
}

export function pythonSnippet({ recipe, photos, url, portable }) {
  const lines = ["from facemix.client import Client", "", `client = Client(${literal(url)})`];
  if (portable) {
    lines.unshift("import json", "from pathlib import Path", "");
    lines.push(`recipe = json.loads(Path(${literal(PORTABLE)}).read_text())`, "result = client.replay(recipe)");
  } else {
    const files = photos.length > 0 ? `, photos=${literal(photos.map(({ file }) => file))}` : "";
    lines.push(`recipe = ${literal(concise(recipe))}`, `result = client.replay(recipe${files})`);
  }
  return [...lines, `result.save(${literal(outputBeside(photos))})`].join("\n");
}

// A JSON value as Python writes it. A string's JSON is Python's, too.
function literal(value) {
  if (value === null) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (typeof value !== "object") return JSON.stringify(value);
  return `{${Object.entries(value).map(([key, inner]) => `${JSON.stringify(key)}: ${literal(inner)}`).join(", ")}}`;
}

// A name for the file of a result: the shares of its faces, of two only the second one's, and what it is put onto.
//
// letters: what the faces are called; extension without a dot. No name of a photograph is in it.
export function fileName(state, letters, extension) {
  const shares = weightsOf(state).map((weight) => Math.round(weight * 100));
  const placement = placementOf(state);
  const ground = placement && (placement.onto === "plain" ? ["plain"] : [letters[placement.parent].toLowerCase()]);
  const onto = placement ? ["onto", ...ground, ...(placement.onto === "blurred" ? ["blurred"] : [])] : [];
  return `${["facemix", ...(shares.length === 2 ? [shares[1]] : shares), ...onto].join("-")}.${extension}`;
}
