"""Pages that need nothing but themselves: templates, style and script of this folder, put into one HTML file."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from gencomp.extras import require

_TEMPLATES = Path(__file__).parent / "templates"
SCRIPTS = ("page.js", "coder.js")


def check_extra() -> None:
    """Raise :class:`~gencomp.errors.MissingExtraError` unless what pages are made with is installed."""
    require("report", "jinja2", "matplotlib")


def render(template: str, **values: Any) -> str:
    """Return the page. Its policy forbids every request; of scripts it allows the one inside, by its hash."""
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
    return page.encode("utf-8", "backslashreplace").decode()  # a file's name may hold what UTF-8 does not


def embedded(value: object) -> Any:
    """Return JSON for inside a ``script`` element: nothing in it can end the element."""
    from markupsafe import Markup

    return Markup(json.dumps(value, separators=(",", ":")).replace("<", "\\u003c"))


def number(value: float | None, digits: int = 3) -> str:
    """Return a number for a table; a dash where there is none."""
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.{digits}f}"


def comparison_page(document: dict[str, Any]) -> str:
    """Return the page of a comparison, from what :func:`gencomp.evaluation.compare.compare` gave.

    Raises :class:`~gencomp.errors.DatasetError` where that is of another shape.
    """
    from gencomp.report.comparison import view

    return render("comparison.html.j2", **view(document))


def evaluation_page(rows: Any, made: dict[str, Any] | None = None) -> str:
    """Return the page of an experiment, from the rows that :func:`gencomp.evaluation.tables.to_json` wrote.

    ``made`` says how they came about (:mod:`gencomp.report.made`).

    Raises :class:`~gencomp.errors.DatasetError` where they are of another shape.
    """
    from gencomp import __version__
    from gencomp.report.evaluation import view

    return render("evaluation.html.j2", **view(rows, __version__, made))
