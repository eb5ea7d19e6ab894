//! busyhour-delivery
