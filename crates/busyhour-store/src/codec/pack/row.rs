//! The numbers of one window of a table, in the order of its row.

use busyhour_model::Histogram;

use super::super::window::Numbers;
use super::super::{DecodeError, Decoded, bad};
use super::field::Part;
use super::table::Table;

/// A window of a table.
pub(super) struct TableRow<'a> {
    table: &'a Table,
    row: usize,
    /// What of its row comes next.
    parts: std::slice::Iter<'a, Part>,
}

impl<'a> TableRow<'a> {
    /// `parts` is what the row consists of.
    pub(super) fn new(table: &'a Table, row: usize, parts: &'a [Part]) -> Self {
        Self { table, row, parts: parts.iter() }
    }

    #[inline]
    fn next(&mut self) -> Decoded<Part> {
        self.parts.next().copied().ok_or(self.error())
    }
}

impl Numbers for TableRow<'_> {
    fn error(&self) -> DecodeError {
        bad("window of a pack")
    }

    #[inline]
    fn uint(&mut self) -> Decoded<u64> {
        match self.next()? {
            Part::Number(field) => Ok(self.table.at(field, self.row).cast_unsigned()),
            Part::Shape => Ok(self.table.shape(self.row)),
            _ => Err(self.error()),
        }
    }

    #[inline]
    fn int(&mut self) -> Decoded<i64> {
        match self.next()? {
            Part::Signed(field) => Ok(self.table.at(field, self.row)),
            Part::Received => Ok(self.table.received(self.row)),
            _ => Err(self.error()),
        }
    }

    #[inline]
    fn byte(&mut self) -> Decoded<u8> {
        match self.next()? {
            Part::Byte(field) => {
                self.table.at(field, self.row).try_into().map_err(|_| self.error())
            }
            _ => Err(self.error()),
        }
    }

    fn histogram(&mut self) -> Decoded<Histogram> {
        match self.next()? {
            Part::Spread(which) => self.table.spreads[which].histogram(self.row),
            _ => Err(self.error()),
        }
    }
}
