"""What came of a study: documents, the views of the viewer, findings, annotations."""

from __future__ import annotations

from dataclasses import replace
from itertools import zip_longest
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import FileResponse, Response

from hilum.findings import Nodule
from hilum.report import words
from hilum.report.documents import read_assessment
from hilum.report.guidelines import (
    GuidelineLine,
    GuidelineView,
    guideline_lines,
    guideline_views,
    is_given,
)
from hilum.service.jobs.documents import pack, size_of
from hilum.service.jobs.views import VIEW_FILES, View, read_grid
from hilum.service.records.annotations import (
    ReaderAnnotation,
    export_csv,
    new_id,
    now_s,
)
from hilum.service.web.context import Context, context_of
from hilum.service.web.guard import user_of
from hilum.service.web.models import (
    Change,
    Document,
    Documents,
    Findings,
    FoundNodule,
    Guideline,
    JobId,
    JSONObject,
    NewAnnotation,
    NoduleCategory,
    Opinion,
    Said,
)
from hilum.service.web.problems import ProblemError, described
from hilum.space import Grid

router = APIRouter(prefix="/api", tags=["results"])
Id = Annotated[JobId, Path()]
_TYPES = {
    ".json": "application/json",
    ".html": "text/html; charset=utf-8",
    ".pdf": "application/pdf",
    ".dcm": "application/dicom",
}
_REPORT_CSP = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "frame-ancestors 'self'"
)
"""A report is one file with its style inside: no script, nothing fetched."""

_FILE: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}


@router.get("/studies/{study}/result", responses=described(404, 409))
def get_result(request: Request, study: Id) -> JSONObject:
    """Give the assessment, as `assessment.json` has it."""
    tree: JSONObject = read_assessment(
        _document(context_of(request), study, "json")
    ).to_json()
    return tree


@router.get("/studies/{study}/documents", responses=described(404))
def list_documents(request: Request, study: Id) -> Documents:
    """List the documents of a study."""
    context = context_of(request)
    context.job(study)
    return Documents(
        documents=[
            Document(format=name, size_bytes=size_of(path))
            for name, path in context.jobs.documents(study).items()
        ]
    )


@router.get(
    "/studies/{study}/documents/{name}",
    response_class=FileResponse,
    responses=described(404, 409)
    | {200: {"content": {"application/octet-stream": _FILE}}},
)
def get_document(
    request: Request,
    study: Id,
    name: Annotated[str, Path(pattern="^[a-z]{2,8}$")],
) -> Response:
    """Give one document, such as `html` or `json`; one of several files as a zip."""
    path = _document(context_of(request), study, name)
    if path.is_dir():
        return Response(pack(path), media_type="application/zip")
    kind = _TYPES.get(path.suffix, "application/octet-stream")
    headers = {"Content-Security-Policy": _REPORT_CSP} if path.suffix == ".html" else {}
    return FileResponse(path, media_type=kind, headers=headers)


@router.get(
    "/studies/{study}/views/{name}.nii.gz",
    response_class=FileResponse,
    responses=described(404, 409) | {200: {"content": {"application/gzip": _FILE}}},
)
def get_view(
    request: Request, study: Id, name: Annotated[View, Path()]
) -> FileResponse:
    """Give what the viewer loads: `ct`, `small`, `lungs` or `nodules`."""
    context = context_of(request)
    context.job(study)
    path = context.jobs.store.views(study) / VIEW_FILES[name]
    if not path.is_file():
        raise ProblemError(409, "The study has no images to view yet, or no more.")
    return FileResponse(path, media_type="application/gzip")


@router.get("/studies/{study}/findings", responses=described(404, 409))
def get_findings(request: Request, study: Id) -> Findings:
    """Give the nodules of the algorithm, and beside them what readers say."""
    context = context_of(request)
    assessment = read_assessment(_document(context, study, "json"))
    grid, lungs_mm = read_grid(context.jobs.store.views(study))
    categories = guideline_lines(assessment)
    views = guideline_views(assessment)
    return Findings(
        series_uid=assessment.series_uid,
        nodules=[
            _found(nodule, number, grid, category)
            for number, (nodule, category) in enumerate(
                zip_longest(assessment.nodules, categories), start=1
            )
        ],
        guidelines=[_said(v) for v in views] if is_given(assessment) else None,
        annotations=[_opinion(a) for a in context.annotations.current(study)],
        lungs_mm=lungs_mm,
    )


