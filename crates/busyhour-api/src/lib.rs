//! busyhour-api
