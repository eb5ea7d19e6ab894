-- Buildings and subnets are effective-dated: each change is a new row, valid_until_us is NULL while
-- it is in force.
CREATE TABLE buildings (
    id BLOB NOT NULL,
    valid_from_us INTEGER NOT NULL,
    valid_until_us INTEGER,
    name TEXT NOT NULL,
    city TEXT NOT NULL,
    country TEXT NOT NULL,
    region TEXT NOT NULL,
    time_zone TEXT,
    business_hours TEXT,
    PRIMARY KEY (id, valid_from_us)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX buildings_in_force ON buildings (name) WHERE valid_until_us IS NULL;

CREATE TABLE subnets (
    id BLOB NOT NULL,
    valid_from_us INTEGER NOT NULL,
    valid_until_us INTEGER,
    building BLOB NOT NULL,
    prefix TEXT NOT NULL,
    egress TEXT,
    file_order INTEGER NOT NULL,
    network_name TEXT NOT NULL,
    ownership_type TEXT NOT NULL,
    building_type TEXT NOT NULL,
    building_office_type TEXT NOT NULL,
    city TEXT NOT NULL,
    zip_code TEXT NOT NULL,
    country TEXT NOT NULL,
    state TEXT NOT NULL,
    region TEXT NOT NULL,
    inside_corp INTEGER NOT NULL,
    express_route INTEGER NOT NULL,
    vpn INTEGER NOT NULL,
    PRIMARY KEY (id, valid_from_us)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX subnets_in_force ON subnets (prefix, coalesce(egress, ''))
    WHERE valid_until_us IS NULL;

CREATE TABLE agents (
    id BLOB PRIMARY KEY NOT NULL,
    name TEXT NOT NULL UNIQUE,
    secret_sha256 BLOB NOT NULL,
    simulated INTEGER NOT NULL,
    bound_prefix TEXT,
    bound_egress TEXT,
    added_us INTEGER NOT NULL,
    seen_us INTEGER,
    version TEXT,
    os TEXT,
    local_prefix TEXT,
    peer TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE placements (
    agent BLOB NOT NULL REFERENCES agents (id),
    valid_from_us INTEGER NOT NULL,
    valid_until_us INTEGER,
    subnet BLOB NOT NULL,
    building BLOB NOT NULL,
    PRIMARY KEY (agent, valid_from_us)
) STRICT, WITHOUT ROWID;

-- scope is 'path', 'agent', 'subnet' or 'building'; link is '' where the scope has none.
CREATE TABLE days (
    date TEXT NOT NULL,
    scope TEXT NOT NULL,
    subject BLOB NOT NULL,
    link TEXT NOT NULL,
    building BLOB NOT NULL,
    verdict TEXT NOT NULL,
    masked INTEGER NOT NULL,
    figures BLOB NOT NULL,
    PRIMARY KEY (date, scope, subject, link)
) STRICT, WITHOUT ROWID;
CREATE INDEX days_of_building ON days (building, date);

-- times_opened counts how often it was opened, so that each opening is told once.
CREATE TABLE incidents (
    id BLOB PRIMARY KEY NOT NULL,
    scope TEXT NOT NULL,
    subject BLOB NOT NULL,
    scope_link TEXT NOT NULL,
    building BLOB NOT NULL,
    state TEXT NOT NULL,
    opened_us INTEGER NOT NULL,
    closed_us INTEGER,
    times_opened INTEGER NOT NULL,
    figures BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX incidents_by_time ON incidents (opened_us);

-- What is to be told. routed is 0 until it is on every channel.
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    incident BLOB NOT NULL REFERENCES incidents (id),
    times_opened INTEGER NOT NULL,
    event TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    routed INTEGER NOT NULL,
    UNIQUE (incident, times_opened, event)
) STRICT;
CREATE INDEX events_untold ON events (id) WHERE routed = 0;

-- state is 'pending', 'sent' or 'withheld'.
CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    event INTEGER NOT NULL REFERENCES events (id),
    channel TEXT NOT NULL,
    state TEXT NOT NULL,
    due_us INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    detail TEXT,
    finished_us INTEGER,
    UNIQUE (event, channel)
) STRICT;
CREATE INDEX deliveries_pending ON deliveries (id) WHERE state = 'pending';
