"use strict";
// For every page: a choice of colours, tables that sort.

(function () {
  const button = document.getElementById("theme");
  const choices = [["auto", "as the system has them"], ["light", "light"], ["dark", "dark"]];
  let choice = 0;
  button.addEventListener("click", () => {
    choice = (choice + 1) % choices.length;
    const [name, meaning] = choices[choice];
    document.documentElement.dataset.theme = name;
    button.textContent = "◐ " + name;
    button.setAttribute("aria-label", "Colours: " + meaning);
  });
})();

(function () {
  function valueOf(row, column) {
    const cell = row.cells[column];
    if (cell.dataset.value === undefined) {
      const text = cell.textContent.trim();
      return text !== "" && !Number.isNaN(Number(text)) ? Number(text) : text.toLowerCase();
    }
    return cell.dataset.value === "" ? null : Number(cell.dataset.value);
  }

  function compare(one, other) {
    if (one === null || other === null) return (one === null) - (other === null); // missing values come last
    if (typeof one === typeof other) return one < other ? -1 : one > other ? 1 : 0;
    return typeof one === "number" ? -1 : 1;
  }

  function sort(table, column) {
    const heads = [...table.tHead.rows[0].cells];
    const down = heads[column].getAttribute("aria-sort") === "ascending";
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    heads[column].setAttribute("aria-sort", down ? "descending" : "ascending");
    const rows = [...table.tBodies[0].rows].map((row) => [valueOf(row, column), row]);
    rows.sort(([one], [other]) => (down && one !== null && other !== null ? -1 : 1) * compare(one, other));
    table.tBodies[0].append(...rows.map(([, row]) => row));
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      head.firstElementChild.addEventListener("click", () => sort(table, column));
    });
  }
})();

// A text's characters show their bits: under the pointer as tooltips, by touch or keys in a line below.
(function () {
  for (const text of document.querySelectorAll(".card .text")) {
    const told = text.parentElement.querySelector(".told");
    const spans = [...text.querySelectorAll("span")];
    let place = -1;
    const pick = (number) => {
      if (number < 0 || number >= spans.length) return;
      if (place >= 0) spans[place].classList.remove("picked");
      place = number;
      spans[place].classList.add("picked");
      told.textContent = `“${spans[place].textContent}”: ${spans[place].title}`;
    };
    text.addEventListener("click", (event) => pick(spans.indexOf(event.target)));
    text.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (step === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      event.stopPropagation();
      pick(place < 0 ? 0 : place + step);
    });
  }
})();
