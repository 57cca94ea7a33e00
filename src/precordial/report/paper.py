"""What the paper reports, as data, to be laid beside a study's own numbers.

Nyström A, Björkelund A, Ohlsson M, Björk J, Ekelund U, Forberg JL. Transfer Learning for Predicting Acute Myocardial
Infarction Using Electrocardiograms. Its Tables I to IV, number by number; its patients are no other study's.
"""

from __future__ import annotations

from collections.abc import Mapping

TITLE = "Transfer Learning for Predicting Acute Myocardial Infarction Using Electrocardiograms"
AUTHORS = "Nyström A, Björkelund A, Ohlsson M, Björk J, Ekelund U, Forberg JL"

# Patients, ECGs, female sex in %, age as median (quartiles), AMI in %; by place in the flow chart.
TABLE_ONE: Mapping[str, tuple[str, ...]] = {
    "source/train": ("154 758", "794 694", "50.4", "71 (57–81)", "N/A"),
    "source/validation": ("8 145", "42 278", "49.7", "71 (57–81)", "N/A"),
    "target/train": ("20 596", "24 916", "48.0", "61 (46–75)", "5.76"),
    "target/validation": ("5 616", "6 711", "47.1", "61 (46–74)", "5.72"),
    "target/random_test": ("5 617", "6 731", "47.8", "61 (46–75)", "5.81"),
    "target/temporal_test": ("5 618", "6 012", "48.3", "61 (45–74)", "5.81"),
}

# Convolutional layers, parameters, source. Parameters of the last two are with batch-norm statistics.
TABLE_TWO: Mapping[str, tuple[int, int, str]] = {
    "cnn-20k": (2, 20_479, "Nyström et al."),
    "rn-900k": (51, 892_449, "Mehari et al."),
    "rn-7m": (9, 6_784_561, "Ribeiro et al."),
    "rn-33m": (25, 33_062_569, "Gustafsson et al."),
}

COLUMNS = ("none", "age", "sex", "age-sex")
# AUC and 95 % interval by the basic bootstrap, B = 1000, for each of COLUMNS.
TABLE_THREE: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("cnn-20k", "random_test"): (
        "0.785 (0.764–0.807)",
        "0.798 (0.777–0.820)",
        "0.806 (0.786–0.828)",
        "0.794 (0.772–0.816)",
    ),
    ("cnn-20k", "temporal_test"): (
        "0.750 (0.724–0.775)",
        "0.778 (0.755–0.802)",
        "0.792 (0.768–0.818)",
        "0.775 (0.751–0.799)",
    ),
    ("rn-900k", "random_test"): (
        "0.799 (0.777–0.823)",
        "0.857 (0.839–0.875)",
        "0.845 (0.827–0.866)",
        "0.858 (0.840–0.876)",
    ),
    ("rn-900k", "temporal_test"): (
        "0.787 (0.760–0.814)",
        "0.846 (0.826–0.868)",
        "0.836 (0.815–0.857)",
        "0.844 (0.823–0.865)",
    ),
    ("rn-7m", "random_test"): (
        "0.796 (0.774–0.820)",
        "0.852 (0.834–0.870)",
        "0.832 (0.811–0.852)",
        "0.830 (0.809–0.850)",
    ),
    ("rn-7m", "temporal_test"): (
        "0.771 (0.744–0.799)",
        "0.819 (0.799–0.842)",
        "0.808 (0.785–0.833)",
        "0.817 (0.795–0.839)",
    ),
    ("rn-33m", "random_test"): (
        "0.729 (0.705–0.756)",
        "0.797 (0.777–0.818)",
        "0.774 (0.751–0.797)",
        "0.796 (0.774–0.818)",
    ),
    ("rn-33m", "temporal_test"): (
        "0.716 (0.687–0.743)",
        "0.778 (0.754–0.805)",
        "0.770 (0.746–0.796)",
        "0.792 (0.769–0.816)",
    ),
}

# MAE of age (years) and r² of it, AUC and accuracy of sex, on the source's validation set.
TABLE_FOUR: Mapping[tuple[str, str], tuple[str, str, str, str]] = {
    ("cnn-20k", "age"): ("10.32", "0.50", "", ""),
    ("cnn-20k", "sex"): ("", "", "0.92", "0.81"),
    ("cnn-20k", "age-sex"): ("15.81", "−0.05", "0.89", "0.80"),
    ("rn-900k", "age"): ("6.69", "0.76", "", ""),
    ("rn-900k", "sex"): ("", "", "0.96", "0.88"),
    ("rn-900k", "age-sex"): ("6.80", "0.75", "0.96", "0.88"),
    ("rn-7m", "age"): ("6.64", "0.75", "", ""),
    ("rn-7m", "sex"): ("", "", "0.96", "0.89"),
    ("rn-7m", "age-sex"): ("6.81", "0.75", "0.96", "0.90"),
    ("rn-33m", "age"): ("6.60", "0.75", "", ""),
    ("rn-33m", "sex"): ("", "", "0.96", "0.89"),
    ("rn-33m", "age-sex"): ("6.70", "0.74", "0.96", "0.89"),
}
