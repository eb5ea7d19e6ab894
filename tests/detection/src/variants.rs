//! The detector otherwise than it comes: without a rule, with other thresholds.

use busyhour_detect::{Params, Rule};

use crate::harness::Method;

/// As it comes, without each of its rules, and with other numbers of days.
#[must_use]
pub fn ablations() -> Vec<Method> {
    let without = |rule: Rule| {
        let params = Params::default();
        let params = Params { rules: params.rules.without(rule), ..params };
        Method::variant(format!("without {}", rule.as_str()), params)
    };
    let mut methods = vec![Method::detector()];
    methods.extend(Rule::ALL.map(without));
    methods.extend([(1, 1), (2, 5), (4, 10)].map(recurs));
    methods
}

/// Each threshold from timid to bold, the others as they come.
#[must_use]
pub fn curves() -> Vec<Method> {
    let share = |permille: u32| {
        let params = Params { bad_permille: permille, ..Params::default() };
        Method::variant(format!("worst hour from {} %", f64::from(permille) / 10.0), params)
    };
    let floor = |windows: u32| {
        let params = Params { bad_windows: windows, ..Params::default() };
        Method::variant(format!("from {windows} bad windows"), params)
    };
    let shares = [30, 40, 50, 60, 80, 100, 120].map(share);
    let floors = [3, 4, 5, 6, 8, 10].map(floor);
    let days =
        [(2, 3), (2, 5), (3, 4), (3, 5), (3, 6), (3, 7), (4, 5), (4, 7), (4, 10)].map(recurs);
    shares.into_iter().chain(floors).chain(days).collect()
}

fn recurs((recurs, of_days): (u32, u32)) -> Method {
    let params = Params { recurs, of_days, ..Params::default() };
    Method::variant(format!("{recurs} of {of_days}"), params)
}
