"""The same prompts continued by several models and judged: tasks out, rows in, and no result lost."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gencomp import __version__, markup
from gencomp.budget import in_time
from gencomp.comparison.prompts import Prompt
from gencomp.comparison.strategies import parse_strategy, search_of
from gencomp.comparison.tasks import (
    Continue,
    Judge,
    Measure,
    Result,
    Task,
    Walk,
    decoded,
    encoded,
    predictor_of,
    run_task,
    sampled,
)
from gencomp.equivalence.adapt import predictor_spec
from gencomp.equivalence.read_before import warn_if_read
from gencomp.executors import Pool, SerialPool, finished
from gencomp.journal import JsonLines

FORMAT = "gencomp-compare"
FORMAT_VERSION = 1
ROWS_AT_ONCE = 8  # rows of an image that one task continues, if they are independent
SLOW = 600.0  # seconds of one core; what takes longer is announced beforehand
TRUTH, SHUFFLED = "truth", "shuffled"  # the two ends of every scale
RESULTS, WORK = "rows.json", "work.jsonl"

Progress = Callable[[int, int], None]
_SHOWN = 100  # characters of a continuation that a notebook shows


@dataclass(frozen=True)
class Contender:
    """A model and how it is sampled; it takes part in ``modalities``."""

    model: str
    strategy: str
    modalities: tuple[str, ...] = ("text", "image", "audio")


@dataclass(frozen=True)
class Plan:
    """What is compared. ``seeds`` are the continuations of each prompt by modality, as is the ``judge`` if None."""

    prompts: Sequence[Prompt]
    contenders: Sequence[Contender]
    seeds: Mapping[str, int]
    judge: str | None = None
    steps: int = 24

    def __post_init__(self) -> None:
        if not self.prompts:
            raise ValueError("there is nothing to continue: give a text, an image or a recording")
        if not self.contenders:
            raise ValueError("there is no model to continue with")
        for contender in self.contenders:
            parse_strategy(contender.strategy)

    def judge_of(self, prompt: Prompt) -> str:
        return self.judge or prompt.judge


class Comparison(dict[str, Any]):
    """What :func:`compare` returns: a dict of what JSON can hold, which a notebook shows as tables."""

    def _repr_html_(self) -> str:
        """Return a line for each contender and prompt: means over the seeds, and a text's first continuation."""
        groups: dict[tuple[int, str, str], list[Result]] = {}
        for row in self["rows"]:
            groups.setdefault((row["prompt"], row["model"], row["strategy"]), []).append(row)
        parts = []
        for number, prompt in enumerate(self["prompts"]):
            lines: list[list[str | int | float]] = []
            for (place, model, strategy), rows in groups.items():
                if place != number:
                    continue
                (data, *_) = decoded(rows[0]["parts"])
                line = [f"the truth{', shuffled' * (model == SHUFFLED)}" if model in (TRUTH, SHUFFLED) else model]
                rate = float(np.mean([row["bits_per_byte"] for row in rows]))
                copied = float(np.mean([row["copy_rate"] for row in rows]))
                text = data.decode("utf-8", "replace")[:_SHOWN] if prompt["modality"] == "text" else ""
                lines.append([*line, strategy, rate, copied, text])
            heads = ("who", "strategy", f"bits/byte under {prompt['judge']}", "copied", "first continuation")
            parts.append(markup.table(prompt["name"], heads, lines))
        return markup.piece(*parts)


class Work:
    """The tasks' results by key; with a file, each is saved as soon as it is there, on a line of its own."""

    def __init__(self, path: Path | None = None) -> None:
        self._results: dict[str, Result] = {}
        self._lines = JsonLines(path, self._accept, beginning='{"key": "', what="journal of a comparison")

    def _accept(self, record: Any) -> None:
        if not isinstance(record["result"], dict):
            raise TypeError("no result")
        self._results[record["key"]] = record["result"]

    def __len__(self) -> int:
        return len(self._results)

    def get(self, task: Task) -> Result | None:
        return self._results.get(task.key())

    def add(self, task: Task, result: Result) -> None:
        self._results[task.key()] = result
        self._lines.add([{"key": task.key(), "result": result}])

    def do(self, tasks: Sequence[Task], pool: Pool, progress: Progress) -> None:
        """Do the tasks, except those whose results are known."""
        missing = {task.key(): task for task in tasks if self.get(task) is None}
        progress(len(tasks) - len(missing), len(tasks))
        for task, result in finished(pool, run_task, missing.values()):
            self.add(task, result)
            progress(1, 0)


