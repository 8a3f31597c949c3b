// What the document's Node example finds in the packages "form-data" and "node-fetch": a form that is a stream of bytes,
// and a fetch that sends streams. (The fetch that is built into Node sends such a form as the text "[object FormData]".)
const { createHash } = require("crypto");
const http = require("http");
const Module = require("module");
const path = require("path");
const { Readable } = require("stream");

class FormData {
  constructor() {
    this.boundary = "--------------------------" + createHash("sha256").update(String(process.pid)).digest("hex").slice(0, 24);
    this.parts = [];
  }

  append(name, value) {
    this.parts.push([name, value]);
  }

  getHeaders() {
    return { "content-type": `multipart/form-data; boundary=${this.boundary}` };
  }

  async *bytes() {
    for (const [name, value] of this.parts) {
      const file = value && typeof value.pipe === "function";
      const named = file ? `; filename="${path.basename(value.path)}"\r\nContent-Type: application/octet-stream` : "";
      yield `--${this.boundary}\r\nContent-Disposition: form-data; name="${name}"${named}\r\n\r\n`;
      if (file) yield* value;
      else yield String(value);
      yield "\r\n";
    }
    yield `--${this.boundary}--\r\n`;
  }
}

globalThis.fetch = (url, { method, headers, body }) =>
  new Promise((resolve, reject) => {
    const request = http.request(url, { method, headers }, async (response) => {
      let text = "";
      for await (const piece of response.setEncoding("utf8")) text += piece;
      resolve({ ok: response.statusCode < 400, status: response.statusCode, json: async () => JSON.parse(text) });
    });
    request.on("error", reject);
    Readable.from(body.bytes()).pipe(request);
  });

const load = Module._load;
Module._load = (name, ...rest) => (name === "form-data" ? FormData : load(name, ...rest));
