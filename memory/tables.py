"""The tables of a memory file, as a list of migrations: `user_version` says how many a file has been through."""

from __future__ import annotations

_FIRST = (
    "CREATE TABLE worlds (id INTEGER PRIMARY KEY, layout TEXT NOT NULL UNIQUE, created REAL NOT NULL)",
    # length and total_reward are filled in at the end of an episode; until then they are counted.
    """CREATE TABLE episodes (
        id INTEGER PRIMARY KEY, world INTEGER NOT NULL REFERENCES worlds, source TEXT NOT NULL, seed TEXT,
        level TEXT NOT NULL, started REAL NOT NULL, ended REAL, length INTEGER, total_reward REAL)""",
    "CREATE INDEX episodes_of_world ON episodes (world, id)",
    # A rowid table: rows arrive in order of id, so that what is new is one range, and wide blobs stay in one place.
    """CREATE TABLE transitions (
        id INTEGER PRIMARY KEY, episode INTEGER NOT NULL REFERENCES episodes, t INTEGER NOT NULL,
        before BLOB NOT NULL, reward REAL NOT NULL, terminated INTEGER NOT NULL, truncated INTEGER NOT NULL,
        after BLOB NOT NULL, time REAL NOT NULL, UNIQUE (episode, t))""",
    """CREATE TABLE notes (
        id INTEGER PRIMARY KEY, kind TEXT NOT NULL, digest BLOB NOT NULL, text TEXT NOT NULL,
        importance REAL NOT NULL, source TEXT NOT NULL, tags TEXT NOT NULL, created REAL NOT NULL,
        seen REAL NOT NULL, UNIQUE (kind, digest))""",
    "CREATE INDEX notes_seen ON notes (seen)",
    """CREATE VIRTUAL TABLE note_words
        USING fts5(text, content = 'notes', content_rowid = 'id', tokenize = 'porter unicode61')""",
    """CREATE TRIGGER note_added AFTER INSERT ON notes BEGIN
        INSERT INTO note_words (rowid, text) VALUES (new.id, new.text); END""",
    """CREATE TABLE note_vectors (
        note INTEGER NOT NULL REFERENCES notes, model TEXT NOT NULL, vector BLOB NOT NULL,
        PRIMARY KEY (note, model)) WITHOUT ROWID""",
)

# The second format, one part a concern.
_EXPERIENCE: tuple[str, ...] = ()
_NOTES: tuple[str, ...] = ()
_RULES: tuple[str, ...] = (
    """CREATE TABLE rule_history (
        seq INTEGER PRIMARY KEY, world INTEGER NOT NULL REFERENCES worlds, rule TEXT NOT NULL, text TEXT NOT NULL,
        source TEXT NOT NULL, status TEXT NOT NULL, evidence TEXT NOT NULL, sentence TEXT NOT NULL,
        origin TEXT NOT NULL, position INTEGER NOT NULL, at REAL NOT NULL)""",
    "CREATE INDEX history_of_rule ON rule_history (world, rule, seq)",
    # Episodes that lessons were drawn from.
    "CREATE TABLE consolidated (episode INTEGER PRIMARY KEY, at REAL NOT NULL)",
)
_ITEMS: tuple[str, ...] = (
    # What other programs keep here by namespace (a JSON list of labels) and key: see memory/items.py.
    """CREATE TABLE items (
        id INTEGER PRIMARY KEY AUTOINCREMENT, collection TEXT NOT NULL, namespace TEXT NOT NULL, key TEXT NOT NULL,
        value BLOB NOT NULL, source TEXT NOT NULL, created REAL NOT NULL, updated REAL NOT NULL, ttl REAL, expires REAL,
        UNIQUE (collection, namespace, key))""",
    "CREATE INDEX items_updated ON items (collection, updated)",
    "CREATE INDEX items_expires ON items (expires) WHERE expires IS NOT NULL",
)

MIGRATIONS = (_FIRST, (*_EXPERIENCE, *_NOTES, *_RULES, *_ITEMS))
