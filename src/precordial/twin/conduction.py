"""Bundle-branch blocks: late and slow forces of the blocked side, and the repolarisation that follows from them.

Criteria: Surawicz 2009 (AHA/ACCF/HRS recommendations, part III, J Am Coll Cardiol 53:976). The sizes are chosen so
that the leads meet them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from precordial.twin.conditions import BLOCKS

Array = NDArray[np.float32]

RIGHT, LEFT = BLOCKS.index("right"), BLOCKS.index("left")
# The right ventricle alone, after the left one is done: to the right and forwards.
LATE_RIGHT = np.array((-0.33, -0.02, -0.78), np.float32)
BACKWARDS = np.array((0, 0, 1), np.float32)
ONSET = 0.42  # of the narrow QRS lies before the R peak
# Peak and width of Q, R, S and late QRS in parts of the QRS. Normal: from the R peak. Left block: from the onset; two
# humps make the notch.
NORMAL = np.array([(-0.25, 0.09), (0, 0.12), (0.26, 0.125), (0.26, 0.1)], np.float32)
LEFT_BLOCK = np.array([(0.18, 0.075), (0.36, 0.125), (0.64, 0.125), (0.83, 0.085)], np.float32)


def timing(narrow: Array, wide: Array, block: NDArray[np.int8]) -> tuple[Array, Array]:
    """Centres and widths (n, 4) of Q, R, S and late QRS, in ms from the R peak of the unblocked beat.

    Args:
        narrow, wide: (n,) ms, the QRS without and with its block.
        block: (n,) index into `BLOCKS`.
    """
    onset = -ONSET * narrow[:, None]
    centres, widths = narrow[:, None] * NORMAL[:, 0], narrow[:, None] * NORMAL[:, 1]
    right, left = block == RIGHT, (block == LEFT)[:, None]
    # In right block the left ventricle goes its normal way, and the late wave follows.
    widths[right, 3] = 0.125 * wide[right]
    centres[right, 3] = onset[right, 0] + 0.735 * wide[right]
    centres = np.where(left, onset + wide[:, None] * LEFT_BLOCK[:, 0], centres)
    widths = np.where(left, wide[:, None] * LEFT_BLOCK[:, 1], widths)
    return centres, widths


def block_waves(vectors: Array, st: Array, size: Array, left: Array, block: NDArray[np.int8]) -> None:
    """Change the waves and ST levels of blocked hearts in place.

    Args:
        vectors: (n, waves, 3) of a heart without block, mV, in the order of `persons.WAVES`.
        st: (n, 3) mV.
        size: (n, 1) of the person's QRS. left: (n, 3) unit vector along its frontal axis.
        block: (n,) index into `BLOCKS`.
    """
    rows = np.flatnonzero(block == RIGHT)
    late = size[rows] * LATE_RIGHT
    vectors[rows, 5] = late
    vectors[rows, 4] *= 0.75  # what was the right ventricle's part is late now
    vectors[rows, 6] -= 0.5 * late  # T against the late forces: inverted in V1 and V2
    st[rows] -= 0.05 * late
    # Left: the septum is crossed from right to left, so no septal q; then slowly round the left ventricle, backwards.
    rows = np.flatnonzero(block == LEFT)
    along, back = size[rows] * left[rows], size[rows] * BACKWARDS
    vectors[rows, 2] = 0.15 * along - 0.10 * back
    vectors[rows, 3] = 0.75 * along + 0.75 * back
    vectors[rows, 4] = 0.80 * along + 1.15 * back
    vectors[rows, 5] = 0.40 * along + 0.60 * back
    vectors[rows, 6] = 0.35 * vectors[rows, 6] - 0.36 * along - 0.38 * back
    st[rows] -= 0.06 * along + 0.12 * back
