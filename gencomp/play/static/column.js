// One model's column: the text, coloured by each character's cost, and the candidates for one place in it.

import { characterAt, commonLength, label, lastUpTo, spoken } from "./bytes.js";
import { ask, listen } from "./server.js";

export const BOUNDS = [0.25, 0.5, 1, 2, 3, 4, 6, 9]; // bits, between the colours
const ROWS = 12; // candidates
const SOON = 400; // milliseconds that the caret rests before its place is priced first

export function shade(bits) {
  let place = 0;
  while (place < BOUNDS.length && bits >= BOUNDS[place]) place++;
  return place;
}

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") made.className = value;
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

export function figure(value, digits = 2) {
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

// Returns a time as people say it.
export function about(seconds) {
  if (seconds < 90) return `about ${Math.max(1, Math.round(seconds))} s`;
  return seconds < 5400 ? `about ${Math.round(seconds / 60)} min` : `about ${Math.round(seconds / 3600)} h`;
}

function share(p) {
  if (p === 0) return "–";
  return p >= 0.001 ? `${figure(100 * p, 1)} %` : p.toExponential(0).replace("e-", "·10⁻").replace(/\d+$/, superscript);
}

const superscript = (digits) => [...digits].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit]).join("");

const SVG = "http://www.w3.org/2000/svg";

