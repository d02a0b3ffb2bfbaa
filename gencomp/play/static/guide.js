// A few steps for visitors without a plan. The last one is the paper's own example.

import { fromBase64, toBytes } from "./bytes.js";
import { element, figure } from "./column.js";
import { intervalParts } from "./panels.js";
import { ask } from "./server.js";

const $ = (id) => document.getElementById(id);

function example(app, name) {
  return fromBase64(app.given.examples.find((one) => one.name === name).text);
}

function show(app, bytes, caret, models) {
  app.stop();
  app.changed = 0;
  app.setText(bytes, caret);
  if (models) app.setModels(models);
}

function find(bytes, text, from = 0) {
  const wanted = toBytes(text);
  for (let at = from; at + wanted.length <= bytes.length; at++) {
    if (wanted.every((byte, i) => bytes[at + i] === byte)) return at;
  }
  return bytes.length;
}

const STEPS = [
  {
    title: "One text, three readers",
    text: "Each column is a model that reads the same text. A light character was cheap: the model expected it. A dark one cost "
      + "many bits: it was a surprise. gzip looks for what it has seen before; mix and rnn guess from what usually follows.",
    act: (app) => show(app, example(app, "a poem"), 0, ["gzip", "mix", "rnn"]),
  },
  {
    title: "What did it expect?",
    text: "Under each column are the candidates for the byte at the caret, with what each would cost. Here the word is about to become "
      + "“waters”. Move the pointer over the text, or the caret with the arrow keys, and look at other places.",
    act: (app) => {
      const poem = example(app, "a poem");
      show(app, poem, find(poem, "aters"), ["gzip", "mix", "rnn"]);
    },
  },
  {
    title: "gzip points back",
    text: "gzip says “copy 9 bytes from 200 back” where it can. What it copies is underlined; the arrow leads to the source. "
      + "Look at the second function: most of it is copies of the first, for a few bits each.",
    act: (app) => {
      const code = example(app, "code");
      show(app, code, find(code, "best = items", 100), ["gzip"]);
      app.setParse(true);
    },
  },
  {
    title: "A compressor read backwards",
    text: "A byte that costs few bits is likely, so a compressor can be asked what comes next. Press “Generate from the caret”: bytes "
      + "are drawn with the probabilities that you see, and underlined with dots. Copies from the text are marked with an arrow.",
    act: (app) => {
      app.setParse(false);
      const poem = example(app, "a poem");
      show(app, poem, poem.length, ["gzip", "mix", "rnn"]);
      app.activate(app.columns.at(-1));
    },
  },
  {
    title: "Sharper, or wilder",
    text: "Below temperature 1, likely bytes become likelier; above it, all become more alike. Top-k and top-p leave out the unlikely. The "
      + "column “drawn” shows the probabilities for drawing, “raw” those of the model. Try 0.5 and generate again.",
    act: (app) => app.setDraw({ temperature: 0.5 }),
  },
  {
    title: "Random bits are samples",
    text: "An arithmetic decoder turns bits into text. Given random bits, it samples the model: choose “decoding random bits” and "
      + "generate. It reads nothing but those bits.",
    act: (app) => {
      app.setDraw({});
      $("strategy").value = "bits";
    },
  },
  {
    title: "AIXI, in seven bits",
    text: "This is the paper's own example (Delétang et al. 2024, figure 1): three letters whose probabilities change at each step. "
      + "Each letter narrows the interval; the shortest binary number inside it is the code.",
    act: async (app, box) => {
      $("strategy").value = "bytes";
      const paper = await ask("api/paper", {});
      const head = element("tr", {}, ...["step", ...paper.alphabet.map((name) => `P(${name})`), "certain bits"].map((name) => element("th", { scope: "col" }, name)));
      const rows = paper.labels.map((name, i) => {
        const cdf = paper.cdfs[i], total = cdf.at(-1);
        const shares = paper.alphabet.map((_, k) => element("td", {}, figure((cdf[k + 1] - cdf[k]) / total)));
        return element("tr", {}, element("th", { scope: "row" }, name), ...shares, element("td", { class: "code" }, paper.certain[i] || "–"));
      });
      box.append(element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows)), ...intervalParts(paper));
    },
  },
];

export class Guide {
  constructor(app, box, button) {
    this.app = app;
    this.box = box;
    button.addEventListener("click", () => this.show(0));
  }

  show(number) {
    const step = STEPS[number];
    const go = (name, to, disabled) => element("button", { type: "button", disabled, onclick: () => this.show(to) }, name);
    const close = element("button", { type: "button", class: "close", "aria-label": "end the guide", onclick: () => { this.box.hidden = true; } }, "×");
    const more = element("div");
    const next = number + 1 < STEPS.length ? go("Next", number + 1, false)
      : element("button", { type: "button", onclick: () => { this.box.hidden = true; } }, "Done");
    this.box.replaceChildren(element("header", {}, element("h2", {}, `${number + 1} of ${STEPS.length}: ${step.title}`), close),
      element("p", {}, step.text), more, element("div", { class: "bar" }, go("Back", number - 1, number === 0), next));
    this.box.hidden = false;
    $("settings").open = true; // the steps refer to it
    next.focus();
    Promise.resolve(step.act(this.app, more)).catch((error) => {
      more.append(element("p", { class: "error" }, error.message));
    });
  }
}
