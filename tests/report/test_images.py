import base64
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hilum.errors import InputError
from hilum.report.images import KEY_PIXELS, PLANES, key_image, overview, to_data_uri
from hilum.space import Grid
from hilum.volume import CTVolume

SPACING_MM = (2.5, 0.8, 0.5)
ORIGIN_MM = (-10.0, -20.0, -300.0)
BRIGHT = (7, 22, 31)
# x = -10 + 31 * 0.5 = 5.5;  y = -20 + 22 * 0.8 = -2.4;  z = -300 + 7 * 2.5 = -282.5
BRIGHT_MM = (5.5, -2.4, -282.5)


def air(shape=(20, 60, 70), spacing_mm=SPACING_MM, **kwargs):
    grid = Grid.axial(shape, spacing_mm, origin_mm=ORIGIN_MM, **kwargs)
    return CTVolume(np.full(shape, -950, np.int16), grid, "1.2.3")


def one_bright_voxel():
    volume = air()
    volume.hu[BRIGHT] = 100  # inside the window, so that only one pixel is brightest
    return volume


def brightest(image):
    row, column = np.unravel_index(image.grey.argmax(), image.grey.shape)
    return int(row), int(column)


def lit_mm(image):
    """Height and width of what is brighter than halfway from air to tissue."""
    rows, columns = np.nonzero(image.grey > 110)
    return np.ptp(rows) * image.pixel_mm, np.ptp(columns) * image.pixel_mm


def test_there_are_240_pixels_a_side():
    # the pixels that the tests below expect are worked out for 24 mm / 240 = 0.1 mm
    assert KEY_PIXELS == 240
    assert key_image(air(), BRIGHT_MM, "axial", 24.0).pixel_mm == pytest.approx(0.1)


def test_axial_image_puts_left_on_the_right_and_the_back_below():
    # the voxel lies 3.05 mm to the left and 3.25 mm to the back of the centre:
    # column (12 + 3.05) / 0.1 - 0.5 = 150, row (12 + 3.25) / 0.1 - 0.5 = 152
    image = key_image(one_bright_voxel(), (2.45, -5.65, -282.5), "axial", 24.0)
    assert brightest(image) == (152, 150)
    assert image.edges == ("R", "L", "A", "P")


def test_coronal_image_puts_left_on_the_right_and_the_head_above():
    # 3.05 mm to the left, 6.25 mm to the head: row (12 - 6.25) / 0.1 - 0.5 = 57
    image = key_image(one_bright_voxel(), (2.45, -2.4, -288.75), "coronal", 24.0)
    assert brightest(image) == (57, 150)
    assert image.edges == ("R", "L", "H", "F")


def test_sagittal_image_puts_the_back_on_the_right_and_the_head_above():
    # 3.25 mm to the back, 6.25 mm to the head
    image = key_image(one_bright_voxel(), (5.5, -5.65, -288.75), "sagittal", 24.0)
    assert brightest(image) == (57, 152)
    assert image.edges == ("A", "P", "H", "F")


def test_right_of_the_centre_is_left_in_the_image():
    image = key_image(one_bright_voxel(), (8.55, -2.4, -282.5), "axial", 24.0)
    # 3.05 mm to the right: column (12 - 3.05) / 0.1 - 0.5 = 89
    assert brightest(image)[1] == 89


def test_point_of_interest_is_between_the_middle_pixels():
    image = key_image(one_bright_voxel(), BRIGHT_MM, "axial", 24.0)
    middle = image.grey[119:121, 119:121]
    assert (middle == image.grey.max()).all()
    assert (image.grey == image.grey.max()).sum() == 4


def test_axial_image_is_the_nearest_slice_and_no_mixture():
    # 1.2 mm above slice 7, 1.3 mm below slice 8
    image = key_image(one_bright_voxel(), (5.45, -2.45, -281.3), "axial", 24.0)
    # 100 HU: ((100 + 600) / 1500 + 0.5) * 255 = 246.5; half a pixel (0.05 mm of
    # 0.5 and 0.8 mm) off the voxel's centre nothing is brighter than that
    assert image.position_mm == pytest.approx(-282.5)
    assert image.grey.max() >= 240
    above = key_image(one_bright_voxel(), (5.45, -2.45, -281.2), "axial", 24.0)
    assert above.position_mm == pytest.approx(-280.0)
    assert above.grey.max() == above.grey.min()


@pytest.mark.parametrize("plane", PLANES)
def test_grey_is_the_lung_window(plane):
    # -950 HU: ((-950 + 600) / 1500 + 0.5) * 255 = 68
    image = key_image(air(), BRIGHT_MM, plane, 10.0)
    np.testing.assert_array_equal(image.grey, np.full((240, 240), 68))


@pytest.mark.parametrize("plane", PLANES)
def test_a_ball_is_round_whatever_the_spacing(plane):
    shape, spacing_mm = (24, 60, 96), (2.0, 0.8, 0.5)
    grid = Grid.axial(shape, spacing_mm)
    center = np.array(grid.to_world((np.array(shape) - 1) / 2))
    apart = np.linalg.norm(
        grid.to_world(np.moveaxis(np.indices(shape), 0, -1)) - center, axis=-1
    )
    hu = np.where(apart <= 9.0, 100, -1000).astype(np.int16)
    image = key_image(CTVolume(hu, grid, "1.2.3"), tuple(center), plane, 40.0)
    height_mm, width_mm = lit_mm(image)
    # 18 mm across, half a voxel of doubt at each end
    assert height_mm == pytest.approx(18.0, abs=2.0)
    assert width_mm == pytest.approx(18.0, abs=0.8)
    assert height_mm == pytest.approx(width_mm, abs=2.0)


