//! busyhour-daemon
