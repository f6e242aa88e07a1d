"""The review without corrections: the run, its table, the cell that is shown, the decisions."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from qtpy import QtWidgets

from hela_dask.errors import HelaDaskError
from hela_dask.napari.layers import Changes, ReviewLayers
from hela_dask.napari.panel import Panel
from hela_dask.napari.reviewer import reviewer_name
from hela_dask.napari.rows import Row
from hela_dask.napari.session import ReviewSession
from hela_dask.napari.texts import cell_text, edit_text
from hela_dask.running.result import RunResult
from hela_dask.types import Triple
from hela_dask.viewing.napari_viewer import RUN_KEY, needed_napari

__all__ = ["CellReview"]


class CellReview(QtWidgets.QWidget):  # type: ignore[misc]
    """The table of the cells, decisions on them, and their places in the viewer.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    run : path or RunResult, optional
        Default: the run of which the viewer has layers.

    Attributes
    ----------
    session : ReviewSession or None
        The run; None while none is open.
    cell : int
        The label of the selected cell; 0: none.
    task : str
        The correction that has begun; empty: none.
    """

    def __init__(self, napari_viewer: Any, run: str | Path | RunResult | None = None) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.session: ReviewSession | None = None
        self.layers: ReviewLayers | None = None
        self.rows: dict[int, Row] = {}
        self.cell = 0
        self.task = ""
        self.panel = Panel(self)
        self.panel.name.setText(reviewer_name())
        self._connect()
        self._refresh()
        found = run if run is not None else self._run_of_layers()
        if found is not None:
            self.open_run(found)

    def _run_of_layers(self) -> str | None:
        return next(
            (layer.metadata[RUN_KEY] for layer in self.viewer.layers if RUN_KEY in layer.metadata),
            None,
        )

    def _connect(self) -> None:
        panel = self.panel
        panel.on(
            {
                panel.open: self._choose_run,
                panel.centre: lambda: self.show_cell(self.cell),
                panel.before: lambda: self.step(-1),
                panel.after: lambda: self.step(1),
                panel.accept: lambda: self.decide("accepted"),
                panel.reject: lambda: self.decide("rejected"),
                panel.clear: lambda: self.decide(""),
            }
        )
        panel.table.itemSelectionChanged.connect(self._on_selection)
        panel.table.cellClicked.connect(lambda *_: self._on_selection())
        panel.note.editingFinished.connect(self._on_note)
        panel.name.textChanged.connect(lambda *_: self._refresh_buttons())
        panel.edits.itemClicked.connect(lambda item: self._show_edit(panel.edits.row(item)))
        self.viewer.mouse_drag_callbacks.append(self._on_mouse)
        self.viewer.dims.events.current_step.connect(self._on_slice)

    # ---- a run

    def _choose_run(self) -> None:
        folder = QtWidgets.QFileDialog.getExistingDirectory(self, "Folder of a finished run")
        if folder:
            self.open_run(folder)

    def open_run(self, run: str | Path | RunResult) -> None:
        """Show a finished run."""
        with self._sentences():
            self.end_task()
            session = ReviewSession(run, self.panel.name.text())
            if self.layers is not None:
                self.layers.close()
            self.session, self.cell = session, 0
            self.layers = ReviewLayers(self.viewer, session, self.on_points)
            self.refresh()
            self.say("")

    @property
    def opened(self) -> tuple[ReviewSession, ReviewLayers]:
        """The session and its layers."""
        assert self.session is not None and self.layers is not None
        self.session.by = self.panel.name.text()
        return self.session, self.layers

    # ---- messages

    def say(self, text: str, *, refused: bool = False) -> None:
        """Show a sentence at the bottom of the panel; a refusal also as a notification."""
        sentence = text[:1].upper() + text[1:]
        self.panel.status.setText(sentence)
        self.panel.status.setStyleSheet("color: #e0912f;" if refused else "")
        if refused:
            needed_napari("the review").utils.notifications.show_warning(sentence)

    @contextlib.contextmanager
    def _sentences(self) -> Iterator[None]:
        """Show errors of the input as sentences."""
        try:
            yield
        except HelaDaskError as error:
            self.say(str(error), refused=True)

    # ---- table and texts

    def refresh(self) -> None:
        """Show table, edits and layers anew."""
        session, layers = self.opened
        rows = session.rows()
        self.rows = {row.label: row for row in rows}
        if self.cell not in self.rows:
            self.cell = 0
        selected = [label for label in self.panel.selected() if label in self.rows]
        self.panel.fill(rows, selected or ([self.cell] if self.cell else []))
        self.panel.edits.clear()
        applied = session.applied
        for number, edit in enumerate(session.edits.edits, 1):
            state = "" if number <= applied else "  – not applied"
            text = f"{number}. {edit_text(edit, session.geometry)}{state}"
            self.panel.edits.addItem(text)
            self.panel.edits.item(number - 1).setToolTip(f"by {edit.by}{edit.on and ', '}{edit.on}")
        self.panel.edits.scrollToBottom()
        layers.show_edits(self.cell)
        self._refresh()

    def _refresh(self) -> None:
        """Texts and buttons of the state."""
        panel = self.panel
        panel.work.setEnabled(self.session is not None)
        panel.table.setEnabled(self.session is not None)
        if self.session is not None:
            name, number = self.session.result.path.name, len(self.rows)
            done = sum(bool(row.decision) for row in self.rows.values())
            panel.title.setText(f"{name} – {done} of {number} cells reviewed")
            panel.title.setToolTip(str(self.session.result.path))
        self._refresh_cell()
        self._refresh_buttons()

    def _refresh_cell(self) -> None:
        panel, row = self.panel, self.rows.get(self.cell)
        text = "Click a cell in the table or in the picture."
        if row is not None:
            text = cell_text(row, self.opened[1].slice)
        panel.cell.setText(text)
        decision = None if row is None else row.decision
        for button, value in (
            (panel.accept, "accepted"),
            (panel.reject, "rejected"),
            (panel.clear, ""),
        ):
            button.setChecked(decision == value)
        if not panel.note.hasFocus():
            panel.note.setText("" if row is None else row.note)

    def _refresh_buttons(self) -> None:
        """Enable the buttons that make sense, and only these."""
        panel, row = self.panel, self.rows.get(self.cell)
        named = bool(panel.name.text().strip())
        for button in (panel.accept, panel.reject, panel.clear, panel.note):
            button.setEnabled(row is not None and named)
        panel.centre.setEnabled(row is not None)
        panel.before.setEnabled(row is not None and self._span(-1) is not None)
        panel.after.setEnabled(row is not None and self._span(1) is not None)

    # ---- where the viewer looks

    def _on_selection(self) -> None:
        chosen = self.panel.selected()
        if self.cell not in chosen and chosen:
            self.show_cell(chosen[0])
        self._refresh_buttons()

    def select(self, label: int) -> None:
        """Select a cell without moving the picture."""
        self.cell = label
        self.panel.select([label] if label else [])
        self.opened[1].show_centres(label)
        self.opened[1].show_selected(label)
        self._refresh()

    def show_cell(self, label: int) -> None:
        """Select a cell and go to its first doubtful slices, or to its centre."""
        spans = self.rows[label].spans
        first = spans[0] if spans and label != self.cell else None
        self.select(label)
        number = None if first is None else (first[0] + first[1]) // 2 - 1
        self.opened[1].go_to(label, number)
        self._refresh()

    def _span(self, way: int) -> int | None:
        """The middle of the next doubtful range above (1) or below (-1) the slice; None: none."""
        row, here = self.rows[self.cell], self.opened[1].slice
        middles = [(first + last) // 2 - 1 for first, last in row.spans]
        ahead = [middle for middle in middles if (middle - here) * way > 0]
        return min(ahead, key=lambda middle: abs(middle - here), default=None)

    def step(self, way: int) -> None:
        """Go to the next doubtful range above (1) or below (-1) this slice."""
        if (number := self._span(way)) is not None:
            self.opened[1].go_to(self.cell, number)
            self._refresh()

    def _show_edit(self, number: int) -> None:
        session, _ = self.opened
        edit = session.edits.edits[number]
        label = next((label for label in (*edit.changed, *edit.made) if label in self.rows), 0)
        if label and label in session.centres():
            self.select(label)
            self.opened[1].go_to(label, getattr(edit, "slice", None))

    def _on_slice(self, _: object = None) -> None:
        if self.session is not None:
            self._refresh_cell()
            self._refresh_buttons()

    def _on_mouse(self, viewer: Any, event: Any) -> Iterator[None]:
        """A click in the picture: the place that a correction needs, or a cell to select."""
        dragged = False
        yield
        while event.type == "mouse_move":
            dragged = True
            yield
        active = self.viewer.layers.selection.active
        moving = active is None or str(active.mode) == "pan_zoom"
        if dragged or self.session is None or not (moving or self.picking):
            return
        z, y, x = (float(at) for at in event.position[-3:])
        if viewer.dims.ndisplay != 2:
            if self.picking:
                self.say("switch napari to 2D first: a place is clicked in a slice", refused=True)
            return
        self.pick((z, y, x))

    @property
    def picking(self) -> bool:
        """Whether a correction waits for a place in the picture."""
        return False

    def pick(self, place: Triple) -> None:
        """Select the cell at a place (nm)."""
        label = self.opened[0].label_at(place)
        if not self.task and label in self.rows:
            self.select(label)

    def on_points(self, changes: Changes) -> None:
        """Centres were changed in their layer."""

    def end_task(self) -> None:
        """Leave the correction that has begun."""

    # ---- decisions

    def decide(self, decision: Any) -> None:
        """Accept, reject, or take the decision back; with the note."""
        session, _ = self.opened
        with self._sentences():
            session.decide(self.cell, decision, self.panel.note.text().strip())
            self.panel.note.clearFocus()
            self.refresh()
            self.say(f"cell {self.cell} is {decision or 'undecided'}")
        self._refresh_cell()

    def _on_note(self) -> None:
        row = self.rows.get(self.cell)
        if row is not None and row.note != self.panel.note.text().strip():
            self.decide(row.decision)
