"""Words for lines that people read."""


def counted(count: int, noun: str, plural: str = "") -> str:
    """`1 job`, `2 jobs`; `plural` is for nouns that do not end in s then."""
    return f"{count} {noun}" if count == 1 else f"{count} {plural or f'{noun}s'}"


def one_line(text: str) -> str:
    """`text` with a `?` for each character that cannot be printed, or not written as UTF-8."""
    return "".join(char if char.isprintable() else "?" for char in text)
