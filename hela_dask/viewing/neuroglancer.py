"""neuroglancer: image, labels and meshes of a run in a browser, served from this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hela_dask.errors import MissingInputError, ParameterError
from hela_dask.pages import Card, Shown, make_card
from hela_dask.running.opening import open_run
from hela_dask.running.result import RunResult
from hela_dask.storage.metadata import local_path, read_image
from hela_dask.storage.places import common_folder
from hela_dask.storage.urls import StoreUrl, local_folder
from hela_dask.viewing.colors import shown_greys, stated_colors
from hela_dask.viewing.server import FileServer

__all__ = ["VIEWER", "NeuroglancerView", "neuroglancer", "neuroglancer_state"]

VIEWER = "https://neuroglancer-demo.appspot.com"
"""The public viewer: a page that runs in the browser and reads the data from this machine."""

_SHOWN = ("cells", "nuclei")


@dataclass(frozen=True)
class NeuroglancerView(Shown):
    """A run that is served to neuroglancer.

    Attributes
    ----------
    link : str
        For the browser: the viewer with its state.
    state : dict
        The state alone.
    server : FileServer
        It serves the image, the labels and the meshes on loopback until :meth:`close`.

    Examples
    --------
    >>> import hela_dask as hd
    >>> served = hd.neuroglancer("hela.run")
    >>> served.link.startswith("https://neuroglancer-demo.appspot.com/#!")
    True
    >>> served.close()
    """

    link: str
    state: dict[str, Any]
    server: FileServer

    def wait(self) -> None:
        """Serve until :meth:`close` is called or the process is interrupted.

        Examples
        --------
        >>> import hela_dask as hd
        >>> hd.neuroglancer("hela.run").wait()  # doctest: +SKIP
        """
        self.server.wait()

    def close(self) -> None:
        """Stop serving.

        Examples
        --------
        >>> import hela_dask as hd
        >>> hd.neuroglancer("hela.run").close()
        """
        self.server.close()

    def _card(self) -> Card:
        folders = ", ".join(map(str, self.server.folders))
        return make_card("Neuroglancer", {"serves": folders, "link": self.link})

    def __str__(self) -> str:
        return f"NeuroglancerView of {', '.join(map(str, self.server.folders))}\n  {self.link}"


def neuroglancer(
    run: str | Path | RunResult,
    *,
    meshes: Mapping[str, str | Path] | None = None,
    port: int = 0,
    viewer: str = VIEWER,
) -> NeuroglancerView:
    """Serve a run to neuroglancer, a viewer in the browser.

    The files are served on the loopback address of this machine only, under a path that cannot be
    guessed, and to pages of `viewer` only.

    Parameters
    ----------
    run : path or RunResult
        A finished run.
    meshes : mapping of str to path, optional
        Folders of meshes in the format ``precomputed``, of ``cells`` or ``nuclei``.
    port : int
        Of the server; 0: any free one.
    viewer : str
        Address of a neuroglancer page.

    Returns
    -------
    NeuroglancerView
        Its ``link`` opens image, labels and meshes; ``close()`` ends the server.

    Raises
    ------
    ParameterError
        When the port is taken, or `meshes` names something else.
    MissingInputError, InputError
        As :func:`hela_dask.open_run`; when there are no such meshes.

    Examples
    --------
    >>> import hela_dask as hd
    >>> served = hd.neuroglancer("hela.run")
    >>> [layer["name"] for layer in served.state["layers"]]
    ['image', 'cells', 'nuclei']
    >>> served.close()
    """
    result = run if isinstance(run, RunResult) else open_run(run)
    folders = _folders(result, meshes)
    try:
        server = FileServer(tuple(folders.values()), port=port, origin=_origin(viewer))
    except OSError as error:
        raise ParameterError(
            f"port {port} of this machine cannot be used ({error.strerror}): name another --port"
        ) from error
    state = _state(result, folders, server.url, server.root)
    threading.Thread(target=server.serve, name="neuroglancer", daemon=True).start()
    return NeuroglancerView(_link(viewer, state), state, server)


def neuroglancer_state(
    run: str | Path | RunResult, url: str, *, meshes: Mapping[str, str | Path] | None = None
) -> dict[str, Any]:
    """The state of neuroglancer for a run that another server has.

    Parameters
    ----------
    run : path or RunResult
        A finished run.
    url : str
        Where the server has the folder that holds the image, the labels and the meshes: the
        nearest folder that is common to them.
    meshes : mapping of str to path, optional
        As in :func:`neuroglancer`.

    Returns
    -------
    dict
        The layers ``image``, ``cells`` and ``nuclei``, with colors and voxel size.

    Raises
    ------
    ParameterError
        When `url` is none, or `meshes` names something else.
    MissingInputError, InputError
        As :func:`hela_dask.open_run`; when there are no such meshes.

    Examples
    --------
    >>> import hela_dask as hd
    >>> state = hd.neuroglancer_state("hela.run", "https://my.server/data")
    >>> [layer["name"] for layer in state["layers"]]
    ['image', 'cells', 'nuclei']
    """
    if "://" not in url:
        raise ParameterError(f"--url {url!r} is no address, as https://my.server/data is")
    result = run if isinstance(run, RunResult) else open_run(run)
    folders = _folders(result, meshes)
    root = common_folder(tuple(folders.values()))
    return _state(result, folders, url.rstrip("/"), root)


def _folders(result: RunResult, meshes: Mapping[str, str | Path] | None) -> dict[str, Path]:
    """The folders of all sources on this machine, by name; absolute."""
    remote = isinstance(result.store, StoreUrl)  # the browser reads it where it is
    folders = {} if remote else {"image": local_folder(result.store).absolute()}
    folders |= {name: result.label_paths[name].absolute() for name in _SHOWN}
    for name, place in (meshes or {}).items():
        if name not in _SHOWN:
            raise ParameterError(f"--meshes {name!r} are of no layer: name {' or '.join(_SHOWN)}")
        folder = local_path(place).absolute()
        if not (folder / "info").is_file():
            raise MissingInputError(
                f"{folder} holds no meshes for neuroglancer: make them with hela-dask meshes "
                f"{result.path} --what {name[:4] if name == 'cells' else 'nucleus'} "
                f"--format precomputed --out {folder}"
            )
        folders[f"meshes of {name}"] = folder
    return folders


def _state(result: RunResult, folders: Mapping[str, Path], url: str, root: Path) -> dict[str, Any]:
    def source(name: str, scheme: str) -> str:
        if name not in folders:
            return f"{scheme}://{result.store}"
        place = folders[name].relative_to(root).as_posix()
        return f"{scheme}://{url}/{quote(place)}"

    geometry = read_image(result.store).levels[0].geometry
    sizes = dict(zip("zyx", geometry.voxel_size, strict=True))
    middle = dict(zip("zyx", (length / 2 for length in geometry.shape), strict=True))
    layers: list[dict[str, Any]] = [
        {"type": "image", "name": "image", "source": source("image", "zarr"), **_shader(result)}
    ]
    for name in _SHOWN:
        colors = stated_colors(folders[name])
        labels = [str(label) for label in sorted(colors)]
        sources = [source(name, "zarr")]
        if f"meshes of {name}" in folders:
            sources.append(source(f"meshes of {name}", "precomputed"))
        layers.append(
            {
                "type": "segmentation",
                "name": name,
                "source": sources,
                "segments": labels,
                "segmentColors": {
                    str(label): "#{:02x}{:02x}{:02x}".format(*rgba[:3])
                    for label, rgba in sorted(colors.items())
                },
                "selectedAlpha": 0.3,
                "objectAlpha": 0.3 if name == "cells" else 1.0,
            }
        )
    return {
        "dimensions": {axis: [float(f"{sizes[axis]}e-9"), "m"] for axis in "xyz"},
        "position": [middle[axis] for axis in "xyz"],
        "crossSectionScale": max(geometry.shape[1:]) / 400,
        "projectionScale": 1.5 * max(geometry.extent) / sizes["x"],
        "layers": layers,
        "layout": "4panel",
        "showSlices": True,
    }


def _shader(result: RunResult) -> dict[str, Any]:
    """The grey values that are black and white."""
    greys = shown_greys(result.path)
    return {} if greys is None else {"shaderControls": {"normalized": {"range": list(greys)}}}


def _origin(viewer: str) -> str:
    scheme, _, rest = viewer.partition("://")
    if not rest:
        raise ParameterError(f"--viewer {viewer!r} is no address of a page")
    return f"{scheme}://{rest.partition('/')[0]}"


def _link(viewer: str, state: Mapping[str, Any]) -> str:
    return f"{viewer.rstrip('/')}/#!{quote(json.dumps(state, separators=(',', ':')))}"
