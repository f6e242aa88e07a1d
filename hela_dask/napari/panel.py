"""The widgets of the panel *Review cells*: table, decision, corrections, edits. No logic."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from qtpy import QtCore, QtGui, QtWidgets

from hela_dask.napari.rows import Row

__all__ = ["Panel"]

COLUMNS = (
    ("Cell", "Number of the cell in the labels"),
    ("Confidence", "How far the outlines can be trusted, from 0 to 1; the lowest come first"),
    ("Flags", "Peculiarities that the run has found"),
    ("Doubtful slices", "Slices in which to look at the outlines, counted from 1"),
    ("Decision", "Your decision on the cell; with a note, if there is one"),
    ("Edits", "Corrections of the cell in the list of edits"),
)
_WIDTHS = (36, 80, 84, 120, 98, 42)
_WIDTH = 480  # of the panel
_DECISIONS = {"accepted": ("✓ accepted", "#56b4e9"), "rejected": ("✗ rejected", "#d55e00")}
_LOW = 0.5  # a confidence that is drawn in orange
_ORANGE = "#e0912f"
_LABEL = QtCore.Qt.ItemDataRole.UserRole
_POLICY = QtWidgets.QSizePolicy.Policy


class _Item(QtWidgets.QTableWidgetItem):  # type: ignore[misc]
    """A field that is sorted by a number; missing numbers come last."""

    def __init__(self, text: str, key: float | str) -> None:
        super().__init__(text)
        self.key = key

    def __lt__(self, other: _Item) -> bool:
        return bool(self.key < other.key)  # type: ignore[operator]


class Panel:
    """All widgets, as attributes; :attr:`root` holds them."""

    def __init__(self, root: Any) -> None:
        self.root = root
        root.setMinimumWidth(_WIDTH)
        layout = QtWidgets.QVBoxLayout(root)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.setSpacing(6)
        self._header(layout)
        self._table(layout)
        self.work = QtWidgets.QWidget()
        inner = QtWidgets.QVBoxLayout(self.work)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.setSpacing(6)
        self._cell(inner)
        self._corrections(inner)
        self._task(inner)
        self._edits(inner)
        self._apply(inner)
        layout.addWidget(self.work)

    # ---- parts

    def _header(self, layout: Any) -> None:
        self.title = _label("No run is open")
        self.title.setStyleSheet("font-weight: bold;")
        self.open = _button("Open run …", "Choose the folder of a finished run")
        row = _row(layout, self.title, self.open)
        row.setStretch(0, 1)
        self.name = QtWidgets.QLineEdit()
        self.name.setPlaceholderText("enter your name, to decide and to edit")
        self.name.setToolTip("Each decision and each edit states this name")
        _row(layout, QtWidgets.QLabel("Your name"), self.name)

    def _table(self, layout: Any) -> None:
        table = QtWidgets.QTableWidget(0, len(COLUMNS))
        for column, (name, tip) in enumerate(COLUMNS):
            item = QtWidgets.QTableWidgetItem(name)
            item.setToolTip(tip)
            table.setHorizontalHeaderItem(column, item)
            table.setColumnWidth(column, _WIDTHS[column])
        table.horizontalHeader().setStretchLastSection(False)
        table.horizontalHeader().setSectionResizeMode(3, QtWidgets.QHeaderView.ResizeMode.Stretch)
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(22)
        views = QtWidgets.QAbstractItemView
        table.setEditTriggers(views.EditTrigger.NoEditTriggers)
        table.setSelectionBehavior(views.SelectionBehavior.SelectRows)
        table.setSelectionMode(views.SelectionMode.ExtendedSelection)
        table.setWordWrap(False)
        table.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        table.horizontalHeader().setSortIndicator(1, QtCore.Qt.SortOrder.AscendingOrder)
        table.setMinimumHeight(150)
        table.setToolTip(
            "Click a row to see the cell. Ctrl-click a second row to merge the two cells."
        )
        table.setSizePolicy(_POLICY.Expanding, _POLICY.Expanding)
        layout.addWidget(table, 1)
        self.table = table

    def _cell(self, layout: Any) -> None:
        box = QtWidgets.QGroupBox("Selected cell")
        inner = QtWidgets.QVBoxLayout(box)
        self.cell = _label("Click a cell in the table or in the picture.")
        inner.addWidget(self.cell)
        self.centre = _button("Centre", "Show the slice through the centre of the cell")
        self.before = _button("◀ Doubtful slices", "The doubtful slices below this one")
        self.after = _button("Doubtful slices ▶", "The doubtful slices above this one")
        _row(inner, self.before, self.centre, self.after)
        self.accept = _button("✓ Accept", "The outlines of this cell are good")
        self.reject = _button("✗ Reject", "This cell must not be used")
        self.clear = _button("Undecided", "Take the decision back")
        for button in (self.accept, self.reject, self.clear):
            button.setCheckable(True)
        _row(inner, self.accept, self.reject, self.clear)
        self.note = QtWidgets.QLineEdit()
        self.note.setPlaceholderText("remark on this cell; Enter saves it")
        self.note.setToolTip("Saved in review.csv with the decision")
        _row(inner, QtWidgets.QLabel("Note"), self.note)
        layout.addWidget(box)

    def _corrections(self, layout: Any) -> None:
        box = QtWidgets.QGroupBox("Correct")
        grid = QtWidgets.QGridLayout(box)
        grid.setSpacing(4)
        self.move = _button("Move centre …", "Then click the right place of the centre")
        self.add = _button("Add cell …", "For a cell that was missed: then click its middle")
        self.remove = _button("Remove cell", "It is no cell: its labels are removed")
        self.merge = _button(
            "Merge with …",
            "Two labels are one cell: then click the other one; or select both in the table",
        )
        self.split = _button(
            "Split by points …", "Two cells have one label: then click into each of them"
        )
        self.compartment = QtWidgets.QComboBox()
        self.compartment.addItem("Cell", "cell")
        self.compartment.addItem("Nucleus", "nucleus")
        self.compartment.setToolTip("Paint the outline of the whole cell, or that of its nucleus")
        self.paint = _button(
            "Edit this slice …", "Paint or erase the selected cell in the slice that is shown"
        )
        for place, button in enumerate((self.move, self.add, self.remove)):
            grid.addWidget(button, 0, place)
        grid.addWidget(self.merge, 1, 0)
        grid.addWidget(self.split, 1, 1)
        grid.addWidget(self.compartment, 2, 0)
        grid.addWidget(self.paint, 2, 1, 1, 2)
        layout.addWidget(box)

    def _task(self, layout: Any) -> None:
        """The instruction of a correction that has begun, with the buttons that end it."""
        self.task = QtWidgets.QFrame()
        self.task.setObjectName("task")
        self.task.setStyleSheet("#task { border: 2px solid #e0912f; border-radius: 4px; }")
        inner = QtWidgets.QVBoxLayout(self.task)
        self.instruction = _label("")
        inner.addWidget(self.instruction)
        self.keep = _button("Keep", "Save this correction in the list of edits")
        self.discard = _button("Discard", "Leave everything as it was")
        _row(inner, self.keep, self.discard)
        self.task.hide()
        layout.addWidget(self.task)

    def _edits(self, layout: Any) -> None:
        box = QtWidgets.QGroupBox("Edits")
        inner = QtWidgets.QVBoxLayout(box)
        self.edits = QtWidgets.QListWidget()
        self.edits.setMaximumHeight(84)
        self.edits.setToolTip("All edits of this run, saved in edits.json; a click shows the place")
        inner.addWidget(self.edits)
        self.undo = _button("Undo last edit", "Take the last edit of the list out")
        self.apply = _button(
            "Apply edits", "Run hela-dask again: only the edited cells are computed again"
        )
        self.copy = _button("Copy command", "Copy the command that does the same in a terminal")
        _row(inner, self.undo, self.apply, self.copy)
        layout.addWidget(box)

    def _apply(self, layout: Any) -> None:
        self.status = _label("")
        self.status.setTextInteractionFlags(QtCore.Qt.TextInteractionFlag.TextSelectableByMouse)
        self.busy = QtWidgets.QProgressBar()
        self.busy.setRange(0, 0)
        self.busy.setTextVisible(False)
        self.busy.setMaximumHeight(8)
        self.busy.hide()
        layout.addWidget(self.busy)
        layout.addWidget(self.status)

    # ---- content

    def fill(self, rows: Sequence[Row], selected: Sequence[int]) -> None:
        """Show the rows; the selected labels stay selected."""
        table = self.table
        table.blockSignals(True)
        table.setSortingEnabled(False)
        table.setRowCount(len(rows))
        for number, row in enumerate(rows):
            for column, item in enumerate(_items(row)):
                item.setData(_LABEL, row.label)
                table.setItem(number, column, item)
        table.setSortingEnabled(True)
        self.select(selected)
        table.blockSignals(False)

    def select(self, labels: Sequence[int]) -> None:
        """Select the rows of some cells, without a signal; the first is in view."""
        table, was = self.table, self.table.blockSignals(True)
        table.clearSelection()
        model = table.selectionModel()
        flags = QtCore.QItemSelectionModel.SelectionFlag
        for label in labels:
            for number in range(table.rowCount()):
                if table.item(number, 0).data(_LABEL) == label:
                    index = table.model().index(number, 0)
                    model.select(index, flags.Select | flags.Rows)
                    if label == labels[0]:
                        table.scrollToItem(table.item(number, 0))
        table.blockSignals(was)

    def selected(self) -> list[int]:
        """The labels of the selected rows, from top to bottom."""
        rows = sorted({index.row() for index in self.table.selectionModel().selectedRows()})
        return [int(self.table.item(row, 0).data(_LABEL)) for row in rows]

    def begin(self, instruction: str, keep: str = "") -> None:
        """Show the instruction of a correction; `keep` is the button that ends it, if any."""
        self.instruction.setText(instruction)
        self.keep.setText(keep)
        self.keep.setVisible(bool(keep))
        self.discard.setText("Discard" if keep else "Cancel")
        self.task.show()

    def end(self) -> None:
        """No correction is under way."""
        self.task.hide()

    def on(self, pairs: dict[Any, Callable[[], None]]) -> None:
        """Connect buttons with functions."""
        for button, function in pairs.items():
            button.clicked.connect(lambda _=False, function=function: function())


def _items(row: Row) -> list[_Item]:
    missing = math.isnan(row.confidence)
    confidence = "–" if missing else f"{row.confidence:.2f}"
    decision, color = _DECISIONS.get(row.decision, ("", ""))
    first = row.spans[0][0] if row.spans else math.inf
    items = [
        _Item(str(row.label), row.label),
        _Item(confidence, math.inf if missing else row.confidence),
        _Item(row.flags.replace("_", " "), row.flags),
        _Item(row.doubtful, first),
        _Item(decision + (" ✎" if row.note else ""), decision),
        _Item(str(row.edits or ""), -row.edits),
    ]
    if color:
        items[4].setForeground(QtGui.QColor(color))
    if not missing and row.confidence < _LOW:
        items[1].setForeground(QtGui.QColor(_ORANGE))
    tips = ["", "", items[2].text(), row.doubtful, row.note, ""]
    for item, tip in zip(items, tips, strict=True):
        item.setToolTip(tip)
    return items


def _label(text: str) -> Any:
    """A text of some lines, shown as it is."""
    label = QtWidgets.QLabel(text)
    label.setWordWrap(True)
    label.setTextFormat(QtCore.Qt.TextFormat.PlainText)
    return label


def _button(text: str, tip: str) -> Any:
    button = QtWidgets.QPushButton(text)
    button.setToolTip(tip)
    return button


def _row(layout: Any, *widgets: Any) -> Any:
    row = QtWidgets.QHBoxLayout()
    row.setSpacing(4)
    for widget in widgets:
        row.addWidget(widget)
    layout.addLayout(row)
    return row
