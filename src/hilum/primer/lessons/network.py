"""Lesson 10: the shipped malignancy network, layer by layer, on one nodule."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import numpy.typing as npt

from hilum.features.patches import BLANK_HU
from hilum.primer import ops
from hilum.primer.lessons.lesson import Data, Lesson, Step, pack, pack_coarsely
from hilum.primer.scene import Scene
from hilum.runtime.inside import FeatureMaps, OpenNetwork, grad_cam
from hilum.runtime.outlines import outline_nodule
from hilum.runtime.predictor import load_predictor
from hilum.runtime.ratings import Rating, rate_nodule, rating_inputs, read_calibration
from hilum.volume import CTVolume, Mask, to_int16

Floats = npt.NDArray[np.float32]
Inputs = dict[str, Floats]

CUBE = 8
"""Edge of the cube that hides a part of the patch, in voxels of 1 mm."""

STARTS = (0, 6, 12, 18, 24)
"""Where the cube starts along each axis: it covers the patch, overlapping."""

CHANGES = {
    "density": ("HU added to the nodule", (-600, -400, -200, 0, 200, 400, 800)),
    "size": ("size, as a share", (0.5, 0.65, 0.8, 1.0, 1.2, 1.4)),
    "smooth": ("blur, mm", (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)),
}
"""What is done to the nodule, and how much of it."""

UNCHANGED = {"density": 0.0, "size": 1.0, "smooth": 0.0}


def nodule_mask(scene: Scene) -> Mask:
    """Outline the nodule with the shipped network, on the box around it.

    Where that network sees no nodule, a ball of the given diameter stands in.
    """
    grid = scene.around.grid
    found = outline_nodule(
        scene.around,
        scene.center_mm,
        scene.diameter_mm,
        predict=load_predictor("segmentation"),
    )
    points = grid.to_world(np.argwhere(np.ones(grid.shape, bool)))
    if found.voxels.any():
        inside = found.at(points) > 0
    else:
        off = np.linalg.norm(points - np.array(scene.center_mm), axis=1)
        inside = off <= scene.diameter_mm / 2
    return Mask(inside.reshape(grid.shape).astype(np.uint8), grid)


def rate(volume: CTVolume, mask: Mask) -> Rating:
    """Rate a nodule as `hilum assess` does."""
    predict = load_predictor("malignancy")
    calibration = read_calibration(predict.path)
    return rate_nodule(volume, mask, predict=predict, calibration=calibration)


def changed(
    volume: CTVolume, mask: Mask, kind: str, amount: float
) -> tuple[CTVolume, Mask]:
    """Change the nodule: its density, its size (with what is around), its sharpness.

    Args:
        volume: A box around the nodule.
        mask: The nodule, on the same grid.
        kind: One of `CHANGES`.
        amount: HU, a share, or mm.
    """
    from scipy import ndimage  # noqa: PLC0415  slow to import

    hu, inside = volume.hu.astype(np.float64), mask.voxels > 0
    spacing = np.array(volume.grid.spacing_mm)
    if kind == "density":
        soft = ndimage.gaussian_filter(inside.astype(np.float32), 0.7 / spacing)
        hu = hu + amount * np.where(inside, soft, 0)
    elif kind == "smooth":
        hu = ndimage.gaussian_filter(hu, amount / spacing)
    elif amount != 1:
        middle = np.argwhere(inside).mean(axis=0)
        offset = middle - middle / amount
        scaled = {"matrix": np.full(3, 1 / amount), "offset": offset, "order": 1}
        hu = ndimage.affine_transform(hu, **scaled, mode="nearest")
        inside = ndimage.affine_transform(inside.astype(np.float32), **scaled) > 0.5
    return (
        replace(volume, hu=to_int16(hu)),
        Mask(inside.astype(np.uint8), mask.grid),
    )


def occlusion(network: OpenNetwork, inputs: Inputs) -> Floats:
    """Hide a cube of the patch, place after place, and see how the rating falls.

    In the cube HU become those of lung, and the mask 0. Each voxel gets the average
    fall over the cubes that hid it.

    Args:
        network: That rates the patch.
        inputs: As `rating_inputs` makes them.

    Returns:
        (slice, row, column) fall of the expected rating (1 to 5), below 0 where the
        rating rose.
    """
    shape = inputs["hu"].shape[1:-1]
    places = [(z, y, x) for z in STARTS for y in STARTS for x in STARTS]
    hidden = {k: np.repeat(inputs[k], len(places), axis=0) for k in ("hu", "mask")}
    for n, place in enumerate(places):
        hidden["hu"][n][_cube(place)] = BLANK_HU
        hidden["mask"][n][_cube(place)] = 0
    falls = (network.rating(inputs) - network.rating(hidden)).astype(np.float32)
    fall, times = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for place, value in zip(places, falls, strict=True):
        fall[_cube(place)] += value
        times[_cube(place)] += 1
    return np.asarray(fall / np.maximum(times, 1), np.float32)


def _cube(place: tuple[int, int, int]) -> tuple[slice, ...]:
    return tuple(slice(p, p + CUBE) for p in place)


def enlarged(map_: Floats, shape: tuple[int, ...]) -> Floats:
    """Interpolate a coarse map on the voxels of the patch."""
    from scipy import ndimage  # noqa: PLC0415  slow to import

    steps = np.array(map_.shape) / np.array(shape)
    return np.asarray(
        ndimage.affine_transform(
            map_, steps, steps / 2 - 0.5, output_shape=shape, order=1, mode="nearest"
        ),
        np.float32,
    )


@cache
def walk(scene: Scene) -> tuple[Inputs, tuple[FeatureMaps, ...], Floats]:
    """Send the nodule through the network: its input, every map, and Grad-CAM."""
    inputs = rating_inputs(scene.around, nodule_mask(scene))
    network = OpenNetwork("malignancy")
    maps = network.maps(inputs)
    cam = grad_cam(network, maps[-1].values)
    return inputs, maps, enlarged(cam, inputs["hu"].shape[1:-1])


def variants(scene: Scene) -> Data:
    """Rate the nodule anew after each change; and what it then looks like."""
    mask, rows = nodule_mask(scene), {}
    for kind, (label, amounts) in CHANGES.items():
        found = []
        for amount in amounts:
            volume, inside = changed(scene.around, mask, kind, amount)
            said = rate(volume, inside)
            shown = rating_inputs(volume, inside)["hu"][0, 16, :, :, 0]
            found.append(
                {
                    "amount": amount,
                    "malignancy": said.malignancy.to_json(),
                    "kind": said.kind,
                    "image": pack(shown, "int16"),
                }
            )
        rows[kind] = {"label": label, "found": found, "start": UNCHANGED[kind]}
    return rows


def _data(scene: Scene) -> Data:
    """Give the patch, all maps, what counts, and the changed nodules."""
    inputs, maps, cam = walk(scene)
    network = OpenNetwork("malignancy")
    return {
        "members": network.members,
        "patch": pack(inputs["hu"][0, ..., 0], "int16"),
        "mask": pack_coarsely(inputs["mask"][0, ..., 0]),
        "maps": [
            {
                "kernel": m.kernel,
                "stride": m.stride,
                "values": pack_coarsely(np.moveaxis(m.values, -1, 0)),
            }
            for m in maps
        ],
        "cam": pack_coarsely(cam),
        "occlusion": pack_coarsely(occlusion(network, inputs)),
        "variants": variants(scene),
    }


LESSON = Lesson(
    number=10,
    key="network",
    title="The whole network, on one nodule",
    idea="The network that `hilum assess` runs, opened up: what each layer makes of a "
    "nodule, how much of the patch one number of it has seen, what counts for the "
    "rating, and what the rating would be if the nodule were another.",
    why="A probability without a reason is hard to act on. But a heat map is not a "
    "reason either: it shows where the network looked, not what it understood. This "
    "page has two, and they do not always agree.",
    steps=(
        Step(
            key="maps",
            title="Layer by layer",
            text="The first of five networks that are averaged, on a patch of 32 mm "
            "around the nodule; what is far from it is blanked. Pick a layer and a "
            "map, scroll through its slices, click a place: the box is its *receptive "
            "field*, the part of the patch that this one number depends on.",
            code="""\
