// A picture from the camera, after a countdown. Nothing leaves the device before it is taken.

import { camera } from "./strings.js";

const SECONDS = 3;

export class Camera {
  #stream = null;
  #timer = 0;

  // onPicture(file): a picture was taken.
  constructor(onPicture) {
    const find = (id) => document.getElementById(id);
    this.dialog = find("camera");
    this.video = find("camera-video");
    this.text = find("camera-text");
    this.count = find("camera-count");
    this.shoot = find("camera-shoot");
    this.onPicture = onPicture;
    this.shoot.addEventListener("click", () => {
      if (this.#timer) this.#stopCounting();
      else this.#countDown(SECONDS);
    });
    this.dialog.addEventListener("close", () => this.#stop());
  }

  async open() {
    this.#say(camera.asking);
    this.shoot.disabled = true;
    this.dialog.showModal();
    if (!navigator.mediaDevices?.getUserMedia) {
      this.#say(window.isSecureContext ? camera.absent : camera.insecure);
      return;
    }
    try {
      const wanted = { video: { facingMode: "user", width: { ideal: 1280 }, height: { ideal: 960 } } };
      const stream = await navigator.mediaDevices.getUserMedia(wanted);
      if (!this.dialog.open) {
        stream.getTracks().forEach((track) => track.stop());
        return;
      }
      this.#stream = stream;
      this.video.srcObject = stream;
      await this.video.play();
      this.shoot.disabled = false;
      this.shoot.focus();
      this.#say(camera.ready);
    } catch (error) {
      if (!this.dialog.open) return;
      this.#say({ NotAllowedError: camera.denied, NotReadableError: camera.busy }[error.name] ?? camera.absent);
    }
  }

  #say(message) {
    this.text.textContent = message;
  }

  #countDown(left) {
    this.count.hidden = false;
    this.count.textContent = String(left);
    this.#say(camera.counting(left));
    this.shoot.textContent = camera.stop;
    this.#timer = setTimeout(() => (left > 1 ? this.#countDown(left - 1) : this.#take()), 1000);
  }

  #stopCounting() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.count.hidden = true;
    this.shoot.textContent = camera.shoot;
    if (this.#stream) this.#say(camera.ready);
  }

  #take() {
    this.#stopCounting();
    const canvas = document.createElement("canvas");
    canvas.width = this.video.videoWidth;
    canvas.height = this.video.videoHeight;
    canvas.getContext("2d").drawImage(this.video, 0, 0);
    canvas.toBlob((blob) => {
      this.dialog.close();
      this.onPicture(new File([blob], camera.file, { type: "image/jpeg" }));
    }, "image/jpeg", 0.95);
  }

  #stop() {
    this.#stopCounting();
    this.#stream?.getTracks().forEach((track) => track.stop());
    this.#stream = null;
    this.video.srcObject = null;
  }
}
