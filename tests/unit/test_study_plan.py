"""Plans: the paper's counts, equal ancestors once, ids that follow from settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from precordial.errors import SettingsError
from precordial.study import Study, load_study, make_plan
from precordial.training import Augment

STUDIES = Path(__file__).parents[2] / "studies"
MINIMAL = """
name = "s"
[[grid]]
models = ["cnn-20k"]
"""


def study(tmp_path: Path, text: str = MINIMAL, *overrides: str) -> Study:
    path = tmp_path / "s.toml"
    path.write_text(text)
    return load_study(path, overrides)


def test_the_papers_study_is_64_40_178() -> None:
    plan = make_plan(load_study(STUDIES / "paper.toml"))
    assert (plan.count("pretrain"), plan.count("scratch"), plan.count("finetune")) == (64, 40, 178)
    assert len(plan.runs) == len({run.id for run in plan.runs}) == 282


def test_two_seeds_double_it() -> None:
    plan = make_plan(load_study(STUDIES / "paper.toml", ["seeds=[0, 1]"]))
    assert len(plan.runs) == 564


def test_parents_come_before_children(tmp_path: Path) -> None:
    plan = make_plan(study(tmp_path))
    places = {run.id: place for place, run in enumerate(plan.runs)}
    children = [run for run in plan.runs if run.parent]
    assert len(children) == 3
    assert all(places[run.parent.id] < places[run.id] for run in children if run.parent)
    assert all(run.lineage == (run.parent.id, run.id) for run in children if run.parent)


def test_equal_fractions_are_one_training_however_they_are_written(tmp_path: Path) -> None:
    text = MINIMAL + 'pretraining = ["none"]\ntarget_fractions = [1, 1.0, "1", "0.1", 0.1, "1/10"]\n'
    plan = make_plan(study(tmp_path, text))
    assert [run.fraction for run in plan.runs] == ["1", "0.1"]


@pytest.mark.parametrize(
    "change",
    [
        "seeds=[1]",
        "training.batch=64",
        'training.crop_per="batch"',
        "archive.rate=100",
        "training.models.cnn-20k.source=[{epochs=3,peak=1e-3}]",
    ],
)
def test_every_setting_that_matters_changes_the_id_of_the_child_and_its_parent(tmp_path: Path, change: str) -> None:
    def ids(*overrides: str) -> set[str]:
        plan = make_plan(study(tmp_path, MINIMAL + 'pretraining = ["age"]\n', *overrides))
        return {run.id for run in plan.runs}

    assert len(ids()) == 2
    assert not ids() & ids(change)


def test_the_cohort_is_part_of_the_id_and_names_are_not(tmp_path: Path) -> None:
    one = make_plan(study(tmp_path), "a").runs[0].id
    assert one != make_plan(study(tmp_path), "b").runs[0].id
    assert one == make_plan(study(tmp_path, MINIMAL, 'out="elsewhere"'), "a").runs[0].id


def test_the_authors_code_changes_what_recipe_md_says(tmp_path: Path) -> None:
    text = 'name = "s"\nrules = "authors-code"\n[[grid]]\nmodels = ["cnn-20k", "rn-900k"]\npretraining = ["age"]\n'
    runs = {(run.model, run.kind): run for run in make_plan(study(tmp_path, text)).runs}
    assert runs["cnn-20k", "finetune"].head == runs["rn-900k", "finetune"].head == "target-authors"
    assert (runs["rn-900k", "pretrain"].schedule_per, runs["rn-900k", "pretrain"].crop_per) == ("epoch", "batch")
    assert runs["cnn-20k", "pretrain"].schedule_per == "step"
    assert runs["cnn-20k", "finetune"].stages[0].awake == ("dropout",)


REGISTERS = """
[cohort]
kind = "registers"
complaint = ["chest pain"]
[cohort.visits]
file = "visits.csv"
[cohort.diagnoses]
file = "diagnoses.csv"
"""


def test_one_key_sets_the_authors_code_for_the_cohort_too_and_explicit_keys_win(tmp_path: Path) -> None:
    plain = study(tmp_path, MINIMAL + REGISTERS)
    authors = study(tmp_path, 'rules = "authors-code"' + MINIMAL + REGISTERS)
    explicit = study(tmp_path, 'rules = "authors-code"' + MINIMAL + REGISTERS, "cohort.after_hours=5.0")
    windows = [(s.cohort.before_hours, s.cohort.after_hours) for s in (plain, authors, explicit)]  # type: ignore[union-attr]
    assert windows == [(2.0, 3.0), (1.0, 2.0), (1.0, 5.0)]


def test_paths_are_relative_to_the_study_file(tmp_path: Path) -> None:
    settings = study(tmp_path, MINIMAL + '[archive]\nsources = ["../ecg"]\n' + REGISTERS)
    assert settings.archive.sources == (tmp_path.parent / "ecg",)
    assert settings.folder == tmp_path / "s-work"
    assert settings.cohort is not None
    assert settings.cohort.visits.file == tmp_path / "visits.csv"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('name = "s"\n[[grid]]\nmodels = [', "this is not TOML"),
        (
            'name = "s"\n[[grid]]\nmodel = ["cnn-20k"]\n',
            "key 'grid.0.model': there is no such key; did you mean 'models'?",
        ),
        (MINIMAL + "[training]\nbach = 3\n", "key 'training.bach': there is no such key; did you mean 'batch'?"),
        (MINIMAL + '[training]\nbatch = "32"\n', "key 'training.batch': input should be a valid integer"),
        ("[[grid]]\nmodels = []\n", "key 'name': this key is missing; add it"),
        (
            'name = "s"\n[[grid]]\nmodels = ["rn-9m"]\n',
            "key 'grid.0.models.0': there is no model 'rn-9m'; the nearest is 'rn-7m'",
        ),
        (
            MINIMAL + "target_fractions = [0.5, 1.5]\n",
            "key 'grid.0.target_fractions.1': must be a number above 0 and not above 1",
        ),
        (
            MINIMAL + REGISTERS.replace("complaint", "complant"),
            "key 'cohort.complant': there is no such key; did you mean 'complaint'?",
        ),
        (
            MINIMAL + REGISTERS.replace('file = "visits.csv"', 'fiel = "visits.csv"'),
            "key 'cohort.visits.fiel': there is no such key; did you mean 'file'?",
        ),
        (
            MINIMAL + REGISTERS + 'separater = ";"\n',
            "key 'cohort.diagnoses.separater': there is no such key; did you mean 'separator'?",
        ),
        (MINIMAL + '[cohort]\nkind = "registry"\n', """key 'cohort.kind': it must be "registers" or "labels";"""),
        (MINIMAL + "[cohort]\nseed = 1\n", """key 'cohort.kind': it must be "registers" or "labels";"""),
        (MINIMAL + '[cohort]\nkind = "labels"\n', "key 'cohort': give either table, a file of your own, or dataset"),
        ("seeds = []\n" + MINIMAL, "key 'seeds': this list is empty; give at least one"),
        (MINIMAL + "[training.models.cnn-20k]\nscratch = []\n", "scratch': this list is empty; give at least one"),
        (
            MINIMAL + "[training.models.cnn-20k]\nscratch = [{ epochs = 3, peek = 0.1 }]\n",
            "key 'training.models.cnn-20k.scratch.0.peek': there is no such key; did you mean 'peak'?",
        ),
    ],
)
def test_a_mistake_is_one_line_with_file_key_and_remedy(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError) as error:
        study(tmp_path, text)
    assert str(error.value).startswith(f"{tmp_path / 's.toml'}")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("override", ["training.batch", "=3", "grid.7.models=[]", "name.x=1"])
def test_a_change_that_fits_nowhere_is_refused(tmp_path: Path, override: str) -> None:
    with pytest.raises(SettingsError):
        study(tmp_path, MINIMAL, override)


def test_every_study_in_the_repository_can_be_planned() -> None:
    for path in sorted(STUDIES.glob("*.toml")):
        assert len(make_plan(load_study(path)).runs) > 0, path


OUTCOMES = """
[[cohort.outcomes]]
name = "STEMI"
codes = ["I210", "I211"]
[[cohort.outcomes]]
name = "NSTEMI"
codes = ["I214"]
"""
LABELS = '[cohort]\nkind = "labels"\ndataset = "ptb-xl"\nfolder = "sets"\nlabels = ["MI", "statement:*"]\n'
STATEMENTS = ("MI", "statement:NST_", "statement:IMI")


def test_a_network_learns_all_outcomes_of_the_cohort_or_those_a_grid_names(tmp_path: Path) -> None:
    text = MINIMAL + 'pretraining = ["none", "age"]\n'
    both = make_plan(study(tmp_path, text + REGISTERS + OUTCOMES)).runs
    assert [run.outcomes for run in both] == [("label",), ("STEMI", "NSTEMI"), ("STEMI", "NSTEMI")]
    assert list(both[1].targets) == ["STEMI", "NSTEMI"]
    assert both[0].targets == {"age": 1.0}
    one = make_plan(study(tmp_path, text + 'outcomes = ["NSTEMI"]\n' + REGISTERS + OUTCOMES)).runs
    assert [run.outcomes for run in one if run.role == "target"] == [("NSTEMI",)] * 2
    assert one[0].id == both[0].id  # one pre-training for all outcomes
    assert make_plan(study(tmp_path, text + REGISTERS)).runs[1].outcomes == ("AMI",)


def test_the_built_cohort_says_what_a_pattern_means(tmp_path: Path) -> None:
    before = make_plan(study(tmp_path, MINIMAL + LABELS))
    assert before.runs[-1].outcomes == ("MI", "statement:*")
    for asked, outcomes in {
        '["statement:*"]': ("statement:NST_", "statement:IMI"),
        '["statement:IMI", "MI"]': ("MI", "statement:IMI"),
        '["*"]': STATEMENTS,
    }.items():
        settings = study(tmp_path, MINIMAL + f"outcomes = {asked}\n" + LABELS)
        assert make_plan(settings, "digest", STATEMENTS).runs[-1].outcomes == outcomes
        assert len(make_plan(settings).runs) == len(before.runs)
    two = study(tmp_path, MINIMAL + 'outcomes = ["MI", "statement:*"]\n[[grid]]\nmodels = ["cnn-20k"]\n' + LABELS)
    assert len(make_plan(two, "digest", STATEMENTS).runs) == len(before.runs)  # equal trainings, once


@pytest.mark.parametrize("outcomes", [None, STATEMENTS])
def test_an_outcome_that_is_not_there_is_said_with_the_near_one(
    tmp_path: Path, outcomes: tuple[str, ...] | None
) -> None:
    settings = study(tmp_path, MINIMAL + 'outcomes = ["NI"]\n' + LABELS)
    with pytest.raises(SettingsError) as error:
        make_plan(settings, "", outcomes)
    assert str(error.value) == "key 'grid.0.outcomes': there is no outcome 'NI' in the cohort; the nearest is 'MI'"


def test_an_outcome_may_not_be_called_as_a_task_of_pretraining(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="an outcome is called 'sex', which is a task of pre-training; rename it"):
        make_plan(study(tmp_path, MINIMAL + LABELS), "", ("MI", "sex"))


def test_crops_are_of_all_trainings_of_a_model_and_extra_inputs_of_those_on_the_target(tmp_path: Path) -> None:
    more = (
        '[training]\nextra_inputs = ["age", "sex"]\n[training.models.cnn-20k]\ncrops = { seconds = 2.5, count = 4 }\n'
    )
    plan = make_plan(study(tmp_path, MINIMAL.replace('"cnn-20k"', '"cnn-20k", "rn-900k-se"') + more))
    assert len(plan.runs) == 14
    for run in plan.runs:
        assert run.extra_inputs == (("age", "sex") if run.role == "target" else ())
        assert (run.cropping and run.cropping.count) == (4 if run.model == "cnn-20k" else None)
    plain = make_plan(study(tmp_path))
    assert not {run.id for run in plain.runs} & {run.id for run in plan.runs}


def test_augmentations_are_of_all_stages_that_have_none_of_their_own(tmp_path: Path) -> None:
    more = """[training]
