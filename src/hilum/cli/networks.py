"""The commands over networks: export, evaluate."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hilum.errors import InputError, keeping

Commands = Any
"""argparse keeps the type of its subparsers private."""


def add_export(commands: Commands) -> None:
    """Add `hilum export`."""
    command = commands.add_parser("export", help="write a network as OpenVINO IR")
    command.add_argument("source", type=Path, help="a .keras file")
    command.add_argument("out", type=Path, help="the .xml; a .bin comes beside it")
    command.add_argument(
        "--precision",
        choices=("fp32", "bf16", "int8"),
        default="fp32",
        help="default: fp32",
    )
    command.add_argument(
        "--calibration",
        type=Path,
        metavar="FOLDER",
        help="for int8: scans for a network that marks nodules; else a folder with "
        "nodules.csv, image/ and nodule_mask/",
    )
    command.set_defaults(run=_export)


def _export(args: argparse.Namespace, talk: Any) -> dict[str, Any]:
    from hilum._backend import load_keras  # noqa: PLC0415

    load_keras(to="to export networks")
    from hilum.runtime.export import (  # noqa: PLC0415  slow to import
        check_export,
        export_weights,
    )

    check_export(args.source, args.out, args.precision)
    if args.calibration and args.precision != "int8":
        raise InputError(
            f"--calibration is for --precision int8; {args.precision} needs none."
        )
    talk("export")
    examples: tuple[Any, ...] = ()
    if args.calibration:
        from hilum.evaluation.examples import example_inputs  # noqa: PLC0415

        examples = example_inputs(args.source, args.calibration)
    made = export_weights(
        args.source, args.out, precision=args.precision, calibration=examples
    )
    return {**asdict(made), "path": str(made.path)}


def add_evaluate(commands: Commands) -> list[argparse.ArgumentParser]:
    """Add `hilum evaluate`, and give the commands below it."""
    command = commands.add_parser(
        "evaluate", help="figures with intervals, on data of one's own"
    )
    what = command.add_subparsers(dest="what", required=True, metavar="WHAT")
    _add_evaluate_nodules(what)
    _add_evaluate_luna16(what)
    _add_evaluate_patients(what)
    return list(what.choices.values())


def _add_card(command: argparse.ArgumentParser) -> None:
    """Add what writes a model card of an evaluation."""
    command.add_argument(
        "--card", type=Path, metavar="MD", help="write a model card with the figures"
    )
    command.add_argument("--name", default="unnamed", help="of the model, on its card")
    command.add_argument(
        "--run", dest="trained", type=Path, metavar="DIR",
        help="folder of its training, which the card tells of",
    )  # fmt: skip


def _add_parts(command: argparse.ArgumentParser) -> None:
    """Add what parts a cohort, and what it is compared with."""
    command.add_argument(
        "--by", type=Path, metavar="CSV", help="facts by id: figures of parts by each"
    )
    command.add_argument(
        "--against", type=Path, metavar="CSV", help="other predictions, to compare"
    )
    _add_card(command)


def _carded(
    args: argparse.Namespace, truth: Path, figures: dict[str, Any]
) -> dict[str, Any]:
    """Write the card, if one is asked for, and give the figures."""
    if args.card is not None:
        from hilum.evaluation.card import CardFacts, write_card  # noqa: PLC0415

        facts = CardFacts(
            what=args.what,
            name=args.name,
            truth=truth,
            predictions=getattr(args, "predictions", None),
            run=args.trained,
            weights=tuple(
                getattr(args, name)
                for name in ("malignancy", "segmentation")
                if hasattr(args, name)
            ),
        )
        with keeping(figures):
            write_card(figures, facts, args.card)
    return figures


def _add_evaluate_nodules(what: Commands) -> None:
    command = what.add_parser("nodules", help="the networks, on a folder of nodules")
    command.add_argument(
        "folder", type=Path, help="folder with nodules.csv, image/ and nodule_mask/"
    )
    command.add_argument(
        "--malignancy", default="malignancy", metavar="WEIGHTS",
        help="name, .keras or .xml; default: those that are shipped",
    )  # fmt: skip
    command.add_argument(
        "--segmentation", default="segmentation", metavar="WEIGHTS",
        help="name, .keras or .xml; default: those that are shipped",
    )  # fmt: skip
    _add_card(command)
    command.set_defaults(run=_evaluate_nodules)


def _add_evaluate_luna16(what: Commands) -> None:
    command = what.add_parser("luna16", help="marks, by the LUNA16 protocol")
    command.add_argument(
        "truth", type=Path,
        help="folder with annotations.csv, annotations_excluded.csv and seriesuids.csv",
    )  # fmt: skip
    command.add_argument(
        "predictions", type=Path, help="CSV: seriesuid,coordX,coordY,coordZ,probability"
    )
    command.add_argument(
        "--split", type=Path, metavar="CSV",
        help="seriesuid,patient,set: check that no patient is in two sets",
    )  # fmt: skip
    command.add_argument(
        "--plot", type=Path, metavar="PNG", help="draw the FROC curve with its interval"
    )
    command.add_argument(
        "--force", action="store_true", help="score in spite of likely mistakes"
    )
    _add_parts(command)
    command.set_defaults(run=_evaluate_luna16)


def _add_evaluate_patients(what: Commands) -> None:
    command = what.add_parser("dsb2017", help="probabilities of patients: log loss")
    command.add_argument("labels", type=Path, help="CSV: id,cancer (0 or 1)")
    command.add_argument("predictions", type=Path, help="CSV: id,cancer (probability)")
    _add_parts(command)
    command.set_defaults(run=_evaluate_dsb2017)
    command = what.add_parser("patient", help="probabilities by year, by follow-up")
    command.add_argument("truth", type=Path, help="CSV: id,years,event (0 or 1)")
    command.add_argument(
        "predictions", type=Path, help="CSV: id,year_1,...,year_6, or id,cancer"
    )
    _add_parts(command)
    command.set_defaults(run=_evaluate_patients)
    command = what.add_parser("segmentation", help="masks, by overlap and distance")
    command.add_argument("truth", type=Path, help="a mask, or a folder of masks")
    command.add_argument("predictions", type=Path, help="the same, of the same names")
    command.set_defaults(run=_evaluate_segmentation)


def add_calibrate(commands: Commands) -> None:
    """Add `hilum calibrate`."""
    command = commands.add_parser(
        "calibrate", help="fit probabilities of patients to a cohort of one's own"
    )
    command.add_argument("truth", type=Path, help="CSV: id,cancer (0 or 1)")
    command.add_argument("predictions", type=Path, help="CSV: id,cancer (probability)")
    command.add_argument("out", type=Path, help="folder for the curve and its figures")
    command.set_defaults(run=_calibrate)


def _calibrate(args: argparse.Namespace, talk: Any) -> dict[str, Any]:
    from hilum.evaluation.recalibration import calibrate  # noqa: PLC0415

    talk("calibrate")
    return calibrate(args.truth, args.predictions, args.out).to_json()


def _evaluate_dsb2017(args: argparse.Namespace, talk: Any) -> dict[str, Any]:
    from hilum.evaluation.dsb2017 import evaluate_dsb2017  # noqa: PLC0415

    talk("evaluate")
    found = evaluate_dsb2017(
        args.labels, args.predictions, by=args.by, against=args.against
    )
    return _carded(args, args.labels, found.to_json())


def _evaluate_patients(args: argparse.Namespace, talk: Any) -> dict[str, Any]:
    from hilum.evaluation.outcomes import evaluate_patients  # noqa: PLC0415

    talk("evaluate")
    found = evaluate_patients(
        args.truth, args.predictions, against=args.against, by=args.by
    )
    return _carded(args, args.truth, found.to_json())


def _evaluate_segmentation(args: argparse.Namespace, talk: Any) -> dict[str, Any]:
    from hilum.evaluation.masks import evaluate_segmentation  # noqa: PLC0415

    talk("evaluate")
    return evaluate_segmentation(args.truth, args.predictions).to_json()


def _evaluate_nodules(args: argparse.Namespace, talk: Any) -> dict[str, Any]:
    from hilum.evaluation import evaluate_networks  # noqa: PLC0415  slow to import

    talk("evaluate")
    figures = evaluate_networks(
        args.folder, malignancy=args.malignancy, segmentation=args.segmentation
    )
    folder, own = (figures[name].to_json() for name in ("folder", "own"))
    return _carded(args, args.folder, {**folder, "own_outline": own})


def _evaluate_luna16(args: argparse.Namespace, talk: Any) -> dict[str, Any]:
    from hilum.evaluation.luna16 import evaluate_luna16  # noqa: PLC0415

    talk("evaluate")
    figures = evaluate_luna16(
        args.truth,
        args.predictions,
        force=args.force,
        split=args.split,
        plot=args.plot,
        by=args.by,
        against=args.against,
    )
    return _carded(args, args.truth, figures.to_json())
