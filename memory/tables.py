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
# Transitions are staged as rows and folded into chunks (`chunks.py`). Rows are numbered by time of writing over both;
# `position` is the newest row's number, and never goes back, so that a checkpoint can name a place in the file.
_EXPERIENCE: tuple[str, ...] = (
    # No index: it holds less than 64 steps of each episode under way, and a commit writes one page less without.
    """CREATE TABLE steps (
        id INTEGER PRIMARY KEY, episode INTEGER NOT NULL REFERENCES episodes, t INTEGER NOT NULL,
        before BLOB NOT NULL, reward REAL NOT NULL, terminated INTEGER NOT NULL, truncated INTEGER NOT NULL,
        after BLOB NOT NULL, time REAL NOT NULL, surprise REAL)""",
    """INSERT INTO steps SELECT id, episode, t, before, reward, terminated, truncated, after, time, NULL
        FROM transitions""",
    "DROP TABLE transitions",
    # For the many steps of a file of the first format; dropped when they are folded (`Chunks.fold_left`).
    "CREATE INDEX steps_of_old ON steps (episode, t)",
    # length and total_reward count what is folded, held what of it was not forgotten.
    "UPDATE episodes SET length = 0, total_reward = 0.0",
    "ALTER TABLE episodes ADD COLUMN held INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE episodes ADD COLUMN imagined INTEGER NOT NULL DEFAULT 0",
    # first and last are the row numbers of its transitions' ends; surprise is float32 a transition, NaN where none.
    """CREATE TABLE chunks (
        id INTEGER PRIMARY KEY AUTOINCREMENT, first INTEGER NOT NULL, last INTEGER NOT NULL,
        episode INTEGER NOT NULL REFERENCES episodes, t INTEGER NOT NULL, length INTEGER NOT NULL,
        joined INTEGER NOT NULL, surprise BLOB NOT NULL, UNIQUE (episode, t))""",
    "CREATE INDEX chunks_by_age ON chunks (last)",
    # Apart, so that the chunks can be listed without a look at what is in them.
    "CREATE TABLE records (chunk INTEGER PRIMARY KEY REFERENCES chunks ON DELETE CASCADE, data BLOB NOT NULL)",
    """CREATE TABLE forgettings (
        id INTEGER PRIMARY KEY, time REAL NOT NULL, policy TEXT NOT NULL, transitions INTEGER NOT NULL,
        position INTEGER NOT NULL)""",
    # Counts changes to what is already folded; what is only added does not change it.
    "CREATE TABLE revision (number INTEGER NOT NULL)",
    "INSERT INTO revision VALUES (0)",
    """CREATE VIEW position (newest) AS SELECT max(
        coalesce((SELECT max(id) FROM steps), 0), coalesce((SELECT max(last) FROM chunks), 0),
        coalesce((SELECT max(position) FROM forgettings), 0))""",
)
_NOTES: tuple[str, ...] = (
    "DROP TRIGGER note_added",
    "DROP TABLE note_words",
    "ALTER TABLE notes RENAME TO notes_before",
    # AUTOINCREMENT: the id of a note that was deleted is never given again. `changed` counts changes of all notes, so
    # that a reader finds what is new by one range; `digest` is of what the text says (memory/notes/gate.py).
    """CREATE TABLE notes (
        id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, origin TEXT NOT NULL, source TEXT NOT NULL,
        digest BLOB NOT NULL, text TEXT NOT NULL, importance REAL NOT NULL, tags TEXT NOT NULL, created REAL NOT NULL,
        seen REAL NOT NULL, episode INTEGER, recalled INTEGER NOT NULL DEFAULT 0, credits INTEGER NOT NULL DEFAULT 0,
        helped REAL, successor INTEGER REFERENCES notes ON DELETE SET NULL, changed INTEGER NOT NULL,
        UNIQUE (kind, origin, digest))""",
    """INSERT INTO notes (id, kind, origin, source, digest, text, importance, tags, created, seen, changed)
        SELECT id, kind, CASE WHEN source IN ('user', 'manual') THEN 'person' WHEN source = 'environment'
            THEN 'environment' ELSE 'model' END, source, digest, text, importance, tags, created, seen, id
        FROM notes_before""",
    "CREATE INDEX notes_changed ON notes (changed)",
    "CREATE INDEX notes_successor ON notes (successor) WHERE successor IS NOT NULL",
    """CREATE VIRTUAL TABLE note_words
        USING fts5(text, content = 'notes', content_rowid = 'id', tokenize = 'porter unicode61')""",
    "INSERT INTO note_words (note_words) VALUES ('rebuild')",
    """CREATE TRIGGER note_added AFTER INSERT ON notes BEGIN
        INSERT INTO note_words (rowid, text) VALUES (new.id, new.text); END""",
    """CREATE TRIGGER note_deleted AFTER DELETE ON notes BEGIN
        INSERT INTO note_words (note_words, rowid, text) VALUES ('delete', old.id, old.text); END""",
    # What all notes have been through: changes, and deletions (after which a reader begins anew).
    "CREATE TABLE note_state (changed INTEGER NOT NULL, deleted INTEGER NOT NULL)",
    "INSERT INTO note_state SELECT coalesce(max(id), 0), 0 FROM notes_before",
    """CREATE TABLE note_links (
        note INTEGER NOT NULL REFERENCES notes ON DELETE CASCADE, episode INTEGER NOT NULL, first INTEGER NOT NULL,
        last INTEGER NOT NULL, PRIMARY KEY (note, episode, first, last)) WITHOUT ROWID""",
    "CREATE INDEX note_links_of_episode ON note_links (episode)",
    """CREATE TABLE note_shingles (
        hash INTEGER NOT NULL, note INTEGER NOT NULL REFERENCES notes ON DELETE CASCADE,
        PRIMARY KEY (hash, note)) WITHOUT ROWID""",
    "CREATE INDEX note_shingles_of_note ON note_shingles (note)",
    # Named sets of vectors of one size; a vector that is replaced gets a new `seq`, `deleted` counts deletions.
    """CREATE TABLE vector_sets (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, size INTEGER NOT NULL,
        deleted INTEGER NOT NULL DEFAULT 0)""",
    """CREATE TABLE vectors (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, set_id INTEGER NOT NULL REFERENCES vector_sets, item INTEGER NOT NULL,
        vector BLOB NOT NULL, UNIQUE (set_id, item))""",
    "CREATE INDEX vectors_of_set ON vectors (set_id)",
    """INSERT INTO vector_sets (name, size)
        SELECT 'text:' || model, min(length(vector)) / 4 FROM note_vectors GROUP BY model""",
    """INSERT INTO vectors (set_id, item, vector) SELECT s.id, v.note, v.vector
        FROM note_vectors v JOIN vector_sets s ON s.name = 'text:' || v.model AND length(v.vector) = 4 * s.size""",
    "DROP TABLE note_vectors",
    "DROP TABLE notes_before",
    # True from `since` to `until`; `disputes` is the person's fact that a machine's contradicts.
    """CREATE TABLE facts (
        id INTEGER PRIMARY KEY AUTOINCREMENT, subject TEXT NOT NULL COLLATE NOCASE,
        relation TEXT NOT NULL COLLATE NOCASE, value TEXT NOT NULL, origin TEXT NOT NULL, source TEXT NOT NULL,
        since REAL NOT NULL, until REAL, told REAL NOT NULL,
        successor INTEGER REFERENCES facts ON DELETE SET NULL, disputes INTEGER REFERENCES facts ON DELETE SET NULL)""",
    "CREATE INDEX facts_of ON facts (subject, relation, since)",
    "CREATE INDEX facts_successor ON facts (successor) WHERE successor IS NOT NULL",
    "CREATE INDEX facts_disputes ON facts (disputes) WHERE disputes IS NOT NULL",
)
_RULES: tuple[str, ...] = (
    """CREATE TABLE rule_history (
        seq INTEGER PRIMARY KEY, world INTEGER NOT NULL REFERENCES worlds, rule TEXT NOT NULL, text TEXT NOT NULL,
        source TEXT NOT NULL, status TEXT NOT NULL, evidence TEXT NOT NULL, sentence TEXT NOT NULL,
        origin TEXT NOT NULL, position INTEGER NOT NULL, at REAL NOT NULL)""",
    "CREATE INDEX history_of_rule ON rule_history (world, rule, seq)",
    # Episodes that lessons were drawn from; also by a language model, where summarised.
    """CREATE TABLE consolidated (
        episode INTEGER PRIMARY KEY, at REAL NOT NULL, is_summarised INTEGER NOT NULL)""",
)
_ITEMS: tuple[str, ...] = (
    # What other programs keep here by namespace (a JSON list of labels) and key: see memory/items/items.py.
    """CREATE TABLE items (
        id INTEGER PRIMARY KEY AUTOINCREMENT, collection TEXT NOT NULL, namespace TEXT NOT NULL, key TEXT NOT NULL,
        value BLOB NOT NULL, source TEXT NOT NULL, created REAL NOT NULL, updated REAL NOT NULL, ttl REAL, expires REAL,
        UNIQUE (collection, namespace, key))""",
    "CREATE INDEX items_updated ON items (collection, updated)",
    "CREATE INDEX items_expires ON items (expires) WHERE expires IS NOT NULL",
)

# The third format.
_SKILLS: tuple[str, ...] = (
    # A line of text a deed; what it was for ("": a reward); in how many episodes it was tried, and worked.
    """CREATE TABLE skills (
        id INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT NOT NULL, purpose TEXT NOT NULL, source TEXT NOT NULL,
        tried INTEGER NOT NULL, worked INTEGER NOT NULL, created REAL NOT NULL, used REAL NOT NULL,
        UNIQUE (text, purpose))""",
    """CREATE TABLE skill_links (
        skill INTEGER NOT NULL REFERENCES skills ON DELETE CASCADE, episode INTEGER NOT NULL, first INTEGER NOT NULL,
        last INTEGER NOT NULL, PRIMARY KEY (skill, episode, first, last)) WITHOUT ROWID""",
)

MIGRATIONS = (_FIRST, (*_EXPERIENCE, *_NOTES, *_RULES, *_ITEMS), _SKILLS)
