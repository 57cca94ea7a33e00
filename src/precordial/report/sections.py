"""The parts of the page that are about the study as a whole; those about an outcome are in `outcome_sections`."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from precordial.archive import Archive
from precordial.report import page, tripod
from precordial.report.examples import best_run, example_figure, examples
from precordial.report.figures import training_figure
from precordial.report.flow_figure import flow_figure
from precordial.report.material import Material
from precordial.report.methods import methods
from precordial.report.model_card import ModelCard
from precordial.report.page import Section, definitions, paragraphs
from precordial.report.prose import as_html, todos
from precordial.report.results_text import results
from precordial.report.sizes_figures import learning, learning_figure
from precordial.report.stages_figure import chains, stages_figure
from precordial.report.summary import method_notes, table_stages, table_trainings
from precordial.report.table import Table
from precordial.report.table_one import model_rows, table_two
from precordial.report.tables import MODELS, PRETRAINING, TRAINED, ordered


def flow_section(material: Material) -> Section:
    """Fig. 1."""
    flow = material.flow
    if not flow.steps:
        return Section("flow", "Flow chart", paragraphs("The cohort came without a flow chart."))
    alt = f"Flow chart. {' '.join(flow.text().split())}"
    caption = "Fig. 1. What each step keeps (left) and leaves out (right), and the splits, by patient."
    return Section("flow", "Flow chart", material.pictures.place("flow", flow_figure(flow), alt, caption))


def models_table(material: Material) -> Table | None:
    """Table II, of the study's models; None where none is known."""
    known = model_rows(int(material.archive.get("rate", 500)))
    names = [name for name in ordered((run.row.model for run in material.runs), MODELS) if name in known]
    return table_two(known[name] for name in names) if names else None


def models_section(material: Material) -> list[Section]:
    """Table II."""
    found = models_table(material)
    text = (
        "Convolutional layers are those that the paper counts, plus those on shortcuts. The paper gives the parameters "
        "of RN-7M and RN-33M with the statistics of batch norm, the others' without."
    )
    return [Section("models", "Models", page.table(found) + paragraphs(text))] if found else []


def stages_section(material: Material) -> Section:
    """Fig. 2, and the table of stages."""
    found, body = chains(material.runs), ""
    if found:
        alt = (
            "The stages of training as they were run, a line for each model: what trains, what is frozen, what is new."
        )
        caption = (
            "Fig. 2. The stages as they were run. A dashed, hatched body is frozen; a thick orange frame is a new head "
            "with random weights. Epochs, learning rates and batches stand below each stage."
        )
        body = material.pictures.place("stages", stages_figure(found), alt, caption)
    return Section("stages", "Stages of training", f"{body}\n{page.table(table_stages(material.runs))}")


def trainings_section(material: Material) -> Section:
    """What each training saw."""
    every = len({row.run for row in material.rows if row.kind in (*TRAINED, "pretrain")})
    here = len(material.runs)
    rest = (
        f"{here} of the study's {every} trainings: those at the largest sizes{material.note}." if every > here else ""
    )
    shown = page.table(table_trainings(material.runs, material.cohort, counts=material.counts))
    return Section("trainings", "Trainings", shown + paragraphs(rest))


def pretraining_section(material: Material, table: Table) -> Section:
    """Table IV, and Fig. 4."""
    body, found = page.table(table), learning(material.rows)
    if found:
        task = PRETRAINING[found.task].lower()
        alt = "Error of the age by share of the source's training patients, a line for each model."
        caption = (
            f"Fig. 4. What models pre-trained on {task} know of the age, on the source's validation set, by share of "
            "the source's training patients. Bands are the intervals."
        )
        body += material.pictures.place("fig-4", learning_figure(found, material.ecgs("source")), alt, caption)
    return Section("pre-training", "What pre-training learned", body)


def curves_section(material: Material) -> Section:
    """Loss and metrics of the first seed's trainings."""
    runs = material.runs
    seed = min((run.row.seed for run in runs), default=0)
    shown = [run for run in runs if run.row.seed == seed]
    parts = [
        paragraphs(
            "The ring marks the epoch that was kept: the lowest validation loss in pre-training, the highest "
            "validation AUC on the target. A dotted line parts the stages."
            + (f" Trainings of seed {seed}; the others are in the study's folder." if len(shown) < len(runs) else "")
        )
    ]
    for number, run in enumerate(shown, start=1):
        name = f"{run.model}, {run.what}"
        alt = f"Loss and validation metrics by epoch: {name}"
        caption = f"{name}. Best epoch: {run.done['best_epoch']} of {len(run.epochs)}."
        parts.append(material.pictures.place(f"training-{number}", training_figure(run), alt, caption))
    return Section("curves", "Training curves", "\n".join(parts))


def examples_section(material: Material, outcome: str, suffix: str) -> list[Section]:
    """The ECGs that the best run found most and least like the outcome."""
    study, cohort = material.study, material.cohort
    run = best_run(material.runs, material.largest, outcome)
    if run is None:
        return []
    title = "Example ECGs" + (f": {outcome}" if len(cohort.outcomes) > 1 else "")
    if not study.archive_path.is_dir():
        text = "The archive is not on this machine, so there are no examples."
        return [Section("examples", "Example ECGs", paragraphs(text))] if not suffix else []
    text = (
        f"Test ECGs that {run.model}, {run.what}, scored highest and lowest among those with {outcome} and those "
        f"without. A score is the model's probability, which is not calibrated."
    )
    parts = [paragraphs(text)]
    shown = examples(run.predictions(), cohort, Archive(study.archive_path), outcome, counts=material.counts)
    for number, example in enumerate(shown, start=1):
        alt = f"Twelve-lead ECG. {example.title}. {example.text}"
        placed = material.pictures.place(f"ecg{suffix}-{number}", example_figure(example), alt, example.text)
        parts.append(f"<h3>{escape(example.title)}</h3>\n{placed}")
    return [Section(f"examples{suffix}", title, "\n".join(parts))] if shown else []


def writing_sections(material: Material, cards: Sequence[ModelCard], table: Table) -> list[Section]:
    """What goes into a paper: methods, model cards and the checklist, with what the authors must still write."""
    parts = [*methods(material), results(material)]
    asked = [*todos(parts), *(one for card in cards for one in todos(card.parts))]
    waiting = tripod.open_items(table)
    lead = (
        "Filled with what was done. What the program cannot know is marked: "
        f"<mark>[AUTHORS: …]</mark>, {len(asked)} places in this text and in the model cards, and "
        f"{len(waiting)} of the {len(table.rows)} parts of the TRIPOD+AI checklist."
    )
    shown = [f"<article>\n<h3>{escape(card.title)}</h3>\n{as_html(card.parts, level=4)}\n</article>" for card in cards]
    return [
        Section("methods", "Methods and results", f"<p>{lead}</p>\n{as_html(parts)}"),
        *([Section("cards", "Model cards", "\n".join(shown))] if cards else []),
        Section("tripod", "TRIPOD+AI checklist", tripod.as_html(table)),
    ]


def settings_section(material: Material) -> Section:
    """What else must be known to make the numbers again."""
    study, cohort = material.study, material.cohort
    notes = method_notes(material.runs, material.rows, cohort, study, material.archive)
    return Section("method", "Settings and versions", definitions(notes))
