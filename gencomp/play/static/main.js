// The page: one text, a caret, several columns, and what can be done with them.

import { characterAt, characters, commonLength, fromBase64, joined, partsOf, spoken, toBase64, toBytes, toText } from "./bytes.js";
import { BOUNDS, Column, element, figure } from "./column.js";
import { showBlocks, showCoder } from "./panels.js";
import { exportPage } from "./export.js";
import { Game } from "./game.js";
import { Guide } from "./guide.js";
import { ask, listen, start } from "./server.js";

const $ = (id) => document.getElementById(id);
const UNDONE_TOGETHER = 700; // milliseconds of typing
const MOST_UNDONE = 200;
const IN_ADDRESS = 6000; // bytes of text that the address keeps
const MOST_COLUMNS = 6;

function later(delay, task) {
  let timer = 0;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => task(...values), delay);
  };
}

class App {
  constructor(given) {
    this.given = given;
    this.columns = [];
    this.bytes = new Uint8Array(0);
    this.chars = characters(this.bytes, "characters");
    this.parts = [];
    this.caret = 0;
    this.hovered = null;
    this.unit = "characters";
    this.normalized = false;
    this.showParse = false;
    this.draw = { temperature: 1, top_k: null, top_p: null, seen: false };
    this.generated = []; // {start, stop}
    this.copies = []; // {start, stop, source}
    this.undone = [];
    this.redone = [];
    this.changed = 0;
    this.active = null;
    this.base64 = null;
    this.showSoon = later(40, () => this.showCandidates());
    this.panelsSoon = later(120, () => this.showPanels());
    this.keepSoon = later(300, () => this.keep());
  }

  // ---- the text

  encoded() {
    this.base64 ??= toBase64(this.bytes);
    return this.base64;
  }

  // Replaces the text. What was generated or copied stays marked as far as the text is unchanged.
  setText(bytes, caret, { remember = true, quick = false } = {}) {
    const most = this.given.limits.text;
    if (bytes.length > most) {
      this.say(`The page takes texts of up to ${most.toLocaleString("en")} bytes; this would be ${bytes.length.toLocaleString("en")}.`);
      this.fillEditor();
      return false;
    }
    this.say("");
    if (remember) this.remember();
    const same = commonLength(bytes, this.bytes);
    const kept = ({ start: from, stop }) => stop <= same && from < stop;
    this.generated = this.generated.map((one) => ({ ...one, stop: Math.min(one.stop, same) })).filter(kept);
    this.copies = this.copies.filter(kept);
    this.bytes = bytes;
    this.base64 = null;
    this.chars = characters(bytes, this.unit);
    this.parts = partsOf(this.chars);
    this.caret = Math.max(0, Math.min(caret, bytes.length));
    this.hovered = null;
    this.fillEditor();
    this.tellFacts();
    if (!quick) this.columns.forEach((column) => column.refresh());
    this.afterMove();
    return true;
  }

  remember() {
    const now = Date.now();
    const kept = { bytes: this.bytes, caret: this.caret, generated: this.generated, copies: this.copies };
    if (now - this.changed > UNDONE_TOGETHER || this.undone.length === 0) {
      this.undone.push(kept);
      if (this.undone.length > MOST_UNDONE) this.undone.shift();
    }
    this.changed = now;
    this.redone = [];
    this.buttons();
  }

  back(from, to) {
    if (!from.length) return;
    to.push({ bytes: this.bytes, caret: this.caret, generated: this.generated, copies: this.copies });
    const kept = from.pop();
    this.changed = 0;
    this.setText(kept.bytes, kept.caret, { remember: false });
    this.generated = kept.generated;
    this.copies = kept.copies;
    this.columns.forEach((column) => column.redrawFrom(0));
    this.buttons();
  }

  undo() {
    this.stop();
    this.back(this.undone, this.redone);
  }

  redo() {
    this.stop();
    this.back(this.redone, this.undone);
  }

  buttons() {
    $("undo").disabled = !this.undone.length;
    $("redo").disabled = !this.redone.length;
  }

  fillEditor() {
    const editor = $("editor"), text = toText(this.bytes);
    if (editor.value !== text) editor.value = text;
    this.placeCaret();
  }

  placeCaret() {
    const editor = $("editor");
    const offset = toText(this.bytes.subarray(0, this.caret)).length;
    if (editor.selectionStart === editor.selectionEnd && editor.selectionStart !== offset) {
      editor.setSelectionRange(offset, offset);
    }
  }

  typed() {
    const editor = $("editor");
    this.stop();
    const before = toBytes(editor.value.slice(0, editor.selectionStart));
    this.setText(toBytes(editor.value), before.length);
  }

