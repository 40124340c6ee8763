"""Keeps keys and private paths out of what is stored, sent, exported or pasted. Owns patterns, not policy.

`Redactor` cleans content (files, outputs, prompts): known secrets in every usual encoding, and tokens whose form gives
them away. `redact` cleans messages about calls, where `token = …` is a leak and not a line of code.
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "***"
MIN_SECRET = 6
"""A shorter configured key ("none", "x") is not a secret, and masking it would hide ordinary words."""

_PATTERNS = (
    (re.compile(r"(?i)\b(authorization[\"']?\s*[=:]\s*[\"']?(?:\w+\s+)?)[^\s\"',;}]{4,}"), rf"\1{MASK}"),
    # With a digit in it: "basic set-up" and "bearer of news" are no keys.
    (re.compile(r"(?i)\b(bearer|basic)\s+(?=\S*\d)[\w\-.~+/=]{8,}"), rf"\1 {MASK}"),
    (re.compile(r"\b(sk|pk|rk|hf|gsk|xai|ghp|gho|github_pat|AIza)[-_][\w\-]{6,}"), MASK),
    (
        re.compile(
            r"(?i)((?<!\[)(?:api[-_]?key|token|secret|password|passwd)[\"']?\s*[=:]\s*[\"']?)(?!\d+\b|\$\{)[^\s\"'&,;}]{6,}"
        ),
        rf"\1{MASK}",
    ),
    (re.compile(r"(?i)\b([a-z][a-z0-9+.\-]*://)[^/\s@:]*:[^/\s@]+@"), rf"\1{MASK}@"),
    # A name alone before the host of a web address is a token, as some gateways want it.
    (re.compile(r"(?i)\b(https?://)[^/\s@:?#]+@"), rf"\1{MASK}@"),
)
_QUERY = re.compile(r"(?i)(\bhttps?://[^\s?\"'<>]*\?)(?=[\w%])[^\s\"'<>)]+")
"""The query string of a URL; a question mark that ends a sentence has nothing after it."""
NOT_SECRET = frozenset(
    {"not-needed", "not_needed", "none", "ollama", "lm-studio", "sk-no-key-required", "dummy", "EMPTY"}
)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Mask the given secrets, in every usual encoding, and whatever looks like one: keys, tokens, passwords in URLs.

    A short secret is masked only as a separate word: in messages from its recipient, that is enough.
    """
    for secret in secrets:
        if secret in NOT_SECRET:
            continue
        if len(secret) < MIN_SECRET:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", MASK, text) if secret else text
            continue
        for form in sorted(encodings(secret), key=len, reverse=True):
            text = text.replace(form, MASK)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def map_texts(value: Any, change: Callable[[str], str]) -> Any:
    """A JSON tree with every text in it changed, keys included; changing the written JSON could break it."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {change(key) if isinstance(key, str) else key: map_texts(inner, change) for key, inner in value.items()}
    return [map_texts(inner, change) for inner in value] if isinstance(value, list | tuple) else value


def without_query(text: str) -> str:
    """Mask the query strings of URLs, where some gateways expect their keys."""
    return _QUERY.sub(rf"\1{MASK}", text)


def redact_for_sharing(text: str, secrets: Iterable[str] = ()) -> str:
    """Like `redact`, without query strings, and the home directory becomes `~`: safe to put into a public report."""
    home = str(Path.home())
    masked = without_query(redact(text, secrets))
    return re.sub(rf"{re.escape(home)}(?=/|$|[\s'\":,)])", "~", masked) if len(home) > 1 else masked


_TOKENS: Mapping[str, re.Pattern[str]] = {
    "private_key": re.compile(
        r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"
        r"[\s\S]+?-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"
    ),
    "aws_access_key": re.compile(r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b"),
    "aws_secret_key": re.compile(
        r"(?i)(?<=aws_secret_access_key)(?P<lead>[\"']?\s*[=:]\s*[\"']?)(?P<secret>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])"
    ),
    "github_token": re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{60,255})\b"),
    "gitlab_token": re.compile(r"\bgl(?:pat|ptt|rt|dt|soat)-[\w\-]{20,}"),
    "slack_token": re.compile(r"\bxox[abeoprs]-[A-Za-z0-9\-]{10,}|\bxapp-\d-[A-Za-z0-9\-]{20,}"),
    "slack_webhook": re.compile(r"https://hooks\.slack\.com/(?:services|workflows)/[\w/+\-]{20,}"),
    "openai_key": re.compile(r"\bsk-(?:proj-|svcacct-|admin-|or-v1-|None-)?[A-Za-z0-9_\-]{20,}"),
    "anthropic_key": re.compile(r"\bsk-ant-[\w\-]{20,}"),
    "google_key": re.compile(r"\bAIza[\w\-]{35}(?![\w\-])"),
    "google_oauth": re.compile(r"\bya29\.[\w\-]{20,}|\bGOCSPX-[\w\-]{20,}"),
    "stripe_key": re.compile(r"\b(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,}|\bwhsec_[A-Za-z0-9+/=]{24,}"),
    "huggingface_token": re.compile(r"\bhf_[A-Za-z0-9]{30,}\b"),
    "groq_key": re.compile(r"\bgsk_[A-Za-z0-9]{40,}\b"),
    "xai_key": re.compile(r"\bxai-[A-Za-z0-9]{40,}\b"),
    "npm_token": re.compile(r"\bnpm_[A-Za-z0-9]{36}\b"),
    "pypi_token": re.compile(r"\bpypi-AgE[\w\-]{50,}"),
    "sendgrid_key": re.compile(r"\bSG\.[\w\-]{16,}\.[\w\-]{32,}"),
    "twilio_key": re.compile(r"\bSK[0-9a-f]{32}\b"),
    "digitalocean_token": re.compile(r"\bdo[opr]_v1_[a-f0-9]{64}\b"),
    "telegram_token": re.compile(r"\b\d{8,10}:AA[\w\-]{33}\b"),
    "vault_token": re.compile(r"\bhv[sbr]\.[\w\-]{24,}"),
    "age_key": re.compile(r"\bAGE-SECRET-KEY-1[A-Z0-9]{50,}"),
    "azure_key": re.compile(r"(?i)(?<=AccountKey=)[A-Za-z0-9+/]{60,}={0,2}"),
    "jwt": re.compile(r"\beyJ[\w\-]{10,}\.eyJ[\w\-]{10,}\.[\w\-]{10,}"),
    "bearer": re.compile(r"(?i)(?P<lead>\bauthorization: (?:bearer|basic|token) )(?P<secret>[\w\-.~+/=]{12,})"),
    "url_password": re.compile(r"(?i)(?<=://)(?P<lead>[^/\s:@\"'<>]*:)(?P<secret>[^/\s:@\"'<>{}$*]{3,})(?=@[\w\[])"),
}
"""Unmistakable formats of keys, by kind; group `secret` is the part to hide if not the whole."""
_CUES: Mapping[str, tuple[str, ...]] = {
    "private_key": ("private key",), "aws_access_key": ("AKIA", "ASIA", "ABIA", "ACCA"),
    "aws_secret_key": ("aws_secret_access_key",),
    "github_token": ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
    "gitlab_token": ("glpat-", "glptt-", "glrt-", "gldt-", "glsoat-"), "slack_token": ("xox", "xapp-"),
    "slack_webhook": ("hooks.slack.com",), "openai_key": ("sk-",), "anthropic_key": ("sk-ant-",),
    "google_key": ("aiza",), "google_oauth": ("ya29.", "gocspx-"),
    "stripe_key": ("sk_live_", "sk_test_", "rk_live_", "rk_test_", "pk_live_", "pk_test_", "whsec_"),
    "huggingface_token": ("hf_",), "groq_key": ("gsk_",), "xai_key": ("xai-",), "npm_token": ("npm_",),
    "pypi_token": ("pypi-age",), "sendgrid_key": ("SG.",), "twilio_key": ("SK",),
    "digitalocean_token": ("doo_v1_", "dop_v1_", "dor_v1_"), "telegram_token": (":AA",),
    "vault_token": ("hvs.", "hvb.", "hvr."), "age_key": ("age-secret-key-1",), "azure_key": ("accountkey=",),
    "jwt": ("eyj",), "bearer": ("authorization: ",), "url_password": ("://",),
}  # fmt: skip
"""Text that each format contains, in capitals if all of it is: finding that is far quicker than the expression."""


class Redactor:
    """Cleans content of known secrets, in every usual encoding, and of recognizable tokens.

    Args:
        known: Secrets by the name they are shown under, such as the variable or setting that contains them.
        forms: Also hide what merely looks like a token.
    """

    def __init__(self, known: Mapping[str, str] | None = None, *, forms: bool = True) -> None:
        self._by_form = forms
        self._withheld: dict[str, str] = {}
        self._names: dict[str, str] = {}
        for name, value in (known or {}).items():
            if len(value) >= MIN_SECRET and value not in NOT_SECRET:
                for form in encodings(value):
                    self._names.setdefault(form, name)
        self._forms = tuple(sorted(self._names, key=len, reverse=True))
        self._known = re.compile("|".join(map(re.escape, self._forms))) if self._forms else None

    def clean(self, text: str) -> str:
        """The text with each secret replaced by `[secret:KIND:DIGEST]`, the same one for the same secret."""
        if self._known is not None and any(form in text for form in self._forms):
            text = self._known.sub(lambda found: f"[secret:{self._names[found.group()]}]", text)
        return _without_tokens(text)[0] if self._by_form else text

    def clean_tree(self, value: Any) -> Any:
        """`clean` every text of a JSON tree, keys included."""
        return map_texts(value, self.clean)

    def withhold(self, value: Any) -> Any:
        """A JSON tree with what merely looks like a token hidden, and stored in memory for `give_back`.

        For what a model wrote itself: it may be meant for a file or a command, but does not belong in any record.
        """

        def hide(text: str) -> str:
            hidden, held = _without_tokens(text)
            self._withheld |= held
            return hidden

        return map_texts(value, hide)

    def give_back(self, text: str) -> str:
        """The text with what this process withheld restored; after a restart, placeholders remain."""
        return PLACEHOLDER.sub(lambda found: self._withheld.get(found.group(), found.group()), text)

    def found_in(self, text: str, *, known_only: bool = False) -> frozenset[str]:
        """The placeholders `clean` would use for the secrets in a text; empty when it contains none.

        Args:
            text: Any content.
            known_only: Look only for known secrets, not for what merely looks like one.
        """
        if known_only:
            known = self._known.findall(text) if self._known is not None else []
            return frozenset(f"[secret:{self._names[form]}]" for form in known)
        return frozenset(PLACEHOLDER.findall(self.clean(text))) - frozenset(PLACEHOLDER.findall(text))

    def finds(self, text: str) -> bool:
        """Whether a text contains something that `clean` would hide."""
        return self.clean(text) != text

    def restore(self, text: str, source: str) -> str:
        """Put back what `clean` hid: placeholders in `text` become the secrets they stand for in `source`.

        A model that saw a cleaned file may write it back that way; the file's secrets must survive that.

        Args:
            text: What the model wrote.
            source: The file as it is on disk.
        """
        if not PLACEHOLDER.search(text):
            return text
        held = _without_tokens(source)[1]
        if self._known is not None:
            for known in self._known.finditer(source):
                held.setdefault(f"[secret:{self._names[known.group()]}]", known.group())
        return PLACEHOLDER.sub(lambda found: held.get(found.group(), found.group()), text)


PLACEHOLDER = re.compile(r"\[secret:[\w.\-]+(?::[0-9a-f]{8})?\]")
"""The placeholder that replaces a secret."""


def placeholder(kind: str, secret: str) -> str:
    """The placeholder for a secret; its digest tells two secrets apart and reveals neither."""
    return f"[secret:{kind}:{hashlib.sha256(secret.encode('utf-8', 'replace')).hexdigest()[:8]}]"


def _without_tokens(text: str) -> tuple[str, dict[str, str]]:
    """The text with a placeholder for each token of a known format, and the tokens by placeholder."""
    held: dict[str, str] = {}

    def hidden(found: re.Match[str], kind: str) -> str:
        named = found.groupdict()
        secret = named.get("secret") or found.group()
        held.setdefault(shown := placeholder(kind, secret), secret)
        return f"{named.get('lead') or ''}{shown}"

    whole, small = text, text.lower()
    for kind, form in _TOKENS.items():
        if any(cue in (whole if cue.isupper() else small) for cue in _CUES[kind]):
            text = form.sub(partial(hidden, kind=kind), text)
    return text, held


@lru_cache(maxsize=512)
def encodings(secret: str) -> tuple[str, ...]:
    """The forms in which a secret may come back: as it is, URL-encoded, in JSON, base64 at any offset, hexadecimal."""
    data = secret.encode("utf-8", "surrogatepass")
    forms = [secret, quote(secret, safe=""), quote(secret), quote_plus(secret), json.dumps(secret)[1:-1],
             "".join(f"%{byte:02x}" for byte in data), "".join(f"%{byte:02X}" for byte in data),
             data.hex(), data.hex().upper()]  # fmt: skip
    for lead in range(3):
        # The first characters depend on what stands before, the last on what follows.
        coded = base64.b64encode(b"\0" * lead + data).decode()
        core = coded[
            (0, 2, 3)[lead] : len(coded) - (0, 3, 2)[(lead + len(data)) % 3] if (lead + len(data)) % 3 else None
        ]
        forms += [core, core.replace("+", "-").replace("/", "_")] if len(core) >= MIN_SECRET else []
    return tuple(dict.fromkeys(form for form in forms if form))
