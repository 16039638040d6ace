// Owns the headless Chromium of the cases: serves a distribution of Converse.js on loopback, opens it for each person in a
// context of its own, and does with its pages what lines of JSON ask for. Knows no XMPP.
import { createHash, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { dirname, extname, join, normalize } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const { MODULES, CHROMIUM, CERTIFICATE, PATIENCE } = process.env;
const require = createRequire(`${MODULES}/package.json`);
const { default: puppeteer } = await import(pathToFileURL(require.resolve("puppeteer-core")));
const dist = dirname(require.resolve("converse.js/dist/converse.min.js"));
const timeout = Number(PATIENCE) * 1000;

const TYPES = {
  ".css": "text/css",
  ".js": "text/javascript",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
};

const client = (settings) => `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Converse</title>
<link rel="stylesheet" href="/dist/converse.min.css">
<script type="module" src="/dist/converse.min.js"></script></head>
<body class="converse-fullscreen">
<script type="module">converse.initialize(${JSON.stringify(settings)});</script>
</body></html>`;

const http = createServer(async (request, response) => {
  const { pathname, searchParams } = new URL(request.url, "http://localhost");
  if (pathname === "/") {
    response.setHeader("Content-Type", "text/html");
    response.end(client(JSON.parse(searchParams.get("settings"))));
    return;
  }
  try {
    const content = await readFile(join(dist, normalize(pathname).replace(/^\/dist/, "")));
    response.setHeader("Content-Type", TYPES[extname(pathname)] ?? "application/octet-stream");
    response.end(content);
  } catch {
    response.writeHead(404).end();
  }
});
await new Promise((done) => http.listen(0, "127.0.0.1", done));
const origin = `http://localhost:${http.address().port}`;

// The self-signed certificate alone is trusted, and nothing but loopback is asked for.
const key = new X509Certificate(readFileSync(CERTIFICATE)).publicKey.export({ type: "spki", format: "der" });
const browser = await puppeteer.launch({
  executablePath: CHROMIUM,
  timeout,
  args: [
    "--no-sandbox",
    "--lang=en",
    "--disable-dev-shm-usage",
    `--ignore-certificate-errors-spki-list=${createHash("sha256").update(key).digest("base64")}`,
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
  ],
});

const pages = new Map();
const said = new Map();

// Elements with a text, in the order of the page; with no text, all of them.
const find = (selector, text) =>
  [...document.querySelectorAll(selector)].filter((it) => !text || (it.innerText ?? it.textContent).includes(text));

const elements = `(${find})`;

// One of the elements, as soon as there is one.
const wait = (page, selector, text) =>
  page.waitForFunction(`${elements}(${JSON.stringify(selector)}, ${JSON.stringify(text ?? "")})[0]`, {
    timeout,
    polling: 100,
  });

const deeds = {
  open: async ({ who, url, settings }) => {
    const context = await browser.createBrowserContext();
    const page = await context.newPage();
    page.setDefaultTimeout(timeout);
    await page.setViewport({ width: 1200, height: 900 });
    said.set(who, []);
    page.on("console", (it) => said.get(who).push(it.text()));
    page.on("pageerror", (error) => said.get(who).push(`${error}`));
    pages.set(who, page);
    const query = new URLSearchParams({ settings: JSON.stringify({ assets_path: "/dist/", ...settings }) });
    await page.goto(url ?? `${origin}/?${query}`);
  },
  click: async ({ page, selector, text }) => (await wait(page, selector, text)).evaluate((it) => it.click()),
  // A window that opens may take the keys in the middle of the word: then once more.
  fill: async ({ page, selector, value }) => {
    for (const end = Date.now() + timeout; Date.now() < end; ) {
      const field = await wait(page, selector);
      await field.evaluate((it) => (it.value = ""));
      await field.type(value);
      if (await field.evaluate((it, value) => it.isConnected && it.value === value, value)) return;
    }
    throw new Error(`${selector} does not take ${value}`);
  },
  press: async ({ page, selector, key }) => (await wait(page, selector)).press(key),
  attach: async ({ page, selector, file }) => (await wait(page, selector)).uploadFile(file),
  shows: async ({ page, selector, text }) => {
    await wait(page, selector, text);
    return page.evaluate((selector) => [...document.querySelectorAll(selector)].map((it) => it.innerText), selector);
  },
  // Waits until these are the texts, and no other.
  reads: ({ page, selector, texts }) => {
    const shown = `${elements}(${JSON.stringify(selector)}, "").map((it) => it.innerText)`;
    return page
      .waitForFunction(`JSON.stringify(${shown}) === ${JSON.stringify(JSON.stringify(texts))}`, { timeout, polling: 100 })
      .then(() => {});
  },
  hides: ({ page, selector, text }) => {
    const found = `${elements}(${JSON.stringify(selector)}, ${JSON.stringify(text ?? "")})`;
    return page.waitForFunction(`${found}.length === 0`, { timeout, polling: 100 }).then(() => {});
  },
  attribute: async ({ page, selector, names }) =>
    (await wait(page, selector)).evaluate((it, names) => names.map((name) => it[name]).find((value) => value), names),
  // Fetches as a page may that comes from elsewhere.
  fetch: ({ page, url }) =>
    page.evaluate(async (url) => {
      const response = await fetch(url);
      return { status: response.status, size: (await response.arrayBuffer()).byteLength };
    }, url),
  reload: ({ page }) => page.reload().then(() => {}),
  offline: ({ page, value }) => page.setOfflineMode(value),
  close: async ({ who, page }) => {
    pages.delete(who);
    await page.browserContext().close();
  },
  screenshot: ({ page, file }) => page.screenshot({ path: file }).then(() => {}),
};

// Why a deed was not done, and what the page shows and has said.
const blame = async (page, { who }, error) => {
  const shown = await page?.evaluate(() => document.body.innerText).catch(() => "");
  return `${error.message}\n  shown: ${shown}\n  console: ${said.get(who)?.slice(-20).join("\n    ")}`;
};

const answer = (data) => console.log(JSON.stringify(data));

answer({ id: 0 });
createInterface({ input: process.stdin })
  .on("line", async (line) => {
    const deed = JSON.parse(line);
    const page = pages.get(deed.who);
    try {
      answer({ id: deed.id, result: (await deeds[deed.do]({ ...deed, page })) ?? null });
    } catch (error) {
      answer({ id: deed.id, error: await blame(page, deed, error) });
    }
  })
  .on("close", async () => {
    await browser.close();
    process.exit(0);
  });
