"""A study of trainings that take a fraction of a second each, with its archive and labels: for counts of many."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from conftest import make_small_cohort

STUDY = """
name = "tiny"
seeds = {seeds}
[archive]
path = "archive"
rate = 100
[cohort]
kind = "labels"
source_validation = 0.2
[cohort.table]
file = "labels.csv"
columns = {{ ecg_id = "ecg_id", recorded_at = "recorded_at", age = "age", sex = "sex" }}
[[grid]]
models = ["cnn-20k"]
pretraining = ["none", "age", "sex"]
[training]
batch = 16
device = "cpu"
age_bias = "median"
save_every = 0
[training.models.cnn-20k]
source = [{{ epochs = {epochs}, peak = 1e-3 }}]
scratch = [{{ epochs = {epochs}, peak = 1e-3 }}]
target = [{{ epochs = {epochs}, peak = 1e-3, trains = "head" }}]
[evaluation]
replicates = 10
"""
EACH = 5  # trainings of each seed: from scratch, and pre-trained and fine-tuned on age and on sex


def make_tiny_study(folder: Path, trainings: int, epochs: int = 1) -> Path:
    """Write a study of so many trainings, a multiple of five, of so many epochs."""
    cohort, _ = make_small_cohort(folder / "archive", target=40, source=20)
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("ecg_id", "patient_id", "recorded_at", "age", "sex", "label"))
        for k in range(len(cohort)):
            label = "" if np.isnan(cohort.label[k]) else int(cohort.label[k])
            sex = "F" if cohort.sex[k] else "M"
            day = np.datetime64("2017-01-01") + k
            writer.writerow((cohort.ecg_id[k], cohort.patient_id[k], day, cohort.age[k], sex, label))
    path = folder / "tiny.toml"
    path.write_text(STUDY.format(seeds=list(range(trainings // EACH)), epochs=epochs))
    return path
