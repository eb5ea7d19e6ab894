//! The API and the page at their boundary: requests in, answers out, on a real store.

mod access;
mod agents;
mod forget;
mod history;
mod import;
mod incidents;
mod loads;
mod page;
mod quality;
mod support;
mod telemetry;
