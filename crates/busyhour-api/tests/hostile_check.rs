//! Temporary.
#![allow(dead_code)]
#[path = "api/hostile.rs"]
mod hostile;
#[path = "api/support.rs"]
mod support;
