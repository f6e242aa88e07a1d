"""Results as text for a console, and as cards for a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hela_dask.formatting import fit_lines, printable
from hela_dask.pages.page import Figure, Frame, render

__all__ = ["Card", "Shown", "make_card"]

_WIDTH = 100  # characters of a line of a console


@dataclass(frozen=True)
class Card:
    """The content of a card; all texts are plain, and are escaped where they are shown.

    Attributes
    ----------
    title : str
        The kind of result, and its name.
    summary : str
        One sentence; may be empty.
    state : str
        ``"good"``, ``"fair"`` or ``"poor"``: the colour of `badge`.
    badge : str
        A word about the state; empty where there is none.
    facts : tuple of (str, str)
        Names and values.
    warnings : tuple of str
        Sentences.
    tables : tuple of (str, Frame)
        Each with its heading; an empty heading leaves it out. Those after the first are folded.
    picture : Figure or None
        A small picture, beside the facts.
    wide : bool
        The picture is a large one, below them.
    """

    title: str
    summary: str = ""
    state: str = ""
    badge: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()
    tables: tuple[tuple[str, Frame], ...] = ()
    picture: Figure | None = None
    wide: bool = False


def make_card(title: str, facts: Mapping[str, object], **more: Any) -> Card:
    """A card with facts of any kind as texts; those that are None or empty are left out."""
    texts = tuple(
        (name, printable(str(value))) for name, value in facts.items() if value not in (None, "")
    )
    return Card(printable(title), facts=texts, **more)


class Shown:
    """Base of results: ``repr`` fits a console, ``str`` is complete, a notebook shows a card.

    A subclass defines :meth:`_card`, and ``__str__`` where the text is not that of the card. All of
    them are made of values in memory; they never compute.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        # Before the decorator dataclass, which keeps a __repr__ that the class has.
        super().__init_subclass__(**options)
        if "__repr__" not in vars(cls):
            cls.__repr__ = Shown.__repr__  # type: ignore[method-assign]

    def _card(self) -> Card:
        raise NotImplementedError

    def __str__(self) -> str:
        return card_text(self._card())

    def __repr__(self) -> str:
        return fit_lines(printable(str(self)), _WIDTH)

    def _repr_html_(self) -> str:
        return render("card.html", card=self._card())


def card_text(card: Card) -> str:
    """The title, summary, facts and warnings of a card as lines."""
    badge = f" ({card.badge})" if card.badge else ""
    lines = [f"{card.title}{badge}{f': {card.summary}' if card.summary else ''}"]
    width = max((len(name) for name, _ in card.facts), default=0)
    lines += [f"  {name:<{width}}  {value}" for name, value in card.facts]
    lines += [f"  warning: {text}" for text in card.warnings]
    return "\n".join(lines)
