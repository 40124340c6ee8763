"""Text for people, made of what nobody promised to be UTF-8 (names of files, diffs, arguments) and of counts."""


def readable(text: str) -> str:
    """Join split pairs of surrogates and replace single ones, which no file, no log and no server takes.

    Args:
        text: As git and the command line give it, with stand-ins for undecodable bytes, or as a model wrote it, with
            halves of characters.
    """
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def counted(number: int, what: str) -> str:
    """A number with its noun, in the plural where it must be."""
    return f"{number} {what}{'' if number == 1 else 's'}"
