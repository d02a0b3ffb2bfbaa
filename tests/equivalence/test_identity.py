"""What must agree for a code to decode: revisions, digests and environments, in any combination."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from gencomp.archive.models import describe, load_described
from gencomp.comparison.prompts import text_prompt
from gencomp.comparison.tasks import Judge, Measure, _identity, predictor_of
from gencomp.equivalence.adapt import as_predictor
from gencomp.equivalence.capabilities import parameter_count_of
from gencomp.equivalence.identity import as_json, composed, identity_of, is_revision_of, kept_under
from gencomp.errors import ModelMismatchError
from gencomp.inference.weights import quantise, save_weights
from gencomp.predictors.counts import Counts
from gencomp.registry import load
from tests.networks import SMALL_SHAPE, random_parameters, small_network


class Part:
    """A model of which only the identity is asked."""

    def __init__(self, revision: object = None, environment: object = None) -> None:
        self.revision, self._environment = revision, environment or {}

    def environment(self) -> object:
        return self._environment


@pytest.mark.parametrize("revision", [None, 3, (1, 2)])
@pytest.mark.parametrize("digests", [{}, {"weights": "ab"}, {"weights": "ab", "state": "cd"}])
@pytest.mark.parametrize("libraries", [{}, {"torch": "2.6"}])
def test_any_combination(revision: object, digests: dict[str, str], libraries: dict[str, str]) -> None:
    identity = identity_of(Part(revision, digests | libraries))
    assert identity.is_portable == (revision is not None)
    assert identity.digests == sorted(digests.items())
    record = identity.record()
    assert json.loads(json.dumps(record)) == record
    assert record["numeric"] == ("environment" if revision is None else "integer")
    assert record.get("revision") == as_json(revision)
    assert record.get("environment", {}) == digests | libraries
    assert is_revision_of(record.get("revision"), Part(revision))


def test_a_model_made_of_models_has_its_members_identities() -> None:
    rnn, text = f"rnn:{small_network()}", as_predictor
    assert identity_of(text("ensemble:counts:1,counts:3")).revision == (1, 1, 1)
    assert identity_of(text("mix:1?expert=ensemble:[counts:1,lz78]")).revision == (4, (1, 1, 1))
    inside, outside = identity_of(text(f"mix:1?expert={rnn}")), identity_of(text(rnn))
    assert inside.revision == (4, outside.revision)
    assert inside.digests == outside.digests != []
    assert identity_of(text("ensemble:counts:1,gzip")).revision is None
    assert composed(1, [Part(2), Part(None)]) is None


@pytest.mark.parametrize("spec", ["mix:1?expert={}", "ensemble:{},counts:1", "mix:1?expert=ensemble:[{},counts:1]"])
def test_the_parameters_of_members_count(spec: str) -> None:
    rnn = f"rnn:{small_network()}"
    assert parameter_count_of(load(spec.format(rnn))) == parameter_count_of(load(rnn)) > 0


# what archives of gencomp 0.1 hold
PACKED = {
    "counts:2": 1,
    "ensemble:counts:1,counts:3": 1_001_001,
    "mix:1?expert=counts:2": 1_004,
    "ensemble:counts:1,[mix:1+expert=counts:2]": 1_002_004,  # the expert's thousand runs into the next digit
    "mix:1?expert=ensemble:[counts:1,counts:3]": 1_001_001_004,
}


@pytest.mark.parametrize(("spec", "packed"), PACKED.items())
def test_packed_revisions_are_still_known(spec: str, packed: int) -> None:
    model = as_predictor(spec)
    description = describe(model)
    assert load_described(description | {"revision": packed}) == model
    for other in (packed + 1, packed + 1000, [packed], None, "1"):
        with pytest.raises(ModelMismatchError, match="made with revision"):
            load_described(description | {"revision": other})


def test_no_member_s_revision_runs_into_another_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """In base 1000, revision 1001 of the last member would have been revision 1 beside one more of the other."""
    descriptions = []
    for one, other in ((1, 1001), (2, 1)):
        parts = [Part(one), Part(other)]
        descriptions.append(composed(1, parts))
    assert descriptions[0] != descriptions[1]
    model = as_predictor("ensemble:counts:1,counts:3")
    before = describe(model)
    monkeypatch.setattr(Counts, "revision", 2)
    with pytest.raises(ModelMismatchError, match=r"revision \[1, 1, 1\] .* has revision \[1, 2, 2\]"):
        load_described(before)


class TestWhatIsKept:
    """A figure that was kept is used again only for the same model, weights and libraries."""

    def keys(self, spec: str, own: str) -> Sequence[str]:
        _identity.cache_clear()
        predictor_of.cache_clear()
        prompt = text_prompt("text", b"to be or not to be", given=10, length=5)
        return [
            Measure(prompt, spec, prompt.truth).key(),
            Judge(prompt, "uniform", prompt.truth, own).key(),
            kept_under(as_predictor(spec)),
        ]

    def test_other_weights_at_the_same_place(self, tmp_path: Path) -> None:
        path = tmp_path / "model.safetensors"
        found = []
        for seed in (0, 1, 0):
            weights = quantise(random_parameters(SMALL_SHAPE, seed), SMALL_SHAPE)
            save_weights(path, SMALL_SHAPE, weights, overwrite=True)
            found.append(self.keys(f"rnn:{path}", f"rnn:{path}"))
        assert found[0] == found[2]
        assert all(one != other for one, other in zip(found[0], found[1], strict=True))

    def test_another_revision(self, monkeypatch: pytest.MonkeyPatch) -> None:
        before = self.keys("ensemble:counts:1,lz78", "counts:2")
        monkeypatch.setattr(Counts, "revision", 9)
        after = self.keys("ensemble:counts:1,lz78", "counts:2")
        assert all(one != other for one, other in zip(before, after, strict=True))
