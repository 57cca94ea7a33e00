"""Augmentations: what a stage may do to the ECGs that it trains on.

All of them change the eight stored leads. The others follow from I and II, so that an augmented ECG still has
III = II - I, whatever was done to it; a dropped lead I is missing in III, aVR, aVL and aVF, too.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from precordial.training.options import Augment

WANDER_HZ = (0.05, 0.5)  # breathing and movement
WAVES = 3  # of a wandering baseline


def augment(
    millivolts: Tensor, how: Augment, generator: torch.Generator, *, rate: int, rows: tuple[int, int] | None = None
) -> Tensor:
    """Change each ECG of a batch in its own way; the batch itself stays as it is.

    The gain comes first, then wander and noise, which are not of the heart, then the loss of leads.

    Everything is drawn for the whole batch, on the generator's device. So a process that has a part of a batch draws
    what one process alone would have drawn for these ECGs, when it names its `rows`.

    Args:
        millivolts: (n, leads, samples) at `rate`, before `InputSpec.prepare`.
        how: what is done, and how strongly.
        generator: seeded for this batch. What is not done draws nothing.
        rate: Hz.
        rows: (place of the first ECG in the whole batch, size of the whole batch); by default it is whole.

    Returns:
        (n, leads, samples) on the device of `millivolts`.
    """
    n, leads, samples = millivolts.shape
    first, whole = rows or (0, n)
    part = slice(first, first + n)
    place, drawn_on = millivolts.device, generator.device

    def uniform(*shape: int) -> Tensor:
        return torch.rand(whole, *shape, generator=generator, device=drawn_on)[part].to(place)

    out = millivolts
    if how.scale:
        out = out * (1 + how.scale * (2 * uniform(1, 1) - 1))
    if how.wander_mv:
        low, high = WANDER_HZ
        frequency, phase = low + (high - low) * uniform(leads, WAVES, 1), 2 * math.pi * uniform(leads, WAVES, 1)
        share = uniform(leads, WAVES, 1)
        amplitude = how.wander_mv * uniform(leads, 1, 1) * share / share.sum(dim=2, keepdim=True)
        time = torch.arange(samples, device=place) / rate
        for wave in range(WAVES):  # one at a time: a batch of sines is as large as the batch
            angle = 2 * math.pi * frequency[:, :, wave] * time + phase[:, :, wave]
            out = out + amplitude[:, :, wave] * torch.sin(angle)
    if how.noise_mv:
        noise = torch.randn(whole, leads, samples, generator=generator, device=drawn_on)[part]
        out = out + how.noise_mv * noise.to(place)
    if how.lead_dropout:
        draws = uniform(leads)
        kept = (draws >= how.lead_dropout) | (draws == draws.amax(dim=1, keepdim=True))
        out = out * kept[:, :, None]
    return out
