"""ONNX Runtime: the same bits for any threads and batches, and files of other software."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hela_dask.cli import main
from hela_dask.errors import InputError, MissingInputError
from hela_dask.parameters import Parameters
from hela_dask.unet import engine
from hela_dask.unet.card import CLASSES, Card
from hela_dask.unet.engine import Network
from hela_dask.unet.inference import predict_block
from hela_dask.unet.model import find_model, load_model, shipped_folder
from tests.unet.networks import VOXEL, by_grey, onnx_file, pointwise

CELL = Card("other", ("cell",), VOXEL)
ENDS: list[tuple[Any, ...]] = [("n", 1, "y", "x"), ("n", 1, "y", "x")]
COPY: Any = ("Identity", ["image"], ["outputs"], {})
_HALVED = {"kernel_shape": [2, 2], "strides": [2, 2]}


def images(count: int, shape: tuple[int, int] = (96, 160)) -> NDArray[np.float32]:
    return np.random.default_rng(0).random((count, *shape, 5), dtype=np.float32)


@pytest.fixture(scope="module")
def alone() -> NDArray[np.float32]:
    """The shipped network's outputs, image by image."""
    network = load_model().network
    return np.concatenate([network(image[None]) for image in images(5)])


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
def test_bits_depend_neither_on_threads_nor_on_batches(
    alone: NDArray[np.float32], threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_threads", lambda: threads)
    _, card, _ = find_model()
    network = Network((shipped_folder() / "network.onnx").read_bytes(), card, "shipped")
    batch = images(5)
    for size in (1, 2, 3, 5):
        parts = [network(batch[at : at + size]) for at in range(0, 5, size)]
        np.testing.assert_array_equal(np.concatenate(parts), alone)


def test_bits_are_the_same_for_tasks_side_by_side(alone: NDArray[np.float32]) -> None:
    model, batch = load_model(), images(5)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda at: model.network(batch[[at]]), [*range(5)] * 4))
    np.testing.assert_array_equal(np.concatenate(found), np.tile(alone, (4, 1, 1, 1)))


def test_a_worker_gives_one_thread_to_a_task() -> None:
    from distributed import Client, LocalCluster

    assert engine._threads() >= 1
    with (
        LocalCluster(
            processes=False, n_workers=1, threads_per_worker=3, dashboard_address=":0"
        ) as cluster,
        Client(cluster) as client,
    ):
        assert client.submit(engine._threads, pure=False).result() == 1


def test_another_process_loads_the_model_itself(tmp_path: Path) -> None:
    model = by_grey(tmp_path / "model")
    text = pickle.dumps(model)
    assert len(text) < 1000
    assert pickle.loads(text) is model


def test_predictions_need_neither_keras_nor_onnx(tmp_path: Path) -> None:
    """All but ONNX Runtime may be missing, and the bits are those of this process."""
    code = f"""
import sys
for name in ("keras", "tensorflow", "onnx", "jax", "torch"):
    sys.modules[name] = None  # importing it is an ImportError
import numpy as np
import hela_dask as hd
from hela_dask.unet import inference, model
from hela_dask.methods.registry import get_method
from hela_dask.parameters import Parameters
get_method("unet").check(Parameters())
image = np.load({str(tmp_path / "image.npy")!r})
found = inference.predict_block(model.load_model(), image, (50.0, 40.0, 40.0), (50.0, 250.0))
np.save({str(tmp_path / "found.npy")!r}, found)
"""
    image = np.random.default_rng(0).integers(0, 255, (3, 64, 80)).astype(np.uint8)
    np.save(tmp_path / "image.npy", image)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    expected = predict_block(load_model(), image, VOXEL, (50.0, 250.0))
    np.testing.assert_array_equal(np.load(tmp_path / "found.npy"), expected)


def write(path: Path, content: bytes, card: Card | dict[str, Any]) -> Path:
    """A network of other software, with its card beside it."""
    path.write_bytes(content)
    facts = card if isinstance(card, dict) else card.to_dict()
    path.with_suffix(".json").write_text(json.dumps(facts))
    return path