  // Moves the caret to where it is in the box.
  followEditor() {
    const editor = $("editor");
    if (document.activeElement !== editor) return;
    const position = toBytes(editor.value.slice(0, editor.selectionStart)).length;
    if (position !== this.caret && position <= this.bytes.length) {
      this.caret = position;
      this.afterMove();
    }
  }

  setCaret(position, say = false) {
    this.caret = position;
    this.hovered = null;
    this.placeCaret();
    this.afterMove();
    if (say) this.speak();
  }

  speak() {
    const column = this.active ?? this.columns[0];
    if (!column) return;
    const place = characterAt(this.chars, this.caret);
    if (place >= this.chars.count) {
      $("spoken").textContent = "the end of the text";
      return;
    }
    const [from, to] = [this.chars.starts[place], this.chars.starts[place + 1]];
    const name = to - from === 1 ? spoken(this.bytes[from]) : this.chars.texts[place];
    $("spoken").textContent = `${name}: ${figure(column.costOf(from, to))} bits`;
  }

  // Cuts the text at `position` and continues it with `byte`.
  branch(position, byte) {
    this.stop();
    this.changed = 0;
    this.setText(joined(this.bytes.subarray(0, position), Uint8Array.of(byte)), position + 1);
  }

  isGenerated(position) {
    return this.generated.some(({ start: from, stop }) => from <= position && position < stop);
  }

  copyAt(position) {
    return this.copies.find(({ start: from, stop }) => from <= position && position < stop) ?? null;
  }

  tellFacts() {
    const { bytes, chars } = this;
    const hex = this.unit === "characters" ? chars.hex.filter(Boolean).length : 0;
    $("facts").textContent = `${bytes.length.toLocaleString("en")} bytes, ${chars.count.toLocaleString("en")} `
      + `${this.unit === "bytes" ? "shown one by one" : "characters"}${hex ? `, ${hex.toLocaleString("en")} of them bytes shown as hex` : ""}`;
  }

  say(message) {
    $("message").textContent = message;
  }

  // ---- places

  shownPosition() {
    return this.hovered ?? this.caret;
  }

  hover(position) {
    if (position === this.hovered) return;
    this.hovered = position;
    this.columns.forEach((column) => column.markSoon());
    this.showSoon();
  }

  afterMove() {
    this.columns.forEach((column) => {
      column.markSoon();
      column.attend();
    });
    this.showSoon();
    this.panelsSoon();
    this.keepSoon();
  }

  showCandidates() {
    const position = this.shownPosition();
    this.columns.forEach((column) => column.show(position));
  }

  showPanels() {
    if ($("coder").open) showCoder(this, $("coder").lastElementChild);
    if ($("blocks").open) showBlocks(this, $("blocks").lastElementChild);
  }

  // A column has learnt something about its model.
  learned() {
    this.panelsSoon();
  }

  activate(column) {
    this.active = column;
    $("generator").value = column.spec;
    this.columns.forEach((other) => other.box.classList.toggle("active", other === column));
    this.panelsSoon();
  }

  // ---- the columns

  add(spec) {
    if (this.columns.some((column) => column.spec === spec)) return;
    const column = new Column(this, spec);
    this.columns.push(column);
    $("columns").append(column.box);
    this.listGenerators();
    if (!this.active) this.activate(column);
    column.refresh(true);
    column.show(this.shownPosition());
    this.keepSoon();
  }

  remove(column) {
    column.close();
    this.columns = this.columns.filter((other) => other !== column);
    if (this.active === column) this.active = null;
    if (!this.active && this.columns.length) this.activate(this.columns[0]);
    this.listGenerators();
    this.keepSoon();
  }

  setModels(specs) {
    for (const column of [...this.columns]) if (!specs.includes(column.spec)) this.remove(column);
    specs.forEach((spec) => this.add(spec));
  }

  listGenerators() {
    const select = $("generator"), before = select.value;
    select.replaceChildren(...this.columns.map(({ spec }) => element("option", { value: spec }, spec)));
    if (this.columns.some(({ spec }) => spec === before)) select.value = before;
  }

  async addNamed(spec) {
    $("spec-error").textContent = "";
    if (!spec) return;
    if (this.columns.length >= MOST_COLUMNS) {
      $("spec-error").textContent = `${MOST_COLUMNS} models are as many as the page can show; remove one first`;
      return;
    }
    try {
      const found = await ask("api/check", { spec });
      this.add(found.spec);
      $("spec").value = "";
    } catch (error) {
      $("spec-error").textContent = error.message;
    }
  }

