//! Colours, once, for light and dark; the style sheet is made from them.

use std::fmt::Write as _;

/// The colours of one theme.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Theme {
    /// The ground that pictures stand on.
    pub(crate) ground: &'static str,
    /// Text and axes.
    pub(crate) ink: &'static str,
    /// Quiet text and grid.
    pub(crate) quiet: &'static str,
    /// What is not known, under its hatching.
    pub(crate) unknown: &'static str,
    /// Good, middling, bad: blue, yellow, red, apart for every kind of colour vision.
    pub(crate) severity: [&'static str; 3],
    /// Text on good, middling, bad.
    pub(crate) on_severity: [&'static str; 3],
    /// Shares of bad windows from little to much: each step further from the ground in lightness,
    /// so that their order needs no colour vision.
    pub(crate) heat: [&'static str; 5],
}

/// The theme of a picture that stands alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
    /// As the reader's system prefers.
    AsTheReader,
}

pub(crate) const LIGHT: Theme = Theme {
    ground: "#FFFFFF",
    ink: "#16202E",
    quiet: "#566173",
    unknown: "#E3E6EB",
    severity: ["#0072B2", "#F0E442", "#8B1A1A"],
    on_severity: ["#FFFFFF", "#16202E", "#FFFFFF"],
    heat: ["#C3DCF3", "#EFA94F", "#DB6328", "#A1243A", "#450B33"],
};

pub(crate) const DARK: Theme = Theme {
    ground: "#0F172A",
    ink: "#E8ECF3",
    quiet: "#A3AEC0",
    unknown: "#2B3649",
    severity: ["#2A6FDB", "#FFF3A0", "#E8603C"],
    on_severity: ["#FFFFFF", "#0F172A", "#0F172A"],
    heat: ["#21446F", "#8E5A94", "#E2766A", "#F9B24C", "#FFF8C8"],
};

const NAMES: [&str; 3] = ["good", "some", "bad"];

/// What the classes look like, in terms of the variables.
const RULES: &str = "\
.bh{display:block;width:100%;height:auto;font:11px system-ui,sans-serif;background:var(--bh-ground)}
.bh text{fill:var(--bh-ink)}
.bh text.faint{fill:var(--bh-quiet)}
.bh text.halo{paint-order:stroke;stroke:var(--bh-ground);stroke-width:4px;stroke-linejoin:round}
.bh text.strong{font-weight:600}
.bh .good{fill:var(--bh-good)}
.bh .some{fill:var(--bh-some)}
.bh .bad{fill:var(--bh-bad)}
.bh .unknown{fill:var(--bh-unknown)}
.bh .cell,.bh .mark{stroke:var(--bh-ink);stroke-width:.5}
.bh text.on-good{fill:var(--bh-on-good)}
.bh text.on-some{fill:var(--bh-on-some)}
.bh text.on-bad{fill:var(--bh-on-bad);font-weight:600}
.bh .hatch{fill:none;stroke:var(--bh-quiet);stroke-width:1}
.bh .frame{fill:none;stroke:var(--bh-ink);stroke-width:2.5}
.bh .axis{fill:none;stroke:var(--bh-quiet);stroke-width:1}
.bh .grid{fill:none;stroke:var(--bh-quiet);stroke-width:.5;stroke-dasharray:1 4}
.bh .office{fill:var(--bh-quiet);fill-opacity:.1}
.bh .band-99{fill:var(--bh-good);fill-opacity:.25}
.bh .band-90{fill:var(--bh-good);fill-opacity:.6}
.bh .median{fill:none;stroke:var(--bh-ink);stroke-width:1.5}
.bh .average{fill:none;stroke:var(--bh-ink);stroke-width:2.5;stroke-dasharray:10 4}
.bh .limit{fill:none;stroke:var(--bh-bad);stroke-width:1.5;stroke-dasharray:2 3}
.bh .change{fill:none;stroke:var(--bh-ink);stroke-width:1;stroke-dasharray:4 3}
.bh .hit{fill:transparent}
.bh .hit:hover{fill:var(--bh-quiet);fill-opacity:.2}
.bh [role=img]:focus{outline:none;stroke:var(--bh-ink);stroke-width:3}
.bh text.head{font-size:14px;font-weight:600}
.bh .faded path[class]{opacity:.4}
.bh .days{stroke-width:2}
.bh .configured{stroke-dasharray:5 3}
.bh .days-halo{fill:none;stroke:var(--bh-ground);stroke-width:4}
.bh .hours{fill:none;stroke:var(--bh-ink);stroke-width:1;stroke-dasharray:2 3}
.bh .bracket{fill:none;stroke:var(--bh-ink);stroke-width:2.5}
.bh .work{fill:var(--bh-some);stroke:var(--bh-ink);stroke-width:1}
.bh .tick{fill:none;stroke:var(--bh-ink);stroke-width:2}
.bh .tick-halo{fill:none;stroke:var(--bh-ground);stroke-width:4}
.bh-finding>rect,.bh-finding>path,.bh-finding>text{pointer-events:none}
.bh .row path{stroke-width:16}
.bh .row .half{stroke-width:8}
.bh .row .hatch{stroke-width:1}
.bh .row [role=img]{fill:transparent;stroke-width:3}
.bh .row [role=img]:hover{fill:var(--bh-quiet);fill-opacity:.3}
.bh path.heat-0{fill:none;stroke:var(--bh-heat-0)}
.bh path.heat-1{fill:none;stroke:var(--bh-heat-1)}
.bh path.heat-2{fill:none;stroke:var(--bh-heat-2)}
.bh path.heat-3{fill:none;stroke:var(--bh-heat-3)}
.bh path.heat-4{fill:none;stroke:var(--bh-heat-4)}
.bh rect.heat-0{fill:var(--bh-heat-0)}
.bh rect.heat-1{fill:var(--bh-heat-1)}
.bh rect.heat-2{fill:var(--bh-heat-2)}
.bh rect.heat-3{fill:var(--bh-heat-3)}
.bh rect.heat-4{fill:var(--bh-heat-4)}
.bh-strip{width:auto;height:1.25rem}
";

/// The style sheet that the pictures need: colours for light and dark, then the classes.
#[must_use]
pub fn stylesheet() -> String {
    let mut css = format!(":root{{color-scheme:light dark;{}}}\n", variables(&LIGHT));
    let dark = variables(&DARK);
    write!(css, "@media(prefers-color-scheme:dark){{:root{{{dark}}}}}\n{RULES}")
        .expect("writing to a String cannot fail");
    css
}

/// The style sheet of a picture that stands alone. In one theme it has no variables and no media
/// query, for whoever knows neither: mail programs, and what makes bitmaps.
pub(crate) fn alone(look: Look) -> String {
    let theme = match look {
        Look::Light => LIGHT,
        Look::Dark => DARK,
        Look::AsTheReader => return stylesheet(),
    };
    let mut css = RULES.to_owned();
    for variable in variables(&theme).split_terminator(';') {
        if let Some((name, colour)) = variable.split_once(':') {
            css = css.replace(&format!("var({name})"), colour);
        }
    }
    css
}

fn variables(theme: &Theme) -> String {
    let mut css = format!(
        "--bh-ground:{};--bh-ink:{};--bh-quiet:{};--bh-unknown:{};",
        theme.ground, theme.ink, theme.quiet, theme.unknown
    );
    for ((name, colour), on) in NAMES.iter().zip(theme.severity).zip(theme.on_severity) {
        write!(css, "--bh-{name}:{colour};--bh-on-{name}:{on};")
            .expect("writing to a String cannot fail");
    }
    for (step, colour) in theme.heat.iter().enumerate() {
        write!(css, "--bh-heat-{step}:{colour};").expect("writing to a String cannot fail");
    }
    css
}

#[cfg(test)]
mod tests;
