"""Equal rows, connected rows and what has the same key, with and without the loops in C, as one would find them."""

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import example, given, strategies as st

from tinygrad_scalar.vectorize import distinct
from tinygrad_scalar.vectorize.group import native

ROWS = st.lists(st.lists(st.integers(0, 3) | st.sampled_from([-1, 1 << 40]), max_size=3), max_size=12)


needs_c = pytest.mark.skipif(native() is None, reason="the loops in C were not built")
each_way = pytest.mark.parametrize("loops", [None, pytest.param(native(), marks=needs_c)], ids=["in Python", "in C"])


def flattened(rows):
    return np.array([number for row in rows for number in row], np.int64), np.cumsum([0, *map(len, rows)])


@each_way
@given(rows=ROWS)
@example(rows=[])
@example(rows=[[], [0], [], [0, 0], [0]])
def test_equal_rows_have_one_number_in_the_order_in_which_they_first_occur(loops, rows):
    with patch.object(distinct, "native", lambda: loops):
        first, number = distinct.distinct_rows(*flattened(rows))
    known = list(dict.fromkeys(map(tuple, rows)))
    assert number.tolist() == [known.index(tuple(row)) for row in rows]
    assert first.tolist() == [rows.index(list(row)) for row in known]


@each_way
@given(rows=st.lists(st.lists(st.integers(0, 20), min_size=1, max_size=3), max_size=12))
def test_rows_of_different_groups_have_nothing_in_common_and_those_of_one_are_linked(loops, rows):
    with patch.object(distinct, "native", lambda: loops):
        groups = distinct.connected(*flattened(rows), 21)
    expected = list(range(len(rows)))
    for i, row in enumerate(rows):
        for j in range(i):
            if set(row) & set(rows[j]) and expected[i] != expected[j]:
                expected = [expected[j] if group == expected[i] else group for group in expected]
    known = list(dict.fromkeys(expected))
    assert groups.tolist() == [known.index(group) for group in expected]


@given(st.lists(st.sampled_from([0, 1, 5, -3, 1 << 40]), max_size=12))
def test_keys_come_in_the_order_in_which_they_first_occur_with_all_their_places(keys):
    array = np.array(keys, np.int64)
    found = [(key, places.tolist()) for key, places in distinct.by_key(array)]
    assert found == [(key, [i for i, other in enumerate(keys) if other == key]) for key in dict.fromkeys(keys)]
    different, number = distinct.numbered(array)
    assert different.tolist() == sorted(set(keys)) and different[number].tolist() == keys
    assert not keys or distinct.all_differ(array) == (len(set(keys)) == len(keys))