augment = { noise_mv = 0.02 }
[training.models.cnn-20k]
scratch = [
  { epochs = 1, peak = 1e-3 },
  { epochs = 1, peak = 1e-3, augment = { scale = 0.2 } },
  { epochs = 1, peak = 1e-3, augment = {} },
]
"""
    plan = make_plan(study(tmp_path, MINIMAL + more))
    (scratch,) = (run for run in plan.runs if run.kind == "scratch")
    assert [stage.augment for stage in scratch.stages] == [Augment(noise_mv=0.02), Augment(scale=0.2), None]
    assert {stage.augment for run in plan.runs if run.parent for stage in run.stages} == {Augment(noise_mv=0.02)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[training]\naugment = { noise = 1.0 }", "key 'training.augment.noise': there is no such key; did you mean"),
        ("[training.models.rn-7m]\ncrops = { seconds = 0.1 }", "key 'training.models.rn-7m.crops.seconds': input"),
        ('[training]\ntrack = ["wandb"]', "key 'training.track.0': input should be 'tensorboard' or 'mlflow'"),
    ],
)
def test_options_that_cannot_be_are_said_by_their_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError) as error:
        study(tmp_path, MINIMAL + text)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("asked", "inputs", "message"),
    [
        (
            '["height"]',
            "",
            "key 'training.extra_inputs': the cohort has no input 'height'; choose of age, sex; inputs",
        ),
        ('["high"]', '["height"]', "the cohort has no input 'high'; choose of age, sex, height; inputs"),
        ('["age", "age"]', "", "key 'training.extra_inputs': 'age' stands there twice"),
        ("[]", '["MI"]', "key 'cohort.table.columns.inputs': 'MI' is an outcome, and no further input; take it out"),
        ("[]", '["age"]', "key 'cohort.table.columns.inputs': 'age' is there already"),
    ],
)
def test_inputs_beside_the_ecg_are_there_and_no_outcome(tmp_path: Path, asked: str, inputs: str, message: str) -> None:
    table = '[cohort]\nkind = "labels"\n[cohort.table]\nfile = "t.csv"\n[cohort.table.columns]\necg_id = "id"\n'
    text = (
        MINIMAL
        + f'[training]\nextra_inputs = {asked}\n{table}labels = ["MI"]\n'
        + (f"inputs = {inputs}\n" if inputs else "")
    )
    with pytest.raises(SettingsError) as error:
        make_plan(study(tmp_path, text))
    assert message in str(error.value)


def test_a_column_of_the_cohort_may_be_an_input(tmp_path: Path) -> None:
    table = '[cohort]\nkind = "labels"\n[cohort.table]\nfile = "t.csv"\n[cohort.table.columns]\necg_id = "id"\n'
    text = MINIMAL + f'[training]\nextra_inputs = ["height", "age"]\n{table}inputs = ["height", "weight"]\n'
    assert make_plan(study(tmp_path, text)).runs[-1].extra_inputs == ("height", "age")
