"""Networks of folds joined into one."""

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="Keras is not installed")

from hilum.errors import InputError  # noqa: E402
from hilum.training.joining import members_net  # noqa: E402


def two_outputs():
    given = {name: keras.Input((3,), name=name) for name in ("a", "b")}
    x = keras.layers.Concatenate()(list(given.values()))
    outputs = {n: keras.layers.Dense(k, name=n)(x) for n, k in (("p", 2), ("q", 4))}
    return keras.Model(given, outputs)


@pytest.mark.parametrize("count", [1, 3])
def test_members_stand_beside_each_other_also_out_of_a_file(count, tmp_path):
    models = [two_outputs() for _ in range(count)]
    rng = np.random.default_rng(0)
    x = {name: rng.normal(size=(5, 3)).astype(np.float32) for name in ("a", "b")}
    joined = members_net(models, name="all")
    joined.save(tmp_path / "all.keras")
    found = keras.saving.load_model(tmp_path / "all.keras", compile=False)(x)
    assert set(found) == {"p", "q"}
    for name, values in found.items():
        expected = np.stack([m(x)[name] for m in models], axis=1)
        np.testing.assert_allclose(values, expected, atol=1e-6)


def test_nothing_cannot_be_joined():
    with pytest.raises(InputError, match="Train the folds first"):
        members_net([], name="all")
