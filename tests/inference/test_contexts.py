"""Rows of tables: the compiled function against the definition in plain integers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gencomp.inference.contexts import KINDS, context_rows, make_plan, new_context

TABLES = [("order1", 256), ("order2", 8192), ("order3", 1), ("order4", 32768), ("order5", 999), ("order6", 16384)]
TABLES += [("word", 32768), ("words", 1000)]
FOUR_BYTES = 0xFFFFFFFF


def defined_rows(data: bytes, tables: list[tuple[str, int]]) -> list[list[int]]:
    """Return the rows by the definition: numbers modulo 2^32, written without regard for speed."""
    history = word = previous = 0
    inside = False
    rows = []
    for byte in data:
        history = history << 8 | byte
        folded = byte + 32 if 65 <= byte <= 90 else byte
        before = previous
        if 97 <= folded <= 122 or byte >= 128:
            word = ((word if inside else 0) + folded + 1) * 0x9E3779B1 & FOUR_BYTES
            value, inside = word, True
        elif inside:
            value = (word ^ 0x5BD1E995) + byte * 0x85EBCA6B & FOUR_BYTES
            previous, inside = word, False
        else:
            value = (history & 0xFFFF) * 0xC2B2AE35 & FOUR_BYTES
        row, first = [], 0
        for kind, count in tables:
            order = KINDS[kind]
            if kind == "order1":
                row.append(first + byte)
            else:
                last = history & (1 << 8 * order) - 1
                key = {"word": value, "words": value + before * 0x27D4EB2F + 1}.get(
                    kind, (last & FOUR_BYTES ^ (last >> 32) * 0x27D4EB2F) + order * 0x165667B1
                )
                x = (key & FOUR_BYTES) * 0x85EBCA6B & FOUR_BYTES
                x = (x ^ x >> 15) * 0x9E3779B1 & FOUR_BYTES
                x = (x ^ x >> 13) * 0xC2B2AE35 & FOUR_BYTES
                row.append(first + (x * count >> 32))
            first += count
        rows.append(row)
    return rows


@given(st.one_of(st.binary(max_size=60), st.text(alphabet="abAB .\né", max_size=60).map(str.encode)))
def test_rows_are_those_of_the_definition(data: bytes) -> None:
    rows = context_rows(np.frombuffer(data, np.uint8), new_context(), make_plan(TABLES))
    assert rows.dtype == np.int32
    assert rows.tolist() == defined_rows(data, TABLES)


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_a_context_goes_on(first: bytes, second: bytes) -> None:
    plan, context = make_plan(TABLES), new_context()
    parts = [context_rows(np.frombuffer(data, np.uint8), context, plan) for data in (first, second)]
    whole = context_rows(np.frombuffer(first + second, np.uint8), new_context(), plan)
    assert np.concatenate(parts).tolist() == whole.tolist()


def test_rows_are_spread(book: bytes) -> None:
    """A table of twice as many rows as a text has contexts gives them about as many rows as chance would."""
    data = np.frombuffer(book, np.uint8)
    words = len({book[i - 3 : i] for i in range(3, len(book) + 1)})
    used = len(set(context_rows(data, new_context(), make_plan([("order3", 2 * words)]))[:, 0].tolist()))
    assert used > 0.76 * words  # by chance (1 - e^-0.5) * 2 = 0.787


@pytest.mark.parametrize(
    ("tables", "complaint"),
    [
        ([], "0 tables"),
        ([("order9", 16)], "kind must be one of order1, order2.*got 'order9'"),
        ([("order1", 255)], "order1 has 255 rows, expected 256"),
        ([("word", 0)], "word has 0 rows, expected from 1"),
        ([("word", 1 << 24), ("order2", 1)], "16777217 rows, expected"),
    ],
)
def test_what_is_no_table_is_said(tables: list[tuple[str, int]], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        make_plan(tables)
