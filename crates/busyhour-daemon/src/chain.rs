//! One line for an error and everything that caused it.

use std::error::Error;
use std::fmt;

/// Shows an error followed by its causes, separated by colons. See [`chain`].
#[derive(Debug, Clone, Copy)]
pub struct Chain<'a>(&'a (dyn Error + 'static));

/// Shows `error` with all its causes in one line. Errors describe their own layer only, so this is
/// what goes into logs.
#[must_use]
pub const fn chain<'a>(error: &'a (dyn Error + 'static)) -> Chain<'a> {
    Chain(error)
}

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("read spool block {block}")]
    struct Outer {
        block: u64,
        source: std::io::Error,
    }

    #[test]
    fn a_chain_names_every_layer_once() {
        let error = Outer { block: 7, source: std::io::Error::other("disk is gone") };
        assert_eq!(chain(&error).to_string(), "read spool block 7: disk is gone");
    }
}
