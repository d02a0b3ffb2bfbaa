"""Draw the losses of consecutive training runs as one curve.

    python benchmarks/loss_curves.py OUT.png FOLDER...

Each FOLDER is a run of ``gencomp train``, finished or stopped, that started from the one before it.
"""

import argparse
import json
from pathlib import Path

from gencomp.training.finish import draw_loss_curve
from gencomp.training.trainer import History


def history_of(folder: Path) -> History:
    finished = folder / "training.json"
    record = json.loads((finished if finished.exists() else folder / "checkpoint/state.json").read_text())
    return History(**record["history"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("folders", type=Path, nargs="+")
    options = parser.parse_args()
    whole = History()
    for folder in options.folders:
        part = history_of(folder)
        before = whole.steps[-1] if whole.steps else 0
        whole.steps += [before + step for step in part.steps]
        whole.training_loss += part.training_loss
        whole.held_out_loss += part.held_out_loss
    draw_loss_curve(whole, options.out, options.folders[-1].name)


if __name__ == "__main__":
    main()
