"""Lesson 12: from slices to a patient.

What the stages find is computed in `hilum.primer.patient`, which may use them.
"""

from __future__ import annotations

from hilum.primer import ops
from hilum.primer.lessons.lesson import Lesson, Step

LESSON = Lesson(
    number=12,
    key="patient",
    title="From slices to a patient",
    idea="A detector marks places, a second network rates them, and one number is said "
    "of a person. At each step something is thrown away, and each step is judged by "
    "another measure.",
    why="A missed nodule is not the same as a false alarm, and ten small doubts are "
    "not one large one. Whoever reads a probability of cancer should know how many "
    "candidates it was made of, at which threshold, and what it costs to be wrong "
    "and sure.",
    steps=(
        Step(
            key="candidates",
            title="Candidates",
            text="All that `hilum detect` marks in this chest, seen from the front, "
            "averaged as in an X-ray. Move the threshold: few marks miss nodules, many "
            "cost a reader's time. In the synthetic chest the truth is known: yellow "
            "lies on a nodule, dashed red does not, blue was missed.",
            code="""\
from hilum.primer.patient import look
from hilum.primer.scene import phantom_scene

found = look(phantom_scene())
print(len(found.candidates), "candidates,", sum(found.is_hit), "on nodules")""",
        ),
        Step(
            key="froc",
            title="FROC: every threshold at once",
            text="Lower the threshold mark by mark. To the right go false marks a "
            "scan, up the share of nodules found. One scan makes a rough curve; LUNA16 "
            "takes 888 and reads it at 1/8 to 8 false marks a scan. A second mark on "
            "the same nodule counts neither way.",
            code="""\
from hilum.primer import ops

score = [c.score for c in found.candidates]
judged = [(s, h) for s, h, again in zip(score, found.is_hit, found.again) if not again]
threshold, sensitivity, false_marks = ops.froc(
    [s for s, _ in judged], [h for _, h in judged], nodules=found.nodules, scans=1
)
for wanted in (1, 2, 4, 8):
    reached = sensitivity[false_marks <= wanted]
    print(wanted, "false marks:", round(reached.max() if len(reached) else 0, 2))""",
        ),
        Step(
            key="risk",
            title="Many nodules, one patient: noisy-or",
            text="Each nodule is a cause of its own: the patient is free of cancer "
            "only if every nodule is benign and nothing was overlooked (the *leak*). "
            "Each counts with its malignancy times the detector's score. Change any "
            "cell. This shows the rule; the probability in hilum's report rests on the "
            "Brock model, which knows the patient as well.",
            code="""\
causes = [m * s for m, s in found.rated]
print("causes", [round(c, 2) for c in causes])
for leak in (0.0, 0.01, 0.1):
    print("leak", leak, "->", round(ops.noisy_or(causes, leak), 3))""",
        ),
        Step(
            key="loss",
            title="Log loss: what being wrong costs",
            text="Kaggle's Data Science Bowl 2017 judged patients by it: minus the "
            "logarithm of the probability given to what happened. Being sure and right "
            "gains little; being sure and wrong costs without limit. Say 99 % of "
            "someone healthy and it costs as much as saying 50 % of six or seven "
            "patients.",
            code="""\
for p in (0.5, 0.9, 0.99):
    right, wrong = (ops.log_loss([p], [truth]) for truth in (1, 0))
    print(p, "right:", round(right, 3), "wrong:", round(wrong, 3))""",
        ),
    ),
    functions=(ops.froc, ops.noisy_or, ops.log_loss),
    layers=(),
    needs_scan=True,
)
