"""The commands over clinical models: `hilum risk`."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hilum.clinical.facts import Facts

Commands = Any
"""argparse keeps the type of its subparsers private."""

KINDS = {
    "solid": "solid",
    "part-solid": "part-solid",
    "ground-glass": "ground-glass",
    "non-solid": "ground-glass",
    "nonsolid": "ground-glass",
}
"""Words for a kind of nodule, and ours."""


def facts_of(args: argparse.Namespace) -> Facts:
    """Gather what the arguments of a command tell of the patient."""
    from hilum.clinical.facts import Facts  # noqa: PLC0415  keeps --help quick

    return Facts(**{f.name: getattr(args, f.name, None) for f in fields(Facts)})


def add_risk(commands: Commands) -> list[argparse.ArgumentParser]:
    """Add `hilum risk`, and give the parsers of its models."""
    command = commands.add_parser(
        "risk", help="clinical models and guidelines on numbers of one's own"
    )
    models = command.add_subparsers(required=True, metavar="MODEL")
    for add in (
        _add_brock,
        _add_mayo,
        _add_herder,
        _add_plco,
        _add_lungrads,
        _add_fleischner,
        _add_vdt,
    ):
        add(models)
    return list(models.choices.values())


_VOLUME = "beside a diameter, which decides, it is said whether it would differ"


def _flag(command: argparse.ArgumentParser, name: str, text: str) -> None:
    command.add_argument(name, action=argparse.BooleanOptionalAction, help=text)


def _add_patient(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--age", dest="age_years", type=float, metavar="YEARS", help="of the patient"
    )


def _add_nodule(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--diameter-mm", type=float, required=True, metavar="MM", help="of the nodule"
    )
    _flag(command, "--upper-lobe", "the nodule lies in an upper lobe")
    _flag(command, "--spiculation", "the nodule is spiculated")


def _add_brock(models: Commands) -> None:
    command = models.add_parser(
        "brock", help="Brock (PanCan) 2b: a nodule found by screening"
    )
    _add_patient(command)
    command.add_argument("--sex", choices=("female", "male"))
    command.add_argument(
        "--smoker",
        choices=("never", "former", "current"),
        help="tells whether the model was built on such patients",
    )
    _flag(command, "--family-history", "lung cancer in the family")
    _flag(command, "--emphysema", "emphysema on CT")
    _add_nodule(command)
    command.add_argument(
        "--kind", dest="type", choices=KINDS, help="not told: solid, and a range"
    )
    command.add_argument(
        "--count", type=int, help="nodules on the scan; not told: 1, and a range to 10"
    )
    command.set_defaults(run=_brock)


def _brock(args: argparse.Namespace, _talk: Any) -> dict[str, Any]:
    from hilum.clinical.risk import estimate_brock  # noqa: PLC0415  keeps --help quick

    facts = facts_of(args)
    return estimate_brock(
        facts,
        diameter_mm=args.diameter_mm,
        type=KINDS[args.type] if args.type else None,  # type: ignore[arg-type]
        count=args.count,
        upper_lobe=args.upper_lobe,
        spiculation=args.spiculation,
    ).to_json()


def _add_mayo(models: Commands) -> None:
    command = models.add_parser("mayo", help="Mayo: a nodule found by chance")
    _add_mayo_facts(command)
    _add_nodule(command)
    command.set_defaults(run=_mayo)


def _add_mayo_facts(command: argparse.ArgumentParser) -> None:
    _add_patient(command)
    command.add_argument(
        "--smoker",
        nargs="?",
        const="current",
        choices=("never", "former", "current"),
        help="without a word: smokes or smoked",
    )
    _flag(command, "--extrathoracic-cancer", "outside the chest, over 5 years ago")
    _flag(command, "--known-cancer", "a cancer now or within 5 years")


def _mayo(args: argparse.Namespace, _talk: Any) -> dict[str, Any]:
    from hilum.clinical.risk import estimate_mayo  # noqa: PLC0415  keeps --help quick

    facts = facts_of(args)
    return estimate_mayo(
        facts,
        diameter_mm=args.diameter_mm,
        upper_lobe=args.upper_lobe,
        spiculation=args.spiculation,
    ).to_json()


def _add_herder(models: Commands) -> None:
    command = models.add_parser("herder", help="Herder: Mayo, and then PET")
    command.add_argument(
        "--mayo-probability",
        "--mayo",
        dest="mayo_probability",
        type=float,
        required=True,
        metavar="P",
        help="in [0, 1], by `hilum risk mayo`",
    )
    command.add_argument(
        "--uptake",
        "--pet",
        dest="uptake",
        choices=("none", "faint", "moderate", "intense"),
        required=True,
        help="of FDG by the nodule",
    )
    command.set_defaults(run=_herder)


def _herder(args: argparse.Namespace, _talk: Any) -> dict[str, Any]:
    from hilum.clinical.risk import estimate_herder  # noqa: PLC0415  keeps --help quick

    return estimate_herder(args.mayo_probability, args.uptake).to_json()


def _add_plco(models: Commands) -> None:
    command = models.add_parser(
        "plco", help="PLCOm2012: lung cancer within six years, of who smoked"
    )
    command.add_argument(
        "--age", dest="age_years", type=float, required=True, metavar="YEARS"
    )
    command.add_argument(
        "--race",
        choices=("white", "black", "hispanic", "asian", "american-indian", "pacific"),
        help="not told: white, and a range",
    )
    command.add_argument(
        "--education",
        type=int,
        required=True,
        help="1 below high school, 2 high school, 3 training, 4 some college, "
        "5 college, 6 postgraduate",
    )
    command.add_argument("--bmi", type=float, required=True, help="in kg/m²")
    _flag(command, "--copd", "COPD, emphysema or chronic bronchitis")
    _flag(command, "--personal-cancer", "any cancer before")
    _flag(command, "--family-history", "lung cancer in the family")
    _flag(command, "--current-smoker", "smokes now")
    command.add_argument("--cigarettes-per-day", type=float, required=True)
    command.add_argument("--years-smoked", type=float, required=True)
    command.add_argument(
        "--years-quit", type=float, help="since when no more; not told: 0, and a range"
    )
    command.set_defaults(run=_plco)


def _plco(args: argparse.Namespace, _talk: Any) -> dict[str, Any]:
    from hilum.clinical.risk import PlcoFactors, estimate_plco  # noqa: PLC0415

    given = {item.name: getattr(args, item.name) for item in fields(PlcoFactors)}
    told = {name: value for name, value in given.items() if value is not None}
    missing = [name for name in given if name not in told]
    if told.get("current_smoker"):
        missing = [name for name in missing if name != "years_quit"]  # it is 0
    elif told.get("years_quit"):
        missing = [name for name in missing if name != "current_smoker"]  # it is no
    person = PlcoFactors(**{"current_smoker": False, **told})
    return estimate_plco(person, missing=missing).to_json()


def _add_lungrads(models: Commands) -> None:
    command = models.add_parser("lungrads", help="Lung-RADS v2022: one finding")
    command.add_argument(
        "--kind", choices=(*KINDS, "benign", "airway", "cyst"), required=True
    )
    command.add_argument(
        "--status",
        choices=("baseline", "new", "growing", "slowly-growing", "stable", "decreased"),
        default="baseline",
        help="what became of it; default: baseline",
    )
    command.add_argument("--diameter-mm", type=float, metavar="MM", help="mean of axes")
    command.add_argument(
        "--solid-mm",
        "--solid-diameter-mm",
        dest="solid_mm",
        type=float,
        metavar="MM",
        help="of the solid part",
    )
    command.add_argument("--volume-mm3", type=float, metavar="MM3", help=_VOLUME)
    command.add_argument("--solid-volume-mm3", type=float, metavar="MM3")
    command.add_argument(
        "--juxtapleural",
        action="store_true",
        help="at the pleura, smooth, and oval, lentiform or triangular",
    )
    for name in ("spiculation", "lymphadenopathy", "metastasis"):
        command.add_argument(
            f"--{name}", dest="suspicious", action="append_const", const=name
        )
    command.add_argument(
        "--doubled-in-a-year",
        dest="suspicious",
        action="append_const",
        const="doubling within a year",
        help="of ground glass",
    )
    _add_prior(command)
    command.add_argument("--airway", choices=("subsegmental", "segmental"))
    command.add_argument(
        "--cyst", choices=("thin-walled", "thick-walled", "multilocular")
    )
    command.add_argument(
        "--cyst-change",
        choices=("none", "lumen", "wall", "loculation", "multilocular"),
        default="none",
    )
    command.add_argument(
        "--incomplete",
        default="",
        metavar="WHY",
        help="category 0, such as 'prior CT awaited'",
    )
    command.add_argument(
        "--other-finding", action="store_true", help="a significant one: modifier S"
    )
    command.set_defaults(run=_lungrads)


def _add_prior(command: argparse.ArgumentParser) -> None:
    command.add_argument("--prior-category", choices=("1", "2", "3", "4A", "4B", "4X"))
    command.add_argument(
        "--prior-months",
        "--months",
        dest="prior_months",
        type=float,
        metavar="MONTHS",
        help="since the prior",
    )
    command.add_argument("--prior-diameter-mm", type=float, metavar="MM")
    command.add_argument("--prior-solid-mm", type=float, metavar="MM")
    command.add_argument("--proven-benign", action="store_true")


def _lungrads(args: argparse.Namespace, _talk: Any) -> dict[str, Any]:
    from hilum.clinical.lungrads import (  # noqa: PLC0415  keeps --help quick
        ScreeningFinding,
        check_status,
        judge_exam,
    )

    given = {item.name: getattr(args, item.name) for item in fields(ScreeningFinding)}
    given["kind"] = KINDS.get(args.kind, args.kind)
    given["suspicious"] = tuple(args.suspicious or ())
    finding = ScreeningFinding(**given)
    check_status(finding)
    return judge_exam(
        [finding], incomplete=args.incomplete, other_finding=args.other_finding
    ).to_json()


def _add_fleischner(models: Commands) -> None:
    command = models.add_parser(
        "fleischner", help="Fleischner 2017: nodules found by chance"
    )
    _add_patient(command)
    command.add_argument("--kind", choices=KINDS, required=True)
    command.add_argument("--diameter-mm", type=float, metavar="MM", help="mean of axes")
    command.add_argument("--volume-mm3", type=float, metavar="MM3", help=_VOLUME)
    command.add_argument("--solid-mm", type=float, metavar="MM", help="the solid part")
    command.add_argument("--multiple", action="store_true", help="more than one nodule")
    command.add_argument("--risk", choices=("low", "high"), help="of the patient")
    _flag(command, "--known-cancer", "a cancer now or within 5 years")
    _flag(command, "--immunosuppressed", "by illness or drugs")
    command.set_defaults(run=_fleischner)


def _fleischner(args: argparse.Namespace, _talk: Any) -> dict[str, Any]:
    from hilum.clinical.fleischner import FoundNodule, fleischner  # noqa: PLC0415  keeps --help quick

    nodule = FoundNodule(
        kind=KINDS[args.kind],  # type: ignore[arg-type]
        diameter_mm=args.diameter_mm,
        volume_mm3=args.volume_mm3,
        solid_mm=args.solid_mm,
        multiple=args.multiple,
    )
    facts = facts_of(args)
    return fleischner(nodule, facts, risk=args.risk).to_json()


def _add_vdt(models: Commands) -> None:
    command = models.add_parser("vdt", help="volume doubling time")
    command.add_argument(
        "--diameter-mm", type=float, nargs=2, metavar=("FIRST", "SECOND")
    )
    command.add_argument(
        "--volume-mm3", type=float, nargs=2, metavar=("FIRST", "SECOND")
    )
    command.add_argument("--days", type=float, required=True, help="between the scans")
    command.set_defaults(run=_vdt)


def _vdt(args: argparse.Namespace, _talk: Any) -> dict[str, Any]:
    from hilum.clinical.growth import judge_growth, volumes_of  # noqa: PLC0415

    diameters, volumes = args.diameter_mm, args.volume_mm3
    first, second = volumes_of(
        tuple(diameters) if diameters else None, tuple(volumes) if volumes else None
    )
    return judge_growth(first, second, args.days).to_json()
