//! busyhour-chart
