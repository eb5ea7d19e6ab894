//! busyhour-agent
