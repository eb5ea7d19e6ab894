-- Every path that was ever measured. Numbers are never used again: verdicts name them.
CREATE TABLE paths (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    agent BLOB NOT NULL,
    link TEXT NOT NULL,
    interface TEXT NOT NULL,
    family TEXT NOT NULL,
    target TEXT NOT NULL,
    class TEXT NOT NULL,
    profile TEXT NOT NULL,
    transport TEXT NOT NULL,
    requirement TEXT NOT NULL,
    windows_per_slot INTEGER NOT NULL,
    oldest_us INTEGER NOT NULL,
    newest_us INTEGER NOT NULL,
    context BLOB NOT NULL,
    UNIQUE (agent, link, interface, family, target, class, profile, transport)
) STRICT;

-- The schedules that records name. told_us is when a block told it last.
CREATE TABLE schedules (
    agent BLOB NOT NULL,
    revision INTEGER NOT NULL,
    period_us INTEGER NOT NULL,
    told_us INTEGER NOT NULL,
    PRIMARY KEY (agent, revision)
) STRICT, WITHOUT ROWID;

-- What many windows have in common. newest_day is the last day of UTC that one of them lies in.
CREATE TABLE circumstances (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    body BLOB NOT NULL UNIQUE,
    newest_day INTEGER NOT NULL
) STRICT;

-- Raw windows. nth tells windows apart that begin in the same microsecond.
CREATE TABLE windows (
    path INTEGER NOT NULL,
    placed_us INTEGER NOT NULL,
    nth INTEGER NOT NULL,
    circumstance INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (path, placed_us, nth)
) STRICT, WITHOUT ROWID;

-- Quarter-hours of UTC since 1970.
CREATE TABLE slots (
    path INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (path, slot)
) STRICT, WITHOUT ROWID;

-- Checks (1), facts (2), loads (3) and gaps (4).
CREATE TABLE others (
    agent BLOB NOT NULL,
    kind INTEGER NOT NULL,
    started_us INTEGER NOT NULL,
    nth INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (agent, kind, started_us, nth)
) STRICT, WITHOUT ROWID;

-- Blocks that are durable, as inclusive ranges that neither touch nor overlap.
CREATE TABLE receipts (
    agent BLOB NOT NULL,
    epoch INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY (agent, epoch, first)
) STRICT, WITHOUT ROWID;

-- What was not stored: a row for each block and reason. started_us is the earliest.
CREATE TABLE quarantine (
    received_us INTEGER NOT NULL,
    agent BLOB NOT NULL,
    epoch INTEGER NOT NULL,
    block INTEGER NOT NULL,
    started_us INTEGER,
    reason TEXT NOT NULL,
    records INTEGER NOT NULL
) STRICT;
CREATE INDEX quarantine_by_time ON quarantine (received_us);

-- Days of UTC to judge again.
CREATE TABLE dirty_days (
    utc_day INTEGER NOT NULL,
    path INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    PRIMARY KEY (utc_day, path)
) STRICT, WITHOUT ROWID;

-- One row.
CREATE TABLE totals (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    windows INTEGER NOT NULL,
    slots INTEGER NOT NULL,
    blocks INTEGER NOT NULL,
    quarantined INTEGER NOT NULL,
    generation INTEGER NOT NULL
) STRICT;
INSERT INTO totals VALUES (1, 0, 0, 0, 0, 0);
