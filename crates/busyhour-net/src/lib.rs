//! busyhour-net