@dataclass(frozen=True)
class _Cell:
    """One continuation: a row of the results."""

    prompt: Prompt
    number: int
    contender: Contender
    seed: int

    def tasks(self) -> list[Continue]:
        """Return the work: all pieces in one task if they are joined, else a few in each."""
        pieces = self.prompt.pieces
        size = len(pieces) if self.prompt.joined else ROWS_AT_ONCE
        model, strategy = self.contender.model, self.contender.strategy
        tasks = []
        for first in range(0, len(pieces), size):
            fields = {**vars(self.prompt), "pieces": pieces[first : first + size]}
            tasks.append(Continue(Prompt(**fields), model, strategy, self.seed, first))
        return tasks


def shuffled(prompt: Prompt, seed: int = 0) -> tuple[bytes, ...]:
    """Return the truth with its bytes in random order: the same counts, and nothing else in common."""
    data = np.frombuffer(b"".join(prompt.truth), dtype=np.uint8)
    mixed = np.random.default_rng(seed).permutation(data).tobytes()
    parts = []
    start = 0
    for part in prompt.truth:
        parts.append(mixed[start : start + len(part)])
        start += len(part)
    return tuple(parts)


def compare(
    plan: Plan,
    work: Work | None = None,
    pool: Pool | None = None,
    progress: Progress = lambda done, total: None,
) -> Comparison:
    """Return the comparison as JSON can hold it: settings, prompts, rows, and the coder's steps on the first text.

    ``progress`` is called with (tasks done, tasks added). With the same ``work``, nothing is computed twice. Any
    ``pool`` gives the same rows, apart from the seconds.
    """
    work = work if work is not None else Work()
    pool = pool if pool is not None else SerialPool()
    contenders = [_canonical(contender) for contender in plan.contenders]
    cells = _cells(plan, contenders)
    # cells of one task cannot be shared out, so they come first: nobody waits for them at the end
    first = sorted(cells, key=lambda cell: len(cell.tasks()))
    work.do([task for cell in first for task in cell.tasks()], pool, progress)
    parts = [_joined([work.get(task) for task in cell.tasks()]) for cell in cells]

    models = list(dict.fromkeys(contender.model for contender in contenders))
    for prompt in plan.prompts:
        if prompt.modality == "text":
            for model in {*models, plan.judge_of(prompt)}:
                warn_if_read(model, b"".join(prompt.truth), prompt.name)
    text = next((prompt for prompt in plan.prompts if prompt.modality == "text"), None)
    walks = [Walk(text, model, plan.steps) for model in models] if text is not None and plan.steps else []
    ends = [(number, name) for number in range(len(plan.prompts)) for name in (TRUTH, SHUFFLED)]
    end_parts = [
        prompt.truth if name == TRUTH else shuffled(prompt) for prompt in plan.prompts for name in (TRUTH, SHUFFLED)
    ]
    losses = {
        (number, model): Measure(prompt, model, prompt.truth)
        for number, prompt in enumerate(plan.prompts)
        for model in models
        if any(cell.number == number and cell.contender.model == model for cell in cells)
    }
    entropies = [Measure(cell.prompt, cell.contender.model, part[0]) for cell, part in zip(cells, parts, strict=True)]
    judgements = [
        Judge(cell.prompt, plan.judge_of(cell.prompt), part[0], cell.contender.model)
        for cell, part in zip(cells, parts, strict=True)
    ]
    end_judgements = [
        Judge(plan.prompts[number], plan.judge_of(plan.prompts[number]), part)
        for (number, _), part in zip(ends, end_parts, strict=True)
    ]
    work.do([*walks, *losses.values(), *entropies, *judgements, *end_judgements], pool, progress)

    rows = []
    for (number, name), part, judgement in zip(ends, end_parts, end_judgements, strict=True):
        rows.append(_row(plan.prompts[number], number, name, "", None, part) | _known(work, judgement))
    for cell, (part, seconds), measure, judgement in zip(cells, parts, entropies, judgements, strict=True):
        measured = _known(work, measure)
        rows.append(
            _row(cell.prompt, cell.number, cell.contender.model, cell.contender.strategy, cell.seed, part)
            | {"seconds": seconds, "bytes_per_second": sum(map(len, part)) / seconds}
            | {"entropy": measured["entropy"]}
            | {"log_loss": _known(work, losses[cell.number, cell.contender.model])["log_loss"]}
            | _known(work, judgement)
        )
    return Comparison(
        {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "version": __version__,
            "settings": {"judge": plan.judge, "seeds": dict(plan.seeds), "steps": plan.steps},
            "prompts": [_prompt_record(plan, prompt) for prompt in plan.prompts],
            "rows": rows,
            "walk": [{"model": walk.model, **_known(work, walk)} for walk in walks],
        }
    )


