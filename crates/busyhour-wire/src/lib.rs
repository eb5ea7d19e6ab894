//! busyhour-wire
