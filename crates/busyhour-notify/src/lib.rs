//! busyhour-notify
