// Make the visualisation out of what npm brought: node build.js TARGET
//
// Galaxy's package of vizarr is one bundle. Three places of it are changed, and each has to be there exactly once, so that
// another release of the package stops the build instead of changing what it does.

import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";

const target = process.argv[2];
const CHANGES = [
  // The decoder of JPEG 2000 would come from a CDN, and without it nothing starts. zarrita reads all data before vizarr.
  ['import{JpxImage as qq}from"https://cdn.jsdelivr.net/gh/mozilla/pdf.js@30bd5f0/src/core/jpx.js";', "const qq=class{};"],
  // It would start by itself, on the one dataset that the page names.
  ["qoA();", ""],
  // Label layers: layers.js.
  ["g=>g.on?new g.Layer(g.layerProps):null", "(g,_,all)=>g.on?new g.Layer(drawnLayer(g.layerProps,all)):null"],
];

function patchedVizarr() {
  const bundle = readFileSync("node_modules/@galaxyproject/vizarr/static/index.js", "utf8");
  const changed = CHANGES.reduce((text, [before, after]) => {
    const parts = text.split(before);
    if (parts.length !== 2) {
      throw new Error(`The bundle of vizarr is not the one that this was written for: ${parts.length - 1} times ${before}`);
    }
    return parts.join(after);
  }, bundle);
  return `import{drawn as drawnLayer}from"./src/layers.js";${changed}\nexport{ieA as createViewer};`;
}

/** The licences of all that is in the bundle, as its packages carry them. */
function licences() {
  const packages = ["zarrita", "@zarrita/storage", "numcodecs", "fflate", "reference-spec-reader", "unzipit"];
  const texts = packages.map((name) => {
    const folder = join("node_modules", name);
    const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
    return `${name}\n\n${readFileSync(join(folder, file), "utf8")}`;
  });
  const vizarr = `vizarr (@galaxyproject/vizarr, changed by build.js)\n\n${readFileSync("vizarr.LICENSE", "utf8")}`;
  return [vizarr, ...texts].join(`\n${"-".repeat(80)}\n\n`);
}

writeFileSync("vizarr.js", patchedVizarr());
mkdirSync(target, { recursive: true });
await build({
  entryPoints: ["src/main.js"],
  outfile: join(target, "index.js"),
  alias: { vizarr: "./vizarr.js" },
  bundle: true,
  format: "esm",
  minify: true,
  legalComments: "eof",
  logLevel: "error",
});
copyFileSync("chunkwise_vizarr.xml", join(target, "chunkwise_vizarr.xml"));
copyFileSync("node_modules/@galaxyproject/vizarr/static/logo.svg", join(target, "logo.svg"));
writeFileSync(join(target, "LICENCES.txt"), licences());
