"""What somebody else's program gets from the type checker: tests/test_public.py runs mypy --strict over this file.

Every ``type: ignore`` here is an error that must be one: mypy reports those that are not needed.
"""

from typing import assert_type

import numpy as np
import numpy.typing as npt

import gencomp

data = b"to be or not to be"

model = gencomp.load("gzip?level=6")
assert_type(model, gencomp.Predictor | gencomp.Compressor)
model.compress(data)  # type: ignore[union-attr]
if isinstance(model, gencomp.Compressor):
    assert_type(model.compress(data), bytes)
    assert_type(model.code_length(data), float)

predictor = gencomp.as_predictor(model)
assert_type(predictor, gencomp.Predictor)
assert_type(predictor.begin(data).code_lengths(), npt.NDArray[np.float64])
assert_type(gencomp.as_compressor("counts:3"), gencomp.Compressor)
assert_type(gencomp.compress(data), bytes)
assert_type(gencomp.decompress(gencomp.compress(data, predictor)), bytes)
assert_type(gencomp.sample("gzip", prompt=data, length=5, seed=1), bytes)
assert_type(gencomp.score(predictor, data).costs, npt.NDArray[np.float64])
assert_type(gencomp.costs("mix", data), npt.NDArray[np.float64])
assert_type(gencomp.candidates("mix", data).top(3), list[int])
assert_type(gencomp.code_length("zstd", data, given=data), float)
assert_type(gencomp.spec_of(model, full=True), str)

entry = gencomp.Entry("mine", "compressor", "package:Class", "what it is")
assert_type(entry.name, str)
gencomp.register(entry)
gencomp.Entry("mine", "codec", "package:Class", "what it is")  # type: ignore[arg-type]
gencomp.sample("gzip", prompt="text", length=5)  # type: ignore[arg-type]
gencomp.nothing  # type: ignore[attr-defined]  # noqa: B018


class Half:
    """No predictor: it has no alphabet."""

    def begin(self, context: object = ()) -> None: ...


gencomp.as_predictor(Half())  # type: ignore[arg-type]
