-- Records of one subject (a path, or an agent), many in a body. Packs of a subject may overlap in time; a
-- record is in one of them.
CREATE TABLE packs (
    id INTEGER PRIMARY KEY,
    subject ANY NOT NULL,
    first_us INTEGER NOT NULL,
    last_us INTEGER NOT NULL,
    records INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX packs_of_subject ON packs (subject, first_us, last_us, records);
