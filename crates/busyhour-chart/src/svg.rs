//! The little of SVG that the pictures need.

use std::fmt::{self, Write as _};

use crate::palette::{Look, alone};

/// A finished picture: one `svg` element, well formed and escaped, ready to be put into a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Svg(String);

impl Svg {
    /// The markup.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The picture as a file of its own, with the style sheet inside.
    #[must_use]
    pub fn standalone(&self, look: Look) -> String {
        let (opening, rest) = self.0.split_once('>').unwrap_or((&self.0, ""));
        let css = alone(look);
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{opening}><style>{css}</style>{rest}\n"
        )
    }
}

impl fmt::Display for Svg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A rectangle, in the picture's units.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Area {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

/// Where a text is held.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// A picture in the making. Classes are ours; every text from outside goes through [`escape`].
pub(crate) struct Canvas(String);

impl Canvas {
    /// Begins a picture of `width` × `height` units with its accessible name.
    pub(crate) fn new(width: f64, height: f64, class: &str, name: &str) -> Self {
        let mut canvas = Self(String::with_capacity(32 * 1024));
        let (width, height, name) = (Num(width), Num(height), escape(name));
        canvas.put(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"bh {class}\" role=\"group\" \
             aria-label=\"{name}\" viewBox=\"0 0 {width} {height}\"><title>{name}</title>\n"
        ));
        canvas
    }

    /// Describes the picture at length, for those who do not see it.
    pub(crate) fn describe(&mut self, text: &str) {
        let text = escape(text);
        self.put(format_args!("<desc>{text}</desc>\n"));
    }

    /// Begins a group whose coordinates are counted from here.
    pub(crate) fn open(&mut self, x: f64, y: f64, class: &str) {
        let (x, y) = (Num(x), Num(y));
        self.put(format_args!("<g transform=\"translate({x} {y})\" class=\"{class}\">\n"));
    }

    /// Ends the group.
    pub(crate) fn close(&mut self) {
        self.put(format_args!("</g>\n"));
    }

    pub(crate) fn rect(&mut self, area: Area, class: &str) {
        self.put(format_args!("<rect {area} class=\"{class}\"/>\n"));
    }

    /// A rectangle with an accessible name, shown on hover as well.
    pub(crate) fn named_rect(&mut self, area: Area, class: &str, name: &str) {
        let name = escape(name);
        self.put(format_args!(
            "<rect {area} class=\"{class}\" role=\"img\" aria-label=\"{name}\">\
             <title>{name}</title></rect>\n"
        ));
    }

    /// An invisible area whose title is its accessible name: for the many that must be short.
    pub(crate) fn titled_area(&mut self, area: Area, name: &str) {
        let (x, y, width, height) = (Num(area.x), Num(area.y), Num(area.width), Num(area.height));
        let name = escape(name);
        self.put(format_args!(
            "<path d=\"M{x} {y}h{width}v{height}h-{width}\" role=\"img\">\
             <title>{name}</title></path>\n"
        ));
    }

    /// A shape inside a group whose other members speak for it.
    pub(crate) fn shape(&mut self, data: &str, class: &str) {
        self.put(format_args!("<path d=\"{data}\" class=\"{class}\"/>\n"));
    }

    /// A path with an accessible name, shown on hover as well.
    pub(crate) fn named_path(&mut self, data: &str, class: &str, name: &str) {
        let name = escape(name);
        self.put(format_args!(
            "<path d=\"{data}\" class=\"{class}\" role=\"img\" \
             aria-label=\"{name}\"><title>{name}</title></path>\n"
        ));
    }

    pub(crate) fn path(&mut self, data: &str, class: &str) {
        self.put(format_args!("<path d=\"{data}\" class=\"{class}\" aria-hidden=\"true\"/>\n"));
    }

    /// A text that repeats what an accessible name says already, or an axis label.
    pub(crate) fn text(&mut self, x: f64, y: f64, anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let (x, y, text) = (Num(x), Num(y), escape(text));
        self.put(format_args!(
            "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\" class=\"{class}\" \
             aria-hidden=\"true\">{text}</text>\n"
        ));
    }

    /// A line of text from outside that never leaves its area, whatever its letters are: cut by
    /// [`fit`], and clipped besides.
    pub(crate) fn outside_text(&mut self, area: Area, anchor: Anchor, class: &str, text: &str) {
        self.put(format_args!("<svg {area}>"));
        let x = match anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => area.width / 2.0,
            Anchor::End => area.width,
        };
        self.text(x, area.height * 0.75, anchor, class, text);
        self.put(format_args!("</svg>\n"));
    }

    pub(crate) fn finish(mut self) -> Svg {
        self.0.push_str("</svg>");
        Svg(self.0)
    }

    fn put(&mut self, arguments: fmt::Arguments<'_>) {
        self.0.write_fmt(arguments).expect("writing to a String cannot fail");
    }
}

