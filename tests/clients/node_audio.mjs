// What the document's JavaScript finds in a browser and not in Node: a player (it says what it was given), a chosen file.
import { openAsBlob } from "node:fs";

globalThis.Audio = class {
  constructor(url) {
    this.url = url;
  }

  async play() {
    const sound = await (await fetch(this.url)).blob();
    console.log(`played ${sound.type}, ${sound.size} bytes`);
  }
};
globalThis.audioFile = await openAsBlob("podcast.mp3");
