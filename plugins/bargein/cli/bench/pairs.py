"""How much more does a call cost with us in it? Pairs of ours and theirs, in turn first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from .row import Row, middle, quartiles
from .script import turned


async def row(
    name: str,
    stock_is: str,
    how: str,
    *,
    ours: Callable[[], Awaitable[float]],
    stock: Callable[[], Awaitable[float]],
    pairs: int,
    ratio_budget: float | None,
) -> Row:
    """Microseconds of both; the row's ratio is that of the medians."""
    ours_us: list[float] = []
    stock_us: list[float] = []
    for pair in range(pairs):
        for measure, took_us in turned([(ours, ours_us), (stock, stock_us)], pair):
            took_us.append(await measure())
    return Row(
        name=name,
        unit="us",
        ours=middle(ours_us),
        stock=middle(stock_us),
        stock_is=stock_is,
        ratio_budget=ratio_budget,
        spread=quartiles(ours_us),
        n=pairs,
        how=how,
    )
