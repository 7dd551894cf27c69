// Makes server/web/static from server/web/app: the clients generated from proto/, the scripts and styles bundled under
// names that hold a hash of what is in them, one HTML shell for each page, and everything compressed beforehand.
// What was made from the same sources isn't made again; --force makes it all the same.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, join, relative, resolve } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { build } from "esbuild";

const WEB = import.meta.dirname;
const ROOT = resolve(WEB, "../..");
const APP = join(WEB, "app");
const GEN = join(APP, "gen");
const STATIC = join(WEB, "static");
const DRAFT = `${STATIC}.new`;

/** The pages, and the styles that each brings; app/NAME.tsx is what runs in it. */
const PAGES = {
  invite: ["joining"],
  invitations: ["joining"],
  "sign-in": ["joining"],
  console: ["console"],
};

const SOURCES = ["server/web/app", "server/web/build.mjs", "server/web/buf.gen.yaml", "proto", "package-lock.json"];

function fingerprint() {
  const hash = createHash("sha256").update(process.version);
  const below = (path) =>
    statSync(path).isDirectory() ? readdirSync(path).flatMap((name) => below(join(path, name))) : [path];
  const files = SOURCES.flatMap((source) => below(join(ROOT, source))).filter((file) => !file.startsWith(GEN));
  for (const file of files.sort()) {
    hash
      .update(`${relative(ROOT, file)}\0`)
      .update(readFileSync(file))
      .update("\0");
  }
  return hash.digest("hex");
}

function generateClients() {
  const venv = join(ROOT, ".venv/bin/buf");
  rmSync(GEN, { recursive: true, force: true });
  const template = join(WEB, "buf.gen.yaml");
  execFileSync(existsSync(venv) ? venv : "buf", ["generate", "--template", template, "--output", GEN], {
    cwd: ROOT,
    stdio: ["ignore", "inherit", "inherit"],
  });
}

async function bundle() {
  const names = Object.keys(PAGES);
  const styles = new Set(Object.values(PAGES).flat());
  const { metafile } = await build({
    entryPoints: [
      ...names.map((name) => join(APP, `${name}.tsx`)),
      ...[...styles].map((name) => join(APP, `styles/${name}.css`)),
      join(APP, "icon.svg"),
    ],
    outdir: join(DRAFT, "assets"),
    entryNames: "[name]-[hash]",
    chunkNames: "[name]-[hash]",
    assetNames: "[name]-[hash]",
    loader: { ".svg": "copy" },
    bundle: true,
    splitting: true,
    format: "esm",
    target: "es2022",
    jsx: "automatic",
    jsxImportSource: "preact",
    minify: true,
    legalComments: "none",
    metafile: true,
    logLevel: "warning",
  });
  return metafile.outputs;
}

/** Gives the names of the npm packages of which something is in the bundles. */
function packagesIn(outputs) {
  const files = Object.values(outputs).flatMap(({ inputs }) =>
    Object.keys(inputs).filter((file) => inputs[file].bytesInOutput > 0),
  );
  const names = files.map((file) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1]);
  return [...new Set(names)].filter((name) => name !== undefined).sort();
}

/** Gives the files that a page's shell names: its entry, what that imports at once, its styles and the icon. */
function partsOf(page, outputs) {
  const made = Object.entries(outputs);
  const from = (source) => made.find(([, output]) => output.entryPoint?.endsWith(`server/web/app/${source}`))?.[0];
  const script = from(`${page}.tsx`);
  const imports = new Set();
  const follow = (name) => {
    for (const { path, kind } of outputs[name].imports) {
      if (kind !== "import-statement" || imports.has(path)) continue;
      imports.add(path);
      follow(path);
    }
  };
  follow(script);
  return {
    script: basename(script),
    imports: [...imports].map((path) => basename(path)),
    styles: PAGES[page].map((name) => basename(from(`styles/${name}.css`))),
    icon: basename(from("icon.svg")),
  };
}

function shell({ script, imports, styles, icon }) {
  const links = [
    `<link rel="icon" href="%root%assets/${icon}" type="image/svg+xml">`,
    ...styles.map((name) => `<link rel="stylesheet" href="%root%assets/${name}">`),
    `<script type="module" src="%root%assets/${script}"></script>`,
    ...imports.map((name) => `<link rel="modulepreload" href="%root%assets/${name}">`),
  ];
  return readFileSync(join(APP, "page.html"), "utf8").replace("<!-- parts -->", links.join("\n    "));
}

function compress() {
  for (const file of readdirSync(join(DRAFT, "assets")).map((name) => join(DRAFT, "assets", name))) {
    const content = readFileSync(file);
    writeFileSync(`${file}.br`, brotliCompressSync(content));
    writeFileSync(`${file}.gz`, gzipSync(content, { level: 9 }));
  }
}

function report(pages) {
  for (const [page, { script, imports, styles }] of Object.entries(pages)) {
    const sizes = [script, ...imports, ...styles].map(
      (name) => readFileSync(join(DRAFT, "assets", `${name}.br`)).length,
    );
    const total = sizes.reduce((sum, size) => sum + size, 0);
    console.log(`/${page}: ${(total / 1000).toFixed(1)} kB of scripts and styles, compressed, before its texts`);
  }
}

const made = join(STATIC, ".made-from");
const wanted = fingerprint();
if (!process.argv.includes("--force") && existsSync(GEN) && existsSync(made) && readFileSync(made, "utf8") === wanted) {
  process.exit(0);
}
rmSync(DRAFT, { recursive: true, force: true });
mkdirSync(DRAFT);
generateClients();
const outputs = await bundle();
const pages = Object.fromEntries(Object.keys(PAGES).map((page) => [page, partsOf(page, outputs)]));
for (const [page, parts] of Object.entries(pages)) {
  writeFileSync(join(DRAFT, `${page}.html`), shell(parts));
}
compress();
report(pages);
writeFileSync(join(DRAFT, ".made-of"), `${packagesIn(outputs).join("\n")}\n`);
writeFileSync(join(DRAFT, ".made-from"), wanted);
rmSync(STATIC, { recursive: true, force: true });
renameSync(DRAFT, STATIC);
