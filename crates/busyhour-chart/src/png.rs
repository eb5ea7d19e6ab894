//! A picture as PNG, for programs that do not show SVG: mail, above all.
//!
//! The letters are in the program, as the machine that draws may have none: a part of DejaVu Sans with Latin,
//! Greek and Cyrillic (`fonts/LICENSE`). What it has no letter for is drawn as an empty box; the picture's
//! words say it all the same.

use std::sync::{Arc, LazyLock};

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

use crate::{Look, Svg};

const REGULAR: &[u8] = include_bytes!("../fonts/DejaVuSans.ttf");
const BOLD: &[u8] = include_bytes!("../fonts/DejaVuSans-Bold.ttf");
const FAMILY: &str = "DejaVu Sans";
/// Pixels each way for a unit of the picture: screens that people read mail on have two.
const SCALE: f32 = 2.0;
/// The most pixels each way; the pictures here have less than half of it.
const MAX_PIXELS: f32 = 4_096.0;

static FONTS: LazyLock<Arc<fontdb::Database>> = LazyLock::new(|| {
    let mut fonts = fontdb::Database::new();
    fonts.load_font_data(REGULAR.to_vec());
    fonts.load_font_data(BOLD.to_vec());
    fonts.set_sans_serif_family(FAMILY);
    Arc::new(fonts)
});

/// A picture made of pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Png {
    /// The file.
    pub bytes: Vec<u8>,
    /// How wide it is to be shown, in CSS pixels: half of its own pixels.
    pub width: u32,
}

impl Svg {
    /// The picture on a light ground, drawn with twice as many pixels each way as it has units. `None` when
    /// it is larger than any of ours.
    #[must_use]
    pub fn png(&self) -> Option<Png> {
        let options = Options {
            font_family: FAMILY.to_owned(),
            fontdb: Arc::clone(&FONTS),
            ..Options::default()
        };
        let tree = Tree::from_str(&self.standalone(Look::Light), &options).ok()?;
        let size = tree.size();
        let (width, height) = ((size.width() * SCALE).ceil(), (size.height() * SCALE).ceil());
        if width > MAX_PIXELS || height > MAX_PIXELS {
            return None;
        }
        let mut pixels = Pixmap::new(width as u32, height as u32)?;
        pixels.fill(resvg::tiny_skia::Color::WHITE);
        resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut pixels.as_mut());
        let bytes = pixels.encode_png().ok()?;
        Some(Png { bytes, width: size.width().ceil() as u32 })
    }
}