export function drawing(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

export class Column {
  constructor(app, spec) {
    this.app = app;
    this.spec = spec;
    this.costs = new Float64Array(0);
    this.bytes = new Uint8Array(0);
    this.facts = null;
    this.parse = null;
    this.dirty = new Set(); // parts whose colours are out of date
    this.seen = new Set(); // parts in sight; others are drawn when they come into sight
    this.frame = 0;
    this.moved = false; // whether the text or the place has changed since the place was marked
    this.build();
    this.watch = new IntersectionObserver((changes) => this.sighted(changes), { root: this.frameBox, rootMargin: "200px" });
  }

  build() {
    this.title = element("h2", {}, this.spec);
    this.total = element("p", { class: "total" });
    this.status = element("p", { class: "status", role: "status" });
    this.text = element("div", {
      class: "text",
      tabindex: "0",
      role: "application",
      "aria-label": `${this.spec}: the text by cost; arrow keys move, Enter takes the likeliest byte`,
      onclick: (event) => this.clicked(event),
      onpointermove: (event) => event.pointerType === "mouse" && this.hovered(event),
      onpointerleave: () => this.app.hover(null),
      onkeydown: (event) => this.pressed(event),
      onfocus: () => this.app.activate(this),
    });
    this.marks = drawing("svg", { class: "marks", "aria-hidden": "true" });
    this.frameBox = element("div", { class: "frame", onscroll: () => this.mark() }, this.text, this.marks);
    this.candidates = element("div", { class: "candidates" });
    this.note = element("p", { class: "phrase" });
    const close = element("button", {
      type: "button", class: "close", "aria-label": `remove ${this.spec}`, onclick: () => this.app.remove(this),
    }, "×");
    this.box = element("section", { class: "column", "aria-label": this.spec }, element("header", {}, this.title, close),
      this.total, this.status, this.frameBox, this.note, this.candidates);
  }

  close() {
    this.stream?.abort();
    this.closed = true;
    this.watch.disconnect();
    this.box.remove();
  }

  // Takes over the page's current text.
  refresh(force = false) {
    const { bytes } = this.app;
    const known = force || this.facts?.causal === false ? 0 : commonLength(bytes, this.bytes);
    const costs = new Float64Array(bytes.length).fill(NaN);
    costs.set(this.costs.subarray(0, Math.min(known, this.costs.length)));
    this.costs = costs;
    this.bytes = bytes;
    this.parse = null;
    this.redrawFrom(force ? 0 : known);
    this.price();
    if (this.app.showParse) this.askParse();
  }

  price() {
    this.stream?.abort();
    this.stream = new AbortController();
    const { signal } = this.stream;
    this.failed = false;
    this.limited = false; // whether the rest would take too long
    this.done = false;
    this.left = "";
    this.asked = this.app.caret;
    const body = {
      slot: `costs ${this.spec}`, spec: this.spec, text: this.app.encoded(), normalized: this.app.normalized,
      position: this.app.caret,
    };
    this.sum();
    listen("api/costs", body, (event) => this.take(event), signal);
  }

  take(event) {
    if (event.event === "begin") {
      this.facts = event;
      this.status.textContent = "";
      this.app.learned();
      if (this.app.showParse && event.parses && !this.parse) this.askParse();
    } else if (event.event === "costs") {
      for (let i = 0; i < event.costs.length; i++) this.costs[event.start + i] = event.costs[i];
      this.redraw(event.start, event.start + event.costs.length);
      this.status.textContent = this.left;
    } else if (event.event === "left") {
      this.left = `${about(event.seconds)} left`;
      this.status.textContent = this.left;
    } else if (event.event === "working") {
      const what = event.compiling ? `compiling ${event.compiling}, ${event.compiled} loops so far` : "working";
      this.status.textContent = `${what}, ${Math.round(event.seconds)} s`;
    } else if (event.event === "end") {
      this.done = true;
      this.status.textContent = "";
      this.seconds = event.seconds;
    } else if (event.event === "limit") {
      this.limited = true;
      this.status.textContent = event.message;
    } else if (event.event === "error") {
      this.failed = true;
      this.status.textContent = event.message;
    }
    this.status.classList.toggle("error", event.event === "error" || event.event === "limit");
    this.sum();
  }

  // Has the bytes around the caret priced first, once it has rested there, unless they are known.
  attend() {
    clearTimeout(this.attending);
    this.attending = setTimeout(() => {
      const { caret } = this.app, place = Math.min(caret, this.costs.length - 1);
      if (this.done || this.failed || this.closed || caret === this.asked || !Number.isNaN(this.costs[place])) return;
      this.price();
    }, SOON);
  }

  sum() {
    let bits = 0, priced = 0;
    for (const cost of this.costs) {
      if (!Number.isNaN(cost)) {
        bits += cost;
        priced++;
      }
    }
    const { chars } = this.app;
    if (priced === 0) {
      this.total.textContent = this.costs.length || this.failed ? "" : "0 bits";
      return;
    }
    const of = priced < this.costs.length ? ` of ${priced.toLocaleString("en")} bytes so far` : "";
    let text = `${figure(bits, 1)} bits${of} · ${figure(bits / priced)} bits/byte`;
    if (!of && chars.count !== this.costs.length) text += ` · ${figure(bits / chars.count)} bits/character`;
    if (this.facts?.framing && !this.app.normalized) {
      text += ` · plus ${figure(this.facts.framing, 0)} for an empty text`;
    }
    this.total.textContent = text;
  }

  // Redraws everything from the byte `position` on.
  redrawFrom(position) {
    const { chars, parts } = this.app;
    const first = parts.length ? lastUpTo(parts, characterAt(chars, Math.min(position, this.bytes.length))) : 0;
    while (this.text.children.length > parts.length) {
      this.watch.unobserve(this.text.lastChild);
      this.seen.delete(this.text.children.length - 1);
      this.dirty.delete(this.text.children.length - 1);
      this.text.lastChild.remove();
    }
    for (let part = first; part < parts.length; part++) {
      if (part === this.text.children.length) {
        const box = element("div", { class: "part" });
        box.dataset.part = part;
        this.text.append(box);
        this.watch.observe(box);
        if (part < 4) this.seen.add(part); // the first ones, without waiting for the observer
      }
      if (!this.seen.has(part)) this.drawPlainly(part);
      this.dirty.add(part);
    }
    this.moved = true;
    this.schedule();
  }

  // Redraws the colours of the bytes from `start` to `stop`.
  redraw(start, stop) {
    const { chars, parts } = this.app;
    if (!parts.length) return;
    const first = lastUpTo(parts, characterAt(chars, start));
    const last = lastUpTo(parts, characterAt(chars, Math.max(start, stop - 1)));
    for (let part = first; part <= last; part++) this.dirty.add(part);
    this.schedule();
  }

  sighted(changes) {
    for (const { target, isIntersecting } of changes) {
      const part = Number(target.dataset.part);
      if (isIntersecting) this.seen.add(part);
      else this.seen.delete(part);
    }
    this.schedule();
  }

  schedule() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      for (const part of this.dirty) if (this.seen.has(part)) this.drawPart(part);
      if (this.moved) this.mark();
    });
  }

  markSoon() {
    this.moved = true;
    this.schedule();
  }

  drawAll() {
    for (const part of this.dirty) this.drawPart(part);
    if (this.moved) this.mark();
  }

  rangeOf(part) {
    const { chars, parts } = this.app;
    return [parts[part], parts[part + 1] ?? chars.count];
  }

  shown(i) {
    const text = this.app.chars.texts[i];
    return text === "\n" ? "⏎\n" : text;
  }

  // Fills a part that is out of sight, to give it its height.
  drawPlainly(part) {
    const [first, last] = this.rangeOf(part);
    let text = "";
    for (let i = first; i < last; i++) text += this.shown(i);
    const run = element("span", { class: "u" }, text);
    run.dataset.first = first;
    this.text.children[part].replaceChildren(run);
  }

  drawPart(part) {
    this.dirty.delete(part);
    const box = this.text.children[part];
    if (!box) return;
    const { chars } = this.app;
    const [begin, end] = this.rangeOf(part);
    const runs = [];
    let name = null, text = "", first = begin;
    const flush = () => {
      if (text) {
        const run = element("span", { class: name }, text);
        run.dataset.first = first;
        runs.push(run);
      }
      text = "";
      name = null;
    };
    for (let i = begin; i < end; i++) {
      const style = this.styleOf(i);
      if (style !== name || chars.hex[i]) {
        flush();
        name = style;
        first = i;
      }
      text += this.shown(i);
      if (chars.hex[i] || chars.texts[i] === "\n") flush();
    }
    flush();
    box.replaceChildren(...runs);
  }

  styleOf(i) {
    const { chars } = this.app;
    const start = chars.starts[i], stop = chars.starts[i + 1];
    const bits = this.costOf(start, stop);
    let style = Number.isNaN(bits) ? "u" : `s${shade(bits)}`;
    if (chars.hex[i]) style += " hex";
    if (this.app.isGenerated(start)) style += " g";
    if (this.app.copyAt(start)) style += " k";
    const phrase = this.phraseAt(start);
    if (phrase && phrase[2]) style += phrase[0] === start ? " m begins" : " m";
    return style;
  }

  costOf(start, stop) {
    const phrase = this.app.showParse && this.parse && !this.app.normalized ? this.phraseAt(start) : null;
    if (phrase) return (phrase[3] / phrase[1]) * (stop - start);
    let bits = 0;
    for (let at = start; at < stop; at++) bits += this.costs[at];
    return bits;
  }

  phraseAt(position) {
    if (!this.app.showParse || !this.parse) return null;
    const { phrases } = this.parse;
    let low = 0, high = phrases.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (phrases[middle][0] <= position) low = middle;
      else high = middle - 1;
    }
    return phrases[low] ?? null;
  }

  async askParse() {
    if (!this.facts?.parses || this.failed) return;
    const { bytes } = this.app;
    try {
      const parse = await ask("api/parse", { spec: this.spec, text: this.app.encoded() });
      if (bytes !== this.app.bytes) return;
      this.parse = parse;
      this.redrawFrom(0);
      this.app.learned();
    } catch (error) {
      this.status.textContent = error.message;
    }
  }

  // Returns the index of the character under the pointer, or null.
  placeOf(event) {
    let node, offset;
    if (document.caretPositionFromPoint) {
      const found = document.caretPositionFromPoint(event.clientX, event.clientY);
      [node, offset] = [found?.offsetNode, found?.offset];
    } else {
      const found = document.caretRangeFromPoint?.(event.clientX, event.clientY);
      [node, offset] = [found?.startContainer, found?.startOffset];
    }
    const run = node?.parentElement;
    if (!run || !this.text.contains(run) || run.dataset.first === undefined) return null;
    return this.placeIn(run, node, offset, event);
  }

  placeIn(run, node, offset, event) {
    const range = document.createRange();
    const inside = (from, to) => {
      range.setStart(node, from);
      range.setEnd(node, to);
      return [...range.getClientRects()].some((box) => event.clientX >= box.left && event.clientX <= box.right
        && event.clientY >= box.top && event.clientY <= box.bottom);
    };
    const first = Number(run.dataset.first), { chars } = this.app;
    let at = 0;
    for (let i = first; at < node.length; i++) { // which character holds the offset, or the one before it
      const size = chars.texts[i] === "\n" ? 2 : chars.texts[i].length;
      if (offset <= at + size && (offset < at + size || inside(at, at + size))) return i;
      at += size;
    }
    return null;
  }

  clicked(event) {
    const place = this.placeOf(event);
    this.app.activate(this);
    this.app.setCaret(place === null ? this.app.bytes.length : this.app.chars.starts[place]);
  }

  hovered(event) {
    const place = this.placeOf(event);
    this.app.hover(place === null ? null : this.app.chars.starts[place]);
  }

  pressed(event) {
    const { chars, caret } = this.app;
    const place = characterAt(chars, caret);
    const moves = {
      ArrowLeft: () => chars.starts[Math.max(0, place - 1)],
      ArrowRight: () => chars.starts[Math.min(chars.count, place + 1)],
      Home: () => 0,
      End: () => this.app.bytes.length,
    };
    if (event.key in moves && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      this.app.setCaret(moves[event.key](), true);
    } else if (event.key === "Enter" && this.answer) {
      event.preventDefault();
      this.app.branch(this.answer.position, this.answer.candidates[0].byte);
    }
  }

  // Shows the candidates for the byte at `position`. One question is asked at a time; of the places looked at in the
  // meantime, only the last one is asked for afterwards.
  async show(position) {
    this.wanted = position;
    if (this.asking) return;
    this.asking = true;
    while (this.wanted !== null && !this.closed) {
      const { bytes } = this.app, wanted = this.wanted;
      this.wanted = null;
      if (this.failed) {
        this.candidates.replaceChildren();
        continue;
      }
      const body = { spec: this.spec, text: this.app.encoded(), position: wanted, draw: this.app.draw };
      try {
        const answer = await ask("api/candidates", body);
        if (bytes !== this.app.bytes) continue; // the page asks again
        this.answer = answer;
        this.drawCandidates(answer);
      } catch (error) {
        this.candidates.replaceChildren(element("p", { class: "error" }, error.message));
      }
    }
    this.asking = false;
  }

  drawCandidates(answer) {
    const { position } = answer;
    const shown = answer.candidates.slice(0, ROWS);
    const actual = answer.candidates.find((candidate) => candidate.byte === answer.actual);
    if (actual && !shown.includes(actual)) shown.push(actual);
    const rows = shown.map((candidate) => this.row(candidate, position, answer.actual));
    const head = element("tr", {}, ...["byte", "bits", "raw", "drawn"].map((name) => element("th", { scope: "col" }, name)));
    const at = position < this.app.bytes.length ? `at byte ${position.toLocaleString("en")}` : "next";
    const table = element("table", {}, element("caption", {}, `Candidates ${at}`), element("thead", {}, head),
      element("tbody", {}, ...rows));
    this.candidates.replaceChildren(table, element("p", { class: "kraft" }, this.kraft(answer)));
  }

  row(candidate, position, actual) {
    const name = label(candidate.byte);
    const isActual = candidate.byte === actual;
    const append = position < this.app.bytes.length ? "branch here with" : "append";
    const button = element("button", {
      type: "button",
      class: "candidate",
      title: `${append} ${spoken(candidate.byte)}`,
      "aria-label": `${append} ${spoken(candidate.byte)}${isActual ? ", the byte that came" : ""}`,
      onclick: () => this.app.branch(position, candidate.byte),
    }, name);
    const bar = element("meter", { min: "0", max: "1", value: candidate.drawn, "aria-hidden": "true" });
    return element("tr", { class: isActual ? "actual" : "" }, element("th", { scope: "row" }, button),
      element("td", {}, figure(candidate.bits)), element("td", {}, share(candidate.p)),
      element("td", {}, bar, element("span", {}, share(candidate.drawn))));
  }

  kraft(answer) {
    const sum = answer.kraft;
    let text = `Kraft sum ${sum > 1e4 ? sum.toExponential(1) : figure(sum, 3)}: `;
    if (Math.abs(sum - 1) < 0.0005) text += "a true code, since the candidates' shares add up to 1.";
    else if (sum > 1) text += "above 1, so the growths are not a code by themselves; probabilities are shares of the sum.";
    else text += "below 1, so the code leaves room that no single byte uses; probabilities are shares of the sum.";
    text += ` Entropy ${figure(answer.entropy)} bits, ${answer.possible} of 256 may be drawn.`;
    if (answer.distinct < 8) text += ` Only ${answer.distinct} different lengths: most bytes tie.`;
    const priced = this.costs[answer.position];
    const came = answer.candidates.find((candidate) => candidate.byte === answer.actual);
    if (came && !this.facts?.codec && Math.abs(priced - came.bits) > 0.05) {
      text += ` The coder charged ${figure(priced)} bits for the actual byte: it learns within a byte.`;
    }
    return text;
  }

  // Returns the boxes of the bytes from `start` to `stop`, relative to the frame.
  boxes(start, stop) {
    const { chars } = this.app;
    const frame = this.text.getBoundingClientRect();
    const first = characterAt(chars, start), last = Math.max(first, characterAt(chars, stop - 1));
    const found = [];
    for (let i = first; i <= last && i < chars.count; i++) {
      const box = this.boxOf(i);
      if (!box) continue;
      const before = found.at(-1);
      const left = box.left - frame.left, top = box.top - frame.top;
      if (before && Math.abs(before.top - top) < 2) before.right = box.right - frame.left;
      else found.push({ left, top, right: box.right - frame.left, bottom: box.bottom - frame.top });
      if (found.length > 40) break;
    }
    return found;
  }

  boxOf(i) {
    const { parts } = this.app;
    if (!parts.length) return null;
    const part = lastUpTo(parts, i);
    if (this.dirty.has(part)) this.drawPart(part);
    const runs = this.text.children[part]?.children;
    if (!runs?.length) return null;
    let low = 0, high = runs.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (Number(runs[middle].dataset.first) <= i) low = middle;
      else high = middle - 1;
    }
    const run = runs[low];
    if (!run?.firstChild) return null;
    const { chars } = this.app;
    let at = 0;
    for (let j = Number(run.dataset.first); j < i; j++) at += chars.texts[j].length;
    const size = chars.texts[i] === "\n" ? 1 : chars.texts[i].length;
    if (at + size > run.firstChild.length) return null;
    const range = document.createRange();
    range.setStart(run.firstChild, at);
    range.setEnd(run.firstChild, at + size);
    return range.getBoundingClientRect();
  }

  // Marks the place being looked at, and draws an arrow from a copy to its source.
  mark() {
    const position = this.app.shownPosition();
    this.marks.replaceChildren();
    this.note.textContent = "";
    if (this.bytes !== this.app.bytes || this.text.children.length !== this.app.parts.length) return; // not drawn yet
    this.moved = false;
    const { length } = this.app.bytes;
    const target = position < length ? this.boxes(position, position + 1) : this.endBox();
    const pieces = target.map((box) => this.outline(box, position < length ? "here" : "here end"));
    const phrase = position < length ? this.phraseAt(position) : null;
    const copy = this.app.copyAt(position);
    if (phrase) {
      const [start, size, distance, bits, repeated] = phrase;
      this.note.textContent = distance
        ? `a copy of ${size} bytes from ${distance} back: ${figure(bits)} bits${repeated ? ", a distance used before" : ""}`
        : `a literal: ${figure(bits)} bits`;
      if (distance) pieces.push(...this.arrow(start, size, start - distance));
    } else if (copy) {
      this.note.textContent = `drawn, but a copy of ${copy.stop - copy.start} bytes from byte ${copy.source}`;
      pieces.push(...this.arrow(copy.start, copy.stop - copy.start, copy.source));
    }
    this.marks.append(...pieces);
  }

  endBox() {
    const { count } = this.app.chars;
    const box = count ? this.boxOf(count - 1) : null;
    if (!box) return [{ left: 2, top: 2, right: 4, bottom: 20 }];
    const frame = this.text.getBoundingClientRect();
    const left = box.right - frame.left;
    return [{ left, top: box.top - frame.top, right: left + 2, bottom: box.bottom - frame.top }];
  }

  outline(box, name) {
    return drawing("rect", {
      class: name, x: box.left - 1, y: box.top - 1, width: Math.max(2, box.right - box.left + 2),
      height: box.bottom - box.top + 2, rx: 2,
    });
  }

  arrow(start, size, source) {
    const to = this.boxes(source, source + size), from = this.boxes(start, start + size);
    if (!to.length || !from.length) return [];
    const x1 = (from[0].left + from[0].right) / 2, x2 = (to[0].left + to[0].right) / 2;
    const sameLine = Math.abs(from[0].top - to[0].top) < 2;
    const y1 = sameLine ? from[0].bottom + 1 : from[0].top - 1, y2 = to[0].bottom + 3;
    const bend = sameLine ? Math.max(y1, y2) + 14 : (y1 + y2) / 2;
    const path = `M${x1},${y1} C${x1},${bend} ${x2},${bend} ${x2},${y2}`;
    return [
      ...from.map((box) => this.outline(box, "copy")), ...to.map((box) => this.outline(box, "source")),
      drawing("path", { class: "halo", d: path }), drawing("path", { class: "arrow", d: path }),
      drawing("path", { class: "head", d: `M${x2 - 4},${y2 + 6} L${x2},${y2} L${x2 + 4},${y2 + 6} Z` }),
    ];
  }
}
