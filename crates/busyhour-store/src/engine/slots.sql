-- A path's day of UTC; id is 8 x path + the day's place in the week from Monday, so that a path's days are
-- neighbours. What questions over many paths read is apart from what takes more room.
CREATE TABLE tallies (
    id INTEGER PRIMARY KEY,
    body BLOB NOT NULL
) STRICT;
CREATE TABLE counts (
    id INTEGER PRIMARY KEY,
    slots INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
-- Six hours of a path's day; id is 4 x that of the day + which six hours.
CREATE TABLE details (
    id INTEGER PRIMARY KEY,
    figures BLOB NOT NULL,
    sketches BLOB NOT NULL
) STRICT;
-- How the windows of the same six hours are spread: what judging very many days reads of figures.
CREATE TABLE spreads (
    id INTEGER PRIMARY KEY,
    body BLOB NOT NULL
) STRICT;
