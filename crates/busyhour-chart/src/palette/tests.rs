use super::*;

type Rgb = [f64; 3];
type Matrix = [[f64; 3]; 3];

/// Machado, Oliveira, Fernandes 2009, severity 1.0, on linear RGB.
const VISIONS: [(&str, Matrix); 4] = [
    ("normal", [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
    (
        "protanopia",
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
    ),
    (
        "deuteranopia",
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ],
    ),
    (
        "tritanopia",
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ],
    ),
];

fn linear(hex: &str) -> Rgb {
    [1, 3, 5].map(|at| {
        let c = f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0;
        if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
    })
}

fn times(matrix: &Matrix, v: Rgb) -> Rgb {
    matrix.map(|row| row.iter().zip(v).map(|(a, b)| a * b).sum::<f64>())
}

/// Björn Ottosson's OKLab, scaled so that white is at 100.
fn oklab(rgb: Rgb) -> Rgb {
    let lms = times(
        &[
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ],
        rgb,
    )
    .map(f64::cbrt);
    times(
        &[
            [21.04542553, 79.36177850, -0.40720468],
            [197.79984951, -242.85922050, 45.05937099],
            [2.59040371, 78.27717662, -80.86757660],
        ],
        lms,
    )
}

/// WCAG 2 contrast.
fn contrast(a: &str, b: &str) -> f64 {
    let luminance = |hex| {
        let [r, g, b] = linear(hex);
        0.2126 * r + 0.7152 * g + 0.0722 * b
    };
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

fn distance(a: Rgb, b: Rgb) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

fn seen_by(matrix: &Matrix, hex: &str) -> Rgb {
    oklab(times(matrix, linear(hex)).map(|c| c.clamp(0.0, 1.0)))
}

#[test]
fn severities_are_told_apart_by_every_kind_of_colour_vision() {
    for (theme, name) in [(LIGHT, "light"), (DARK, "dark")] {
        for (vision, matrix) in &VISIONS {
            let seen = theme.severity.map(|hex| seen_by(matrix, hex));
            for (i, j) in [(0, 1), (0, 2), (1, 2)] {
                let distance = distance(seen[i], seen[j]);
                assert!(distance >= 20.0, "{name} {vision} {i}-{j}: {distance:.1}");
            }
        }
    }
}

#[test]
fn shares_are_told_apart_and_ordered_by_lightness_for_every_kind_of_colour_vision() {
    for (theme, name) in [(LIGHT, "light"), (DARK, "dark")] {
        for (vision, matrix) in &VISIONS {
            let ground = seen_by(matrix, theme.ground);
            let seen = theme.heat.map(|hex| seen_by(matrix, hex));
            for (i, a) in seen.iter().enumerate() {
                for (j, b) in seen.iter().enumerate().skip(i + 1) {
                    let distance = distance(*a, *b);
                    assert!(distance >= 12.0, "{name} {vision} {i}-{j}: {distance:.1}");
                }
            }
            let contrasts = seen.map(|lab| (lab[0] - ground[0]).abs());
            assert!(contrasts.is_sorted_by(|a, b| b - a >= 6.0), "{name} {vision} {contrasts:?}");
        }
    }
}

#[test]
fn what_is_missing_is_not_taken_for_what_is_good() {
    for (theme, name) in [(LIGHT, "light"), (DARK, "dark")] {
        for (vision, matrix) in &VISIONS {
            let good = seen_by(matrix, theme.heat[0]);
            // Missing is the bare ground and the hatching on it.
            for hex in [theme.ground, theme.quiet] {
                let distance = distance(good, seen_by(matrix, hex));
                assert!(distance >= 10.0, "{name} {vision} {hex}: {distance:.1}");
            }
        }
        assert!(contrast(theme.quiet, theme.ground) >= 4.5, "the hatching is seen");
    }
}

#[test]
fn texts_and_marks_stand_out_from_what_is_under_them() {
    for theme in [LIGHT, DARK] {
        assert!(contrast(theme.ink, theme.ground) >= 7.0);
        assert!(contrast(theme.quiet, theme.ground) >= 4.5);
        assert!(contrast(theme.ink, theme.unknown) >= 4.5);
        assert!(contrast(theme.quiet, theme.unknown) >= 3.0, "the hatching must be seen");
        for (colour, on) in theme.severity.iter().zip(theme.on_severity) {
            assert!(contrast(colour, on) >= 4.5, "{on} on {colour}");
            // Marks are outlined in ink, so either the colour or the outline must stand out.
            assert!(contrast(colour, theme.ground).max(contrast(theme.ink, theme.ground)) >= 3.0);
        }
        // The limit line and the bad mark are drawn in this colour without help.
        assert!(contrast(theme.severity[2], theme.ground) >= 3.0);
    }
}

#[test]
fn the_style_sheet_holds_both_themes_and_balances() {
    let css = stylesheet();
    assert!(css.contains("prefers-color-scheme:dark"));
    for colour in LIGHT.severity.iter().chain(&DARK.severity) {
        assert!(css.contains(colour));
    }
    assert_eq!(css.matches('{').count(), css.matches('}').count());
}

#[test]
fn a_picture_that_stands_alone_in_one_theme_needs_no_variables() {
    for (look, theme) in [(Look::Light, LIGHT), (Look::Dark, DARK)] {
        let css = alone(look);
        assert!(!css.contains("var("), "{css}");
        assert!(!css.contains('@'), "{css}");
        for colour in theme.severity.iter().chain(&theme.heat) {
            assert!(css.contains(colour), "{colour}");
        }
    }
    assert_eq!(alone(Look::AsTheReader), stylesheet());
}
