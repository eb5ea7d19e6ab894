//! The query side: a JSON API, a gRPC service and the page, all over the two store contracts.
//!
//! It shows what the judge decided and what was measured; it decides nothing itself, and names
//! neither ingest nor notify. Invariants: every request passes the guard (who asks, whether they may,
//! no write that a foreign page sent) before a handler sees it, and every route says who may use it;
//! a handler sees the store as who asks may see it; every query has a bounded range and a bounded
//! answer; store calls never run on the runtime's own threads; unknown is shown as unknown and
//! simulated data as simulated; secrets are kept as digests and shown once or never.

mod access;
mod app;
mod events;
mod finding;
mod gaps;
mod guard;
mod illustrator;
mod json;
mod large;
mod metrics;
mod openapi;
mod operation;
mod page;
mod place;
mod problem;
mod query;
mod rank;
mod review;
mod routes;
mod scoped;
mod serve;
mod signin;
mod smoke;
mod state;
mod text;
mod tls;
mod week;
mod weeks;

pub use app::{Clock, Figure, Services, StatusSource, route_list, router, serve, serve_tls};
pub use guard::{ListenRefused, Peer, check_listen};
pub use illustrator::{Illustrator, IncidentPicture};
pub use openapi::openapi;
pub use signin::door::{Door, SetUp, Transport};
pub use signin::password::{InvalidPassword, new_password};
pub use signin::provider::{
    InvalidAddress, InvalidProvider, InvalidRoots, InvalidRules, Provider, ProviderConfig, Rule,
};
pub use tls::{TlsConnection, TlsError, TlsListener, server_tls};
