//! busyhour-host
