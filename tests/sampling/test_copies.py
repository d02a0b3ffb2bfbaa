import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gencomp
from gencomp.sampling.copies import Limits, find_copies, followers, measure_copies


def test_followers_are_what_comes_after() -> None:
    assert followers(b"abcabd", b"ab") == [ord("c"), ord("d")]
    assert followers(b"aaa", b"a") == [ord("a")]
    assert followers(b"abc", b"bc") == []
    assert followers(b"", b"x") == []


def test_a_worked_example() -> None:
    copies = measure_copies(b"the cat sat on the mat", b"a cat sat! on the mud", at_least=5)
    # " cat sat" and " on the m" are common; "a", "!" and "ud" are not
    assert (copies.copied, copies.longest, copies.drawn) == (8 + 9, 9, 21)
    assert copies.rate == 17 / 21


@given(st.text("ab", max_size=30).map(str.encode), st.text("ab", max_size=30).map(str.encode), st.integers(1, 6))
def test_copies_are_those_of_the_definition(context: bytes, drawn: bytes, at_least: int) -> None:
    marked = np.zeros(len(drawn), dtype=bool)
    longest = 0
    for start in range(len(drawn)):
        for end in range(start + 1, len(drawn) + 1):
            if drawn[start:end] in context:
                longest = max(longest, end - start)
                if end - start >= at_least:
                    marked[start:end] = True
    copies = measure_copies(context, drawn, at_least)
    assert (copies.copied, copies.longest) == (marked.sum(), longest)


@pytest.mark.parametrize("strategy", ["bytes", "beam", "particles"])
def test_no_copy_is_longer_than_the_limit(strategy: str) -> None:
    prompt = b"the quick brown fox jumps over the lazy dog. " * 4
    options = {"horizon": 10, "width": 3} if strategy != "bytes" else {"top_k": 1}
    free = gencomp.sample("gzip", length=30, prompt=prompt, strategy=strategy, **options)
    limited = gencomp.sample("gzip", length=30, prompt=prompt, strategy=strategy, max_copy=5, **options)
    assert measure_copies(prompt, limited).longest <= 5
    if strategy != "particles":
        assert measure_copies(prompt, free).longest > 5


def test_where_nothing_is_left_the_limit_is_lifted() -> None:
    limits = Limits(b"aaaa", alphabet=(97,), max_copy=2)
    assert np.flatnonzero(limits.allowed(b"aa")).tolist() == [97]
    assert gencomp.sample("counts:1", length=6, prompt=b"aaaa", alphabet=(97,), max_copy=2) == b"aaaaaa"


def test_wrong_values_are_refused() -> None:
    with pytest.raises(ValueError, match="max_copy must be at least 1"):
        Limits(max_copy=0)
    with pytest.raises(ValueError, match="at least 1 byte"):
        measure_copies(b"", b"", 0)


def test_copies_are_found_with_their_sources() -> None:
    context = b"the quick brown fox jumps over the lazy dog"
    drawn = b"zz quick brown FOX the lazy dog"
    found = find_copies(context, drawn, 8)
    assert [drawn[copy.start : copy.stop] for copy in found] == [b" quick brown ", b" the lazy dog"]
    for copy in found:
        size = copy.stop - copy.start
        assert context[copy.source : copy.source + size] == drawn[copy.start : copy.stop]
    assert find_copies(context, b"", 8) == []
    with pytest.raises(ValueError, match="at least 1 byte"):
        find_copies(context, drawn, 0)


@given(st.text("ab", max_size=20), st.text("ab", max_size=20), st.integers(1, 5))
def test_copies_found_are_those_that_are_measured(context: str, drawn: str, at_least: int) -> None:
    found = find_copies(context.encode(), drawn.encode(), at_least)
    copied = {place for copy in found for place in range(copy.start, copy.stop)}
    expected = {
        place
        for start in range(len(drawn))
        for stop in range(start + at_least, len(drawn) + 1)
        if drawn[start:stop] in context
        for place in range(start, stop)
    }
    assert copied == expected
    assert measure_copies(context.encode(), drawn.encode(), at_least).copied == len(expected)
