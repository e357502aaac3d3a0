"""What somebody probably meant."""

from collections.abc import Iterable
from difflib import get_close_matches


def end_with_suggestion(word: str, known: Iterable[str]) -> str:
    """Say the same as the end of a sentence, with its mark."""
    said = suggest(word, known)
    return said if said.endswith("?") else f"{said}."


def suggest(word: str, known: Iterable[str]) -> str:
    """Say what to write instead of a word that is not known: the nearest one, else all there are."""
    words = {one.casefold(): one for one in known}
    near = get_close_matches(word.casefold(), words, n=1)
    if near:
        return f"did you mean {words[near[0]]}?"
    return f"choose from {', '.join(words.values())}" if words else "there is none yet"
