//! Owners: who must act.

use super::remark::ShortRemark;
use crate::{Cause, UtcMicros};

/// Who must act: a team or a person, and how to reach them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The team's or the person's name.
    pub name: ShortRemark,
    /// An address, a number, a queue; `None` where nobody told.
    pub contact: Option<ShortRemark>,
}

/// Who answers for a cause, in a region or in all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerRow {
    /// The cause; `None` for whatever has no owner of its own.
    pub cause: Option<Cause>,
    /// The region, as the building file spells it; `None` for all.
    pub region: Option<ShortRemark>,
    /// Who.
    pub owner: Owner,
    /// Since when.
    pub at: UtcMicros,
    /// Who said so.
    pub by: String,
}

impl OwnerRow {
    /// What it is for; no two rows have the same.
    #[must_use]
    pub fn key(&self) -> (Option<Cause>, Option<&str>) {
        (self.cause, self.region.as_ref().map(ShortRemark::as_str))
    }
}

/// The row that counts for a cause in a region: of those that fit, the one for both, else for the cause, else
/// for the region, else for neither.
#[must_use]
pub fn owner_of<'a>(
    rows: &'a [OwnerRow],
    cause: Cause,
    region: Option<&str>,
) -> Option<&'a OwnerRow> {
    let fits = |row: &&OwnerRow| {
        let (of_cause, of_region) = row.key();
        of_cause.is_none_or(|one| one == cause) && (of_region.is_none() || of_region == region)
    };
    rows.iter().filter(fits).max_by_key(|row| (row.cause.is_some(), row.region.is_some()))
}
