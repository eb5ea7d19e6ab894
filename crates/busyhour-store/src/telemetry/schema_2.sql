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

-- Raw windows with lost packets of unknown direction that a report may settle. The times are of the
-- agent's clock.
CREATE TABLE unsettled (
    listen BLOB NOT NULL,
    ssid INTEGER NOT NULL,
    ended_us INTEGER NOT NULL,
    started_us INTEGER NOT NULL,
    path INTEGER NOT NULL,
    placed_us INTEGER NOT NULL,
    nth INTEGER NOT NULL,
    PRIMARY KEY (listen, ssid, ended_us, path, placed_us, nth)
) STRICT, WITHOUT ROWID;
CREATE INDEX unsettled_by_window ON unsettled (path, placed_us);

-- Raw windows of the first layout, which was never released, cannot be read any more. Their slots stay.
DELETE FROM windows;
DELETE FROM circumstances;
