"""Names of the variables that QuestDB's sink understands.

The rule: a name that is not here is told to the user as unknown.
"""

from __future__ import annotations

from typing import Final

QUESTDB_SECRETS: Final = ("QUESTDB_CONF", "QUESTDB_PASSWORD", "QUESTDB_TOKEN")
"""These may also be given as NAME_FILE, the path of a file that holds the value."""
QUESTDB: Final = (
    *QUESTDB_SECRETS,
    "QUESTDB_HOST",
    "QUESTDB_HTTP_PORT",
    "QUESTDB_ILP_PORT",
    "QUESTDB_TRANSPORT",
    "QUESTDB_TLS",
    "QUESTDB_TLS_ROOTS",
    "QUESTDB_USERNAME",
    "QUESTDB_TOKEN_X",
    "QUESTDB_TOKEN_Y",
    "QUESTDB_TABLE_PREFIX",
    "QUESTDB_TABLES_EXIST",
    "QUESTDB_REPLAY_WINDOW",
    "QUESTDB_JOURNAL_KEEP",
)