  // ---- generating

  get generating() {
    return this.generation !== undefined && !this.generation.signal.aborted;
  }

  stop() {
    this.generation?.abort();
    $("go").textContent = "Generate from the caret";
  }

  generate() {
    if (this.generating) {
      this.stop();
      $("drawing").textContent = "stopped";
      this.columns.forEach((column) => column.refresh());
      return;
    }
    const spec = $("generator").value;
    if (!spec) return;
    this.changed = 0;
    const begin = this.caret;
    this.setText(this.bytes.slice(0, begin), begin);
    const body = {
      slot: "generate", spec, text: this.encoded(),
      draw: { ...this.draw, strategy: $("strategy").value, length: Number($("length").value), seed: Number($("seed").value) },
    };
    this.generation = new AbortController();
    const { signal } = this.generation;
    $("go").textContent = "Stop";
    $("drawing").textContent = "";
    const price = () => this.columns.forEach((column) => column.refresh());
    let priced = 0;
    const take = (event) => {
      if (event.event === "bytes") {
        const whole = joined(this.bytes, Uint8Array.from(event.bytes));
        const quick = Date.now() - priced < 250;
        if (!quick) priced = Date.now();
        if (!this.setText(whole, whole.length, { remember: false, quick: true })) this.stop();
        this.generated = [...this.generated.filter(({ start: from }) => from < begin), { start: begin, stop: this.bytes.length }];
        if (!quick) price();
        $("drawing").textContent = `${this.bytes.length - begin} bytes`;
      } else if (event.event === "working") {
        const what = event.compiling ? `compiling ${event.compiling}` : "working";
        $("drawing").textContent = `${what}, ${Math.round(event.seconds)} s`;
      } else if (event.event === "error") {
        $("drawing").textContent = event.message;
        this.stop();
        price();
      } else if (event.event === "end") {
        this.copies = [...this.copies, ...event.copies];
        const copied = new Set(event.copies.flatMap(({ start: from, stop }) => Array.from({ length: stop - from }, (_, i) => from + i)));
        $("drawing").textContent = `${this.bytes.length - begin} bytes drawn, ${copied.size} of them in copies of 8 or more from the text`;
        this.stop();
        price();
        this.columns.forEach((column) => column.redrawFrom(begin));
      }
    };
    listen("api/generate", body, take, signal);
  }

  // ---- what is kept in the address

  keep() {
    const text = this.bytes.length <= IN_ADDRESS ? this.encoded() : null;
    const state = {
      t: text, m: this.columns.map(({ spec }) => spec), c: this.caret, d: this.draw, u: this.unit,
      n: this.normalized, p: this.showParse,
    };
    const packed = toBase64(new TextEncoder().encode(JSON.stringify(state)));
    history.replaceState(null, "", `#${packed.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "")}`);
  }

  kept() {
    try {
      const packed = location.hash.slice(1).replaceAll("-", "+").replaceAll("_", "/");
      const state = packed && JSON.parse(new TextDecoder().decode(fromBase64(packed)));
      return state && Array.isArray(state.m) ? state : null;
    } catch {
      return null; // a fragment of another kind
    }
  }

  restore(state) {
    this.stop();
    this.setUnit(state.u === "bytes" ? "bytes" : "characters");
    this.setNormalized(state.n === true);
    this.setParse(state.p === true);
    this.setDraw(state.d ?? {});
    if (typeof state.t === "string") this.setText(fromBase64(state.t), Number(state.c) || 0);
    this.setModels(state.m.filter((spec) => typeof spec === "string").slice(0, MOST_COLUMNS));
  }

  // ---- settings

  setUnit(unit) {
    this.unit = unit;
    $("unit").value = unit;
    this.chars = characters(this.bytes, unit);
    this.parts = partsOf(this.chars);
    this.tellFacts();
    this.columns.forEach((column) => column.redrawFrom(0));
    this.keepSoon();
  }

  setNormalized(normalized) {
    if (this.normalized === normalized) return;
    this.normalized = normalized;
    $("normalized").value = normalized ? "1" : "";
    this.columns.forEach((column) => column.refresh(true));
    this.keepSoon();
  }

  setParse(shown) {
    if (this.showParse === shown) return;
    this.showParse = shown;
    $("show-parse").checked = shown;
    this.columns.forEach((column) => {
      column.redrawFrom(0);
      if (shown && !column.parse) column.askParse();
    });
    this.keepSoon();
  }

