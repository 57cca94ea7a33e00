"""Small counts left out, and as many others as it takes that nobody can compute them.

Counts are known to belong together: what a step keeps and leaves out adds up to the step before, the splits add up to
their branch, a share is that of a count. Who knows this can compute a count that is not shown from those that are. So
after the small counts (primary suppression) others are left out too (complementary suppression), until each count that
must not be known could also be another number; integer programs decide that, and not a rule of thumb.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
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
    facts = _Facts(counts, smallest, frozenset(small & set(counts.shown)))
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
    words = {key: f"< {smallest}" if key in small else f"≥ {smallest}" for key in facts.hidden}
    words |= dict.fromkeys(facts.masked, "*")
    return Hidden(words, frozenset(share for share in counts.shares if not facts.shows(share)), smallest)


@dataclass(frozen=True)
class _Row:
    """Σ factor · count in [low, high]; one that comes from a share holds only while this is shown."""

    factors: Mapping[Key, float]
    low: float = 0.0
    high: float = 0.0
    share: Share | None = None


def _rows(counts: Counts) -> Iterator[_Row]:
    for total, parts in counts.sums:
        yield _Row(dict.fromkeys(parts, 1.0) | {total: -1.0})
    for smaller, larger in counts.ordered:
        yield _Row({smaller: 1.0, larger: -1.0}, low=-np.inf)
    for share in counts.shares:
        for bound, sign in zip(_rounded_from(share, counts.values), (-1.0, 1.0), strict=True):
            factors = dict.fromkeys(share.among, -sign * bound)
            yield _Row(factors | {share.of: factors.get(share.of, 0.0) + sign}, -np.inf, 0.0, share)


@dataclass(frozen=True, eq=False)
class _Facts:
    """What a reader knows: linear constraints on the counts that are not shown.

    Attributes:
        counts, smallest: see `hide`.
        hidden: counts that are left out, of those that would be shown.
        masked: those of them of which not even the bound is shown.
        left_out: shares that are not shown.
    """

    counts: Counts
    smallest: int
    hidden: frozenset[Key]
    masked: frozenset[Key] = frozenset()
    left_out: frozenset[Share] = frozenset()

    @cached_property
    def rows(self) -> dict[Key, list[_Row]]:
        """All that is known of each count, be it shown or not."""
        found: dict[Key, list[_Row]] = {}
        for row in _rows(self.counts):
            for key in row.factors:
                found.setdefault(key, []).append(row)
        return found

    def with_(self, **changes: Any) -> _Facts:
        """A copy that knows the rows already."""
        copy = replace(self, **changes)
        copy.__dict__["rows"] = self.rows
        return copy

    def without(self, one: Key | Share) -> _Facts:
        """What a reader knows if one more count or share is left out."""
        if isinstance(one, Share):
            return self.with_(left_out=self.left_out | {one})
        return self.with_(hidden=self.hidden | {one})

    def unbounded(self, key: Key) -> _Facts:
        """What a reader knows if no bounds are shown of a count and all that it hangs together with."""
        return self.with_(masked=self.masked | (self.hidden & set(self._around(key)[0])))

    def sees(self, key: Key) -> bool:
        """Whether a count is shown; one of which there is no line is known to be 0."""
        return not self.counts.values[key] or (key in self.counts.shown and key not in self.hidden)

    def shows(self, share: Share) -> bool:
        """Whether a share is shown."""
        return share.of not in self.hidden and share not in self.left_out

    def choices(self, key: Key) -> list[Key | Share]:
        """What is shown and bears upon a count: that which is missed least first, then the nearest; zeros stay."""
        costs: dict[Key | Share, tuple[int, int, int]] = {}
        for number, row in enumerate(self._around(key)[1]):
            if row.share is not None:
                costs.setdefault(row.share, (self.counts.shares[row.share], number, 0))
            for one in row.factors:
                if self.counts.values[one] and self.sees(one):
                    costs.setdefault(one, (self.counts.shown[one], number, self.counts.values[one]))
        return sorted(costs, key=lambda one: (*costs[one], str(one)))

    def tell(self, key: Key) -> bool:
        """Whether a reader can know the count exactly."""
        if self.sees(key):
            return True
        names, rows = self._around(key)
        at = {name: column for column, name in enumerate(names)}
        matrix = np.zeros((len(rows), len(names)))
        limits = np.empty((len(rows), 2))
        for line, row in enumerate(rows):
            constant = 0.0
            for name, factor in row.factors.items():
                if name in at:
                    matrix[line, at[name]] = factor
                else:
                    constant += factor * self.counts.values[name]
            limits[line] = row.low - constant, row.high - constant
        bounds = np.array([self._bounds(name) for name in names])
        value = self.counts.values[key]
        for low, high in ((value + 1.0, np.inf), (0.0, value - 1.0)):
            tried = bounds.copy()
            tried[0] = max(low, tried[0, 0]), min(high, tried[0, 1])
            if tried[0, 0] <= tried[0, 1] and _possible(matrix, limits, tried):
                return False
        return True

    def _bounds(self, key: Key) -> tuple[float, float]:
        if key not in self.hidden or key in self.masked:
            return 0.0, np.inf
        return (1.0, self.smallest - 1.0) if self.counts.values[key] < self.smallest else (self.smallest, np.inf)

    def _around(self, key: Key) -> tuple[list[Key], list[_Row]]:
        """A count and those not shown that it hangs together with, and all that is known of them, nearest first."""
        names, rows = {key: None}, dict[int, _Row]()
        waiting = [key]
        for name in waiting:
            for row in self.rows.get(name, ()):
                if id(row) not in rows and (row.share is None or self.shows(row.share)):
                    rows[id(row)] = row
                    new = [one for one in row.factors if one not in names and not self.sees(one)]
                    names |= dict.fromkeys(new)
                    waiting += new
        return list(names), list(rows.values())


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
