"""Why ffmpeg gave a stream up, in words for the user: what is wrong, and which key to look at. Pure."""

import re
from collections.abc import Sequence

_REASONS = [
    (r"matches no streams|does not contain any stream", "it has no sound (no audio track); switch its audio on there"),
    (r"401|Unauthorized", "it refuses the user or the password (401); check both in url"),
    (r"403|Forbidden", "it refuses access (403)"),
    (r"404|Not Found", "there is nothing at this address (404); check url"),
    (r"Server returned 5XX|\b50[0-9]\b", "its server is in trouble (it answers 5xx)"),
    (r"Connection refused", "connection refused; is it switched on, and is the port in url right?"),
    (r"timed out", "it does not answer"),
    (r"No route to host|Network is unreachable", "there is no way to it in the network"),
    (
        r"Failed to resolve|Name or service not known|name resolution|Cannot resolve",
        "its name is not known in this network; check url",
    ),
    (r"Protocol not found", "url begins with a protocol that is not known here"),
    (r"certificate|TLS|SSL", "its certificate or its encryption is not accepted"),
    (r"Unknown input format: '?([^'\n]*)", "options: there is no format '{0}'"),
    (r"Unrecognized option '([^'\n]*)'|Option ([^ \n]+) not found", "options: '{0}' is not known"),
    (r"Invalid data found", "what it sends is no sound that can be read"),
    (r"Permission denied|Operation not permitted", "this user may not open it"),
    (r"No such file or directory|No such device", "there is no such file or device; check url"),
    (r"Device or resource busy", "another program uses it"),
    (r"Connection reset|Broken pipe|Input/output error|End of file", "the connection broke off"),
]
"""What its lines have, and what that means; the first that fits counts."""


def reason(lines: Sequence[str]) -> str | None:
    """What the last lines mean that ffmpeg said; None if they are not known."""
    text = "\n".join(lines)
    for pattern, words in _REASONS:
        if found := re.search(pattern, text):
            return words.format(*(group for group in found.groups() if group is not None))
    return None
