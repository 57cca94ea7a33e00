"""Small counts left out, and as many others as it takes that nobody can compute them.

Counts are known to belong together: what a step keeps and leaves out adds up to the step before, the splits add up to
their branch, a share is that of a count. Who knows this can compute a count that is not shown from those that are. So
after the small counts (primary suppression) others are left out too (complementary suppression), until each count that
must not be known could also be another number; integer programs decide that, and not a rule of thumb.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Key = Hashable


@dataclass(frozen=True)
class Share:
    """A share that is shown, such as 23.4 %: of the count `of` in the sum of the counts `among`."""

    of: Key
    among: tuple[Key, ...]
    digits: int


@dataclass
class Counts:
    """Counts, what a reader knows of how they belong together, and which of them are shown.

    Attributes:
        values: the counts.
        shown: those that a reader sees, and how much they would be missed; the others can only be computed.
        sums: (total, parts): the parts add up to the total.
        ordered: (a, b): a is at most b.
        shares: that are shown, and how much they would be missed.
    """

    values: dict[Key, int] = field(default_factory=dict)
    shown: dict[Key, int] = field(default_factory=dict)
    sums: list[tuple[Key, tuple[Key, ...]]] = field(default_factory=list)
    ordered: list[tuple[Key, Key]] = field(default_factory=list)
    shares: dict[Share, int] = field(default_factory=dict)

    def add(self, key: Key, value: int, *, missed: int = 0) -> None:
        """A count; `missed` is how much it would be if it were left out, 0 for one that is not shown."""
        self.values[key] = value
        if missed:
            self.shown[key] = missed

    def add_sum(self, total: Key, *parts: Key) -> None:
        """Say that parts add up, where they do and all of them are counts of ours."""
        if {total, *parts} <= set(self.values) and self.values[total] == sum(self.values[key] for key in parts):
            self.sums.append((total, parts))

    def add_order(self, smaller: Key, larger: Key) -> None:
        """Say that a count is at most another, where it is and both are counts of ours."""
        if {smaller, larger} <= set(self.values) and self.values[smaller] <= self.values[larger]:
            self.ordered.append((smaller, larger))


@dataclass(frozen=True)
class Hidden:
    """What must not be shown.

    Attributes:
        counts: key → what is shown in its place: "< 5", "≥ 5", or "*", which says nothing.
        shares: not to be shown.
        smallest: count that may be shown; 0 where nothing is hidden.
    """

    counts: Mapping[Key, str] = field(default_factory=dict)
    shares: frozenset[Share] = frozenset()
    smallest: int = 0


def hide(counts: Counts, smallest: int) -> Hidden:
    """Which counts and shares to leave out so that no count from 1 to `smallest` − 1 can be known exactly.

    Nor can one that is left out for their sake. Zeros are shown.

    Args:
        counts: all counts that are shown together.
        smallest: at least 3, for a count "< 2" is 1; 0 hides nothing.
    """
    if not smallest:
        return Hidden()
    small = {key for key, value in counts.values.items() if 0 < value < smallest}
    facts = _Facts(counts, frozenset(small & set(counts.shown)), smallest)
    waiting = sorted(small, key=lambda key: (counts.values[key], str(key)))
    for key in waiting:  # grows; to hide more never makes known what was not
        while facts.tell(key):
            # What is missed least of all that helps; if nothing helps alone, what is missed least.
            choices = facts.choices(key)
            helpful = next((one for one in choices if not facts.without(one).tell(key)), None)
            chosen = helpful or (choices[0] if choices else None)
            if chosen is None:
                facts = facts.unbounded(key)
                continue
            facts = facts.without(chosen)
            waiting += [] if isinstance(chosen, Share) else [chosen]
    words = {
        key: "*" if key in facts.masked else f"< {smallest}" if key in small else f"≥ {smallest}"
        for key in facts.hidden
    }
    return Hidden(words, frozenset(set(counts.shares) - set(facts.shares)), smallest)


class _Facts:
    """What a reader knows: linear constraints on the counts that are not shown.

    Attributes:
        hidden: counts that are left out, of those that would be shown.
        masked: those of them of which not even the bound is shown.
        shares: that are shown.
    """

    def __init__(
        self,
        counts: Counts,
        hidden: frozenset[Key],
        smallest: int,
        masked: frozenset[Key] = frozenset(),
        without: frozenset[Share] = frozenset(),
    ) -> None:
        self.counts, self.values, self.smallest = counts, counts.values, smallest
        self.hidden, self.masked, self.left_out = hidden, masked, without
        self.shares = [share for share in counts.shares if share.of not in hidden and share not in without]
        self.seen = set(counts.shown) - hidden
        # Σ factor · count in [low, high].
        rows: list[tuple[dict[Key, float], float, float]] = []
        for total, parts in counts.sums:
            row = dict.fromkeys(parts, 1.0)
            rows.append((row | {total: row.get(total, 0.0) - 1.0}, 0.0, 0.0))
        rows += [({a: 1.0, b: -1.0}, -np.inf, 0.0) for a, b in counts.ordered]
        for share in self.shares:
            low, high = _rounded_from(share, counts.values)
            for bound, sign in ((low, -1.0), (high, 1.0)):
                row = dict.fromkeys(share.among, -sign * bound)
                rows.append((row | {share.of: row.get(share.of, 0.0) + sign}, -np.inf, 0.0))
        self.rows = rows
        self.of: dict[Key, list[int]] = {}
        for number, (row, _, _) in enumerate(rows):
            for key in row:
                if key not in self.seen:
                    self.of.setdefault(key, []).append(number)

    def without(self, one: Key | Share) -> _Facts:
        """What a reader knows if one more count or share is left out."""
        if isinstance(one, Share):
            return _Facts(self.counts, self.hidden, self.smallest, self.masked, self.left_out | {one})
        return _Facts(self.counts, self.hidden | {one}, self.smallest, self.masked, self.left_out)

    def unbounded(self, key: Key) -> _Facts:
        """What a reader knows if no bounds are shown of a count and all that it hangs together with."""
        masked = self.masked | (self.hidden & set(self._around(key)[0]))
        return _Facts(self.counts, self.hidden, self.smallest, masked, self.left_out)

    def choices(self, key: Key) -> list[Key | Share]:
        """What is shown and bears upon a count, that which is missed least first; zeros stay."""
        names, numbers = self._around(key)
        near = {name for number in numbers for name in self.rows[number][0]} & self.seen
        costs: list[tuple[int, int, str, Key | Share]] = []
        costs += [(self.counts.shown[one], self.values[one], str(one), one) for one in near if self.values[one]]
        bearing = set(names)
        shares = [share for share in self.shares if bearing & {share.of, *share.among}]
        costs += [(self.counts.shares[share], 0, str(share), share) for share in shares]
        return [one for *_, one in sorted(costs, key=lambda cost: cost[:3])]

    def tell(self, key: Key) -> bool:
        """Whether a reader can know the count exactly."""
        if key in self.seen:
            return True
        names, numbers = self._around(key)
        at = {name: column for column, name in enumerate(names)}
        matrix = np.zeros((len(numbers), len(names)))
        limits = np.empty((len(numbers), 2))
        for line, number in enumerate(numbers):
            row, low, high = self.rows[number]
            constant = sum(factor * self.values[name] for name, factor in row.items() if name not in at)
            limits[line] = low - constant, high - constant
            for name, factor in row.items():
                if name in at:
                    matrix[line, at[name]] = factor
        bounds = np.array([self._bounds(name) for name in names])
        value = self.values[key]
        for low, high in ((value + 1.0, np.inf), (0.0, value - 1.0)):
            tried = bounds.copy()
            tried[at[key]] = max(low, tried[at[key], 0]), min(high, tried[at[key], 1])
            if tried[at[key], 0] <= tried[at[key], 1] and _possible(matrix, limits, tried):
                return False
        return True

    def _bounds(self, key: Key) -> tuple[float, float]:
        value, n = self.values[key], self.smallest
        if key not in self.hidden or key in self.masked:
            return 0.0, np.inf
        return (1.0, n - 1.0) if value < n else (float(n), np.inf)

    def _around(self, key: Key) -> tuple[list[Key], list[int]]:
        """All that a count not shown hangs together with: such counts, and numbers of rows."""
        names, rows, border = {key: None}, dict[int, None](), [key]
        while border:
            for number in self.of.get(border.pop(), ()):
                if number not in rows:
                    rows[number] = None
                    new = [name for name in self.rows[number][0] if name not in self.seen and name not in names]
                    names |= dict.fromkeys(new)
                    border += new
        return list(names), list(rows)


def _rounded_from(share: Share, values: Mapping[Key, int]) -> tuple[float, float]:
    """Between which numbers a share lies that is shown rounded, in per cent."""
    exact = values[share.of] / sum(values[key] for key in share.among)
    shown, half = float(f"{100 * exact:.{share.digits}f}") / 100, 0.5 * 10.0 ** (-2 - share.digits)
    low, high = shown - half, shown + half
    # A reader who knows how halves are rounded may leave out the ends, unless it is one of them.
    edge = half * 1e-6
    return (low + edge if exact > low + edge else low), (high - edge if exact < high - edge else high)


def _possible(matrix: Any, limits: Any, bounds: Any) -> bool:
    """Whether there are whole numbers within all limits."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    columns = matrix.shape[1]
    constraints = [LinearConstraint(matrix, limits[:, 0], limits[:, 1])] if len(matrix) else []
    found = milp(
        np.zeros(columns),
        integrality=np.ones(columns),
        bounds=Bounds(bounds[:, 0], bounds[:, 1]),
        constraints=constraints,
        options={"time_limit": 10.0},
    )
    if found.x is None:
        return False
    whole = np.rint(found.x)  # the solver's numbers are whole only nearly
    sums = matrix @ whole
    slack = 1e-9 * (1 + np.abs(matrix) @ np.abs(whole))
    return bool(
        (bounds[:, 0] <= whole).all()
        and (whole <= bounds[:, 1]).all()
        and (limits[:, 0] - slack <= sums).all()
        and (sums <= limits[:, 1] + slack).all()
    )
