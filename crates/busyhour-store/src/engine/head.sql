-- Every path that was ever measured. Numbers are never used again: verdicts and partitions name them.
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

-- What was appended and is not folded into partitions yet. Each body ends with its checksum.
CREATE TABLE journal (
    entry INTEGER PRIMARY KEY,
    body BLOB NOT NULL
) STRICT;

-- The schedules that records name. told_us is when a block told it first.
CREATE TABLE schedules (
    agent BLOB NOT NULL,
    revision INTEGER NOT NULL,
    period_us INTEGER NOT NULL,
    told_us INTEGER NOT NULL,
    PRIMARY KEY (agent, revision)
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

-- Days of UTC to judge again, as of the last fold: the journal tells of later ones.
CREATE TABLE dirty_days (
    utc_day INTEGER NOT NULL,
    path INTEGER NOT NULL,
    PRIMARY KEY (utc_day, path)
) STRICT, WITHOUT ROWID;

-- What reflectors received of sessions, as long as raw windows are kept. listen is where the reflector
-- was asked; sent_us are of the sender's clock, placed_us is of the collector's.
CREATE TABLE session_reports (
    listen BLOB NOT NULL,
    ssid INTEGER NOT NULL,
    last_sent_us INTEGER NOT NULL,
    first_sent_us INTEGER NOT NULL,
    agent BLOB NOT NULL,
    placed_us INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (listen, ssid, last_sent_us, first_sent_us, agent, placed_us)
) STRICT, WITHOUT ROWID;
CREATE INDEX session_reports_by_time ON session_reports (placed_us);

-- Raw windows with lost packets of unknown direction that a report may settle, as they were observed.
-- The times of the session are of the agent's clock.
CREATE TABLE unsettled (
    listen BLOB NOT NULL,
    ssid INTEGER NOT NULL,
    ended_us INTEGER NOT NULL,
    started_us INTEGER NOT NULL,
    path INTEGER NOT NULL,
    placed_us INTEGER NOT NULL,
    nth INTEGER NOT NULL,
    circumstance BLOB NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (listen, ssid, ended_us, path, placed_us, nth)
) STRICT, WITHOUT ROWID;
CREATE INDEX unsettled_by_window ON unsettled (path, placed_us);
CREATE INDEX unsettled_by_time ON unsettled (placed_us);

-- Agents whose blocks are refused.
CREATE TABLE forgotten (
    agent BLOB PRIMARY KEY NOT NULL
) STRICT, WITHOUT ROWID;

-- What partitions still have of forgotten agents: paths, and with a negative number an agent itself.
CREATE TABLE leftovers (
    path INTEGER PRIMARY KEY,
    agent BLOB NOT NULL
) STRICT;

-- One row. folded is the last entry of the journal that every partition has.
CREATE TABLE totals (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    folded INTEGER NOT NULL,
    windows INTEGER NOT NULL,
    blocks INTEGER NOT NULL,
    quarantined INTEGER NOT NULL
) STRICT;
INSERT INTO totals VALUES (1, 0, 0, 0, 0);

-- Partitions that have a file, by their folder and first day of UTC since 1970: one that is here and has
-- none is missed.
CREATE TABLE partitions (
    family TEXT NOT NULL,
    first_day INTEGER NOT NULL,
    PRIMARY KEY (family, first_day)
) STRICT, WITHOUT ROWID;
