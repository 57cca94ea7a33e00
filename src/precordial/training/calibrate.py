"""How fast this machine trains and scores: a few steps on noise, for a plan's hours."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor

from precordial.models import Network, create_model
from precordial.training.features import EVALUATION_BATCH
from precordial.training.loader import seed_step
from precordial.training.precision import autocast
from precordial.training.run import TrainingRun
from precordial.training.stages import Stage
from precordial.training.steps import run_losses, set_stage

SECONDS = 2.0  # that the steps of one rate are to take together
FIRST = 8  # ECGs of the first steps, which tell whether whole batches can be afforded


def training_rate(run: TrainingRun, stage: Stage, place: torch.device, *, cached: bool = False) -> float:
    """ECG/s of a run's steps in one of its stages: forward, backward, optimiser; reading and preparing are not in it.

    Args:
        run: whose model, batch, precision and outputs count.
        stage: of it.
        place: the device.
        cached: the head reads stored features of a frozen body.
    """
    network = _network(run, place)
    set_stage(network, stage)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-6, eps=run.adam_epsilon, fused=True)

    def step(size: int) -> None:
        inputs, extra = _noise(network, size, place, crops=True, features=cached)
        truth = torch.arange(size, device=place).remainder(2).float()[:, None].expand(size, len(run.targets))
        seed_step(network, 0, size)
        optimiser.zero_grad(set_to_none=True)
        with autocast(run.precision, place):
            outputs = network.logits(inputs, extra) if cached else network(inputs, extra)
        loss = run_losses(run, outputs, truth).mean() + network.penalty()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    return _rate(step, stage.batch or run.batch, place)


def scoring_rate(run: TrainingRun, place: torch.device) -> float:
    """ECG/s of a run's network in evaluation mode, in float32, as predictions are made."""
    network = _network(run, place).eval()

    def step(size: int) -> None:
        inputs, extra = _noise(network, size, place, crops=False, features=False)
        with torch.inference_mode():
            network(inputs, extra)

    return _rate(step, EVALUATION_BATCH, place)


def _network(run: TrainingRun, place: torch.device) -> Network:
    network = create_model(run.model, len(run.targets), run.rate, run.cropping, run.extra_inputs)
    if run.parent:
        network.replace_head(run.head, len(run.targets), run.extra_inputs)
    return network.to(place)


def _noise(
    network: Network, size: int, place: torch.device, *, crops: bool, features: bool
) -> tuple[Tensor, Tensor | None]:
    """Inputs of a batch, and zeros for what is beside the ECG."""
    samples = network.crops.samples if network.crops and crops else network.spec.model_samples
    shape = (size, network.features) if features else (size, len(network.spec.leads), samples)
    beside = torch.zeros(size, len(network.extra_inputs), device=place) if network.extra else None
    return torch.randn(shape, device=place), beside


def _rate(step: Callable[[int], None], batch: int, place: torch.device) -> float:
    first = min(FIRST, batch)
    step(first)  # what is set up once
    seconds = _time(step, first, place)
    if first < batch and seconds * batch / first < SECONDS:
        step(batch)
        first, seconds = batch, _time(step, batch, place)
    times = [seconds]
    while sum(times) < SECONDS and len(times) < 20:
        times.append(_time(step, first, place))
    return first / sorted(times)[len(times) // 2]


def _time(step: Callable[[int], None], size: int, place: torch.device) -> float:
    started = time.perf_counter()
    step(size)
    if place.type == "cuda":
        torch.cuda.synchronize(place)
    return time.perf_counter() - started
