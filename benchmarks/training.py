"""How fast is a step of training, and inference? Against the same model in plain eager float32 PyTorch, in one run.

    python benchmarks/training.py [--models rn-900k,rn-7m] [--ways plain,fp32,bf16] [--rounds 5] [--seconds 2]

Plain is `benchmarks/plain.py`: `nn.Conv1d` and `nn.BatchNorm1d` over (batch, channels, time), `nn.Dropout`, Adam as
PyTorch makes it, float32, ten crops of each ECG one after the other. Ours is what `precordial.training` does: bfloat16
where the processor or GPU multiplies it, time before channels, batch norm folded in inference, fused Adam. Each runs in
a process of its own, and they take turns; the ratio is the median over the rounds. Inputs are noise that lies ready.

A round of training is steps of BATCH ECGs (crops for rn-900k); of inference, batches of whole ECGs. FLOPs are those of
the plain model, counted by PyTorch; the peak is that of square matrix products in the same numbers, measured before.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.flop_counter import FlopCounterMode

from plain import plain_copy
from precordial.models import MODELS, Network, create_model
from precordial.models.folding import folded
from precordial.processes import keep_memory
from precordial.training.loop import LARGEST
from precordial.training.options import Precision
from precordial.training.precision import autocast, choose_precision, numbers

# ECGs in a step, and in a batch of inference; a CPU takes smaller ones in the same time, and so gives ratios sooner.
BATCH = {
    "cpu": {"cnn-20k": (256, 256), "rn-900k": (256, 64), "rn-7m": (32, 32), "rn-33m": (32, 32)},
    "cuda": {"cnn-20k": (256, 256), "rn-900k": (256, 256), "rn-7m": (256, 256), "rn-33m": (256, 256)},
}
SIZE = 2048  # of the matrices whose product is the peak


@dataclass(frozen=True)
class Task:
    """What a process measures: a model in one way, and with how many threads."""

    model: str
    way: str
    threads: int


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2, help="of a turn, at least one step")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--ways", help="such as plain,fp32,bf16,bf16-compiled,bf16-graphs; compiling takes minutes")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    place, precision = device(), choose_precision("auto")
    peaks = {kind: peak(place, numbers(kind)) for kind in ("fp32", precision)}
    print(f"{describe(place)}; matrix products: " + ", ".join(f"{k} {v / 1e9:.0f} GFLOP/s" for k, v in peaks.items()))
    print("| model | what | way | ECG/s | ratio to plain | GFLOP/s | of the peak |\n|---|---|---|---|---|---|---|")
    ways = options.ways.split(",") if options.ways else ["plain", "fp32", precision]
    for model in options.models.split(","):
        compare(model, list(dict.fromkeys(ways)), options, peaks)


def compare(model: str, ways: list[str], options: argparse.Namespace, peaks: dict[Precision, float]) -> None:
    """The lines of a model."""
    context, workers = get_context("spawn"), {}
    for way in ways:
        here, there = context.Pipe()
        process = context.Process(target=work, args=(there, Task(model, way, options.threads)), daemon=True)
        process.start()
        workers[way] = here
    flops = {way: pipe.recv() for way, pipe in workers.items()}["plain"]
    for what in ("training", "inference"):
        speeds: dict[str, list[float]] = {way: [] for way in ways}
        for turn in range(options.rounds + 1):  # the first one warms up
            for way, pipe in workers.items():
                pipe.send((what, options.seconds))
                speed = pipe.recv()
                if turn:
                    speeds[way].append(speed)
        for way in ways:
            speed = statistics.median(speeds[way])
            ratio = statistics.median(a / b for a, b in zip(speeds[way], speeds["plain"], strict=True))
            done = speed * flops[what]
            share = f"{done / peaks[precision_of(way)]:.0%}"
            print(f"| {model} | {what} | {way} | {speed:.1f} | {ratio:.2f} | {done / 1e9:.0f} | {share} |", flush=True)
    for pipe in workers.values():
        pipe.send(None)


def work(pipe: Connection, task: Task) -> None:
    """A process that measures when it is told to."""
    torch.set_num_threads(task.threads)
    place = device()
    if task.way != "plain" and place.type == "cpu":
        keep_memory(LARGEST)
    if place.type == "cuda":
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cudnn.deterministic = task.way != "plain"
    torch.manual_seed(0)
    network = create_model(task.model).to(place)
    network = plain_copy(network).to(place) if task.way == "plain" else network
    in_step, in_batch = BATCH[place.type][task.model]
    spec, precision = network.spec, precision_of(task.way)
    samples = network.crops.samples if network.crops else spec.model_samples
    step = stepper(network, precision, torch.randn(in_step, 8, samples, device=place), task.way)
    ecgs = torch.randn(in_batch, 8, spec.model_samples, device=place)
    infer = inferrer(network, precision, ecgs, task.way)
    runs = {"training": (step, in_step), "inference": (infer, in_batch)}
    pipe.send({what: count(run, size) for what, (run, size) in runs.items()} if task.way == "plain" else {})
    while (order := pipe.recv()) is not None:
        what, seconds = order
        pipe.send(speed(*runs[what], seconds, place))


def stepper(network: Network, precision: Precision, inputs: Tensor, way: str) -> Callable[[], Any]:
    """A step of training, as the study's on one outcome."""
    truth = torch.rand(len(inputs), network.outputs, device=inputs.device).round()
    optimiser = torch.optim.Adam(network.parameters(), fused=None if way == "plain" else True)
    body = network.body
    run_body = compiled(body, way)

    def step() -> None:
        network.train()
        optimiser.zero_grad(set_to_none=True)
        with autocast(precision, inputs.device):
            outputs = network.logits(run_body(inputs))
        loss = F.binary_cross_entropy_with_logits(outputs.float(), truth) + network.penalty()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    return step


