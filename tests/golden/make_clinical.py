"""Numbers of the clinical reading by other programs, into clinical.json.

python3 -m venv /tmp/gold
/tmp/gold/bin/pip install statsmodels==0.15.0 scikit-learn==1.9.1 scipy==1.17.1 dcurves==1.1.7 confidenceinterval==1.0.5
/tmp/gold/bin/python tests/golden/make_clinical.py
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import statsmodels.api as sm
from confidenceinterval.delong import delong_roc_variance
from dcurves import dca
from patsy import dmatrix
from scipy.optimize import curve_fit
from scipy.stats import chi2
from sklearn.metrics import brier_score_loss, confusion_matrix, roc_auc_score
from statsmodels.stats.proportion import proportion_confint

N = 400


def main() -> None:
    rng = np.random.default_rng(20)
    patient = np.sort(rng.integers(0, 300, N))
    sick = rng.normal(size=300)[patient]
    age = np.round(rng.normal(62, 15, N), 1)
    sex = (rng.random(N) < 0.5).astype(float)
    log_odds = -1.6 + 0.8 * sick + 0.03 * (age - 62) - 0.4 * sex
    truth = (rng.random(N) < 1 / (1 + np.exp(-log_odds))).astype(float)
    probability = np.round(1 / (1 + np.exp(-(0.4 + 1.5 * log_odds + rng.normal(0, 0.8, N)))), 4)
    probability = np.clip(probability, 0.001, 0.999)
    x = np.log(probability / (1 - probability))

    def glm(design: np.ndarray, **more: object) -> object:
        model = sm.GLM(truth, design, family=sm.families.Binomial(), **more)
        return model.fit(tol=1e-13, cov_type="cluster", cov_kwds={"groups": patient, "use_correction": False})

    line = glm(sm.add_constant(x))
    large = glm(np.ones((N, 1)), offset=x)
    knots = np.quantile(x, (0.05, 0.35, 0.65, 0.95))
    # The natural splines of patsy are made in another way and span the same functions.
    space = f"cr(x, knots=[{knots[1]!r}, {knots[2]!r}], lower_bound={knots[0]!r}, upper_bound={knots[3]!r})"
    space = space.replace("np.float64(", "(")
    inside = (x >= knots[0]) & (x <= knots[3])
    spline = glm(np.asarray(dmatrix(f"0 + {space}", {"x": x})))

    counts = [(0, 20), (3, 349), (20, 20), (57, 400)]
    exact = [list(map(float, proportion_confint(k, n, method="beta"))) for k, n in counts]
    tn, fp, fn, tp = confusion_matrix(truth, probability >= 0.3).ravel().tolist()

    auc, variance = delong_roc_variance(truth.astype(int), probability)
    thresholds = [0.05, 0.1, 0.25, 0.4]
    frame = pd.DataFrame({"truth": truth, "probability": probability})
    curve = dca(data=frame, outcome="truth", modelnames=["probability"], thresholds=thresholds)
    benefit = {
        name: curve[curve.model == name].sort_values("threshold").net_benefit.tolist()
        for name in ("probability", "all")
    }

    def log_likelihood(*columns: np.ndarray) -> float:
        return float(sm.Logit(truth, sm.add_constant(np.column_stack(columns))).fit(disp=0, tol=1e-13).llf)

    whole = log_likelihood(x, age, sex)
    added = {"network": 2 * (whole - log_likelihood(age, sex)), "age and sex": 2 * (whole - log_likelihood(x))}

    sizes = np.array([350, 700, 1050, 1400, 1750, 2100, 2450, 2800, 3150, 3500.0])
    aucs = 0.86 - 1.9 * sizes**-0.45 + rng.normal(0, 0.004, len(sizes))
    errors = np.full(len(sizes), 0.008) * (1 + np.arange(len(sizes)) % 3)
    law, _ = curve_fit(
        lambda n, a, b, c: a - b * n**-c, sizes, aucs, p0=(0.86, 1.9, 0.45), sigma=errors, ftol=1e-14, xtol=1e-14
    )
    content = {
        "patient": patient.tolist(),
        "age": age.tolist(),
        "sex": sex.tolist(),
        "truth": truth.tolist(),
        "probability": probability.tolist(),
        "line": {"value": line.params.tolist(), "error": line.bse.tolist()},
        "in the large": {"value": float(large.params[0]), "error": float(large.bse[0])},
        "brier": float(brier_score_loss(truth, probability)),
        "spline": {"rows": np.flatnonzero(inside).tolist(), "fitted": spline.fittedvalues[inside].tolist()},
        "proportions": [[k, n, *ends] for (k, n), ends in zip(counts, exact, strict=True)],
        "at 0.3": [tp, fp, fn, tn],
        "delong": {"auc": float(auc), "variance": float(variance)},
        "auc": float(roc_auc_score(truth, probability)),
        "benefit": {"thresholds": thresholds, **benefit},
        "likelihood ratio": {
            name: [value, float(chi2.sf(value, freedom))]
            for (name, value), freedom in zip(added.items(), (1, 2), strict=True)
        },
        "learning": {
            "sizes": sizes.tolist(),
            "aucs": aucs.tolist(),
            "errors": errors.tolist(),
            "law": law.tolist(),
        },
    }
    path = Path(__file__).with_name("clinical.json")
    path.write_text(json.dumps(content) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
