// The coder at the caret, in exact numbers, and the blocks of a code with their tables.

import { label } from "./bytes.js";
import { drawing, element, figure } from "./column.js";
import { ask } from "./server.js";

const AFTER = 12; // digits shown after those that both ends share
const HEIGHT = 130, WIDTH = 56, GAP = 34;
const COLUMNS = 8; // steps in the picture

let asked = 0;

export async function showCoder(app, box) {
  const column = app.active ?? app.columns[0];
  if (!column) return;
  const number = ++asked;
  const position = app.caret;
  try {
    const record = await ask("api/coder", { spec: column.spec, text: app.encoded(), position });
    if (number === asked) box.replaceChildren(...coderParts(record, column.spec, position, app));
  } catch (error) {
    if (number === asked) box.replaceChildren(element("p", { class: "error" }, error.message));
  }
}

// Returns the binary digits of numerator / 2^exponent, a number from 0 to 1.
export function digits(numerator, exponent) {
  if (exponent === 0) return "";
  return numerator.toString(2).padStart(exponent, "0");
}

function shared(one, other) {
  let at = 0;
  while (at < one.length && one[at] === other[at]) at++;
  return at;
}

function groups(bits) {
  return bits.replace(/(.{8})(?=.)/g, "$1 ");
}

function bound(name, numerator, exponent, same) {
  const value = BigInt(numerator);
  if (value === 1n << BigInt(exponent)) return element("p", { class: "bound" }, `${name} 1`);
  const written = digits(value, exponent);
  const shown = Math.min(written.length, same + AFTER);
  const rest = written.length > shown && /1/.test(written.slice(shown)) ? "…" : "";
  return element("p", { class: "bound" }, `${name.padEnd(4)} 0.`, element("b", {}, written.slice(0, same)), written.slice(same, shown), rest);
}

function coderParts(record, spec, position, app) {
  const steps = record.labels.length;
  const where = record.start === 0 ? "the text from its beginning" : `the last ${steps} bytes before the caret, given the ${record.start.toLocaleString("en")} before them`;
  const said = element("p", {}, `An arithmetic coder with ${spec} as its model reads ${where}. It holds an interval of numbers; `
    + "each byte narrows it to a share as large as the byte's probability. The bits in bold are certain: every number in the interval begins with them.");
  return [said, ...intervalParts(record), picture(record)];
}

export function intervalParts(record) {
  const { exponent, certain, code } = record;
  const low = BigInt(record.low), high = BigInt(record.high);
  const last = certain.at(-1) ?? "";
  const width = high - low;
  const parts = [
    bound("from", record.low, exponent, last.length), bound("to", record.high, exponent, last.length),
    element("p", {}, `Certain so far: ${last.length} bits. The interval's width is 2^-${figure(minusLog2(width, exponent))}; if the text ended here, the code would be ${code.length} bits: `,
      element("span", { class: "code" }, groups(code) || "none")),
  ];
  const exact = element("p", { class: "bound" }, `${low} / 2^${exponent} ≤ x < ${high} / 2^${exponent}`);
  parts.push(element("details", {}, element("summary", {}, "Exactly, in decimal"), exact));
  return parts;
}

// Returns -log2(width / 2^exponent), to show: the first 50 bits of the width are enough.
export function minusLog2(width, exponent) {
  const written = width.toString(2);
  const lead = Number(BigInt(`0b${written.slice(0, 50)}`));
  return exponent - Math.log2(lead) - (written.length - Math.min(50, written.length));
}

function picture(record) {
  const first = Math.max(0, record.labels.length - COLUMNS);
  const count = record.labels.length - first;
  const svg = drawing("svg", {
    class: "intervals", width: count * (WIDTH + GAP) + 10, height: HEIGHT + 44, role: "img",
    "aria-label": `the last ${count} steps: each byte's share of the interval before it`,
  });
  for (let i = 0; i < count; i++) {
    const [low, high, total] = record.shares[first + i];
    const x = 4 + i * (WIDTH + GAP), y = (value) => 20 + HEIGHT * (1 - value / total);
    const name = drawing("text", { x: x + WIDTH / 2, y: 13, "text-anchor": "middle" });
    name.textContent = record.labels[first + i];
    const bits = drawing("text", { x: x + WIDTH / 2, y: HEIGHT + 36, "text-anchor": "middle" });
    bits.textContent = `${figure(-Math.log2((high - low) / total))} bits`;
    const top = y(high), height = Math.max(1, y(low) - y(high));
    svg.append(name, bits, drawing("rect", { class: "whole", x, y: 20, width: WIDTH, height: HEIGHT }),
      drawing("rect", { class: "part", x, y: top, width: WIDTH, height }));
    if (i < count - 1) {
      svg.append(drawing("path", { class: "zoom", d: `M${x + WIDTH},${top} L${x + WIDTH + GAP},20 M${x + WIDTH},${top + height} L${x + WIDTH + GAP},${20 + HEIGHT}` }));
    }
  }
  return element("div", { class: "scroll" }, svg);
}

function symbolName(symbol) {
  if (symbol < 256) return label(symbol);
  return symbol === 256 ? "end of block" : `length code ${symbol}`;
}

export function showBlocks(app, box) {
  const column = [app.active, ...app.columns].find((one) => one?.parse);
  if (!column) {
    box.replaceChildren(element("p", {}, "None of the models here shows its blocks; gzip, zlib, zstd and lzma do."));
    return;
  }
  const { blocks, phrases, framing, bits } = column.parse;
  const copies = phrases.filter((phrase) => phrase[2]);
  const said = element("p", {}, `${column.spec}: ${phrases.length - copies.length} literals and ${copies.length} copies, `
    + `${figure(bits, 1)} bits in all, ${figure(framing, 0)} of them for the container.`);
  box.replaceChildren(said, ...blocks.map((block, i) => blockPart(block, i, app)));
}

function blockPart(block, i, app) {
  const has = block.start <= app.caret && app.caret < block.stop;
  const title = `Block ${i + 1}${has ? ", at the caret" : ""}: ${block.kind}, bytes ${block.start} to ${block.stop}, `
    + `${figure(block.overhead, 1)} bits besides its literals and copies`;
  if (!block.codes.length) return element("p", {}, title);
  const used = [...block.codes].sort((one, other) => one[1].length - other[1].length || one[0] - other[0]);
  const rows = (codes, name) => codes.map(([symbol, word]) => element("tr", {}, element("th", { scope: "row" }, name(symbol)), element("td", {}, word)));
  const table = (caption, codes, name) => element("table", {}, element("caption", {}, caption), element("tbody", {}, ...rows(codes, name)));
  return element("details", {}, element("summary", {}, title), element("div", { class: "tables" },
    table("literals and lengths", used, symbolName), table("distances", block.distances, (symbol) => `distance code ${symbol}`)));
}
