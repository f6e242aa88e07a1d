"""The widget *Review cells*: the review with corrections, and the run that applies them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from qtpy import QtCore, QtWidgets

from hela_dask.errors import HelaDaskError
from hela_dask.formatting import counted
from hela_dask.napari.applying import Applying
from hela_dask.napari.command import command_text, kept_options, run_command
from hela_dask.napari.layers import Changes
from hela_dask.napari.navigation import CellReview
from hela_dask.napari.texts import cells_text
from hela_dask.running.result import RunResult
from hela_dask.types import Triple

__all__ = ["ReviewWidget"]

_PICKS = {
    "move": "Click the right place of the centre of cell {cell}, in any slice.",
    "add": "Click the middle of the cell that was missed, in any slice.",
    "merge": "Click the cell that belongs to cell {cell}.",
}
_SPLIT = "Click once into each part of cell {cell}, in any slices; then press Split."
_PAINT = (
    "Slice {slice}: add to {what} with the brush (key 2), or take away with the eraser (key 1). "
    "The keys [ and ] change their size; hold the space bar to move the picture. Then press Keep."
)


class ReviewWidget(CellReview):
    """Review and correct the cells of a run.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    run : path or RunResult, optional
        Default: the run of which the viewer has layers.
    """

    def __init__(self, napari_viewer: Any, run: str | Path | RunResult | None = None) -> None:
        # Not connected before the widget is one of Qt.
        self.applying: Applying | None = None
        super().__init__(napari_viewer, run)

    def _connect(self) -> None:
        super()._connect()
        self.applying = Applying(self, self.say, self._on_applied)
        panel = self.panel
        panel.on(
            {
                panel.move: lambda: self.begin_pick("move"),
                panel.add: lambda: self.begin_pick("add"),
                panel.remove: self.remove,
                panel.merge: self.merge,
                panel.split: self.begin_split,
                panel.paint: self.begin_paint,
                panel.keep: self.keep,
                panel.discard: self.end_task,
                panel.undo: self.undo,
                panel.apply: self.apply,
                panel.copy: self.copy_command,
            }
        )
        self.viewer.layers.events.removed.connect(self._on_layer_removed)
        QtWidgets.QApplication.instance().aboutToQuit.connect(self.keep_painting)

    @property
    def busy(self) -> bool:
        """Whether a run applies the edits."""
        return self.applying is not None and self.applying.running

    def _refresh_buttons(self) -> None:
        super()._refresh_buttons()
        panel, session = self.panel, self.session
        named = bool(panel.name.text().strip())
        free = session is not None and named and not self.task and not self.busy
        one = free and self.cell in self.rows and not self.opened[0].refusal(self.cell)
        for button in (panel.move, panel.remove, panel.split, panel.paint, panel.compartment):
            button.setEnabled(one)
        chosen = panel.selected()
        panel.merge.setEnabled(one)
        panel.merge.setText(
            f"Merge {' + '.join(map(str, chosen))}" if len(chosen) > 1 else "Merge with …"
        )
        panel.add.setEnabled(free)
        count = 0 if session is None else len(session.edits.edits)
        panel.undo.setEnabled(free and count > 0)
        waiting = 0 if session is None else count - session.applied
        apply = f"Apply {counted(waiting, 'edit')}" if waiting else "Apply edits"
        panel.apply.setText("Stop" if self.busy else apply)
        panel.apply.setEnabled(
            self.busy or (free and session is not None and not session.up_to_date)
        )
        panel.copy.setEnabled(count > 0)
        panel.open.setEnabled(not self.task and not self.busy)

    # ---- corrections by one click

    def _do(self, action: Callable[[], object], done: str) -> bool:
        """Make an edit and show it with a sentence; False where it was refused."""
        try:
            action()
        except HelaDaskError as error:
            self.say(str(error), refused=True)
            self.opened[1].show_edits(self.cell)
            return False
        self.refresh()
        self.say(done)
        return True

    @property
    def picking(self) -> bool:
        """Whether a correction waits for a place in the picture."""
        return self.task in _PICKS

    def begin_pick(self, task: str) -> None:
        """Wait for a click in the picture: to ``move``, ``add`` or ``merge``."""
        self._begin(task, _PICKS[task].format(cell=self.cell))
        cells = self.opened[1].layer("cells")
        if cells is not None:
            self.viewer.layers.selection.active = cells

    def pick(self, place: Triple) -> None:
        """Use a place (nm): for the correction that has begun, or to select the cell there."""
        session, _ = self.opened
        cell, number = self.cell, session.slice_of(place) + 1
        if self.task == "move":
            done = f"the centre of cell {cell} is moved to slice {number}"
            self._finish(lambda: session.move(cell, place), done)
        elif self.task == "add":
            self._finish(lambda: session.add(place), f"a cell is added in slice {number}")
        elif self.task == "merge":
            other = session.label_at(place)
            if not other:
                self.say("no cell is at this place: click inside of one", refused=True)
                return
            done = f"cell {other} is merged into cell {cell}"
            self._finish(lambda: session.merge([cell, other]), done)
        else:
            super().pick(place)

    def remove(self) -> None:
        """Remove the selected cell."""
        cell = self.cell
        self._do(lambda: self.opened[0].remove(cell), f"cell {cell} is removed")

    def merge(self) -> None:
        """Merge the selected cells into the one that is shown, or wait for a click on another."""
        cells = [self.cell, *(label for label in self.panel.selected() if label != self.cell)]
        if len(cells) < 2:
            self.begin_pick("merge")
            return
        verb = "is" if len(cells) == 2 else "are"
        done = f"{cells_text(cells[1:])} {verb} merged into cell {cells[0]}"
        self._do(lambda: self.opened[0].merge(cells), done)

    def on_points(self, changes: Changes) -> None:
        """Centres were dragged, added or removed in their layer: after napari is done with it."""
        QtCore.QTimer.singleShot(0, lambda: self.change_centres(changes))

    def change_centres(self, changes: Changes) -> None:
        """Make edits of changed centres."""
        session, layers = self.opened
        if self.busy:
            self.say("the edits are being applied: wait until that is done", refused=True)
            layers.show_centres(self.cell)
            return

        def change() -> None:
            for label, place in changes["moved"]:
                session.move(label, place)
            for label, _ in changes["removed"]:
                session.remove(label)
            for _, place in changes["added"]:
                session.add(place)

        counts = [f"{len(items)} {kind}" for kind, items in changes.items() if items]
        self._do(change, f"centres: {', '.join(counts)}")

    # ---- corrections that take several steps

    def _begin(self, task: str, instruction: str, keep: str = "") -> None:
        self.task = task
        self.panel.begin(instruction, keep)
        self.say("")
        self._refresh_buttons()

    def _finish(self, action: Callable[[], object], done: str) -> None:
        """Make the edit of a task; where it is refused, the task stays as it is."""
        if self._do(action, done):
            self.end_task()

    def end_task(self) -> None:
        """Leave the correction that has begun."""
        self.task = ""
        self.panel.end()
        if self.layers is not None:
            self.layers.end_patch()
            self.layers.end_points()
        self._refresh_buttons()

    def begin_split(self) -> None:
        """Wait for points in the parts of the selected cell."""
        self._begin("split", _SPLIT.format(cell=self.cell), "Split")
        self.opened[1].begin_points()

    def begin_paint(self) -> None:
        """Open the slice that is shown as a layer to paint on, around the selected cell."""
        session, layers = self.opened
        compartment = self.panel.compartment.currentData()
        with self._sentences():
            patch = session.patch(self.cell, layers.slice, compartment)
            what = (
                f"nucleus of cell {self.cell}" if compartment == "nucleus" else f"cell {self.cell}"
            )
            self._begin("paint", _PAINT.format(slice=patch.number + 1, what=what), "Keep")
            layers.paint(patch)

    def keep(self) -> None:
        """Save the split or the painted slice as edits."""
        session, layers = self.opened
        if self.task == "split":
            points, cell = layers.points(), self.cell
            self._finish(
                lambda: session.split(cell, points), f"cell {cell} is split by {len(points)} points"
            )
        elif self.task == "paint" and layers.patch is not None:
            patch, after = layers.patch, layers.painted()
            if (after == patch.labels).all():
                self.say("nothing was painted or erased in this slice", refused=True)
                return
            done = f"slice {patch.number + 1} of cell {patch.cell} is saved as painted"
            self._finish(lambda: session.keep(patch, after), done)

    def keep_painting(self) -> None:
        """Save the slice that is being painted: napari closes, or its layer was removed."""
        layers = self.layers
        if self.task != "paint" or layers is None or layers.patch is None or self.session is None:
            return
        patch, after, self.task = layers.patch, layers.painted(), ""
        with self._sentences():
            self.session.keep(patch, after)

    def _on_layer_removed(self, event: Any) -> None:
        layers = self.layers
        if layers is None or layers.quiet or layers.patch is None:
            return
        if layers.patch.title not in self.viewer.layers and self.task == "paint":
            self.keep_painting()
            self.end_task()
            self.refresh()
            self.say("the layer is gone, and its painting is saved; Undo last edit takes it back")

    def undo(self) -> None:
        """Take the last edit out."""
        self._do(self.opened[0].undo, "the last edit is taken out")

    # ---- the run

    def copy_command(self) -> None:
        """Put the command that applies the edits on the clipboard, and show it."""
        with self._sentences():
            text = command_text(self.opened[0].result.path)
            QtWidgets.QApplication.clipboard().setText(text)
            self.panel.status.setText(f"Copied: {text}")
            self.panel.status.setStyleSheet("")

    def apply(self) -> None:
        """Run ``hela-dask`` with the edits; a second time stops it."""
        assert self.applying is not None
        if self.busy:
            self.applying.stop()
            return
        with self._sentences():
            words = run_command(self.opened[0].result.path)
            self.applying.start(words)
            self.panel.busy.show()
            kept = kept_options(words)
            self.say(f"applying the edits{f', with {kept}' if kept else ''} …")
        self._refresh_buttons()

    def _on_applied(self, code: int, last: str) -> None:
        """Show the new result; exit codes 0 and 3 are of finished runs."""
        self.panel.busy.hide()
        session, layers = self.opened
        if code not in (0, 3):
            self.say(last if code > 0 else "stopped; Apply edits continues", refused=code > 0)
            self._refresh_buttons()
            return
        with self._sentences():
            session.reopen()
            layers.renew_run(self.cell)
            self.refresh()
            self.say("the edits are applied")
        self._refresh_buttons()