def inferrer(network: Network, precision: Precision, ecgs: Tensor, way: str) -> Callable[[], Any]:
    """Logits of a batch of whole ECGs."""
    ready: list[Network] = []

    def infer() -> Tensor:
        if not ready:
            ready.append(network.eval() if way == "plain" else folded(network, numbers(precision)))
            ready[0].body = compiled(ready[0].body, way)
        network.eval()
        with torch.inference_mode(), autocast(precision, ecgs.device):
            logits: Tensor = ready[0](ecgs)
        return logits

    return infer


def precision_of(way: str) -> Precision:
    """In which numbers it multiplies."""
    return "bf16" if way.startswith("bf16") else "fp32"


def compiled(body: nn.Module, way: str) -> nn.Module:
    """A body as it is, or compiled, or compiled and recorded as CUDA graphs."""
    if not way.endswith(("compiled", "graphs")):
        return body
    mode = "reduce-overhead" if way.endswith("graphs") else None
    whole: nn.Module = torch.compile(body, dynamic=False, mode=mode)  # type: ignore[assignment]
    return whole


def count(run: Callable[[], Any], size: int) -> float:
    """FLOPs for each ECG."""
    with FlopCounterMode(display=False) as counter:
        run()
    return float(counter.get_total_flops() / size)


def speed(run: Callable[[], Any], size: int, seconds: float, place: torch.device) -> float:
    """ECGs a second, of as many runs as fit into the time."""
    done, began = 0, time.perf_counter()
    while True:
        run()
        done += 1
        if place.type == "cuda":
            torch.cuda.synchronize()
        spent = time.perf_counter() - began
        if spent >= seconds:
            return done * size / spent


def peak(place: torch.device, kind: torch.dtype) -> float:
    """FLOP/s of a product of two square matrices, the best of ten."""
    size = SIZE if place.type == "cpu" else 4 * SIZE
    a, b = torch.randn(2, size, size, device=place).to(kind)
    times = []
    for _ in range(10):
        began = time.perf_counter()
        a @ b
        if place.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return float(2 * size**3 / min(times))


def device() -> torch.device:
    """A GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def describe(place: torch.device) -> str:
    """The device in words."""
    if place.type == "cuda":
        return torch.cuda.get_device_name()
    return f"CPU, {torch.get_num_threads()} threads"


if __name__ == "__main__":
    main()
