"""Self-contained pages: templates, style and scripts of this folder, put into one HTML file."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from gencomp.extras import require

_TEMPLATES = Path(__file__).parent / "templates"
SCRIPTS = ("page.js", "coder.js")


def check_extra() -> None:
    """Raise :class:`~gencomp.errors.MissingExtraError` unless the packages that make pages are installed."""
    require("report", "jinja2", "matplotlib")


def render(template: str, **values: Any) -> str:
    """Return the page. Its policy forbids every request, and allows only the script inside, by its hash."""
    check_extra()
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    script = "\n".join((_TEMPLATES / name).read_text(encoding="utf-8") for name in SCRIPTS)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
        "media-src data:; base-uri 'none'; form-action 'none'"
    )
    style = (_TEMPLATES / "style.css").read_text(encoding="utf-8")
    page: str = environment.get_template(template).render(
        policy=policy, style=Markup(style), script=Markup(script), **values
    )
    return page.encode("utf-8", "backslashreplace").decode()  # a file's name may not be UTF-8


def embedded(value: object) -> Any:
    """Return JSON for a ``script`` element; nothing in it can end the element."""
    from markupsafe import Markup

    return Markup(json.dumps(value, separators=(",", ":")).replace("<", "\\u003c"))


def number(value: float | None, digits: int = 3) -> str:
    """Return a number for a table, or a dash if there is none."""
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.{digits}f}"
