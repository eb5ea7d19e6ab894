//! What the rows of days promise, and what recurs in them, at the crate's boundary.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod again;
mod busy_hours;
mod early;
mod every_input;
mod history;
mod hours;
mod made;
mod recurring;
mod series_days;
mod shifts;
mod world;
