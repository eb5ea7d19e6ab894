//! The query side: a JSON API and the page, both over the two store contracts.
//!
//! It shows what the judge decided and what was measured; it decides nothing itself, and names
//! neither ingest nor notify. Invariants: every request passes the guard (loopback peer, loopback
//! host name, JSON for writes) before a handler sees it; every query has a bounded range and a
//! bounded answer; store calls never run on the runtime's own threads; unknown is shown as unknown
//! and simulated data as simulated.

mod app;
mod finding;
mod gaps;
mod guard;
mod json;
mod page;
mod place;
mod problem;
mod rank;
mod state;
mod text;
mod week;
mod weeks;

pub use app::{Clock, Figure, Services, StatusSource, router, serve};
pub use guard::{ListenRefused, Principal, check_listen};
