//! busyhour-ingest
