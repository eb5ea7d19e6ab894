//! busyhour-sim
