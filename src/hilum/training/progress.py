"""What one sees of a training run: a bar with the time left, curves and events.

The bar goes to stderr, and only to a terminal.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from hilum._optional import require
from hilum.formats.atomic import replacing


class Bar(keras.callbacks.Callback):  # type: ignore[misc]
    """Show the epochs done, the last losses and the time left, on stderr."""

    def __init__(self, name: str, console: Console | None = None):
        """Name the run.

        Args:
            name: Shown before the bar.
            console: Where to; stderr by default.
        """
        super().__init__()
        self.name = name
        self.console = console or Console(stderr=True)
        self.progress: Progress | None = None

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        """Start the bar, if somebody can see it."""
        if self.console.is_terminal:
            self.progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[losses]}"),
                console=self.console,
            )
            self.progress.start()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Count in batches from where the run was taken up."""
        if self.progress and not self.progress.tasks:
            steps, epochs = self.params["steps"], self.params["epochs"]
            self.progress.add_task(self.name, total=(epochs - epoch) * steps, losses="")

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Move on by one batch."""
        if self.progress:
            self.progress.advance(self.progress.tasks[0].id)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Show the losses."""
        if self.progress:
            values = ((k, v) for k, v in (logs or {}).items() if k.endswith("loss"))
            shown = " ".join(f"{name} {value:.4f}" for name, value in values)
            self.progress.update(
                self.progress.tasks[0].id, losses=f"epoch {epoch + 1}: {shown}"
            )

    def on_train_end(self, logs: Any = None) -> None:  # noqa: ARG002
        """Give the terminal back."""
        if self.progress:
            self.progress.stop()
            self.progress = None


class EventLog(keras.callbacks.Callback):  # type: ignore[misc]
    """Write losses and learning rate of each epoch for TensorBoard.

    Attributes:
        folder: Of the run, set by `fit` before each; events go into `tensorboard/`
            in it.
    """

    folder: Path | None = None

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        """Open a file of events for this call."""
        require("tensorboard", extra="train", to="to log for TensorBoard")
        tf = require("tensorflow", extra="train", to="to log for TensorBoard")
        place = (self.folder or Path()) / "tensorboard"
        self.writer = tf.summary.create_file_writer(str(place))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Write the numbers of an epoch, counted from 1."""
        tf = require("tensorflow", extra="train", to="to log for TensorBoard")
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        with self.writer.as_default():
            for name, value in {**(logs or {}), "learning_rate": rate}.items():
                tf.summary.scalar(name, float(value), step=epoch + 1)
        self.writer.flush()

    def on_train_end(self, logs: Any = None) -> None:  # noqa: ARG002
        """Close the file."""
        self.writer.close()


def draw_curves(epochs: list[dict[str, float]], path: Path, *, title: str) -> None:
    """Draw the losses of a run by epoch.

    Args:
        epochs: For each epoch "epoch", "loss" and, if any, "val_loss".
        path: The picture, as PNG.
        title: Stands above it.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    require("matplotlib", extra="train", to="to draw learning curves")
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(6, 4), dpi=100, layout="constrained")
    axes = figure.add_subplot(xlabel="epoch", ylabel="loss", title=title)
    numbers = [epoch["epoch"] for epoch in epochs]
    for name, label in (("loss", "training"), ("val_loss", "validation")):
        if epochs and name in epochs[0]:
            values = [epoch[name] for epoch in epochs]
            axes.plot(numbers, values, marker=".", label=label)
    axes.grid(alpha=0.3)
    axes.legend()
    with replacing(path) as file:
        FigureCanvasAgg(figure).print_png(file)
