// Reads a QR code from the camera or from a photo: by the browser's own detector, else by jsQR, which is loaded then.

import { h } from "../../dom.js";

const EACH_MS = 120; // between two looks at the camera's picture
const SIDES = [1280, 640]; // px of a picture's longer side; a code that is too fine in one is read in the other

let reader = null;

function loadJsqr() {
  return new Promise((resolve, reject) => {
    document.head.append(h("script", { src: "vendor/jsqr/jsQR.js", on: { load: () => resolve(globalThis.jsQR), error: () => reject(new Error("jsQR")) } }));
  });
}

/** What reads a picture: (video or image, its width, its height) -> the text of its QR code, or null. */
function loadReader() {
  reader ??= (async () => {
    if ("BarcodeDetector" in globalThis && (await BarcodeDetector.getSupportedFormats()).includes("qr_code")) {
      const detector = new BarcodeDetector({ formats: ["qr_code"] });
      return async (source) => (await detector.detect(source))[0]?.rawValue ?? null;
    }
    const jsqr = await loadJsqr();
    const sheet = h("canvas").getContext("2d", { willReadFrequently: true });
    return async (source, width, height) => {
      for (const side of SIDES) {
        const scale = Math.min(1, side / Math.max(width, height));
        sheet.canvas.width = Math.round(width * scale);
        sheet.canvas.height = Math.round(height * scale);
        sheet.drawImage(source, 0, 0, sheet.canvas.width, sheet.canvas.height);
        const { data } = sheet.getImageData(0, 0, sheet.canvas.width, sheet.canvas.height);
        const found = jsqr(data, sheet.canvas.width, sheet.canvas.height, { inversionAttempts: "dontInvert" });
        if (found?.data) return found.data;
      }
      return null;
    };
  })();
  reader.catch(() => { reader = null; });
  return reader;
}

/** Whether this page may use a camera at all: browsers give it over https and on the machine itself alone. */
export function cameraThere() {
  return isSecureContext && Boolean(navigator.mediaDevices?.getUserMedia);
}

/** Shows the camera's picture in `video` and calls `found` with the text of each QR code, not twice with the same in
 *  a row; last: what was read before. Returns a function that ends it. Raises what the browser says where there is no camera, or not for this page. */
export async function watch(video, found, last = null) {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: false, video: { facingMode: "environment", width: { ideal: 1280 }, height: { ideal: 720 } } });
  let over = false;
  const stop = () => {
    over = true;
    for (const track of stream.getTracks()) track.stop();
    video.srcObject = null;
  };
  try {
    video.srcObject = stream;
    await video.play();
    const read = await loadReader();
    const look = async () => {
      if (over) return;
      const text = video.readyState >= 2 && video.videoWidth ? await read(video, video.videoWidth, video.videoHeight).catch(() => null) : null;
      if (over) return;
      if (text && text !== last) found(text);
      last = text ?? last;
      setTimeout(look, EACH_MS);
    };
    void look();
  } catch (error) {
    stop();
    throw error;
  }
  return stop;
}

/** The text of the QR code on a photo, null where none is found. Raises where the file is no picture. */
export async function readPhoto(file) {
  const picture = await createImageBitmap(file);
  try {
    return await (await loadReader())(picture, picture.width, picture.height);
  } finally {
    picture.close();
  }
}