impl fmt::Display for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (x, y, width, height) = (Num(self.x), Num(self.y), Num(self.width), Num(self.height));
        write!(f, "x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"")
    }
}

impl Area {
    /// Its outline as a part of a path.
    pub(crate) fn outline(self) -> String {
        let (x, y, width, height) = (Num(self.x), Num(self.y), Num(self.width), Num(self.height));
        format!("M{x} {y}h{width}v{height}h-{width}z")
    }
}

/// The diagonals that hatch an area, cut to it: the pattern of what is not known.
pub(crate) fn hatch(area: Area, step: f64) -> String {
    let mut data = String::new();
    let mut offset = step / 2.0;
    while offset < area.width + area.height {
        let (x0, y0) = (area.x + (offset - area.height).max(0.0), area.y + offset.min(area.height));
        let (x1, y1) = (area.x + offset.min(area.width), area.y + (offset - area.width).max(0.0));
        data += &format!("M{} {}L{} {}", Num(x0), Num(y0), Num(x1), Num(y1));
        offset += step;
    }
    data
}

/// A coordinate: one decimal, no trailing zero, so that output is short and the same everywhere.
/// What is not a number is drawn at 0.
pub(crate) struct Num(pub(crate) f64);

impl fmt::Display for Num {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = if self.0.is_finite() { (self.0 * 10.0).round() as i64 } else { 0 };
        let sign = if tenths < 0 { "-" } else { "" };
        let (whole, tenth) = (tenths.unsigned_abs() / 10, tenths.unsigned_abs() % 10);
        match tenth {
            0 => write!(f, "{sign}{whole}"),
            tenth => write!(f, "{sign}{whole}.{tenth}"),
        }
    }
}

/// Makes a text safe between tags and inside quoted attributes. Control characters that XML does
/// not allow, and those that turn the order of what stands beside them, become U+FFFD.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\t' | '\n' | '\r' => escaped.push(' '),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => escaped.push('\u{fffd}'),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A share (0..=1) as a percentage: one decimal below 10 %, and never 0 for what is not nothing.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent > 0.0 && percent < 0.05 {
        return "<0.1 %".to_owned();
    }
    if percent < 9.95 { format!("{percent:.1} %") } else { format!("{percent:.0} %") }
}

/// The most that a text is wide in units, at a font size: by the widest of the usual fonts, so that
/// what fits by this fits.
pub(crate) fn text_width(text: &str, size: f64) -> f64 {
    text.chars().map(character_width).sum::<f64>() * size
}

/// As much of a text as fits into a width, with an ellipsis where it was cut.
pub(crate) fn fit(text: &str, size: f64, width: f64) -> String {
    if text_width(text, size) <= width {
        return text.to_owned();
    }
    let mut left = width - text_width("…", size);
    let kept = text.chars().take_while(|&character| {
        left -= character_width(character) * size;
        left >= 0.0
    });
    kept.collect::<String>().trim_end().to_owned() + "…"
}

/// In units of the font size.
const fn character_width(character: char) -> f64 {
    match character {
        'i' | 'j' | 'l' | 't' | 'f' | 'r' | 'I' | ' ' | '.' | ',' | ':' | ';' | '\'' | '|'
        | '!' | '(' | ')' | '[' | ']' | '-' | '/' => 0.42,
        'm' | 'w' | 'M' | 'W' | '%' | '@' => 1.05,
        '\u{21}'..='\u{7e}' if character.is_ascii_uppercase() => 0.8,
        '\u{21}'..='\u{7e}' => 0.65,
        '\u{a0}'..='\u{24f}' => 0.9,
        '–' => 0.6,
        _ => 1.4,
    }
}
