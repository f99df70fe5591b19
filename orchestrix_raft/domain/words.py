"""Numbers with their nouns, for lines that people read."""


def counted(count: int, noun: str, plural: str = "") -> str:
    """`1 job`, `2 jobs`; `plural` is for nouns that do not end in s then."""
    return f"{count} {noun}" if count == 1 else f"{count} {plural or f'{noun}s'}"
