//! busyhour-cli
