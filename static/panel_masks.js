// The masks of the regions as pictures: the small face that they make together, and one of them painted over the mix.

import { blobOf } from "./api.js";

// How dark each region of the small face is while it follows the whole, so that it looks like a face.
const SHADES = { frame: 0.04, skin: 0.1, nose: 0.2, hair: 0.34, mouth: 0.4, eyes: 0.46 };
const BRUSH_SIZE = 256;
const MOST_SIZE = 128; // they are soft: more would only take longer
const LABEL_INSIDE = 0.05; // a label stands in the middle of its region if so much of that is its own
const BLOCK = 6; // parts of the side that a label takes

// Regions as GET /api/v1/regions answers. Adds `size`, `alpha` (its share of each pixel, 0..255) and `at`, the place of
// its label in parts of the side.
export async function decoded(regions) {
  const found = await Promise.all(regions.map(unpacked));
  const places = found.map(({ alpha, size }) => middle(alpha, size));
  found.forEach(({ alpha, size }, index) => { places[index] ??= apart(alpha, size, places.filter(Boolean)); });
  return found.map((one, index) => ({ ...one, at: places[index] }));
}

async function unpacked({ name, title, mask }) {
  const bitmap = await createImageBitmap(blobOf(mask));
  const size = Math.min(bitmap.width, MOST_SIZE);
  const context = canvasOf(size).getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, size, size);
  bitmap.close();
  const { data } = context.getImageData(0, 0, size, size);
  const alpha = Uint8ClampedArray.from({ length: size * size }, (_, pixel) => data[4 * pixel + 3]);
  return { name, title, size, alpha };
}

function canvasOf(size) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = size;
  return canvas;
}

// The middle of a region, or null where that is another's.
function middle(alpha, size) {
  let [total, across, down] = [0, 0, 0];
  for (let pixel = 0; pixel < alpha.length; pixel += 1) {
    total += alpha[pixel];
    across += alpha[pixel] * (pixel % size);
    down += alpha[pixel] * Math.floor(pixel / size);
  }
  const [x, y] = [Math.round(across / total), Math.round(down / total)];
  return alpha[y * size + x] > 255 * LABEL_INSIDE ? [(x + 0.5) / size, (y + 0.5) / size] : null;
}

// The middle of a block that is all the region's own, as far as can be from other labels.
function apart(alpha, size, others) {
  const side = Math.round(size / BLOCK);
  const blocks = [];
  for (let top = 0; top + side <= size; top += 4) {
    for (let left = 0; left + side <= size; left += 4) {
      let own = 0;
      for (let row = top; row < top + side; row += 2) {
        for (let column = left; column < left + side; column += 2) own += alpha[row * size + column];
      }
      blocks.push({ own, at: [(left + side / 2) / size, (top + side / 2) / size] });
    }
  }
  const most = Math.max(...blocks.map(({ own }) => own));
  const room = ({ at: [x, y] }) => Math.min(...others.map(([otherX, otherY]) => Math.hypot(x - otherX, y - otherY)));
  return blocks.filter(({ own }) => own >= 0.9 * most).reduce((best, one) => (room(one) > room(best) ? one : best)).at;
}

// A colour of the stylesheet as [r, g, b], in the theme that is shown.
export function colourOf(name) {
  const probe = document.createElement("span");
  probe.hidden = true;
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  const context = canvasOf(1).getContext("2d", { willReadFrequently: true });
  context.fillStyle = color;
  context.fillRect(0, 0, 1, 1);
  return [...context.getImageData(0, 0, 1, 1).data.slice(0, 3)];
}

const between = (first, second, t) => first.map((value, index) => value + (second[index] - value) * t);

// Whose colour something of these weights has.
export function colourOfWeights(letters, weights) {
  return letters.map((letter, index) => colourOf(letter.toLowerCase()).map((value) => value * weights[index]))
    .reduce((total, part) => total.map((value, index) => value + part[index]));
}

// The small face. colours: by name, of the regions with weights of their own; chosen: the name of the one outlined.
export function drawFace(canvas, found, { colours, chosen }) {
  const size = found[0].size;
  if (canvas.width !== size) canvas.width = canvas.height = size;
  const [sheet, ink] = [colourOf("sheet"), colourOf("ink")];
  const painted = found.map(({ name, alpha }) => ({
    alpha, outline: name === chosen, colour: colours[name] ?? between(sheet, ink, SHADES[name] ?? 0.2),
  }));
  const context = canvas.getContext("2d");
  const image = context.createImageData(size, size);
  for (let pixel = 0; pixel < size * size; pixel += 1) {
    let [red, green, blue, edge] = [0, 0, 0, 0];
    for (const { alpha, colour, outline } of painted) {
      const share = alpha[pixel] / 255;
      red += share * colour[0];
      green += share * colour[1];
      blue += share * colour[2];
      if (outline) edge = Math.max(0, 1 - Math.abs(share - 0.5) / 0.2);
    }
    image.data.set([...between([red, green, blue], ink, edge), 255], 4 * pixel);
  }
  context.putImageData(image, 0, 0);
}

// One mask as a wash of colour with brush strokes in it, so that it is told from the face by more than its colour.
export function drawBrush(canvas, { alpha, size }, colour) {
  canvas.width = canvas.height = BRUSH_SIZE;
  const small = canvasOf(size);
  const image = small.getContext("2d").createImageData(size, size);
  for (let pixel = 0; pixel < size * size; pixel += 1) image.data.set([...colour, alpha[pixel]], 4 * pixel);
  small.getContext("2d").putImageData(image, 0, 0);
  const context = canvas.getContext("2d");
  context.globalAlpha = 0.35;
  context.fillStyle = `rgb(${colour.join(" ")})`;
  context.fillRect(0, 0, BRUSH_SIZE, BRUSH_SIZE);
  context.globalAlpha = 0.45;
  context.strokeStyle = "#fff";
  context.lineWidth = 2;
  context.beginPath();
  for (let start = -BRUSH_SIZE; start < BRUSH_SIZE; start += 11) {
    context.moveTo(start, BRUSH_SIZE);
    context.lineTo(start + BRUSH_SIZE, 0);
  }
  context.stroke();
  context.globalAlpha = 1;
  context.globalCompositeOperation = "destination-in";
  context.imageSmoothingQuality = "high";
  context.drawImage(small, 0, 0, BRUSH_SIZE, BRUSH_SIZE);
  context.globalCompositeOperation = "source-over";
}
