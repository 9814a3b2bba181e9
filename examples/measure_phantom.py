"""How well are nodules found and measured where the truth is known?

python examples/measure_phantom.py
"""

import math

import hilum


def main() -> None:
    """Print each lesion of a phantom beside what hilum made of it."""
    settings = hilum.PhantomSettings(
        seed=7, shape=(150, 320, 320), spacing_mm=(2.5, 1.1, 1.1)
    )
    phantom = hilum.make_phantom(settings)
    nodules = hilum.assess(phantom.volume).nodules
    print("truth                     found")
    for truth in phantom.truths:
        name = f"{truth.type:12} {truth.diameter_mm:5.1f} mm"
        near = [
            nodule
            for nodule in nodules
            if math.dist(nodule.center_mm, truth.center_mm) < truth.diameter_mm / 2
        ]
        said = f"{near[0].type:12} {near[0].diameter_mm:5.1f} mm" if near else "missed"
        print(f"{name:25} {said}")


if __name__ == "__main__":
    main()