def test_a_network_of_other_software_is_a_file_with_a_card(tmp_path: Path) -> None:
    card = Card("mine", CLASSES, VOXEL, greys="values", mean=50.0, std=200.0)
    slope, bias = np.array([[400.0, 300.0, 0.0, 200.0]]), np.array([-150.0, -75.0, 0.0, -25.0])
    least = {"architecture": "mine", "classes": list(CLASSES), "voxel_size": list(VOXEL)}
    scaled = {"greys": "values", "mean": 50, "std": 200}
    path = write(tmp_path / "mine.onnx", pointwise(card, slope, bias), least | scaled)
    image = np.repeat([75, 125, 175, 225], 16).astype(np.uint8) * np.ones((2, 32, 1), np.uint8)
    model = load_model(path)
    found = predict_block(model, image, VOXEL, (0.0, 1.0))
    assert [CLASSES[at] for at in found[1, 16, ::16].argmax(-1)] == [
        *("envelope", "nucleus", "cell", "resin")
    ]
    # The same, in units of the span, is a network of another normalisation.
    spanned = write(tmp_path / "span.onnx", pointwise(card, slope, bias), least)
    again = predict_block(load_model(spanned), image, VOXEL, (50.0, 250.0))
    assert np.abs(again.astype(int) - found).max() <= 1
    parameters = Parameters.from_dict({"unet": {"model": str(path)}})
    from hela_dask.methods.registry import get_method

    method = get_method("unet")
    network = method.check(parameters)
    assert network is not None
    assert network[0] == path


def test_channels_may_be_the_last_axis(tmp_path: Path) -> None:
    card = Card("other", ("cell", "nucleus"), VOXEL, slices=3)
    weights, bias = np.arange(6.0).reshape(3, 2), np.array([0.5, -0.5])
    first = Network(pointwise(card, weights, bias), card, "first")
    nodes: Any = [
        ("MatMul", ["image", "weights"], ["product"], {}),
        ("Add", ["product", "bias"], ["outputs"], {}),
    ]
    ends = [("n", "y", "x", 3), ("n", "y", "x", 2)]
    last = Network(onnx_file(nodes, {"weights": weights, "bias": bias}, ends), card, "last")
    batch = images(2)[..., :3]
    np.testing.assert_allclose(last(batch), first(batch), rtol=1e-6)


