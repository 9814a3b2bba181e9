"""The lessons of the primer, in order: texts, and what Python computes for each.

A lesson's views, which compute what the reader moves, are in `static/lessons`.
"""

from hilum.errors import InputError
from hilum.primer.lessons import (
    activations,
    build,
    deciding,
    filters,
    network,
    norms,
    patient,
    pooling,
    scanner,
    sliding,
    strides,
    volumes,
)
from hilum.primer.lessons.lesson import Data, Lesson, Step

__all__ = ["LESSONS", "Data", "Lesson", "Step", "find_lesson"]

LESSONS: tuple[Lesson, ...] = (
    scanner.LESSON,
    sliding.LESSON,
    filters.LESSON,
    strides.LESSON,
    volumes.LESSON,
    activations.LESSON,
    pooling.LESSON,
    norms.LESSON,
    deciding.LESSON,
    network.LESSON,
    build.LESSON,
    patient.LESSON,
)


def find_lesson(name: str) -> Lesson:
    """Find a lesson by its number or its short name.

    Raises:
        InputError: There is none.

    Example:
        >>> find_lesson("3") is find_lesson("filters")
        True
    """
    for lesson in LESSONS:
        if name in (str(lesson.number), lesson.key):
            return lesson
    every = ", ".join(f"{lesson.number} {lesson.key}" for lesson in LESSONS)
    raise InputError(f"There is no lesson {name!r}. Lessons are: {every}.")
