//! The model against published and independently computed check values, which are data beside this
//! file.

use std::collections::HashMap;

use proptest::prelude::*;

use super::narrowband::{delay_impairment, equipment_impairment};
use super::*;

mod windows;

/// Check values are printed with so many digits.
const EXACT: f64 = 1e-6;

/// A case's name, its inputs, the terms it must come to.
type Case<'a> = (&'a str, HashMap<&'a str, f64>, Vec<(&'a str, &'a str)>);

fn cases(text: &str) -> Vec<Case<'_>> {
    let pairs = |text| str::split_whitespace(text).map(|pair| pair.split_once('=').unwrap());
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let mut parts = line.split('|').map(str::trim);
            let name = parts.next().unwrap();
            let inputs = pairs(parts.next().unwrap())
                .map(|(field, value)| (field, value.parse().unwrap()))
                .collect();
            (name, inputs, pairs(parts.next().unwrap()).collect())
        })
        .collect()
}

/// Half a unit of the last digit printed, and a little for the arithmetic.
fn assert_printed(case: &str, term: &str, found: f64, printed: &str) {
    let digits = printed.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let printed: f64 = printed.parse().unwrap();
    let within = if digits == 0 { EXACT } else { 0.51 * 10f64.powi(-(digits as i32)) };
    assert!(
        (found - printed).abs() <= within.max(EXACT),
        "{case}: {term} is {found}, not {printed}"
    );
}

#[test]
fn the_narrowband_model_comes_to_its_check_values() {
    for (case, inputs, terms) in cases(include_str!("tests/g107.txt")) {
        let mut connection = Narrowband::default();
        for (field, &value) in &inputs {
            match *field {
                "delay_ms" => connection = connection.with_delay(value),
                "ppl" => connection.ppl_percent = value,
                "ie" => connection.ie = value,
                "bpl" => connection.bpl = value,
                "burst_ratio" => connection.burst_ratio = value,
                "stmr" => connection.stmr = value,
                "qdu" => connection.qdu = value,
                "ps" => connection.ps = value,
                "pr" => connection.pr = value,
                other => panic!("{case}: no input {other}"),
            }
        }
        let found = connection.rate();
        for (term, printed) in terms {
            let found = match term {
                "no" => found.no,
                "ro" => found.ro,
                "iolr" => found.iolr,
                "ist" => found.ist,
                "iq" => found.iq,
                "is" => found.is,
                "idte" => found.idte,
                "idle" => found.idle,
                "idd" => found.idd,
                "ie_eff" => found.ie_eff,
                "r" => found.r,
                "mos" => mos(found.r),
                other => panic!("{case}: no term {other}"),
            };
            assert_printed(case, term, found, printed);
        }
    }
}

#[test]
fn the_wideband_model_comes_to_its_check_values() {
    for (case, inputs, terms) in cases(include_str!("tests/g107_1.txt")) {
        let input = |field, default| inputs.get(field).copied().unwrap_or(default);
        let connection = Wideband {
            ta_ms: input("ta_ms", 0.0),
            ie: input("ie", 0.0),
            bpl: input("bpl", 4.3),
            ppl_percent: input("ppl", 0.0),
        };
        let found = connection.rate();
        for (term, printed) in terms {
            let found = match term {
                "idd" => found.idd,
                "ie_eff" => found.ie_eff,
                "r" => found.r,
                "mos" => found.mos(),
                other => panic!("{case}: no term {other}"),
            };
            assert_printed(case, term, found, printed);
        }
    }
}

#[test]
fn without_echo_the_terms_come_to_the_simplified_check_values() {
    // 93.2 without echo: (delay in ms, loss in percent, Ie, Bpl), R, score.
    for ((delay_ms, loss, ie, bpl), r, score) in [
        ((0.0, 0.0, 0.0, 4.3), None, 4.409286),
        ((150.0, 0.0, 0.0, 4.3), Some(93.036469), 4.406098),
        ((250.0, 0.0, 0.0, 4.3), Some(84.283290), 4.175084),
        ((300.0, 0.0, 0.0, 4.3), Some(78.439305), 3.963668),
        ((400.0, 0.0, 0.0, 4.3), Some(69.129911), 3.555932),
        ((150.0, 1.0, 11.0, 19.0), Some(77.836469), 3.939668),
        ((250.0, 10.0, 0.0, 25.1), Some(57.217763), 2.954947),
        ((400.0, 20.0, 11.0, 19.0), Some(15.052988), 1.124536),
    ] {
        let found = 93.2
            - delay_impairment(delay_ms, DelayClass::Default)
            - equipment_impairment(ie, bpl, loss, 1.0);
        if let Some(r) = r {
            assert!((found - r).abs() <= EXACT, "{delay_ms} ms, {loss} %: {found}, not {r}");
        }
        assert!((mos(found) - score).abs() <= EXACT, "{delay_ms} ms, {loss} %: {}", mos(found));
    }
}

#[test]
fn the_published_limits_lie_where_callers_are_content() {
    // 93.2 without echo, a buffer of 40 ms, 20 ms of voice a packet: (network's delay in ms, loss in
    // percent), R, score. First the limits of both segments, then the classifiers'.
    for ((network_ms, buffer_ms, loss), r, score) in [
        ((30.0, 40.0, 0.1), 92.82, 4.40),
        ((50.0, 40.0, 1.0), 89.56, 4.33),
        ((250.0, 40.0, 0.0), 77.34, 3.92),
        ((0.0, 40.0, 10.0), 66.13, 3.41),
        ((250.0, 60.0, 10.0), 48.2, 2.48),
    ] {
        let ta_ms = network_ms + buffer_ms + 20.0 + 0.25;
        let found = 93.2
            - delay_impairment(ta_ms, DelayClass::Default)
            - equipment_impairment(0.0, 25.1, loss, 1.0);
        assert!((found - r).abs() < 0.05, "{network_ms} ms, {loss} %: {found}");
        assert!((mos(found) - score).abs() < 0.0051, "{network_ms} ms, {loss} %: {}", mos(found));
    }
}

