// On narrow screens the tools lie below the picture: while it is out of sight a small copy of it stays in the corner.

export function follow(picture) {
  const mini = document.getElementById("mini");
  const context = mini.getContext("2d");
  context.imageSmoothingQuality = "high";
  let away = false;
  const draw = () => {
    mini.hidden = !(away && picture.filled);
    if (!mini.hidden) context.drawImage(picture.canvas, 0, 0, mini.width, mini.height);
  };
  picture.addEventListener("drawn", draw);
  // Only above: who has not come to the picture yet does not miss it.
  new IntersectionObserver(([entry]) => {
    away = !entry.isIntersecting && entry.boundingClientRect.bottom < 0;
    draw();
  }).observe(picture.canvas);
}
