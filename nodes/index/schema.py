"""The tables of the index. All rows follow from the journal, so there are no migrations: another version is rebuilt."""

from __future__ import annotations

VERSION = 2
"""Kept as SQLite's `user_version`; it goes up with every change of the tables or of what is written into them."""

APPLICATION_ID = 0x4D554C55
"""`MULU`, kept as SQLite's `application_id`, so that no other program's database is taken for an index."""

SCHEMA = """
CREATE TABLE network (
    chain       BLOB NOT NULL
) STRICT;

CREATE TABLE blocks (
    height      INTEGER PRIMARY KEY,
    block_id    BLOB NOT NULL,
    parent      BLOB NOT NULL,
    time_ms     INTEGER NOT NULL,
    round       INTEGER NOT NULL,
    author      INTEGER NOT NULL,
    state_root  BLOB NOT NULL,
    first_index INTEGER NOT NULL,
    envelopes   INTEGER NOT NULL,
    records     INTEGER NOT NULL,
    accepted    INTEGER NOT NULL,
    deadlines   INTEGER NOT NULL
) STRICT;

CREATE TABLE entries (
    log_index   INTEGER PRIMARY KEY,
    height      INTEGER NOT NULL,
    entry       BLOB NOT NULL
) STRICT;

CREATE TABLE envelopes (
    height      INTEGER NOT NULL,
    position    INTEGER NOT NULL,
    log_index   INTEGER NOT NULL,
    id          BLOB NOT NULL,
    department  TEXT NOT NULL,
    key_id      INTEGER NOT NULL,
    sequence    INTEGER NOT NULL,
    results     BLOB NOT NULL,
    PRIMARY KEY (height, position)
) STRICT, WITHOUT ROWID;

CREATE INDEX envelopes_by_id ON envelopes (id, height, position);

CREATE TABLE records (
    height      INTEGER NOT NULL,
    position    INTEGER NOT NULL,
    number      INTEGER NOT NULL,
    kind        TEXT,
    code        INTEGER NOT NULL,
    PRIMARY KEY (height, position, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE history (
    key         BLOB NOT NULL,
    height      INTEGER NOT NULL,
    position    INTEGER NOT NULL,
    number      INTEGER NOT NULL,
    PRIMARY KEY (key, height, position, number)
) STRICT, WITHOUT ROWID;

CREATE INDEX history_by_height ON history (height, position, number);

CREATE TABLE keys (
    key         BLOB PRIMARY KEY,
    height      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX keys_by_height ON keys (height);

CREATE TABLE texts (
    data_item   TEXT NOT NULL,
    height      INTEGER NOT NULL,
    position    INTEGER NOT NULL,
    number      INTEGER NOT NULL,
    names       BLOB NOT NULL,
    content     BLOB NOT NULL,
    PRIMARY KEY (data_item, height, position, number)
) STRICT, WITHOUT ROWID;

CREATE INDEX texts_by_height ON texts (height);
"""

TABLES_BY_HEIGHT = ("blocks", "entries", "envelopes", "records", "history", "keys", "texts")
"""Tables whose rows belong to one block each. In `keys` it is the block that first wrote the key."""

NO_RECORD = -1
"""Position and number in `history` of a change that no record made, but a deadline that passed."""
