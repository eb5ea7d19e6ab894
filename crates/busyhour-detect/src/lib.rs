//! busyhour-detect