def test_probabilities_are_taken_as_they_are(tmp_path: Path) -> None:
    card = Card("other", ("cell", "nucleus"), VOXEL, probabilities=True)
    content = pointwise(card, np.array([[1.0, 2.0]]), np.array([0.0, -0.25]))
    model = load_model(write(tmp_path / "other.onnx", content, card))
    found = model(np.full((1, 16, 16, 1), 0.5, np.float32))
    np.testing.assert_array_equal(found[0, 0, 0], [0.5, 0.75])
    found = model(np.full((1, 16, 16, 1), 4.0, np.float32))
    np.testing.assert_array_equal(found[0, 0, 0], [1.0, 1.0])


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (lambda: b"", "it is no ONNX file, or damaged"),
        (lambda: pickle.dumps({"weights": [1.0]}), "it is no ONNX file, or damaged"),
        (lambda: onnx_file([COPY], {}, ENDS)[:-9], "it is no ONNX file, or damaged"),
        (lambda: onnx_file([COPY], {}, ENDS, opset=99), "has opset 99, which ONNX Runtime"),
        (lambda: onnx_file([COPY], {}, ENDS, ir_version=99), "has IR version 99, which"),
        (
            lambda: onnx_file([("Magic", ["image"], ["outputs"], {})], {}, ENDS),
            r"cannot be read by ONNX Runtime \S+: .*No Op registered for Magic",
        ),
        (
            lambda: onnx_file([COPY], {}, ENDS, dtype="DOUBLE"),
            r"has an input of tensor\(double\) with 4 axes",
        ),
        (
            lambda: onnx_file([COPY], {}, [("n", 1, "z", "y", "x")] * 2),
            r"has an input of tensor\(float\) with 5 axes",
        ),
        (  # the name of an axis is not UTF-8
            lambda: onnx_file([COPY], {}, ENDS).replace(b"\x12\x01y", b"\x12\x01\xff"),
            "cannot be read: it is no ONNX file, or damaged",
        ),
        (  # nor is the name of an operation, nor the message of ONNX Runtime
            lambda: onnx_file([COPY], {}, ENDS).replace(b"Identity", b"Ident\xffty"),
            "cannot be read: it is no ONNX file, or damaged",
        ),
        (
            lambda: onnx_file([COPY], {}, [("n", 7, "y", "x")] * 2),
            r"takes images of shape \(any, 7, any, any\), and its card has 1 channels",
        ),
        (
            lambda: onnx_file([COPY], {}, [("n", 1, 64, 64)] * 2),
            r"of shape \(any, 1, 64, 64\), and by its card height and width are free",
        ),
        (
            lambda: onnx_file(
                [COPY, ("Neg", ["image"], ["more"], {})],
                {},
                [*ENDS, ENDS[0]],
                outputs=("outputs", "more"),
            ),
            "has 2 outputs: a network here has one",
        ),
        (
            lambda: onnx_file(
                [("Concat", ["image", "image"], ["outputs"], {"axis": 1})],
                {},
                [ENDS[0], ("n", "c", "y", "x")],
            ),
            "gives 2 outputs, and its card has 1: cell",
        ),
        (
            lambda: onnx_file([("MaxPool", ["image"], ["outputs"], _HALVED)], {}, ENDS),
            "gives 16 x 16 pixels for an image of 32 x 32",
        ),
        (
            lambda: onnx_file(
                [("Div", ["image", "zero"], ["outputs"], {})], {"zero": np.zeros(1)}, ENDS
            ),
            "gives values that are not numbers",
        ),
    ],
)
def test_a_wrong_network_is_one_sentence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], content: Any, fault: str
) -> None:
    path = write(tmp_path / "other.onnx", content(), CELL)
    with pytest.raises(InputError, match=rf"^{path} .*{fault}") as caught:
        load_model(path)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_weights_in_another_file_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "other.onnx", _external(), CELL)
    with pytest.raises(InputError, match="has weights in another file"):
        load_model(path)


def _external() -> bytes:
    onnx = pytest.importorskip("onnx", reason="ONNX is not installed")
    nodes: Any = [("Add", ["image", "weight"], ["outputs"], {})]
    model = onnx.load_model_from_string(onnx_file(nodes, {"weight": np.ones(1)}, ENDS))
    (weight,) = model.graph.initializer
    onnx.external_data_helper.set_external_data(weight, "/etc/hostname", 0, 4)
    weight.ClearField("raw_data")
    content: bytes = model.SerializeToString()
    return content


def test_a_wrong_card_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "other.onnx"
    with pytest.raises(MissingInputError, match=r"^no network at \S+other\.onnx$"):
        find_model(path)
    write(path, onnx_file([COPY], {}, ENDS), CELL)
    card = path.with_suffix(".json")
    for change, fault in (
        ({"classes": ["tree"]}, "classes cannot be 'tree'"),
        ({"greys": "percent"}, "greys cannot be 'percent'; known: span, values"),
        ({"std": 0}, "its std a number above 0"),
        ({"mean": "none"}, "mean must be a number"),
        ({"multiple": 5000}, "multiple must be at most 512"),
    ):
        card.write_text(json.dumps({**CELL.to_dict(), **change}))
        with pytest.raises(InputError, match=fault):
            find_model(path)
    card.unlink()
    with pytest.raises(InputError, match=r"has no card: write other\.json beside it"):
        find_model(path)
    assert main(["predict", str(tmp_path), "--model", str(path)]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_lack_of_memory_is_a_memory_error() -> None:
    nodes: Any = [
        ("Resize", ["image", "", "large"], ["wide"], {"mode": "nearest"}),
        ("ReduceMax", ["wide"], ["most"], {"axes": [2, 3]}),
        ("Add", ["image", "most"], ["outputs"], {}),
    ]
    arrays = {"large": np.array([1.0, 1.0, 1.0, 1.0])}
    Network(onnx_file(nodes, arrays, ENDS), CELL, "small")
    arrays["large"][2:] = 1e6
    with pytest.raises(InputError, match=r"cannot be computed: .*alloc"):
        Network(onnx_file(nodes, arrays, ENDS), CELL, "large")
