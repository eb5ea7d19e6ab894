//! A small picture of lines over logarithmic axes.

use std::fmt::Write as _;

/// One line.
pub(crate) struct Line {
    pub(crate) name: &'static str,
    pub(crate) points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 380.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 60.0;
const TOP: f64 = 16.0;
const PLOT_WIDTH: f64 = 300.0;
const PLOT_HEIGHT: f64 = 190.0;
/// Told apart by colour, by dash, and by a mark.
const LOOKS: [(&str, &str); 4] =
    [("#0072B2", ""), ("#8B1A1A", "6 3"), ("#566173", "2 3"), ("#B8860B", "10 3 2 3")];

/// Draws panels beside each other: the name of the axis below, and its lines.
pub(crate) fn drawn(panels: &[(&str, [Line; 4])]) -> String {
    let width = WIDTH * panels.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {HEIGHT}\" \
         font-family=\"system-ui,sans-serif\" font-size=\"11\" fill=\"#16202E\">\n\
         <title>What the store costs as it grows</title>\n\
         <rect width=\"{width}\" height=\"{HEIGHT}\" fill=\"#FFFFFF\"/>\n"
    );
    for (at, (axis, lines)) in panels.iter().enumerate() {
        let _ = writeln!(svg, "<g transform=\"translate({} 0)\">", WIDTH * at as f64);
        panel(&mut svg, axis, lines);
        svg.push_str("</g>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

/// The powers of ten around some figures.
fn decades(figures: impl Iterator<Item = f64>) -> (f64, f64) {
    let figures = figures.filter(|figure| *figure > 0.0).map(f64::log10);
    let (low, high) = figures.fold((f64::MAX, f64::MIN), |(l, h), f| (l.min(f), h.max(f)));
    let (low, high) = (low.floor(), high.ceil());
    if low < high { (low, high) } else { (low, low + 1.0) }
}

fn panel(svg: &mut String, axis: &str, lines: &[Line; 4]) {
    let points = || lines.iter().flat_map(|line| &line.points);
    let (x_low, x_high) = decades(points().map(|point| point.0));
    let (y_low, y_high) = decades(points().map(|point| point.1));
    let x = |value: f64| LEFT + (value.log10() - x_low) / (x_high - x_low) * PLOT_WIDTH;
    let y = |value: f64| TOP + (y_high - value.log10()) / (y_high - y_low) * PLOT_HEIGHT;
    for power in y_low as i32..=y_high as i32 {
        let (value, right) = (10_f64.powi(power), LEFT + PLOT_WIDTH);
        let at = y(value);
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT} {at:.1}H{right}\" stroke=\"#E3E6EB\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 6.0,
            at + 4.0,
            short(value)
        );
    }
    for power in x_low as i32..=x_high as i32 {
        let value = 10_f64.powi(power);
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            x(value),
            TOP + PLOT_HEIGHT + 16.0,
            short(value)
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{axis}</text>",
        LEFT + PLOT_WIDTH / 2.0,
        TOP + PLOT_HEIGHT + 32.0
    );
    for (number, (line, (colour, dash))) in lines.iter().zip(LOOKS).enumerate() {
        let path: Vec<String> =
            line.points.iter().map(|&(a, b)| format!("{:.1} {:.1}", x(a), y(b))).collect();
        let _ = writeln!(
            svg,
            "<path d=\"M{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" \
             stroke-dasharray=\"{dash}\"/>",
            path.join("L")
        );
        for &(a, b) in &line.points {
            let (a, b) = (x(a), y(b));
            let _ =
                writeln!(svg, "<circle cx=\"{a:.1}\" cy=\"{b:.1}\" r=\"3\" fill=\"{colour}\"/>");
        }
        let (left, top) = (
            LEFT + (number % 2) as f64 * 160.0,
            TOP + PLOT_HEIGHT + 50.0 + (number / 2) as f64 * 16.0,
        );
        let _ = writeln!(
            svg,
            "<path d=\"M{left} {top}h24\" stroke=\"{colour}\" stroke-width=\"2\" \
             stroke-dasharray=\"{dash}\"/><text x=\"{}\" y=\"{}\">{}</text>",
            left + 30.0,
            top + 4.0,
            line.name
        );
    }
}

/// A power of ten in few letters.
fn short(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{} M", value / 1e6),
        value if value >= 1e3 => format!("{} k", value / 1e3),
        value => format!("{value}"),
    }
}
