// Owns the client of strophe.js: logs in over WebSocket or by BOSH, reports what it hears as lines of JSON, does what
// lines of JSON ask for. Speaks as xmppjs_client.mjs does.
import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

const { MODULES, SERVICE, NAME, PASSWORD, RESOURCE } = process.env;
const require = createRequire(`${MODULES}/package.json`);
const place = dirname(require.resolve("strophe.js/package.json"));
const { Strophe, $msg, $pres } = await import(pathToFileURL(join(place, "dist/strophe.node.esm.js")));

// Standard output is for what is reported, and nobody reads what it does step by step.
for (const kind of ["debug", "info", "log", "warn"]) console[kind] = () => {};

// Answers that will not arrive.
let lost = 0;

// What the library wants of a browser for BOSH, made of what Node has.
globalThis.XMLHttpRequest = class {
  readyState = 0;
  status = 0;
  responseText = "";
  responseXML = null;
  #abort = new AbortController();

  open(method, url) {
    Object.assign(this, { method, url, readyState: 1 });
  }

  setRequestHeader(name, value) {
    this.headers = { ...this.headers, [name]: value };
  }

  getAllResponseHeaders() {
    return "";
  }

  abort() {
    this.#abort.abort();
  }

  async send(body) {
    const { method, headers } = this;
    try {
      const response = await fetch(this.url, { method, headers, body, signal: this.#abort.signal });
      if (lost > 0) {
        lost -= 1;
        await response.text();
        throw new Error("lost on the way");
      }
      this.responseText = await response.text();
      this.status = response.status;
      this.responseXML = new DOMParser().parseFromString(this.responseText, "text/xml");
    } catch {
      this.status = 0;
    }
    this.readyState = 4;
    this.onreadystatechange();
  }
};

const report = (event, data = {}) => process.stdout.write(`${JSON.stringify({ event, ...data })}\n`);

const user = new Strophe.Connection(SERVICE);
const listen = () =>
  user.addHandler((stanza) => {
    const [type, from] = ["type", "from"].map((name) => stanza.getAttribute(name) ?? undefined);
    const body = stanza.getElementsByTagName("body")[0]?.textContent;
    report(stanza.tagName, { type, from, body });
    return true;
  });

let again = false;
const connect = () => {
  listen();
  user.connect(`${NAME}@localhost/${RESOURCE}`, PASSWORD, (status, condition) => {
    if (status === Strophe.Status.CONNECTED) {
      report("online", { address: user.jid, secure: true });
    } else if (status === Strophe.Status.AUTHFAIL) {
      report("refused", { condition });
    } else if (status === Strophe.Status.DISCONNECTED) {
      report("disconnect");
      if (!again) process.exit(0);
      again = false;
      user.reset();
      connect();
    }
  }, 20, 1);
};

const deeds = {
  presence: () => user.send($pres()),
  message: ({ to, body }) => user.send($msg({ type: "chat", to }).c("body").t(body)),
  // So many answers are lost on their way, after the server has acted.
  miss: ({ count }) => {
    lost = count;
  },
  // The WebSocket ends as by a lost network, and the client comes again.
  lose: () => {
    again = true;
    user._proto.socket.close();
  },
  stop: () => user.disconnect("done"),
};

report("starts");
connect();

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const deed = JSON.parse(line);
    deeds[deed.do](deed);
  })
  .on("close", () => process.exit(0));
