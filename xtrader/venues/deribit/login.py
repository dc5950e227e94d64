"""Login: how a session proves who it is. One rule: the secret signs, it is never sent, shown or put into an error."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from xtrader.errors import CredentialsRejected, ProtocolError

VENUE = "DERIBIT"
REFUSED = frozenset({10000, 13004, 13006, 13007, 13009, 13010, 13011, -32602})
"""What a wrong id or secret is answered with. Other errors pass: too many requests, maintenance, unavailable."""


def sign(secret: str, timestamp: int, nonce: str, data: str = "") -> str:
    """Hex HMAC-SHA256 over timestamp (ms), nonce and data, one a line."""
    return hmac.new(secret.encode(), f"{timestamp}\n{nonce}\n{data}".encode(), hashlib.sha256).hexdigest()


class Login:
    """A client id and secret, and where they are good."""

    def __init__(self, client_id: str, secret: str, environment: str) -> None:
        self._client_id = client_id
        self._secret = secret
        self._environment = environment

    def by_signature(self, now: int) -> dict[str, Any]:
        """Parameters of public/auth, good for a minute. `now` (int ns) also makes the nonce."""
        timestamp, nonce = now // 1_000_000, format(now, "x")
        return {
            "grant_type": "client_signature",
            "client_id": self._client_id,
            "timestamp": timestamp,
            "nonce": nonce,
            "data": "",
            "signature": sign(self._secret, timestamp, nonce),
        }

    def refusal(self, code: int, message: str) -> CredentialsRejected | ProtocolError:
        """The error to raise when a login failed: final for wrong credentials, for everything else to be tried again."""
        words = f"{code} {message[:100]}"
        if code not in REFUSED:
            return ProtocolError(VENUE, f"login failed: {words}")
        return CredentialsRejected(
            VENUE,
            f"{self._environment} refused DERIBIT_CLIENT_ID and its secret ({words}); keys of testnet and production differ"
            " (DERIBIT_USE_TESTNET), and this machine's clock must be right to the minute",
        )
