//! The API and the page at their boundary: requests in, answers out, on a real store.

mod access;
mod accounts;
mod agents;
mod configurations;
mod forget;
mod history;
mod identities;
mod import;
mod incidents;
mod lists;
mod loads;
mod metrics;
mod page;
mod people;
mod provider;
mod provider_stub;
mod quality;
mod reports;
mod roles;
mod sign_in;
mod support;
mod tasks;
mod telemetry;
