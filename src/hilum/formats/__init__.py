"""CT in files that are not DICOM: NIfTI, MetaImage and our own .npz.

Whatever the format, a volume comes out as it would from DICOM: canonical, in
LPS millimetres, int16 HU. NIfTI is the one format whose world is RAS; it turns
into LPS in `nifti` and nowhere else. What a header claims is checked against
the size of the file before memory is taken for it.

The folder: `files` picks the format by the name, `nifti`, `metaimage` and
`archive` know one format each, `encoding` turns stored bytes into HU,
`geometry` is what all of them ask of a grid, `atomic` writes.
"""

from hilum.formats.files import (
    is_volume_file,
    read_mask,
    read_volume,
    write_mask,
    write_volume,
)

__all__ = ["is_volume_file", "read_mask", "read_volume", "write_mask", "write_volume"]
