"""Text to values."""

TRUE = {"1", "true", "yes", "on"}
FALSE = {"0", "false", "no", "off", ""}
UNITS = {"k": 1024, "m": 1024**2, "g": 1024**3}
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def boolean(text):
    name = text.strip().lower()
    if name in TRUE:
        return True
    if name in FALSE:
        return False
    raise ValueError(f"neither yes nor no: {text!r}")


def size(text):
    """Bytes of `512`, `4k`, `1.5M`."""
    text = text.strip().lower().removesuffix("b")
    if text and text[-1] in UNITS:
        return int(float(text[:-1]) * UNITS[text[-1]])
    return int(text)


def seconds(text):
    """Seconds of `90`, `1h30m`, `2d`."""
    total = 0
    digits = ""
    for char in text.strip():
        if char.isdigit():
            digits += char
        else:
            total += int(digits) * SECONDS[char]
            digits = ""
    return total + int(digits or 0)


def listing(text, separator=","):
    return [part.strip() for part in text.split(separator) if part.strip()]


def like(sample, text):
    """Convert the text to the type of the sample."""
    if isinstance(sample, bool):
        return boolean(text)
    if isinstance(sample, int):
        return int(text)
    if isinstance(sample, float):
        return float(text)
    if isinstance(sample, list):
        return listing(text)
    return text
