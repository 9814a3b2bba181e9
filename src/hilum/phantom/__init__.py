"""A synthetic chest with known nodules, as CTVolume or as a DICOM series.

A seed is a person; settings are a scan of that person; lesions are what grows in
the lungs, with centre, volume and diameters known exactly from their formulas.

    >>> from hilum.phantom import PhantomSettings, make_phantom
    >>> settings = PhantomSettings(seed=7, shape=(3, 32, 32), spacing_mm=(99, 12, 12))
    >>> [truth.type for truth in make_phantom(settings).truths][:3]
    ['solid', 'solid', 'solid']
"""

from hilum.phantom.chest import Phantom, make_phantom
from hilum.phantom.lesions import Lesion, Truth
from hilum.phantom.placing import Plan, default_lesions, grow_lesions, place_lesions
from hilum.phantom.series import write_phantom
from hilum.phantom.settings import PhantomSettings

__all__ = [
    "Lesion",
    "Phantom",
    "PhantomSettings",
    "Plan",
    "Truth",
    "default_lesions",
    "grow_lesions",
    "make_phantom",
    "place_lesions",
    "write_phantom",
]
