//! busyhour-collector
