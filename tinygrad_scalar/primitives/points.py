"""Numbers at which primitives are tried: where hardly any function has a kink, and in the domains of most."""

from __future__ import annotations

from collections.abc import Iterator

NUMBERS = (
    0.37, -0.37, 1.21, -1.21, 0.71, -0.71, 2.3, -2.3, 0.083, -0.083, 5.9, -5.9, 0.93, -0.93, 17.3, -17.3, 0.0041,
    -0.0041, 133.7, -133.7, 2911.3, -2911.3, 3.1e6, -3.1e6,
)  # fmt: skip
MOST_TRIED = 512  # points for several operands


def points(n: int) -> Iterator[tuple[float, ...]]:
    """Points to try a function of n operands at, always the same."""
    if n == 1:
        yield from ((number,) for number in NUMBERS)
        return
    mixed = 1
    for k in range(MOST_TRIED):
        point = []
        for _ in range(n):
            mixed = mixed * 6364136223846793005 % 2**64 + 1442695040888963407  # Knuth's generator
            point.append(NUMBERS[(mixed >> 33) % (6 + k // 8) % len(NUMBERS)])  # the ordinary ones first
        yield tuple(point)