@router.post(
    "/studies/{study}/annotations", status_code=201, responses=described(404, 409)
)
def annotate(request: Request, study: Id, said: NewAnnotation) -> Opinion:
    """Accept or reject a nodule, or add one; a reader has one opinion of each."""
    context, reader = context_of(request), user_of(request).name
    assessment = read_assessment(_document(context, study, "json"))
    place, size = said.center_mm, said.diameter_mm
    if said.nodule is not None:
        if said.nodule > len(assessment.nodules):
            raise ProblemError(404, "There is no such nodule.")
        nodule = assessment.nodules[said.nodule - 1]
        place = place or nodule.center_mm
        size = size or nodule.diameter_mm
    if place is None or size is None:
        raise ProblemError(422, "A nodule that is added needs its place and its size.")
    _check_inside(read_grid(context.jobs.store.views(study))[0], place)
    before = [
        a
        for a in context.annotations.current(study)
        if a.reader == reader and a.nodule is not None and a.nodule == said.nodule
    ]
    annotation = ReaderAnnotation(
        id=before[0].id if before else new_id(),
        job_id=study,
        series_uid=assessment.series_uid,
        nodule=said.nodule,
        verdict=said.verdict,
        center_mm=place,
        diameter_mm=size,
        malignancy=said.malignancy,
        reader=reader,
        when_s=now_s(),
    )
    context.annotations.save(annotation)
    return _opinion(annotation)


@router.put("/studies/{study}/annotations/{annotation}", responses=described(404, 409))
def change(
    request: Request, study: Id, annotation: Annotated[JobId, Path()], said: Change
) -> Opinion:
    """Move, resize or rate an own annotation."""
    context = context_of(request)
    before = _own(context, request, study, annotation)
    values = {k: v for k, v in said.model_dump().items() if v is not None}
    after = replace(before, **values, when_s=now_s())
    _check_inside(read_grid(context.jobs.store.views(study))[0], after.center_mm)
    context.annotations.save(after)
    return _opinion(after)


@router.delete(
    "/studies/{study}/annotations/{annotation}",
    status_code=204,
    responses=described(404),
)
def withdraw(request: Request, study: Id, annotation: Annotated[JobId, Path()]) -> None:
    """Withdraw an own annotation; that it was there stays known."""
    context = context_of(request)
    before = _own(context, request, study, annotation)
    context.annotations.save(replace(before, verdict="withdrawn", when_s=now_s()))


@router.get(
    "/annotations.csv",
    response_class=Response,
    responses=described() | {200: {"content": {"text/csv": _FILE}}},
)
def export(
    request: Request, study: Annotated[JobId | None, Query()] = None
) -> Response:
    """Give what readers accepted and added, as `hilum train nodules` reads it."""
    text = export_csv(context_of(request).annotations.current(study))
    name = 'attachment; filename="annotations.csv"'
    return Response(text, media_type="text/csv", headers={"Content-Disposition": name})


def _document(context: Context, study: str, name: str) -> Any:
    """Give the path of a document.

    Raises:
        ProblemError: There is no such study, or it has no such document yet.
    """
    job = context.job(study)
    path = context.jobs.documents(study).get(name)
    if path is None:
        raise ProblemError(
            409 if name == "json" or not job.is_final else 404,
            f"The study is {job.state} and has no such document.",
        )
    return path


def _own(
    context: Context, request: Request, study: str, annotation: str
) -> ReaderAnnotation:
    """Give an annotation of whoever asks.

    Raises:
        ProblemError: There is none of that id, or it is of another reader.
    """
    context.job(study)
    for found in context.annotations.current(study):
        if found.id == annotation:
            if found.reader != user_of(request).name:
                raise ProblemError(403, "This is the annotation of another reader.")
            return found
    raise ProblemError(404, "There is no such annotation.")


def _check_inside(grid: Grid, point: tuple[float, float, float]) -> None:
    if not bool(grid.contains(np.array(point))):
        raise ProblemError(422, "The place lies outside of the scan.")


def _said(view: GuidelineView) -> Guideline:
    return Guideline(
        title=view.title,
        headline=view.headline,
        possible=list(view.possible),
        why_not=view.why_not,
        grounds=[Said(name=name, text=text) for name, text in view.grounds],
    )


def _category(line: GuidelineLine | None) -> NoduleCategory | None:
    if line is None:
        return None
    return NoduleCategory(
        category=line.category,
        possible=line.possible,
        rule=line.rule,
        others=list(line.others),
    )


def _found(
    nodule: Nodule, number: int, grid: Grid, category: GuidelineLine | None
) -> FoundNodule:
    z, y, x = (int(i) for i in np.rint(grid.to_index(np.array(nodule.center_mm))))
    return FoundNodule(
        number=number,
        center_mm=nodule.center_mm,
        voxel=(z, y, x),
        diameter_mm=nodule.diameter_mm,
        long_axis_mm=nodule.long_axis_mm,
        short_axis_mm=nodule.short_axis_mm,
        volume_mm3=nodule.volume_mm3,
        type=nodule.type,
        place=words.place(nodule),
        detection_score=nodule.detection_score,
        malignancy=nodule.malignancy.value,
        malignancy_low=nodule.malignancy.low,
        malignancy_high=nodule.malignancy.high,
        lung_rads=_category(category),
    )


def _opinion(annotation: ReaderAnnotation) -> Opinion:
    tree = annotation.to_json()
    return Opinion(**{name: tree[name] for name in Opinion.model_fields})
