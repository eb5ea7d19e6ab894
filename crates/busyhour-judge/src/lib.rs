//! busyhour-judge