def test_a_tilted_grid_is_cut_along_the_patient():
    angle = np.radians(15)
    turn = np.array(
        [
            [np.cos(angle), -np.sin(angle), 0],
            [np.sin(angle), np.cos(angle), 0],
            [0, 0, 1],
        ]
    )
    affine = air().grid.affine.copy()
    affine[:3, :3] = turn @ affine[:3, :3]
    volume = CTVolume(one_bright_voxel().hu, Grid((20, 60, 70), affine), "1.2.3")
    x, y, z = volume.grid.to_world(BRIGHT).tolist()
    image = key_image(volume, (x - 3.05, y - 3.25, z), "axial", 24.0)
    assert brightest(image) == (152, 150)


def test_beyond_the_scan_is_black_and_air_is_not():
    # the centre is the first voxel: the upper left quarter lies outside, but for
    # half a voxel (0.25 mm = 2.5 pixels across, 0.4 mm = 4 pixels down)
    image = key_image(air(), ORIGIN_MM, "axial", 24.0)
    assert image.grey[:115].max() == 0
    assert image.grey[:, :117].max() == 0
    assert image.grey[117:, 119:].min() == 68


def test_mirrored_patient_gives_mirrored_images():
    rng = np.random.default_rng(0)
    volume = air((12, 30, 31), (2.0, 1.0, 1.0))
    noise = rng.integers(-1000, 200, volume.hu.shape, dtype=np.int16)
    one = CTVolume(noise, volume.grid, "1.2.3")
    other = CTVolume(np.ascontiguousarray(noise[:, :, ::-1]), volume.grid, "1.2.3")
    middle_mm = tuple(volume.grid.to_world([6, 15, 15]))
    for plane in ("axial", "coronal"):
        image = key_image(one, middle_mm, plane, 20.0).grey
        np.testing.assert_allclose(
            image[:, ::-1].astype(int),
            key_image(other, middle_mm, plane, 20.0).grey.astype(int),
            atol=1,
        )
        assert not np.array_equal(image, image[:, ::-1])
    same = [key_image(v, middle_mm, "sagittal", 20.0).grey for v in (one, other)]
    np.testing.assert_array_equal(*same)


def test_only_the_neighbourhood_is_read():
    # poison beyond the crop: were it sampled, or the crop too tight, grey changes
    volume = air((20, 200, 200), (2.5, 0.5, 0.5))
    center_mm = tuple(volume.grid.to_world([10, 100, 100]))
    before = key_image(volume, center_mm, "axial", 30.0).grey.copy()
    volume.hu[:, :60] = 3000
    volume.hu[:9] = 3000
    volume.hu[12:] = 3000
    np.testing.assert_array_equal(
        key_image(volume, center_mm, "axial", 30.0).grey, before
    )


def test_point_outside_the_volume_is_refused_with_advice():
    with pytest.raises(InputError, match=r"outside the volume.*another series"):
        key_image(air(), (500.0, 0.0, -290.0), "axial", 60.0)


@pytest.mark.parametrize("size_mm", [0.0, -1.0, float("nan")])
def test_picture_without_size_is_refused(size_mm):
    with pytest.raises(InputError, match="must be > 0 mm"):
        key_image(air(), BRIGHT_MM, "axial", size_mm)


def test_overview_shows_a_rod_where_it_is_placed():
    volume = air((50, 60, 70), (2.5, 0.8, 0.5))
    volume.hu[40, :, 60] = 500
    picture = overview(volume)
    assert (picture.height_mm, picture.width_mm) == pytest.approx((125.0, 35.0))
    row, column = brightest(picture)
    # slice 40 of 50 is row 9 from the top, the patient's left is on the right
    assert (row, column) == (9, 60)
    x_mm, y_mm = picture.place(tuple(volume.grid.to_world([40, 3, 60])))
    # (60 + 0.5) * 0.5 = 30.25;  125 - (40 + 0.5) * 2.5 = 23.75
    assert (x_mm, y_mm) == pytest.approx((30.25, 23.75))


@given(
    st.integers(0, 599), st.integers(0, 149), st.sampled_from([(1, 1), (2, 1), (3, 2)])
)
def test_overview_places_points_within_a_sample_of_their_voxel(z, x, steps):
    shape = (600 // steps[0], 4, 150 // steps[1])
    z, x = min(z, shape[0] - 1), min(x, shape[2] - 1)
    grid = Grid.axial(shape, (1.5, 0.7, 0.9))
    hu = np.full(shape, -1000, np.int16)
    block = slice(max(z - 1, 0), z + 2), slice(None), slice(max(x - 1, 0), x + 2)
    hu[block] = 1000
    picture = overview(CTVolume(hu, grid, "1.2.3"))
    x_mm, y_mm = picture.place(tuple(grid.to_world([z, 0, x])))
    rows, columns = np.nonzero(picture.grey == picture.grey.max())
    pixel_y_mm = picture.height_mm / picture.grey.shape[0]
    pixel_x_mm = picture.width_mm / picture.grey.shape[1]
    assert abs((rows.mean() + 0.5) * pixel_y_mm - y_mm) <= 2 * pixel_y_mm
    assert abs((columns.mean() + 0.5) * pixel_x_mm - x_mm) <= 2 * pixel_x_mm


def test_data_uri_holds_the_same_pixels():
    grey = np.random.default_rng(1).integers(0, 256, (24, 17), dtype=np.uint8)
    head, data = to_data_uri(grey).split(",")
    assert head == "data:image/png;base64"
    picture = Image.open(io.BytesIO(base64.b64decode(data)))
    assert picture.mode == "L"
    np.testing.assert_array_equal(np.asarray(picture), grey)
