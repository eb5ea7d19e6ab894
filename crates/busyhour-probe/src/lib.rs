//! busyhour-probe
