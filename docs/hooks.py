"""Hooks for mkdocs: the notebooks in examples/ become pages, with their output."""

import json
import re
from html import escape
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

EXAMPLES = Path(__file__).parent.parent / "examples"


def on_files(files: Files, config: Any) -> Files:
    """Add a page for each notebook."""
    for path in sorted(EXAMPLES.glob("*.ipynb")):
        files.append(File.generated(config, f"lessons/{path.stem}.md", content=page(path)))
    return files


def on_page_content(html: str, **_: Any) -> str:
    """Return the page with the Sphinx roles of docstrings turned into plain names; ~ keeps only a name's last part."""
    return re.sub(r":(?:func|class|mod|meth|data):<code>(~?)([^<]*)</code>", _name, html)


def _name(found: re.Match[str]) -> str:
    name = found[2].rpartition(".")[2] if found[1] else found[2]
    return f"<code>{name}</code>"


def page(path: Path) -> str:
    """Return a notebook as Markdown, with its saved output as HTML or plain text."""
    parts = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        parts += [_shown(output) for output in cell["outputs"]]
    parts.append(f"*This page is the notebook `examples/{path.name}`.*")
    return "\n\n".join(parts) + "\n"


def _shown(output: dict[str, Any]) -> str:
    if output["output_type"] == "stream":
        return f"<pre><code>{escape(''.join(output['text']))}</code></pre>"
    html = "".join(output["data"].get("text/html", ()))
    if not html:
        return f"<pre><code>{escape(''.join(output['data']['text/plain']))}</code></pre>"
    return re.sub(r"\n(?=\n)", "\n&#8203;", html)  # an empty line would end the HTML
