-- What holds for a while is dated: each change is a new row, valid_until_us is NULL while it is in force.

-- The building file's versions. An interval that is empty never held: the clock went back. actor is
-- NULL when that is older than the audit is kept.
CREATE TABLE building_files (
    number INTEGER PRIMARY KEY,
    imported_us INTEGER NOT NULL,
    valid_from_us INTEGER NOT NULL,
    valid_until_us INTEGER,
    actor TEXT,
    sha256 BLOB NOT NULL,
    buildings INTEGER NOT NULL,
    subnets INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX building_files_in_force ON building_files (valid_until_us IS NULL)
    WHERE valid_until_us IS NULL;

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
    holidays TEXT NOT NULL,
    PRIMARY KEY (id, valid_from_us)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX buildings_in_force ON buildings (name) WHERE valid_until_us IS NULL;
CREATE INDEX buildings_by_name ON buildings (name, valid_until_us);
CREATE INDEX buildings_ended ON buildings (valid_until_us) WHERE valid_until_us IS NOT NULL;

CREATE TABLE subnets (
    id BLOB NOT NULL,
    valid_from_us INTEGER NOT NULL,
    valid_until_us INTEGER,
    building BLOB NOT NULL,
    prefix TEXT NOT NULL,
    egress TEXT,
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
CREATE INDEX subnets_ended ON subnets (valid_until_us) WHERE valid_until_us IS NOT NULL;

-- Whoever is let in has a secret or an identity; whoever was removed has no secret, and no longer owns its
-- name.
CREATE TABLE agents (
    id BLOB PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    secret_sha256 BLOB,
    simulated INTEGER NOT NULL,
    added_us INTEGER NOT NULL,
    removed_us INTEGER,
    seen_us INTEGER,
    version TEXT,
    os TEXT,
    local_prefix TEXT,
    peer TEXT,
    CHECK (secret_sha256 IS NULL OR removed_us IS NULL)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX agents_let_in ON agents (name) WHERE removed_us IS NULL;
CREATE INDEX agents_by_name ON agents (name, added_us);

-- What lets agents in. prefix and egress are NULL where it is for a building; peers is the network that
-- their connections come from, NULL where any will do. refused counts those who had the secret.
CREATE TABLE enrolment_tokens (
    id INTEGER PRIMARY KEY NOT NULL,
    secret_sha256 BLOB NOT NULL,
    building BLOB NOT NULL,
    prefix TEXT,
    egress TEXT,
    peers TEXT,
    approval TEXT NOT NULL,
    uses INTEGER NOT NULL,
    uses_left INTEGER NOT NULL CHECK (uses_left BETWEEN 0 AND uses),
    created_us INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    expires_us INTEGER NOT NULL,
    revoked_us INTEGER,
    refused INTEGER NOT NULL
) STRICT;
CREATE INDEX enrolment_tokens_expiring ON enrolment_tokens (expires_us);

-- Agents with certificates. next_ is the certificate that was not used yet. sessions is the number of the
-- session that was confirmed last; no lower one comes again. building is what it was enrolled for.
CREATE TABLE identities (
    agent BLOB PRIMARY KEY NOT NULL REFERENCES agents (id),
    token INTEGER NOT NULL,
    building BLOB NOT NULL,
    enrolled_us INTEGER NOT NULL,
    state TEXT NOT NULL,
    state_us INTEGER NOT NULL,
    reason TEXT NOT NULL,
    late INTEGER NOT NULL,
    off_site INTEGER NOT NULL,
    sessions INTEGER NOT NULL,
    serial BLOB NOT NULL,
    key_sha256 BLOB NOT NULL UNIQUE,
    from_us INTEGER NOT NULL,
    until_us INTEGER NOT NULL,
    next_serial BLOB,
    next_key_sha256 BLOB UNIQUE,
    next_from_us INTEGER,
    next_until_us INTEGER
) STRICT, WITHOUT ROWID;

-- Agents, by their 16 bytes, and paths, by the 8 of their numbers, that were forgotten: nothing is written of
-- them any more. Neither is given again.
CREATE TABLE forgotten (
    subject BLOB PRIMARY KEY NOT NULL
) STRICT, WITHOUT ROWID;

-- prefix is NULL where an agent's address tells where it is.
CREATE TABLE bindings (
    agent BLOB NOT NULL REFERENCES agents (id),
    valid_from_us INTEGER NOT NULL,
    valid_until_us INTEGER,
    prefix TEXT,
    egress TEXT,
    PRIMARY KEY (agent, valid_from_us)
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

-- number counts all that ever were. place says what subject is: the bytes of a name or of an identity;
-- link is '' where the place has none. since_us is when it was opened last, or noted while it never was.
-- members come before figures, so that looking for a path reads no words.
CREATE TABLE incidents (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    building BLOB NOT NULL,
    place TEXT NOT NULL,
    subject BLOB NOT NULL,
    link TEXT NOT NULL,
    since_us INTEGER NOT NULL,
    noted_us INTEGER NOT NULL,
    opened_us INTEGER,
    closed_us INTEGER,
    openings INTEGER NOT NULL,
    members BLOB NOT NULL,
    figures BLOB NOT NULL
) STRICT;
CREATE INDEX incidents_by_time ON incidents (since_us);
CREATE INDEX incidents_open ON incidents (since_us) WHERE state <> 'closed';
CREATE INDEX incidents_closed ON incidents (closed_us) WHERE state = 'closed';
CREATE INDEX incidents_of_agents ON incidents (subject) WHERE place = 'agent';

-- What went on in a building, and when people work in it: from that date on, up to the next one.
CREATE TABLE building_loads (
    building BLOB NOT NULL,
    date TEXT NOT NULL,
    source TEXT NOT NULL,
    machines INTEGER NOT NULL,
    quarters BLOB NOT NULL,
    PRIMARY KEY (building, date, source)
) STRICT, WITHOUT ROWID;
CREATE INDEX building_loads_by_date ON building_loads (date);

CREATE TABLE working_weeks (
    building BLOB NOT NULL,
    looked_on TEXT NOT NULL,
    week BLOB NOT NULL,
    PRIMARY KEY (building, looked_on)
) STRICT, WITHOUT ROWID;

-- What a month was like on a path, in microseconds; NULL where too few days were seen.
CREATE TABLE series_months (
    month TEXT NOT NULL,
    path INTEGER NOT NULL,
    building BLOB NOT NULL,
    subnet BLOB NOT NULL,
    quiet_us INTEGER,
    busy_us INTEGER,
    PRIMARY KEY (month, path, building, subnet)
) STRICT, WITHOUT ROWID;

-- What is to be told: of each opening of an incident once, or about the collector, and then incident is NULL.
-- detail tells events of the same kind apart: the number of the maintenance after which it is worse, that of the
-- act by which somebody has seen it, the channel, the report. fate is 'untold' until it is placed, then 'placed', or 'nobody', and remark says why.
-- labels are what machines tell it from others by.
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    incident BLOB REFERENCES incidents (id),
    openings INTEGER NOT NULL,
    event TEXT NOT NULL,
    detail TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    fate TEXT NOT NULL,
    look_us INTEGER NOT NULL,
    remark TEXT,
    labels TEXT,
    UNIQUE (incident, openings, event, detail)
) STRICT;
CREATE INDEX events_untold ON events (look_us, id) WHERE fate = 'untold';
CREATE UNIQUE INDEX events_reports ON events (detail) WHERE event = 'report';
CREATE INDEX events_of_no_incident ON events (created_us) WHERE incident IS NULL;

-- state is 'pending', 'sent' or 'withheld'; bundle is the delivery that it is one message with; placed_us is
-- when it was to be sent first; left_for are those it is still to reach, a line each, when others have it. What is finished goes after a while, so the counts of all that ever were are kept beside it.
CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    event INTEGER NOT NULL REFERENCES events (id),
    channel TEXT NOT NULL,
    purpose TEXT NOT NULL,
    bundle INTEGER,
    state TEXT NOT NULL,
    placed_us INTEGER NOT NULL,
    due_us INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    detail TEXT,
    left_for TEXT,
    finished_us INTEGER,
    UNIQUE (event, channel, purpose)
) STRICT;
CREATE INDEX deliveries_pending ON deliveries (channel, id, due_us) WHERE state = 'pending';
CREATE INDEX deliveries_finished ON deliveries (finished_us) WHERE finished_us IS NOT NULL;

-- The channels of the configuration. told is 1 when it was told that it fails.
CREATE TABLE channels (
    name TEXT PRIMARY KEY NOT NULL,
    kind TEXT NOT NULL,
    taken_us INTEGER,
    failing_us INTEGER,
    told INTEGER NOT NULL,
    error TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE delivery_counts (
    state TEXT PRIMARY KEY NOT NULL,
    deliveries INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO delivery_counts VALUES ('sent', 0), ('withheld', 0);

-- Who did what. Entries are added, never changed, and go, oldest first, when they are older than they
-- are kept. link is SHA-256 over the link before and the entry; audit_kept has that of the last that went.
CREATE TABLE audit (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at_us INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL,
    link BLOB NOT NULL
) STRICT;
CREATE INDEX audit_by_time ON audit (at_us);

CREATE TABLE audit_kept (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    from_us INTEGER NOT NULL,
    gone_number INTEGER NOT NULL,
    gone_link BLOB NOT NULL
) STRICT;
INSERT INTO audit_kept VALUES (1, -9223372036854775808, 0, zeroblob(32));

CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit BEGIN
    SELECT raise(ABORT, 'an entry of the audit is never changed');
END;
CREATE TRIGGER audit_is_not_replaced BEFORE INSERT ON audit
WHEN EXISTS (SELECT 1 FROM audit WHERE number = NEW.number) BEGIN
    SELECT raise(ABORT, 'an entry of the audit is never changed');
END;
CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit
WHEN OLD.at_us >= (SELECT from_us FROM audit_kept) BEGIN
    SELECT raise(ABORT, 'an entry of the audit is kept for its time');
END;

-- Settings as they were told last, so that a change is audited.
CREATE TABLE settings (
    name TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Who may ask the query side. password_hash is a PHC string. buildings is NULL where all are seen, else
-- the 16 bytes of each one after the other. issuer and subject are set of whom an identity provider
-- proves; they have no password and are no administrators.
CREATE TABLE users (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    role TEXT NOT NULL,
    buildings BLOB,
    added_us INTEGER NOT NULL,
    signed_in_us INTEGER,
    issuer TEXT,
    subject TEXT,
    UNIQUE (issuer, subject),
    CHECK ((issuer IS NULL) = (subject IS NULL)),
    CHECK (issuer IS NULL OR (password_hash = '' AND role <> 'administrator'))
) STRICT;

-- Of a session's token only the SHA-256 is here.
CREATE TABLE sessions (
    token_sha256 BLOB PRIMARY KEY NOT NULL,
    user INTEGER NOT NULL REFERENCES users (number),
    begun_us INTEGER NOT NULL,
    used_us INTEGER NOT NULL,
    expires_us INTEGER NOT NULL,
    peer TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_of_users ON sessions (user, used_us);
CREATE INDEX sessions_expiring ON sessions (expires_us);

CREATE TABLE api_tokens (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    token_sha256 BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL,
    buildings BLOB,
    made_by TEXT NOT NULL,
    added_us INTEGER NOT NULL,
    expires_us INTEGER NOT NULL,
    used_us INTEGER
) STRICT;

-- What agents are to measure. A revision never changes; its body is a message that the store does not read.
CREATE TABLE configurations (
    revision INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    made_us INTEGER NOT NULL,
    made_by TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX configurations_by_name ON configurations (name, revision);

-- For whom a revision is in force. scope says what subject is: an identity's bytes, or those of a label;
-- nothing where it is for all.
CREATE TABLE configuration_assignments (
    scope TEXT NOT NULL,
    subject BLOB NOT NULL,
    revision INTEGER NOT NULL REFERENCES configurations (revision),
    from_us INTEGER NOT NULL,
    assigned_by TEXT NOT NULL,
    PRIMARY KEY (scope, subject)
) STRICT, WITHOUT ROWID;

CREATE TABLE agent_labels (
    agent BLOB NOT NULL REFERENCES agents (id),
    label TEXT NOT NULL,
    PRIMARY KEY (agent, label)
) STRICT, WITHOUT ROWID;

-- What agents said last that they run, and what became of the last that they were told.
CREATE TABLE agent_configurations (
    agent BLOB PRIMARY KEY NOT NULL REFERENCES agents (id),
    revision INTEGER NOT NULL,
    edition INTEGER NOT NULL,
    told_revision INTEGER NOT NULL,
    told_edition INTEGER NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    reported_us INTEGER NOT NULL,
    good_edition INTEGER NOT NULL,
    paused INTEGER NOT NULL,
    -- How far the collector's clock was ahead of the agent's, and whether the two are close enough for times
    -- that agents keep between them; NULL as long as it is not known.
    clock_offset_us INTEGER,
    clock_close INTEGER
) STRICT, WITHOUT ROWID;

-- Revisions that agents refused, or went back from, how often, and the content that they did so last. They
-- are not told them again, unless again is 1: somebody assigned them once more.
CREATE TABLE configuration_refusals (
    agent BLOB NOT NULL REFERENCES agents (id),
    revision INTEGER NOT NULL,
    edition INTEGER NOT NULL,
    times INTEGER NOT NULL,
    again INTEGER NOT NULL,
    reason TEXT NOT NULL,
    refused_us INTEGER NOT NULL,
    PRIMARY KEY (agent, revision)
) STRICT, WITHOUT ROWID;

-- What people did with incidents, oldest first. Rows are added and go with their incident; only the name of
-- who is forgotten is taken out of them. remark is what was said; name and contact are an owner's; other is
-- what it was merged into.
CREATE TABLE acts (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    incident BLOB NOT NULL REFERENCES incidents (id),
    openings INTEGER NOT NULL,
    at_us INTEGER NOT NULL,
    actor TEXT NOT NULL,
    act TEXT NOT NULL,
    remark TEXT,
    name TEXT,
    contact TEXT,
    other BLOB,
    other_number INTEGER
) STRICT;
CREATE INDEX acts_of_incidents ON acts (incident, number);
CREATE INDEX acts_that_stand ON acts (number) WHERE act <> 'note';

-- Who signed off which task of the calendar for which period. Rows are added and go when they are old.
CREATE TABLE sign_offs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    task TEXT NOT NULL,
    period TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    actor TEXT NOT NULL,
    note TEXT
) STRICT;
CREATE INDEX sign_offs_of_periods ON sign_offs (task, period);
CREATE INDEX sign_offs_by_time ON sign_offs (at_us);

-- Who answers for a cause in a region; '' where it is for all.
CREATE TABLE owners (
    cause TEXT NOT NULL,
    region TEXT NOT NULL,
    name TEXT NOT NULL,
    contact TEXT,
    at_us INTEGER NOT NULL,
    actor TEXT NOT NULL,
    PRIMARY KEY (cause, region)
) STRICT, WITHOUT ROWID;

-- Silences and maintenance. end_us is when it is over: as it was planned, or as it was ended by hand. turns
-- is 0 until the classes of what it covers were noted, and 2 when nothing is left to be done at its end.
CREATE TABLE quiets (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    from_us INTEGER NOT NULL,
    until_us INTEGER NOT NULL,
    end_us INTEGER NOT NULL,
    reason TEXT NOT NULL,
    actor TEXT NOT NULL,
    made_us INTEGER NOT NULL,
    ended_us INTEGER,
    ended_by TEXT,
    turns INTEGER NOT NULL
) STRICT;
CREATE INDEX quiets_by_end ON quiets (end_us);
CREATE INDEX quiets_turning ON quiets (from_us) WHERE turns < 2;

-- What a quiet time is for; subject is the bytes of an identity, a word or a name.
CREATE TABLE quiet_scopes (
    quiet INTEGER NOT NULL,
    position INTEGER NOT NULL,
    scope TEXT NOT NULL,
    subject BLOB NOT NULL,
    PRIMARY KEY (quiet, position)
) STRICT, WITHOUT ROWID;

-- How bad what is open was when maintenance began.
CREATE TABLE quiet_classes (
    quiet INTEGER NOT NULL,
    incident BLOB NOT NULL,
    openings INTEGER NOT NULL,
    class TEXT NOT NULL,
    PRIMARY KEY (quiet, incident)
) STRICT, WITHOUT ROWID;
