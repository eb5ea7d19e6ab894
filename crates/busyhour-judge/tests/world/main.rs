//! The judge over the real store, fed day by day with generated worlds: it finds what the engine finds
//! in the same slots, however it is stopped, and whenever data come.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod found;
mod hours;
mod live;
mod off_site;
mod placed;
mod reference;
mod stops;
mod street;