def slow_contenders(plan: Plan, work: Work) -> Iterator[str]:
    """Yield a line for each model that takes over ten minutes to continue a prompt, judging by one step.

    A step is tried only if a cautious estimate is over ten minutes; results that ``work`` has take no time.
    """
    missing: dict[tuple[int, Contender], int] = {}
    for cell in _cells(plan, [_canonical(contender) for contender in plan.contenders]):
        size = sum(len(part) for task in cell.tasks() if work.get(task) is None for part in task.prompt.truth)
        missing[cell.number, cell.contender] = missing.get((cell.number, cell.contender), 0) + size
    for (number, contender), size in missing.items():
        prompt, predictor = plan.prompts[number], sampled(contender.model, contender.strategy)
        given, truth = prompt.pieces[-1]
        context = prompt.whole(prompt.truth) if prompt.joined else given + truth
        context = context[: len(context) - len(truth) // 2]
        search = search_of(parse_strategy(contender.strategy), b"x")
        if search.cost(predictor, len(context), size).work <= SLOW:
            continue
        state = predictor.begin(context)
        state.code_lengths()  # which may compile
        begun = time.perf_counter()
        state.update(0)
        state.code_lengths()
        branches = 1 if search.strategy in ("bytes", "lookahead") else search.sizes()[1]
        seconds = (time.perf_counter() - begun) * size * branches
        if seconds > SLOW:
            way = "" if contender.strategy == "bytes" else f" {contender.strategy}"
            yield (
                f"{contender.model}{way} takes about {in_time(seconds)} to continue {prompt.name}; after Ctrl-C, "
                "--resume goes on"
            )


def _cells(plan: Plan, contenders: Sequence[Contender]) -> list[_Cell]:
    return [
        _Cell(prompt, number, contender, seed)
        for number, prompt in enumerate(plan.prompts)
        for contender in contenders
        if prompt.modality in contender.modalities
        for seed in range(plan.seeds.get(prompt.modality, 1))
    ]


def _canonical(contender: Contender) -> Contender:
    """Return the contender with its specs in canonical form. Raises if the model cannot be loaded."""
    predictor = predictor_of(contender.model)
    try:
        model = predictor_spec(predictor)
    except ValueError:  # its class has no name in the registry
        model = contender.model
    return Contender(model, str(parse_strategy(contender.strategy)), contender.modalities)


def _joined(results: Sequence[Result | None]) -> tuple[tuple[bytes, ...], float]:
    """Return the parts of a cell and the seconds they took."""
    known = [result for result in results if result is not None]
    return decoded([part for result in known for part in result["parts"]]), sum(result["seconds"] for result in known)


def _known(work: Work, task: Task) -> Result:
    result = work.get(task)
    assert result is not None
    return result


def _row(prompt: Prompt, number: int, model: str, strategy: str, seed: int | None, parts: tuple[bytes, ...]) -> Result:
    return {
        "prompt": number,
        "modality": prompt.modality,
        "model": model,
        "strategy": strategy,
        "seed": seed,
        "bytes": sum(map(len, parts)),
        "parts": encoded(list(parts)),
    }


def _prompt_record(plan: Plan, prompt: Prompt) -> Result:
    return {
        "modality": prompt.modality,
        "name": prompt.name,
        "given": encoded([given for given, _ in prompt.pieces]),
        "joined": prompt.joined,
        "width": prompt.width,
        "notes": list(prompt.notes),
        "judge": plan.judge_of(prompt),
    }
