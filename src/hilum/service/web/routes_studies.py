"""Studies and jobs: sent, listed, stopped, tried again, removed."""

from __future__ import annotations

from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

from anyio.to_thread import run_sync
from fastapi import APIRouter, Path, Query, Request, Response

from hilum.errors import InputError
from hilum.service.jobs.aligning import BusyError
from hilum.service.web.context import Context, context_of
from hilum.service.web.models import AlignmentMap, JobId, Studies, Study, Upload
from hilum.service.web.problems import ProblemError, described

router = APIRouter(prefix="/api", tags=["studies"])
_State = Literal[
    "queued", "running", "delivering", "done", "failed", "cancelled", "expired"
]
Id = Annotated[JobId, Path()]
UploadId = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/octet-stream": {
                "schema": {"type": "string", "format": "binary"}
            }
        },
    }
}
_STORING = described(404, 408, 409, 411, 413, 415, 507)


@router.get("/studies", responses=described())
def list_studies(
    request: Request,
    state: Annotated[_State | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=5000)] = 1000,
) -> Studies:
    """List studies, the newest first."""
    context = context_of(request)
    states = None if state is None else (state,)
    found = context.jobs.list(states=states, limit=limit)
    return Studies(studies=context.studies(found))


@router.post("/studies", status_code=202, responses=_STORING, openapi_extra=_BODY)
async def send_study(request: Request) -> Study:
    """Send a study in one file: a zip of DICOM, NIfTI, MetaImage or DICOM.

    The body is the file itself. The same study twice is one.
    """
    context = context_of(request)
    length = _length(request)
    path = await context.receiver.take_whole(request.stream(), length)
    return await run_sync(_submit, context, path)


@router.get("/studies/{study}", responses=described(404))
def get_study(request: Request, study: Id) -> Study:
    """Give one study."""
    return context_of(request).study(study)


@router.delete("/studies/{study}", status_code=204, responses=described(404))
def remove_study(request: Request, study: Id) -> None:
    """Stop a study and remove it with all documents; annotations stay."""
    context = context_of(request)
    context.job(study)
    context.jobs.remove(study)


@router.get("/studies/{study}/priors", responses=described(404))
def list_priors(request: Request, study: Id) -> Studies:
    """List the other studies of the same patient, the latest first."""
    context = context_of(request)
    context.job(study)
    found = tuple(j for j in context.jobs.of_patient(study) if j.state == "done")
    return Studies(studies=context.studies(found))


@router.get("/studies/{study}/priors/{prior}/alignment", responses=described(404, 409))
def align(request: Request, study: Id, prior: Id) -> AlignmentMap:
    """Say where points of a study lie in another one of the patient.

    The first time it takes some seconds. Where the two cannot be laid onto each
    other with trust, it says why.
    """
    context = context_of(request)
    context.job(study)
    if prior not in {job.id for job in context.jobs.of_patient(study)}:
        raise ProblemError(404, "There is no such study of this patient.")
    try:
        return AlignmentMap(**context.aligner.align(study, prior))
    except BusyError as error:
        raise ProblemError(
            503, f"{error} Ask again in a moment.", {"Retry-After": "3"}
        ) from error
    except InputError as error:
        raise ProblemError(409, str(error)) from error


@router.get("/jobs/{job}", responses=described(404), tags=["jobs"])
def get_job(request: Request, job: Id) -> Study:
    """Tell how far a job is."""
    return context_of(request).study(job)


@router.post("/jobs/{job}/cancel", responses=described(404), tags=["jobs"])
def cancel_job(request: Request, job: Id) -> Study:
    """Stop a job that is not over; one that is over stays as it is."""
    context = context_of(request)
    context.job(job)
    context.jobs.cancel(job)
    return context.study(job)


@router.post("/jobs/{job}/retry", responses=described(404, 409), tags=["jobs"])
def retry_job(request: Request, job: Id) -> Study:
    """Try a job again that failed or was cancelled."""
    context = context_of(request)
    now = context.job(job)
    if now.state not in ("failed", "cancelled"):
        raise ProblemError(
            409, f"The study is {now.state}. Only one that failed can be tried again."
        )
    context.jobs.retry(job)
    return context.study(job)


@router.post("/uploads", status_code=201, responses=_STORING, tags=["uploads"])
def begin_upload(request: Request) -> Upload:
    """Begin to send a study file by file."""
    return Upload(id=context_of(request).receiver.begin(), files=0, size_bytes=0)


@router.put(
    "/uploads/{upload}/files/{number}",
    status_code=204,
    responses=_STORING,
    openapi_extra=_BODY,
    tags=["uploads"],
)
async def send_file(
    request: Request, upload: UploadId, number: Annotated[int, Path(ge=0, le=999_999)]
) -> Response:
    """Send one DICOM file; the body is the file, its number any, once each."""
    receiver = context_of(request).receiver
    await receiver.take(upload, number, request.stream(), _length(request))
    return Response(status_code=204)


@router.post(
    "/uploads/{upload}/finish", status_code=202, responses=_STORING, tags=["uploads"]
)
def finish_upload(request: Request, upload: UploadId) -> Study:
    """Hand over what was sent; the same study twice is one."""
    context = context_of(request)
    folder = context.receiver.folder(upload)
    files = context.receiver.size_of(upload)[0]
    if not files:
        raise ProblemError(409, "Nothing was sent yet. Send the files, then finish.")
    for part in folder.glob("part-*"):
        part.unlink(missing_ok=True)
    return _submit(context, folder)


@router.delete(
    "/uploads/{upload}", status_code=204, responses=described(404), tags=["uploads"]
)
def drop_upload(request: Request, upload: UploadId) -> None:
    """Forget an upload."""
    context_of(request).receiver.drop(upload)


def _submit(context: Context, source: FilePath) -> Study:
    """Hand a study over, and take away what was received.

    Raises:
        InputError: It is no study; or nothing can be stored now, and then what was
            received stays, so that it can be handed over again.
    """
    arrived = source if source.is_dir() else source.parent
    try:
        job_id = context.jobs.submit(source, origin="upload", move=True)
    except InputError as error:
        if not isinstance(error.__cause__, OSError):
            context.jobs.store.discard(arrived, move=True)
        raise
    context.jobs.store.discard(arrived, move=True)
    return context.study(job_id)


def _length(request: Request) -> int | None:
    """Give the announced length of a body, or None."""
    text = request.headers.get("content-length")
    return int(text) if text is not None and text.isdigit() else None