import numpy as np
from hilum.primer import ops
from hilum.primer.lessons.network import walk
from hilum.primer.scene import phantom_scene

inputs, maps, cam = walk(phantom_scene())
layers = []
for m in maps:
    layers.append((m.kernel, m.stride))
    reach, step = ops.receptive_field(layers)
    print(m.values.shape, "sees", reach, "mm, every", step, "mm")""",
        ),
        Step(
            key="heat",
            title="What counts",
            text="**Grad-CAM** weighs the last maps by the gradient of the rating, of "
            "this one network; it is as coarse as they are, 4 × 4 × 4 cells. The "
            "gradient is taken by differences of the network's own head. **Occlusion** "
            "hides a cube of 8 mm, HU and mask, place after place, and shows by how "
            "much the rating falls (orange) or rises (blue): slower, and exact. Both "
            "are of the first network, from the patch alone; in the shipped average "
            "that branch counts a quarter, 87 measured features the rest.",
            code="""\
from hilum.primer.lessons.network import occlusion
from hilum.runtime.inside import OpenNetwork

fall = occlusion(OpenNetwork("malignancy"), inputs)
print("largest fall of the rating", fall.max().round(3))
print("Grad-CAM is largest at", np.unravel_index(cam.argmax(), cam.shape))""",
        ),
        Step(
            key="what_if",
            title="Another nodule",
            text="The same nodule with other HU, larger or smaller, or blurred; each "
            "time it is measured and rated anew, as `hilum assess` does. The line is "
            "the 95 % interval of the calibrated probability that radiologists would "
            "call it malignant; it never leaves 1 to 99 %.",
            code="""\
from hilum.primer.lessons.network import changed, nodule_mask, rate

scene = phantom_scene()
mask = nodule_mask(scene)
for amount in (0.5, 1.0, 1.4):
    said = rate(*changed(scene.around, mask, "size", amount)).malignancy
    print(f"size x {amount}: {said.value:.2f} [{said.low:.2f}, {said.high:.2f}]")""",
        ),
    ),
    functions=(ops.receptive_field, ops.reads_from, grad_cam, occlusion, changed),
    layers=("Conv3D", "BatchNormalization", "ReLU", "ResidualBlock", "Dense"),
    needs_scan=True,
    data=_data,
)
