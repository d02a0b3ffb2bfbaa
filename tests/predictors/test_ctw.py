"""Context tree weighting against the recursion that defines it, and its bounds."""

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gencomp.equivalence.capabilities import decode_block, encode_block
from gencomp.errors import SpecError
from gencomp.predictors.ctw import MOST, USED, Ctw
from gencomp.registry import load
from tests.strategies import fewer


def log2_sum(terms: Sequence[float]) -> float:
    top = max(terms)
    return top + math.log2(sum(2 ** (term - top) for term in terms))


def weighted(decisions: Sequence[tuple[bytes, int]], depth: int, alpha: float, d: int = 0) -> float:
    """Return log2 of P_w of one decision's tree from (context with the last byte first, bit) pairs."""
    counts, estimate = [0, 0], 0.0
    for _, bit in decisions:
        estimate += math.log2((counts[bit] + alpha) / (sum(counts) + 2 * alpha))
        counts[bit] += 1
    if d == depth:
        return estimate
    children = defaultdict(list)
    for decision in decisions:
        children[decision[0][d]].append(decision)
    below = sum(weighted(child, depth, alpha, d + 1) for child in children.values())
    return log2_sum([estimate, below]) - 1


def by_definition(data: bytes, depth: int, alpha: float) -> float:
    """Return the code length of ``data`` in bits, from the whole trees, in floating point."""
    trees = defaultdict(list)
    padded = bytes(depth) + data
    for place, byte in enumerate(data):
        context = padded[place : place + depth][::-1]
        node = 1
        for shift in range(7, -1, -1):
            bit = byte >> shift & 1
            trees[node].append((context, bit))
            node = 2 * node + bit
    return -sum(weighted(tree, depth, alpha) for tree in trees.values())


@pytest.mark.parametrize(("depth", "alpha"), [(0, 8), (1, 8), (3, 8), (3, 2), (7, 8)])
def test_the_sequential_code_is_the_trees_mixture(depth: int, alpha: int, wiki: bytes) -> None:
    for size, tolerance in ((60, 1e-5), (700, 0.01)):  # weights end at 2^-20: what sank so far comes back sooner
        charged = Ctw(depth, alpha).begin().charge(wiki[:size]).sum()
        assert charged == pytest.approx(by_definition(wiki[:size], depth, alpha / 16), rel=tolerance)


@given(data=st.text(alphabet="abc", max_size=60).map(str.encode), depth=st.integers(0, 6))
@fewer(2)
def test_the_mixture_on_small_alphabets(data: bytes, depth: int) -> None:
    charged = Ctw(depth, 8).begin().charge(data).sum()
    assert charged == pytest.approx(by_definition(data, depth, 0.5), rel=1e-3, abs=0.01)


def test_a_redundancy_bound_holds() -> None:
    """A source whose tree has one leaf costs half a logarithm for each of its decisions, and a bit for the tree."""
    rng = np.random.default_rng(7)
    data = np.where(rng.random(20_000) < 0.9, ord("a"), ord("b")).astype(np.uint8).tobytes()
    zeros = data.count(b"a")
    ideal = -zeros * math.log2(zeros / 20_000) - (20_000 - zeros) * math.log2(1 - zeros / 20_000)
    charged = Ctw(3, 8).begin().charge(data).sum()
    # a and b part at the seventh bit, so nine decisions occur, each with its own tree: Willems et al., theorem 2
    assert charged < ideal + 9 * (0.5 * math.log2(20_000) + 1 + 1)


def test_a_full_table_adds_no_nodes_and_still_codes() -> None:
    data = np.random.default_rng(1).integers(0, 64, 6000, dtype=np.uint8).tobytes()
    small = Ctw(4, 8, memory=1)
    state = small.begin(data)
    assert int(state.registers[MOST]) - 40 <= int(state.registers[USED]) <= int(state.registers[MOST])
    assert decode_block(small, encode_block(small, data), len(data)) == data
    assert encode_block(small, data) != encode_block(Ctw(4, 8), data)


def test_a_charge_is_what_the_states_said(wiki: bytes) -> None:
    for spec in ("ctw:3", "lz78"):
        state = load(spec).begin(wiki[:50])
        stepped = state.copy()
        costs = []
        for symbol in wiki[50:120]:
            costs.append(stepped.code_lengths()[symbol])
            stepped.update(symbol)
        assert state.charge(wiki[50:120]) == pytest.approx(costs, rel=0.01)
        assert state.code_lengths() == pytest.approx(stepped.code_lengths())


def test_a_copy_of_a_large_state_shares_until_one_learns(wiki: bytes) -> None:
    state = Ctw().begin(wiki)
    twin = state.copy()
    assert twin._table is state._table
    twin.update(65)
    assert twin._table is not state._table
    assert (state.cdf() == Ctw().begin(wiki).cdf()).all()


@pytest.mark.parametrize("spec", ["ctw:17", "ctw:-1", "ctw?alpha=0", "ctw?memory=0", "lz78:0", "lz78:5000"])
def test_options_out_of_range_are_refused(spec: str) -> None:
    with pytest.raises(SpecError, match="must be from"):
        load(spec)


def test_lz78_by_hand() -> None:
    """The phrases of "aababa" are a, ab, aba: the root says what began phrases, each node what followed it there."""
    state = load("lz78:128").begin(b"aab")
    lengths = state.code_lengths()  # at the root, where two phrases began with a
    assert 2 ** -lengths[ord("a")] == pytest.approx((2 + 0.5) / (2 + 128), rel=1e-3)
    state.update(ord("a"))  # at "a", after which b came once
    assert 2 ** -state.code_lengths()[ord("b")] == pytest.approx((1 + 0.5) / (1 + 128), rel=1e-3)
    state.update(ord("b"))  # at "ab": a leaf, that says nothing
    assert 2 ** -state.code_lengths()[ord("a")] == pytest.approx(1 / 256, rel=1e-3)
    state.update(ord("a"))  # the phrase ends: at the root again
    assert 2 ** -state.code_lengths()[ord("a")] == pytest.approx((3 + 0.5) / (3 + 128), rel=1e-3)
