// Owns the client of xmpp.js: logs in, reports what it hears as lines of JSON, does what lines of JSON ask for.
import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

// The packages are in a folder of their own, beside the build.
const { MODULES, SERVICE, NAME, PASSWORD, RESOURCE } = process.env;
const require = createRequire(`${MODULES}/package.json`);
const { client, xml } = await import(pathToFileURL(require.resolve("@xmpp/client")));

// What the library wants of a browser.
globalThis.WebSocket = require("ws");

const report = (event, data = {}) => console.log(JSON.stringify({ event, ...data }));

const why = (error) => ({ condition: error.condition ?? `${error.name}: ${error.message}` });

const user = client({
  service: SERVICE,
  domain: "localhost",
  resource: RESOURCE,
  username: NAME,
  password: PASSWORD,
  timeout: 60_000, // milliseconds for one step
});
user.on("error", (error) => report("error", why(error)));
user.on("online", (address) => report("online", { address: `${address}`, secure: user.isSecure() }));
user.on("disconnect", () => report("disconnect"));
user.streamManagement.on("resumed", () => report("resumed"));
user.on("stanza", (stanza) => {
  const { type, from } = stanza.attrs;
  const condition = stanza.getChild("error")?.getChildElements()[0].name;
  report(stanza.name, { type, from, body: stanza.getChildText("body"), condition });
});

const deeds = {
  presence: ({ attrs = {} }) => user.send(xml("presence", attrs)),
  message: ({ to, body }) => user.send(xml("message", { type: "chat", to }, xml("body", {}, body))),
  roster: async () => {
    const query = await user.iqCaller.get(xml("query", "jabber:iq:roster"));
    report("roster", { items: query.getChildren("item").map((item) => item.attrs) });
  },
  ping: async () => {
    await user.iqCaller.request(xml("iq", { type: "get", to: "localhost" }, xml("ping", "urn:xmpp:ping")));
    report("pong");
  },
  // TCP has `destroy`, what is around TLS has such a socket in it; WebSocket has `terminate`.
  lose: () => {
    const lost = user.socket.destroy ? user.socket : user.socket.socket;
    return lost.destroy ? lost.destroy() : lost.terminate();
  },
  stop: async () => {
    await user.stop();
    process.exit(0);
  },
};

createInterface({ input: process.stdin })
  .on("line", async (line) => {
    const deed = JSON.parse(line);
    await deeds[deed.do](deed);
  })
  .on("close", () => process.exit(0));

report("starts");
user.start().catch((error) => {
  report("refused", why(error));
  process.exit(1);
});