#[test]
fn a_rating_becomes_a_score_between_one_and_four_and_a_half() {
    for (r, score) in [
        (50.0, 2.575),
        (60.0, 3.1),
        (70.0, 3.597),
        (80.0, 4.024),
        (90.0, 4.339),
        (100.0, 4.5),
        (250.0, 4.5),
        (0.0, 1.0),
        (-40.0, 1.0),
        // The cubic is lowest here, at 0.98884.
        (3.222, 1.0),
        (f64::NAN, 1.0),
    ] {
        assert!((mos(r) - score).abs() < 1e-9, "{r}: {}", mos(r));
    }
}

#[test]
fn the_shares_of_content_and_annoyed_are_those_of_annex_b() {
    assert!((good_or_better_percent(93.2) - 98.10).abs() < 0.005);
    assert!((poor_or_worse_percent(93.2) - 0.13).abs() < 0.005);
    assert!((good_or_better_percent(60.0) - 50.0).abs() < 1e-12);
    assert!((poor_or_worse_percent(45.0) - 50.0).abs() < 1e-12);
    assert_eq!(good_or_better_percent(1e9), 100.0);
    assert_eq!(poor_or_worse_percent(1e9), 0.0);
}

#[test]
fn sensitivity_to_delay_begins_later_where_it_is_low() {
    let at = |ms, class| delay_impairment(ms, class);
    assert_eq!(at(120.0, DelayClass::Low), 0.0);
    assert_eq!(at(150.0, DelayClass::VeryLow), 0.0);
    for ms in [160.0, 300.0, 500.0] {
        let [ordinary, low, very_low] =
            [DelayClass::Default, DelayClass::Low, DelayClass::VeryLow].map(|class| at(ms, class));
        assert!(ordinary >= 0.0 && low >= 0.0 && very_low >= 0.0, "{ms}");
        if ms >= 300.0 {
            assert!(ordinary > low && low > very_low, "{ms}: {ordinary} {low} {very_low}");
        }
    }
}

#[test]
fn the_advantage_of_access_is_added() {
    let plain = Narrowband::default();
    let mobile = Narrowband { advantage: 5.0, ..plain };
    assert!((mobile.rate().r - plain.rate().r - 5.0).abs() < 1e-9);
}

#[test]
fn codecs_have_names_of_their_own_and_figures_only_where_some_are_published() {
    let mut names: Vec<&str> = CODECS.iter().map(|codec| codec.name).collect();
    assert!(CODECS.iter().all(|codec| Codec::named(codec.name) == Some(codec)));
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), CODECS.len());
    assert_eq!(Codec::named("g711-plc"), Some(REFERENCE_CODEC));
    assert_eq!(REFERENCE_CODEC.figures(), Some((0.0, 25.1)));
    assert_eq!(REFERENCE_CODEC.label, "G.711 with packet loss concealment (reference)");
    for name in ["opus", "silk", "satin"] {
        let codec = Codec::named(name).unwrap();
        assert_eq!((codec.ie, codec.figures()), (None, None), "{name}");
    }
    let usable: Vec<&str> =
        CODECS.iter().filter(|codec| codec.figures().is_some()).map(|codec| codec.name).collect();
    assert_eq!(
        usable,
        ["g711-plc", "g711", "g729a-vad", "amr-wb-12.65", "amr-wb-23.05", "amr-wb-23.85"]
    );
}

proptest! {
    #[test]
    fn more_delay_or_loss_never_makes_a_better_call(
        delay in 0.0f64..2_000.0, more_delay in 0.0f64..500.0,
        loss in 0.0f64..100.0, more_loss in 0.0f64..50.0,
        burst in 1.0f64..40.0,
    ) {
        let narrow = |delay, loss| {
            let connection = Narrowband { ppl_percent: loss, burst_ratio: burst, bpl: 25.1,
                ..Narrowband::default().with_delay(delay) };
            connection.rate().r
        };
        let wide = |delay, loss| {
            Wideband { ta_ms: delay, ppl_percent: loss, ie: 8.0, bpl: 4.6 }.rate()
        };
        let worse_loss = (loss + more_loss).min(100.0);
        // Sidetone gains a millionth while its echo fades.
        prop_assert!(narrow(delay + more_delay, loss) <= narrow(delay, loss) + 1e-4);
        prop_assert!(narrow(delay, worse_loss) <= narrow(delay, loss));
        prop_assert!(wide(delay + more_delay, loss).r <= wide(delay, loss).r + 1e-9);
        prop_assert!(wide(delay, worse_loss).r <= wide(delay, loss).r + 1e-9);
        for score in [mos(narrow(delay, loss)), wide(delay, loss).mos()] {
            prop_assert!((1.0..=4.5).contains(&score), "{}", score);
        }
        for share in [good_or_better_percent(narrow(delay, loss)), poor_or_worse_percent(narrow(delay, loss))] {
            prop_assert!((0.0..=100.0).contains(&share), "{}", share);
        }
    }

    #[test]
    fn a_better_rating_never_scores_lower(r in -50.0f64..200.0, more in 0.0f64..50.0) {
        prop_assert!(mos(r + more) >= mos(r) - 1e-12);
        prop_assert!(good_or_better_percent(r + more) >= good_or_better_percent(r) - 1e-9);
        prop_assert!(poor_or_worse_percent(r + more) <= poor_or_worse_percent(r) + 1e-9);
    }
}
