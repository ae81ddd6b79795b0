"""Secrets: read from files and the environment, never shown. What is told of an address is its host."""

import codecs
import os
import re
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, unquote_plus

from asit_edge.errors import WrongUse

MOST = 1 << 16
"""Bytes of a file in which a secret is looked for."""

SHORT = 3
"""Parts of an address that are shorter are words like any other, and not taken out of a text."""

_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def read_secret(file: Path, key: str) -> str:
    """The first line of a file, without what editors put around it: byte order marks, ends of lines, spaces.

    Raises WrongUse, naming `key`, if there is none.
    """
    try:
        with file.open("rb") as opened:
            content = opened.read(MOST)
    except IsADirectoryError:
        raise WrongUse(f"{key} {file}: is a directory; name a file whose first line is the secret") from None
    except OSError as error:
        who = f"; it must be readable for user number {os.getuid()}" if isinstance(error, PermissionError) else ""
        raise WrongUse(f"{key} {file}: cannot be read ({error.strerror}){who}") from None
    mark, encoding = next(((mark, name) for mark, name in _MARKS if content.startswith(mark)), (b"", "utf-8"))
    try:
        text = content[len(mark) :].decode(encoding)
    except UnicodeDecodeError:
        text = "\0"
    secret = text.partition("\n")[0].strip()
    if "\0" in secret:
        raise WrongUse(f"{key} {file}: is not a text; save it as UTF-8, the secret alone on its first line")
    if not secret:
        raise WrongUse(f"{key} {file}: its first line is empty; the secret must stand there")
    return secret


def secret_of(text: str | None, file: Path | None, key: str) -> str | None:
    """A secret as the configuration says it: `text` is itself or `${NAME}`, or it is the first line of `file`.

    None where neither is given. Raises WrongUse, naming `key`.
    """
    if file is not None:
        return read_secret(file, f"{key}_file")
    found = _VARIABLE.fullmatch(text or "")
    if found is None:
        return text
    secret = os.environ.get(found[1], "").strip()
    if not secret:
        raise WrongUse(f"{key}: there is nothing in the environment under the name {found[1]}")
    return secret


def fill_in(url: str, key: str) -> str:
    """An address with every `${NAME}` taken from the environment, encoded as a part of an address has to be.

    One that begins with a variable has all of it from there, as it is. Raises WrongUse, naming `key`.
    """

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if name not in os.environ:
            raise WrongUse(f"{key}: there is no variable {name} in the environment (the address has ${{{name}}})")
        return os.environ[name] if found.start() == 0 else quote(os.environ[name], safe="")

    return _VARIABLE.sub(value, url)


def with_password(url: str, password: str, key: str) -> str:
    """An address with the password of the user whom it names. Raises WrongUse, naming `key`."""
    scheme, user, rest = _parts(url)
    if not user or ":" in user:
        wrong = "the url has a password already" if user else "the url names no user"
        raise WrongUse(f"{key}: {wrong}; write it as scheme://USER@host/... and leave the password to the file")
    return f"{scheme}{user}:{quote(password, safe='')}@{rest}"


def host_of(url: str) -> str:
    """All that is told of an address: its host; of what is no address (a file, a device), its last part."""
    scheme, _, rest = _parts(url)
    if not scheme:
        return url.rstrip("/").rpartition("/")[2]
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    host = host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
    return host or scheme.partition(":")[0]


def unclear(url: str) -> bool:
    """A password with a character in it that ends the host: whoever opens the address would take the user for it."""
    _, user, rest = _parts(url)
    head, _, tail = rest.partition("/")
    return not user and "@" in tail and re.search(r":(?!\d*$)", re.sub(r"^\[[^]]*\]", "", head)) is not None


def has_secret(url: str) -> bool:
    """Whether others on this machine must not see the address: it has a user, a query or a fragment."""
    scheme, user, rest = _parts(url)
    return bool(scheme) and (bool(user) or "?" in rest or "#" in rest)


def without_secrets(text: str, url: str) -> str:
    """A text of another program about an address, with nothing of it but the host."""
    host = host_of(url)
    _, user, rest = _parts(url)
    query = "" if unclear(url) else rest.partition("#")[0].partition("?")[2]
    parts = [url, *user.split(":", 1), user, query, *(value for _, value in parse_qsl(query, keep_blank_values=True))]
    parts += [part for pair in query.split("&") for part in pair.split("=", 1)[1:]]
    parts += [unquote(part) for part in parts] + [unquote_plus(part) for part in parts]
    parts += [quote(part) for part in parts] + [quote(part, safe="") for part in parts]
    # Any address first: what another program makes of ours need not be equal to it.
    text = re.sub(r"[A-Za-z][A-Za-z0-9+.-]*://\S*", host, text.replace(url, host))
    for part in sorted(set(parts), key=len, reverse=True):
        if len(part) > SHORT and part != host:
            text = text.replace(part, "***")
    return text


def _parts(url: str) -> tuple[str, str, str]:
    """`scheme://` (or ""), user and password (without `@`), and the rest. A password may have an `@` in it."""
    found = re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", url)
    if found is None:
        return "", "", url
    scheme, rest = found[0], url[found.end() :]
    end = re.search(r"[/?#]|$", rest)
    assert end is not None
    user, at, host = rest[: end.start()].rpartition("@")
    return scheme, user, host + rest[end.start() :] if at else rest
