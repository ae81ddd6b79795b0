"""Why there is no connection to a broker, in words for the user: what is wrong and which key to check. Pure."""

import ssl

from paho.mqtt.client import WebsocketConnectionError
from paho.mqtt.reasoncodes import ReasonCode

from asit_edge.config.delivery import Mqtt
from asit_edge.errors import one_line

UNSUPPORTED_PROTOCOL = "Unsupported protocol version"
TAKEN_OVER = 142
"""DISCONNECT reason: another client has connected under the same id (MQTT 5, section 3.14.2.1)."""

NO_ANSWER = "takes the connection but does not answer; check mqtt.port and mqtt.protocol, and whether it expects TLS"


def closed_early(settings: Mqtt) -> str:
    """The broker took the connection and closed it without a word, which is all that some say about TLS."""
    tls = settings.tls
    if not tls.wanted:
        why = "does it expect TLS there (mqtt.tls.enabled)? is mqtt.port right?"
    elif tls.cert_file is None:
        why = "does it ask for a client certificate (mqtt.tls.cert_file and key_file)? is mqtt.port its port for TLS?"
    else:
        why = "does it know who issued mqtt.tls.cert_file? is mqtt.port its port for TLS?"
    return f"closes the connection before it answers; {why}"


def no_connection(error: Exception, settings: Mqtt) -> str:
    """The network, TLS or the websocket failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message}); check mqtt.host and mqtt.tls.ca_file"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({one_line(error)}); check mqtt.port and mqtt.tls"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused; is a broker running there? check mqtt.host and mqtt.port"
    if isinstance(error, WebsocketConnectionError):
        return f"no websocket ({one_line(error)}); check mqtt.port and mqtt.path"
    hint = "" if settings.tls.wanted else " (if the broker expects TLS, set mqtt.tls.enabled)"
    return f"{one_line(error) or type(error).__name__}; check mqtt.host and mqtt.port{hint}"


def refused(reason: ReasonCode, settings: Mqtt) -> str:
    """The broker answered CONNECT with a failure."""
    if str(reason) in {"Not authorized", "Bad user name or password"}:
        user = f"user {settings.username!r}" if settings.username else "a client without user name"
        return f"refuses {user} ({reason}); check mqtt.username and mqtt.password_file (or ASIT_EDGE_MQTT_PASSWORD)"
    if str(reason) == UNSUPPORTED_PROTOCOL:
        return f"does not speak MQTT {settings.protocol}; set mqtt.protocol to auto"
    return f"refuses the connection ({reason})"


def id_taken(reason: ReasonCode, client_id: str) -> str:
    """The broker ends connections: certain only where it gives the reason, which not every broker does."""
    certainly = "another client" if reason.value == TAKEN_OVER else "no connection lasts; maybe another client"
    return (
        f"{certainly} has taken the id {client_id!r}; every device needs a name (device) or mqtt.client_id of its own"
    )
