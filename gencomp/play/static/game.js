// Shannon's guessing game (1951): the player and the models guess the next character. The score is in bits.

import { characters, fromBase64, toBase64 } from "./bytes.js";
import { element, figure } from "./column.js";
import { listen } from "./server.js";

const GIVEN = 40; // characters that are shown before the first guess
const PRIOR = 4; // the weight, in guesses, of what is expected before the first one

// The bits of a player who needs `rank` guesses, coded with the ranks so far: anybody who guesses alike could decode it.
// At first, rank r has the probability 1 / (r (r + 1)).
export class RankCode {
  constructor() {
    this.counts = new Map();
    this.total = 0;
  }

  charge(rank) {
    const p = ((this.counts.get(rank) ?? 0) + PRIOR / (rank * (rank + 1))) / (this.total + PRIOR);
    this.counts.set(rank, (this.counts.get(rank) ?? 0) + 1);
    this.total += 1;
    return -Math.log2(p);
  }
}

export class Game {
  constructor(app, box, button) {
    this.app = app;
    this.box = box;
    button.addEventListener("click", () => this.open());
  }

  open() {
    this.box.hidden = false;
    const texts = this.app.given.examples.filter(({ name }) => name === "a poem" || name === "two languages" || name === "code");
    const buttons = texts.map(({ name, text }) => element("button", {
      type: "button", onclick: () => this.begin(fromBase64(text)),
    }, name));
    const own = element("button", { type: "button", onclick: () => this.begin(this.app.bytes) }, "the text of the page");
    this.box.replaceChildren(this.head(), element("p", {}, "Guess the next character of a text, as Shannon asked his wife to in 1951. "
      + "Every wrong guess costs; the models on the page guess, too, by their probabilities. Choose a text that you have not just read:"),
      element("div", { class: "bar" }, ...buttons, own));
    this.box.querySelector(".bar button").focus();
  }

  head() {
    const close = element("button", { type: "button", class: "close", "aria-label": "end the game", onclick: () => this.close() }, "×");
    return element("header", {}, element("h2", {}, "The guessing game"), close);
  }

  close() {
    this.box.hidden = true;
    this.stop?.abort();
  }

  begin(bytes) {
    this.stop?.abort();
    this.stop = new AbortController();
    this.chars = characters(bytes, "characters");
    if (this.chars.count < GIVEN / 2) {
      this.box.append(element("p", { class: "error" }, "That text is too short to guess at."));
      return;
    }
    this.place = Math.min(GIVEN, Math.floor(this.chars.count / 2));
    this.first = this.place;
    this.code = new RankCode();
    this.own = 0;
    this.missed = [];
    this.rivals = this.app.columns.map(({ spec }) => ({ spec, costs: [], error: "" }));
    for (const rival of this.rivals) {
      const body = { slot: `game ${rival.spec}`, spec: rival.spec, text: toBase64(bytes), normalized: true };
      listen("api/costs", body, (event) => {
        if (event.event === "costs") event.costs.forEach((cost, i) => { rival.costs[event.start + i] = cost; });
        if (event.event === "error" || event.event === "limit") rival.error = event.message;
        this.score();
      }, this.stop.signal);
    }
    this.known = element("p", { class: "known" });
    this.input = element("input", { "aria-label": "your guess: the next character", size: "2", autocomplete: "off", autocapitalize: "off" });
    this.input.addEventListener("input", () => this.guess());
    this.input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") {
        event.preventDefault();
        this.guessed("\n");
      }
    });
    this.said = element("p", { role: "status" });
    this.table = element("tbody");
    const show = element("button", { type: "button", onclick: () => this.giveUp() }, "Show it");
    this.box.replaceChildren(this.head(), this.known, element("div", { class: "bar" }, this.input, show,
      element("span", { class: "quiet" }, "Enter guesses a line end")), this.said,
    element("table", {}, element("caption", {}, "Bits since the start: fewer is better"), this.table));
    this.draw();
    this.input.focus();
  }

  guess() {
    const char = [...this.input.value][0];
    if (char !== undefined) this.guessed(char);
  }

  guessed(char) {
    this.input.value = "";
    if (this.place >= this.chars.count) return;
    if (char === this.chars.texts[this.place]) {
      this.own += this.code.charge(this.missed.length + 1);
      this.said.textContent = `Yes, at guess ${this.missed.length + 1}.`;
      this.next();
    } else {
      if (!this.missed.includes(char)) this.missed.push(char);
      this.said.textContent = `Not ${this.missed.map((miss) => (miss === " " ? "space" : miss === "\n" ? "a line end" : miss)).join(", ")}.`;
    }
  }

  giveUp() {
    if (this.place >= this.chars.count) return;
    const size = this.chars.starts[this.place + 1] - this.chars.starts[this.place];
    this.own += this.code.charge(this.missed.length + 1) + 8 * size; // "none of these", and the character itself
    this.said.textContent = `It was ${this.chars.texts[this.place] === " " ? "a space" : this.chars.texts[this.place] === "\n" ? "a line end" : this.chars.texts[this.place]}.`;
    this.next();
  }

  next() {
    this.place += 1;
    this.missed = [];
    if (this.place >= this.chars.count) this.said.textContent += " That was the last one.";
    this.draw();
  }

  draw() {
    const shown = this.chars.texts.slice(Math.max(0, this.place - 300), this.place).join("");
    this.known.replaceChildren(shown, element("span", { class: "gap", "aria-label": "the next character" }, "?"));
    this.score();
  }

  score() {
    const from = this.chars.starts[this.first], to = this.chars.starts[this.place], count = this.place - this.first;
    const rows = [["you", this.own, ""], ...this.rivals.map(({ spec, costs, error }) => {
      let bits = 0;
      for (let at = from; at < to; at++) bits += costs[at] ?? NaN;
      return [spec, bits, error];
    })];
    this.table.replaceChildren(...rows.map(([name, bits, error]) => element("tr", {}, element("th", { scope: "row" }, name),
      element("td", {}, error || (Number.isNaN(bits) ? "thinking" : `${figure(bits, 1)} bits`)),
      element("td", {}, count && !Number.isNaN(bits) ? `${figure(bits / count)} a character` : ""))));
  }
}