  setDraw(given) {
    const number = (value, low, high) => (typeof value === "number" && value >= low && value <= high ? value : null);
    this.draw = {
      temperature: number(given.temperature, 0.01, 100) ?? 1,
      top_k: Number.isInteger(given.top_k) ? number(given.top_k, 1, 256) : null,
      top_p: number(given.top_p, 0.001, 1),
      seen: given.seen === true,
    };
    $("temperature").value = this.draw.temperature;
    $("top-k").value = this.draw.top_k ?? "";
    $("top-p").value = this.draw.top_p ?? "";
    $("seen").checked = this.draw.seen;
    this.showSoon();
    this.keepSoon();
  }

  readDraw() {
    const value = (id) => ($(id).value === "" ? null : Number($(id).value));
    this.setDraw({
      temperature: value("temperature") ?? 1, top_k: value("top-k"), top_p: value("top-p"), seen: $("seen").checked,
    });
  }
}

function connect(app) {
  const editor = $("editor");
  editor.addEventListener("input", () => app.typed());
  document.addEventListener("selectionchange", () => app.followEditor());
  document.addEventListener("keydown", (event) => {
    const inField = event.target.matches("input, select");
    if (!(event.ctrlKey || event.metaKey) || inField) return;
    const key = event.key.toLowerCase();
    if (key === "z" && !event.shiftKey) app.undo();
    else if (key === "y" || (key === "z" && event.shiftKey)) app.redo();
    else return;
    event.preventDefault();
  });
  $("undo").addEventListener("click", () => app.undo());
  $("redo").addEventListener("click", () => app.redo());
  $("examples").addEventListener("change", (event) => {
    const example = app.given.examples[Number(event.target.value)];
    if (!example) return;
    app.changed = 0;
    app.stop();
    const bytes = fromBase64(example.text);
    app.setText(bytes, bytes.length);
    app.say("");
    $("facts").textContent += ` — ${example.note}`;
  });
  $("add").addEventListener("submit", (event) => {
    event.preventDefault();
    app.addNamed($("spec").value.trim());
  });
  $("unit").addEventListener("change", (event) => app.setUnit(event.target.value));
  $("normalized").addEventListener("change", (event) => app.setNormalized(event.target.value === "1"));
  $("show-parse").addEventListener("change", (event) => app.setParse(event.target.checked));
  for (const id of ["temperature", "top-k", "top-p", "seen"]) $(id).addEventListener("change", () => app.readDraw());
  $("generate").addEventListener("submit", (event) => {
    event.preventDefault();
    app.generate();
  });
  $("generator").addEventListener("change", (event) => {
    const column = app.columns.find(({ spec }) => spec === event.target.value);
    if (column) app.activate(column);
  });
  $("coder").addEventListener("toggle", () => app.showPanels());
  $("blocks").addEventListener("toggle", () => {
    if ($("blocks").open) app.setParse(true);
    app.showPanels();
  });
  $("export").addEventListener("click", () => exportPage(app));
  window.addEventListener("hashchange", () => {
    const state = app.kept();
    if (state) app.restore(state);
  });
  window.addEventListener("resize", () => app.columns.forEach((column) => column.mark()));
}

function fill(app, given) {
  $("examples").append(...given.examples.map(({ name }, i) => element("option", { value: i }, name)));
  $("specs").append(...given.names.map(({ name, summary }) => element("option", { value: name }, summary)));
  const names = ["under ¼", ...BOUNDS.slice(0, -1).map((low, i) => `${low}–${BOUNDS[i + 1]}`), `${BOUNDS.at(-1)} or more`];
  $("legend").append(element("span", {}, "bits:"), ...names.map((name, i) => element("span", { class: `s${i}` }, name)));
}

async function begin() {
  let given;
  try {
    given = await start();
  } catch (error) {
    $("message").textContent = error.message;
    return;
  }
  $("settings").open = window.innerWidth >= 600; // on a phone the text comes first
  const app = new App(given);
  window.app = app; // for the browser's developer tools
  fill(app, given);
  connect(app);
  app.guide = new Guide(app, $("guide"), $("guide-button"));
  app.game = new Game(app, $("game"), $("game-button"));
  app.buttons();
  const state = app.kept();
  const first = given.text ?? given.examples[0].text;
  const bytes = fromBase64(first);
  app.setText(bytes, bytes.length, { remember: false });
  if (given.name) {
    document.title = `${given.name} – gencomp play`;
    if (given.cut) app.say(`${given.name} is longer than the page takes; these are its first ${bytes.length.toLocaleString("en")} bytes.`);
  }
  if (state) app.restore(state);
  else app.setModels(given.models);
  app.undone = [];
  app.buttons();
  document.body.dataset.ready = "1";
}

begin();
