// What the page shows, as one self-contained HTML file without scripts or requests.

import { element } from "./column.js";

function escaped(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

// Returns the page as text.
export async function pageText(app) {
  const style = await (await fetch("style.css")).text();
  const columns = app.columns.map((column) => {
    column.drawAll();
    const copy = column.box.cloneNode(true);
    copy.querySelectorAll("button.close, .status, .marks").forEach((part) => part.remove());
    copy.querySelectorAll("button").forEach((button) => button.replaceWith(element("span", {}, button.textContent)));
    copy.querySelectorAll("[tabindex]").forEach((part) => {
      part.removeAttribute("tabindex");
      part.removeAttribute("role");
    });
    return copy.outerHTML;
  });
  const open = [...document.querySelectorAll("#coder[open], #blocks[open]")].map((part) => part.outerHTML);
  const title = escaped(document.title);
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<style>${style.replaceAll("</", "<\\/")}</style>
<header class="top"><h1>${title}</h1><p>${escaped(document.getElementById("facts").textContent)}</p></header>
<main>
${document.getElementById("legend").outerHTML}
<div class="columns">${columns.join("\n")}</div>
${open.join("\n")}
</main>
<footer class="quiet">Made with gencomp ${escaped(app.given.version)}.</footer>
</html>
`;
}

export async function exportPage(app) {
  const link = element("a", {
    href: URL.createObjectURL(new Blob([await pageText(app)], { type: "text/html" })), download: "gencomp-play.html",
  });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
