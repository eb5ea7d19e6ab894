//! Texts that people write.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A text that nobody can be shown, or that is too long.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidRemark {
    /// There is nothing in it.
    #[error("the text is empty")]
    Empty,
    /// It has too many characters.
    #[error("the text is longer than {0} characters")]
    TooLong(usize),
    /// It has a character that is not shown but does something: a line break, an escape, one that turns the
    /// direction of writing.
    #[error("the text has the control character {0:?}")]
    Control(char),
}

/// Characters without a shape of their own that change how the others are read.
const fn turns_text(letter: char) -> bool {
    matches!(letter, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn checked(text: &str, most: usize) -> Result<String, InvalidRemark> {
    let text = text.trim();
    if let Some(letter) = text.chars().find(|&letter| letter.is_control() || turns_text(letter)) {
        return Err(InvalidRemark::Control(letter));
    }
    match text.chars().count() {
        0 => Err(InvalidRemark::Empty),
        count if count > most => Err(InvalidRemark::TooLong(most)),
        _ => Ok(text.to_owned()),
    }
}

macro_rules! remark {
    ($(#[$doc:meta])* $name:ident, $most:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The most characters.
            pub const MOST: usize = $most;

            /// Checks a text; blanks around it are left out.
            ///
            /// # Errors
            /// When nothing is left, it is too long, or has control characters.
            pub fn new(text: &str) -> Result<Self, InvalidRemark> {
                checked(text, Self::MOST).map(Self)
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidRemark;

            fn from_str(text: &str) -> Result<Self, InvalidRemark> {
                Self::new(text)
            }
        }
    };
}

remark!(
    /// What somebody says, in one paragraph: 1 to 1 000 characters, none of which controls anything.
    Remark, 1_000
);
remark!(
    /// A name, or how somebody is reached: the same, up to 120 characters.
    ShortRemark, 120
);
