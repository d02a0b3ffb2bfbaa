import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gencomp.bitstreams import rfc1951
from gencomp.bitstreams.huffman import WORK_SHAPE, code_lengths
from gencomp.bitstreams.similar_trees import CHANGED, TRACED, begin_tree, count_once_more, trace
from gencomp.data import alice
from gencomp.protocols import IntArray


def built(counts: IntArray) -> tuple[list[int], int]:
    lengths = np.zeros(rfc1951.L_CODES, np.int64)
    _, bits = code_lengths(counts, lengths, np.zeros(WORK_SHAPE, np.int64))
    return lengths.tolist(), int(bits)


def count_each_once_more(counts: IntArray) -> list[int]:
    """Compare each with a tree that is built for it; return the signs."""
    tree, signs = begin_tree(), []
    trace(tree, counts)
    assert (tree.nodes[TRACED, : rfc1951.L_CODES].tolist() == built(counts)[0]) == (
        tree.nodes[TRACED].max() <= rfc1951.MAX_BITS
    )
    for symbol in np.flatnonzero(counts):
        bits, sign = count_once_more(tree, symbol)
        more = counts.copy()
        more[symbol] += 1
        if sign >= 0:
            assert (tree.nodes[CHANGED if sign else TRACED, : rfc1951.L_CODES].tolist(), bits) == built(more)
        signs.append(int(sign))
    return signs


@given(
    st.lists(
        st.one_of(st.just(0), st.integers(1, 4), st.integers(1, 3000), st.integers(0, 14).map(lambda i: 1 << i)),
        min_size=2,
        max_size=rfc1951.L_CODES,
    ).filter(lambda counts: np.count_nonzero(counts) > 1)
)
def test_a_traced_tree_tells_the_code_of_one_symbol_more(counts: list[int]) -> None:
    count_each_once_more(np.array(counts + [0] * (rfc1951.L_CODES - len(counts)), np.int64))


def test_most_trees_of_text_are_not_built_anew() -> None:
    counts = np.bincount(np.frombuffer(alice()[:15_000], np.uint8), minlength=rfc1951.L_CODES).astype(np.int64)
    signs = count_each_once_more(counts)
    assert signs.count(-1) < len(signs) / 4
    assert signs.count(0) > 3


def test_codes_that_would_be_too_long_are_left_to_others() -> None:
    fibonacci = [1, 1]
    while len(fibonacci) < 18:
        fibonacci.append(fibonacci[-1] + fibonacci[-2])
    assert set(count_each_once_more(np.array(fibonacci + [0] * (rfc1951.L_CODES - 18), np.int64))) == {-1}
