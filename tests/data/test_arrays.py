"""Arrays in an .npz file."""

import numpy as np
import pytest

from archsearch.data import check_data, load_dataset
from archsearch.errors import DataError
from archsearch.study.settings import DataSettings

X = np.arange(40 * 3 * 4 * 4, dtype=np.uint8).reshape(40, 3, 4, 4)
Y = np.arange(40) % 4


def settings_for(tmp_path, **arrays):
    path = tmp_path / "arrays.npz"
    np.savez(path, **arrays)
    return DataSettings(name="arrays", root=str(path))


def test_splits_that_the_file_has_are_kept(tmp_path):
    settings = settings_for(
        tmp_path, x_train=X, y_train=Y, x_val=X[:8], y_val=Y[:8], x_test=X[8:20], y_test=Y[8:20]
    )
    check_data(settings)

    dataset = load_dataset(settings)

    assert np.array_equal(dataset.train.images.numpy(), X)
    assert np.array_equal(dataset.val.images.numpy(), X[:8])
    assert dataset.test.labels.tolist() == Y[8:20].tolist()
    assert dataset.classes == ("0", "1", "2", "3")


def test_one_pair_of_arrays_is_split(tmp_path):
    dataset = load_dataset(settings_for(tmp_path, x=X[:, 0], y=Y))

    assert dataset.input_shape == (1, 4, 4)
    assert [len(split) for split in (dataset.train, dataset.val, dataset.test)] == [24, 8, 8]


def test_flat_and_float_inputs_are_taken(tmp_path):
    values = np.random.default_rng(0).normal(5, 3, (40, 7))

    dataset = load_dataset(settings_for(tmp_path, x=values, y=Y.astype(np.int16)))

    assert dataset.input_shape == (7,)
    assert dataset.train.images.numpy().dtype == np.float32
    assert dataset.mean == pytest.approx((float(dataset.train.images.mean()),), rel=1e-5)
    assert dataset.std == pytest.approx((float(dataset.train.images.std(correction=0)),), rel=1e-5)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": X}, r"must hold x_train and y_train, or x and y, got \['images'\]"),
        ({"x_train": X, "y_train": Y, "x_val": X}, "must hold both of x_val and y_val"),
        (
            {"x": X.astype(np.int32), "y": Y},
            r":x: must be uint8 or a float type, got 'int32 \(40, 3, 4, 4\)'",
        ),
        ({"x": X[:, 0, 0, 0], "y": Y}, r":x: must be \[N, C, H, W\], \[N, H, W\] or \[N, F\]"),
        ({"x": X[:0], "y": Y[:0]}, r":x: must be \[N, C, H, W\]"),
        ({"x": np.zeros((40, 32, 32, 3), np.uint8), "y": Y}, r"at most 16 channels.*transpose\(0, 3, 1, 2\)"),
        ({"x": np.full((40, 2), np.nan), "y": Y}, ":x: must hold finite numbers only"),
        ({"x": X, "y": Y[:39]}, ":y: must hold a label for each of 40 images, got 39"),
        ({"x": X, "y": Y.astype(float)}, ":y: must be integers in one dimension"),
        ({"x": X, "y": Y[:, None]}, ":y: must be integers in one dimension"),
        ({"x": X, "y": Y - 1}, ":y: must hold labels from 0, got -1"),
        ({"x": X, "y": Y * 2}, r":y: must number the classes from 0 without gaps, got \[0, 2, 4, 6\]"),
        ({"x": X, "y": Y * 10**12}, ":y: must number the classes from 0 without gaps"),
        ({"x": X, "y": Y * 0}, ":y: must hold at least two classes, got 1"),
        (
            {"x_train": X, "y_train": Y, "x_test": X[:, :1], "y_test": Y},
            r":x_test: must have shape \(3, 4, 4\)",
        ),
        (
            {"x_train": X, "y_train": Y, "x_test": X, "y_test": Y + 1},
            ":x_test: must hold labels below 4, the number of classes in training, got 4",
        ),
    ],
)
def test_arrays_that_cannot_be_used_are_named(tmp_path, arrays, message):
    with pytest.raises(DataError, match=message):
        load_dataset(settings_for(tmp_path, **arrays))


def test_a_pickled_array_is_not_read(tmp_path):
    settings = settings_for(tmp_path, x=np.array([{"an": "object"}] * 40, dtype=object), y=Y)

    with pytest.raises(DataError, match=r"must be an \.npz file of plain arrays"):
        load_dataset(settings)


def test_a_missing_or_other_file_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"data\.root: must name an \.npz file"):
        check_data(DataSettings(name="arrays", root=str(tmp_path / "none.npz")))
    path = tmp_path / "text.npz"
    path.write_text("text")
    with pytest.raises(DataError, match=r"must be an \.npz file"):
        check_data(DataSettings(name="arrays", root=str(path)))
