// What the model can do, asked for once for all panels.

let attributes = null;

// What GET /api/v1/attributes answers. A failure is not remembered.
export function attributesOf(api) {
  attributes ??= api.get("/api/v1/attributes").catch((error) => {
    attributes = null;
    throw error;
  });
  return attributes;
}
