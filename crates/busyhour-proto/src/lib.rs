//! busyhour-proto
