"""Write docs/cli.md from the command line's --help; with --check, only say whether it is up to date."""

import sys
from pathlib import Path

import typer
from typer.testing import CliRunner

from gencomp.cli.app import COMMANDS, application

TARGET = Path(__file__).parent / "cli.md"


def reference() -> str:
    """Return the page: a section for each command, in the order of the help."""
    runner = CliRunner(env={"TERMINAL_WIDTH": "100", "COLUMNS": "100"})
    app = application()
    parts = ["# The command line\n", "Generated from `--help` by `docs/generate.py`; do not edit.\n"]
    for name in ["", *COMMANDS]:
        arguments = [name, "--help"] if name else ["--help"]
        result = runner.invoke(app, arguments, prog_name="gencomp")
        if result.exit_code:
            raise typer.Exit(result.exit_code)
        title = f"gencomp {name}".strip()
        text = "\n".join(line.rstrip() for line in result.output.strip().splitlines())
        parts.append(f"## {title}\n\n```\n{text}\n```\n")
    return "\n".join(parts)


def main() -> int:
    """Write or check the page; return the exit code."""
    page = reference()
    if "--check" in sys.argv[1:]:
        if not TARGET.exists() or TARGET.read_text(encoding="utf-8") != page:
            print(f"{TARGET.name} is not what --help says; run: python docs/generate.py", file=sys.stderr)
            return 1
        return 0
    TARGET.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
