// Which face of a group photo: the boxes are drawn on the photo itself, as buttons.

import { dataUrl } from "./api.js";
import { picking, sentence } from "./strings.js";

export class Picker {
  constructor() {
    this.dialog = document.getElementById("picking");
    this.image = document.getElementById("picking-photo");
    this.faces = document.getElementById("picking-faces");
    this.text = document.getElementById("picking-text");
  }

  // The place in `photo.faces` that was chosen, or null. `current`: the number of the face in use.
  pick(photo, current) {
    this.text.textContent = picking.text(photo.faces.length);
    this.#draw(photo, current);
    this.dialog.showModal();
    (this.faces.querySelector("[aria-current]") ?? this.faces.firstElementChild).focus();
    return new Promise((resolve) => {
      const chosen = (event) => {
        const button = event.target.closest("button");
        if (button && button.getAttribute("aria-disabled") !== "true") this.dialog.close(button.dataset.index);
      };
      this.faces.addEventListener("click", chosen);
      this.dialog.addEventListener("close", () => {
        this.faces.removeEventListener("click", chosen);
        const value = this.dialog.returnValue;
        this.dialog.returnValue = "";
        this.image.removeAttribute("src");
        this.faces.replaceChildren();
        resolve(value === "" ? null : Number(value));
      }, { once: true });
    });
  }

  #draw({ url, width, height, faces }, current) {
    const root = this.image.parentElement;
    root.classList.remove("undrawable");
    // A kind of file that the server reads and this browser does not draw: show the faces alone.
    this.image.onerror = () => root.classList.add("undrawable");
    this.image.src = url;
    this.image.width = width;
    this.image.height = height;
    this.faces.replaceChildren(...faces.map((face, place) => {
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.index = String(place);
      const { x0, y0, x1, y1 } = face.box;
      const clip = (value, most) => Math.min(Math.max(value, 0), most);
      const [left, right, top, bottom] = [clip(x0, width), clip(x1, width), clip(y0, height), clip(y1, height)];
      button.style.left = `${(left / width) * 100}%`;
      button.style.top = `${(top / height) * 100}%`;
      button.style.width = `${((right - left) / width) * 100}%`;
      button.style.height = `${((bottom - top) / height) * 100}%`;
      const says = [picking.face(place + 1, faces.length)];
      if (face.index === current) {
        says.push(picking.current);
        button.setAttribute("aria-current", "true");
      }
      if (face.refusal) {
        says.push(picking.refused(sentence(face.refusal.title)));
        button.setAttribute("aria-disabled", "true");
      }
      button.setAttribute("aria-label", says.join(", "));
      button.title = says.join(", ");
      const crop = document.createElement("img");
      crop.alt = "";
      crop.src = dataUrl(face.crop);
      const number = document.createElement("span");
      number.textContent = String(place + 1);
      button.append(crop, number);
      return button;
    }));
  }
}
