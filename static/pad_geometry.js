// Where a point lies between the corners of a convex polygon, as weights, and back.
//
// Points are [x, y]. The weights are mean value coordinates (M. S. Floater, "Mean value coordinates", Computer Aided
// Geometric Design 20, 2003): inside a convex polygon none is negative, they sum to 1, a corner has all the weight at
// itself, and the weighted mean of the corners is the point again. For a triangle they are the barycentric ones.

const TINY = 1e-9;
const minus = ([ax, ay], [bx, by]) => [ax - bx, ay - by];
const cross = ([ax, ay], [bx, by]) => ax * by - ay * bx;
const dot = ([ax, ay], [bx, by]) => ax * bx + ay * by;
const between = ([ax, ay], [bx, by], t) => [ax + (bx - ax) * t, ay + (by - ay) * t];
const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

// A regular polygon around the middle of a square; three and five or more stand on a side, four as a square.
export function corners(count, middle, radius) {
  const first = count === 4 ? -0.75 * Math.PI : -0.5 * Math.PI;
  return Array.from({ length: count }, (_, index) => {
    const angle = first + (2 * Math.PI * index) / count;
    return [middle[0] + radius * Math.cos(angle), middle[1] + radius * Math.sin(angle)];
  });
}

export function pointOf(polygon, weights) {
  return [0, 1].map((axis) => sum(polygon.map((corner, index) => corner[axis] * weights[index])));
}

// The place on a segment that is nearest to a point: { at: 0..1, point, distance }.
function nearestOn(start, end, point) {
  const along = minus(end, start);
  const length = dot(along, along);
  const at = length < TINY ? 0 : Math.min(1, Math.max(0, dot(minus(point, start), along) / length));
  const nearest = between(start, end, at);
  return { at, point: nearest, distance: Math.hypot(...minus(point, nearest)) };
}

const sides = (polygon) => polygon.map((corner, index) => [corner, polygon[(index + 1) % polygon.length]]);

// The point itself, or the nearest one of the polygon. A polygon may be one point or a segment.
export function inside(polygon, point) {
  if (polygon.length > 2 && sides(polygon).every(([a, b]) => cross(minus(b, a), minus(point, a)) >= 0)) return point;
  const near = sides(polygon).map(([a, b]) => nearestOn(a, b, point));
  return near.reduce((best, one) => (one.distance < best.distance ? one : best)).point;
}

// The weights of a point that lies in the polygon (clockwise on a screen, whose y grows downwards).
export function weightsAt(polygon, point) {
  const count = polygon.length;
  if (count === 1) return [1];
  const size = Math.max(...polygon.map((corner) => Math.hypot(...minus(corner, polygon[0]))), TINY);
  // On a side the formula divides by zero, and the answer is known.
  for (const [index, [a, b]] of sides(polygon).entries()) {
    const { at, distance } = nearestOn(a, b, point);
    if (distance < size * 1e-6 || count === 2) {
      const weights = polygon.map(() => 0);
      weights[index] += 1 - at;
      weights[(index + 1) % count] += at;
      return weights;
    }
  }
  const rays = polygon.map((corner) => minus(corner, point));
  const lengths = rays.map((ray) => Math.hypot(...ray));
  // tan(angle / 2) of the angle at the point between two neighbouring corners.
  const tangents = rays.map((ray, index) => {
    const next = (index + 1) % count;
    return (lengths[index] * lengths[next] - dot(ray, rays[next])) / cross(ray, rays[next]);
  });
  const weights = rays.map((_, index) => (tangents[(index + count - 1) % count] + tangents[index]) / lengths[index]);
  const total = sum(weights);
  return weights.map((weight) => Math.max(0, weight / total));
}

// What the handle can reach while some weights are locked: the polygon of the unlocked corners, shrunk by what the
// locked ones hold and drawn towards them. `free` lists the unlocked indices, `rest` is what they share.
export function reach(polygon, weights, locked) {
  const free = polygon.map((_, index) => index).filter((index) => !locked[index]);
  const held = pointOf(polygon, weights.map((weight, index) => (locked[index] ? weight : 0)));
  const rest = Math.max(0, 1 - sum(weights.filter((_, index) => locked[index])));
  return { free, rest, polygon: free.map((index) => polygon[index].map((value, axis) => held[axis] + rest * value)) };
}

// All weights for the place in reach that is nearest to a point.
export function weightsInReach(polygon, weights, locked, point) {
  const { free, rest, polygon: open } = reach(polygon, weights, locked);
  const next = weights.slice();
  if (free.length === 0 || rest < TINY) return next;
  const shares = weightsAt(open, inside(open, point));
  free.forEach((index, place) => { next[index] = rest * shares[place]; });
  return next;
}
