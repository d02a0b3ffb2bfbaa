// The page's walk through a text: distributions, code lengths, the coder's interval in exact integers, and its bits.

(function () {
  const root = document.getElementById("walk");
  if (!root) return;
  const walks = JSON.parse(document.getElementById("walk-data").textContent);
  walks.push(JSON.parse(document.getElementById("walk-paper").textContent));
  const SHOWN = 7; // guesses of a model, besides the actual byte
  const DIGITS = 4; // decimals after those that both bounds share

  function make(name, properties, ...children) {
    const node = Object.assign(document.createElement(name), properties);
    node.append(...children);
    return node;
  }

  function draw(name, attributes, ...children) {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  }

  // An interval is [low, low + width) / 2^exponent, in BigInt. Only the coder itself rounds: its width is an integer of
  // 49 to 57 bits, and each symbol's share of it is a whole number of units.
  function intervals(steps) {
    const all = [{ low: 0n, width: 1n << 56n, exponent: 56n }];
    for (const step of steps) {
      const last = all[all.length - 1];
      const precision = BigInt(step.precision);
      const unit = last.width >> precision;
      let low = last.low + unit * BigInt(step.start);
      let width = unit * BigInt(step.stop - step.start);
      let exponent = last.exponent;
      while (width < 1n << 48n) {
        low <<= 8n;
        width <<= 8n;
        exponent += 8n;
      }
      all.push({ low, width, exponent });
    }
    return all;
  }

  // The bits that every number in the interval begins with: those that its first and last numbers share.
  function certainBits({ low, width, exponent }) {
    const difference = low ^ (low + width - 1n);
    const open = difference === 0n ? 0n : BigInt(difference.toString(2).length);
    const count = Number(exponent - open);
    return count > 0 ? (low >> open).toString(2).padStart(count, "0") : "";
  }

  function decimals(value, exponent, count) {
    if (value >> exponent) return "1." + "0".repeat(count);
    return "0." + ((value * 10n ** BigInt(count)) >> exponent).toString().padStart(count, "0");
  }

  // Both bounds as decimals, with a few more digits than they share, and the number of characters that they share.
  function bounds({ low, width, exponent }) {
    let count = Math.max(1, Math.floor(Number(exponent) * 0.30103) - Math.floor(width.toString(10).length));
    let one, other;
    do {
      one = decimals(low, exponent, count);
      other = decimals(low + width, exponent, count);
      count += 1;
    } while (one === other);
    let shared = 0;
    while (one[shared] === other[shared]) shared += 1;
    const length = Math.max(shared - 2, 0) + DIGITS;
    return { low: decimals(low, exponent, length), high: decimals(low + width, exponent, length), shared };
  }

  function bits(value) {
    return value.toFixed(2);
  }

  function percent(length) {
    const share = 100 * 2 ** -length;
    return share >= 0.01 ? share.toFixed(2) + " %" : share.toExponential(0) + " %";
  }

  function guesses(step, labels) {
    const order = step.lengths.map((length, symbol) => symbol).sort((a, b) => step.lengths[a] - step.lengths[b] || a - b);
    const shown = order.slice(0, SHOWN);
    if (!shown.includes(step.symbol)) shown.push(step.symbol);
    return shown.map((symbol) => {
      const length = step.lengths[symbol];
      const bar = make("i");
      bar.style.width = 100 * 2 ** -length + "%";
      const line = make("div", { className: "guess" }, make("span", {}, labels[symbol]), make("div", {}, bar));
      line.append(make("span", {}, percent(length)), make("span", {}, bits(length) + " b"));
      if (symbol === step.symbol) line.classList.add("actual");
      return line;
    });
  }

  // The whole interval as one bar, divided among the symbols; the actual byte's part becomes the next bar.
  function picture(step, labels) {
    const shares = step.lengths.map((length) => 2 ** -length);
    const sum = shares.reduce((total, share) => total + share, 0);
    const wide = 400, top = 16, tall = 26, gap = 30;
    const svg = draw("svg", { viewBox: `0 0 ${wide} 92`, role: "img" });
    svg.setAttribute("aria-label", "The interval's part of " + labels[step.symbol]);
    let start = 0, chosen = [0, wide];
    shares.forEach((share, symbol) => {
      const width = (wide * share) / sum;
      const actual = symbol === step.symbol;
      if (actual) chosen = [start, start + width];
      if (width >= 0.25 || actual) {
        const name = "part" + (symbol % 2 ? " odd" : "") + (actual ? " actual" : "");
        svg.append(draw("rect", { class: name, x: start, y: top, width: Math.max(width, 0.8), height: tall }));
        if (width > 7 * labels[symbol].length + 4 && !actual) {
          svg.append(draw("text", { x: start + width / 2, y: top + 17, "text-anchor": "middle" }, labels[symbol]));
        }
      }
      start += width;
    });
    const middle = (chosen[0] + chosen[1]) / 2;
    const anchor = middle < 24 ? "start" : middle > wide - 24 ? "end" : "middle";
    svg.append(draw("text", { x: Math.min(Math.max(middle, 1), wide - 1), y: 11, "text-anchor": anchor }, labels[step.symbol]));
    const low = top + tall, next = low + gap;
    svg.append(draw("polygon", { class: "fan", points: `${chosen[0]},${low} ${Math.max(chosen[1], chosen[0] + 0.8)},${low} ${wide},${next} 0,${next}` }));
    svg.append(draw("rect", { class: "part actual", x: 0, y: next, width: wide, height: 14, opacity: 0.55 }));
    return make("div", { className: "interval" }, svg);
  }

  function numbers(before, after, code, last) {
    const list = make("dl", { className: "numbers" });
    const { low, high, shared } = bounds(after);
    for (const [name, text] of [["low", low], ["high", high]]) {
      const value = make("dd", {}, make("span", { className: "settled" }, text.slice(0, shared)), text.slice(shared) + "…");
      list.append(make("dt", {}, name), value);
    }
    const old = certainBits(before), now = certainBits(after);
    const out = make("dd", { className: "bits" });
    out.append(make("span", { className: "settled" }, old), make("mark", {}, now.slice(old.length)));
    if (now === "") out.append("none yet");
    list.append(make("dt", {}, "bits"), out);
    if (last) list.append(make("dt", {}, "code"), make("dd", { className: "code" }, code));
    return list;
  }

  function exact({ low, width, exponent }) {
    const node = make("details", {}, make("summary", {}, "exactly"));
    node.append(make("code", {}, `[0x${low.toString(16)}, 0x${(low + width).toString(16)}) / 2^${exponent}`));
    return node;
  }

  let walk, exacts, place = 0;
  const choice = make("select", { ariaLabel: "Text" }, ...walks.map((item, number) => make("option", { value: number }, item.title)));
  const slider = make("input", { type: "range", min: 0, ariaLabel: "Step" });
  const where = make("span", { className: "where", ariaLive: "polite" });
  const strip = make("div", { className: "strip" }); // what came before
  const costs = make("div", { className: "scroll costs", tabIndex: 0 });
  const models = make("div", { className: "models" });
  const buttons = [["|◀", "First byte", () => 0], ["◀", "One byte back", () => place - 1], ["▶", "One byte forward", () => place + 1], ["▶|", "Last byte", () => length() - 1]];
  const controls = make("div", { className: "controls" }, choice);
  const pressed = buttons.map(([sign, label, target]) => {
    const button = make("button", { type: "button", ariaLabel: label, title: label }, sign);
    button.addEventListener("click", () => go(target()));
    controls.append(button);
    return button;
  });
  controls.append(slider, where);
  root.append(controls, strip, costs, models);

  function length() {
    return walk.models[0].steps.length;
  }

  function open(number) {
    walk = walks[number];
    exacts = walk.models.map((model) => intervals(model.steps));
    slider.max = length() - 1;
    strip.replaceChildren(make("span", { className: "before" }, walk.before));
    const table = make("table", {});
    const head = table.createTHead().insertRow(); // each byte stands above its costs
    head.append(make("th", { scope: "col" }, "byte"));
    walk.models[0].steps.forEach((step, index) => {
      const button = make("button", { type: "button" }, walk.labels[step.symbol]);
      button.addEventListener("click", () => go(index));
      head.append(make("th", { scope: "col" }, button));
    });
    const body = table.createTBody();
    for (const model of walk.models) {
      const row = body.insertRow();
      row.append(make("th", { scope: "row" }, model.model));
      model.steps.forEach((step) => {
        const value = step.lengths[step.symbol];
        row.append(make("td", { className: "h" + Math.min(8, Math.floor(value)) }, value.toFixed(1)));
      });
    }
    costs.ariaLabel = "Code length of each byte in bits, by model";
    costs.replaceChildren(table);
    go(0);
  }

  function card(model, number) {
    const step = model.steps[place];
    const [before, after] = exacts[number].slice(place, place + 2);
    const total = model.steps.slice(0, place + 1).reduce((sum, one) => sum + one.lengths[one.symbol], 0);
    const head = make("h4", {}, model.model, make("output", {}, `${bits(step.lengths[step.symbol])} bits, ${bits(total)} so far`));
    const node = make("article", { className: "card" }, head, ...guesses(step, walk.labels), picture(step, walk.labels));
    node.append(numbers(before, after, model.code, place === length() - 1), exact(after));
    node.dataset.low = after.low.toString();
    node.dataset.width = after.width.toString();
    node.dataset.exponent = after.exponent.toString();
    node.dataset.bits = certainBits(after);
    return node;
  }

  function go(target) {
    place = Math.min(Math.max(target, 0), length() - 1);
    slider.value = place;
    where.textContent = `byte ${place + 1} of ${length()}`;
    pressed.forEach((button, number) => (button.disabled = number < 2 ? place === 0 : place === length() - 1));
    [...costs.querySelectorAll("button")].forEach((button, index) => {
      button.classList.toggle("done", index < place);
      if (index === place) button.setAttribute("aria-current", "step");
      else button.removeAttribute("aria-current");
    });
    for (const row of costs.querySelectorAll("tbody tr")) {
      [...row.cells].slice(1).forEach((cell, index) => {
        cell.classList.toggle("now", index === place);
        if (index !== place) return;
        const edge = cell.offsetLeft + cell.offsetWidth;
        if (edge > costs.scrollLeft + costs.clientWidth || cell.offsetLeft < costs.scrollLeft + row.cells[0].offsetWidth) {
          costs.scrollLeft = edge - costs.clientWidth / 2;
        }
      });
    }
    models.replaceChildren(...walk.models.map(card));
  }

  choice.addEventListener("change", () => open(Number(choice.value)));
  slider.addEventListener("input", () => go(Number(slider.value)));
  document.addEventListener("keydown", (event) => {
    const name = event.target.tagName;
    if (["INPUT", "SELECT", "TEXTAREA", "AUDIO"].includes(name) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest(".scroll:not(.costs)")) return; // the keys scroll there
    const box = root.getBoundingClientRect();
    if (box.bottom < 0 || box.top > window.innerHeight) return; // not in sight
    const targets = { ArrowLeft: place - 1, ArrowRight: place + 1 };
    if (root.contains(event.target)) Object.assign(targets, { Home: 0, End: length() - 1 });
    if (!(event.key in targets)) return;
    event.preventDefault();
    go(targets[event.key]);
  });
  open(0);
})();
