//! Session reports: what a reflector received of one session.

use std::net::SocketAddr;

use super::InvalidRecord;

/// The most ranges of missing numbers that a report names.
pub const MAX_MISSING_RANGES: usize = 64;
/// The most numbers that a report spans: a quarter of an hour of the fastest profile.
const MAX_WIDTH: u32 = 1 << 20;

/// The parts of a session report, to build one from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionReportParts {
    /// Where the reflector was asked.
    pub listen: SocketAddr,
    /// Where the session came from, as the reflector saw it.
    pub peer: SocketAddr,
    /// The session's identifier (RFC 8972 section 3).
    pub ssid: u16,
    /// The first number that the report is about: the one after the former report's last, where the
    /// session went on.
    pub first_sequence: u32,
    /// The last number that the report is about: the highest received. Numbers wrap.
    pub last_sequence: u32,
    /// How many distinct numbers were received.
    pub received: u32,
    /// Ranges of numbers that did not come, first and last of each, in order; at most
    /// [`MAX_MISSING_RANGES`], the lowest.
    pub missing: Vec<(u32, u32)>,
    /// There are more ranges, above those named.
    pub missing_cut: bool,
    /// When the first number was sent at the earliest, by the sender's own clock, in nanoseconds of
    /// Unix time: when the former report's last number was, where the session went on.
    pub first_sent_ns: i64,
    /// When the last number was sent, by the sender's own clock, in nanoseconds of Unix time.
    pub last_sent_ns: i64,
    /// Requests received and not answered: refused by a cap, or the system refused to send the answer.
    /// Where reports meet, one may be told in both.
    pub dropped: u32,
}

impl SessionReportParts {
    /// How far a number lies after the first one.
    const fn offset(&self, sequence: u32) -> u32 {
        sequence.wrapping_sub(self.first_sequence)
    }

    /// Ranges of missing numbers from what [`SessionReport::missing_runs`] gave.
    ///
    /// # Errors
    /// When there are too many, one is of nothing, or they go around.
    pub fn missing_from_runs(first: u32, runs: &[u32]) -> Result<Vec<(u32, u32)>, InvalidRecord> {
        let (pairs, rest) = runs.as_chunks::<2>();
        if !rest.is_empty() || pairs.len() > MAX_MISSING_RANGES {
            return Err(InvalidRecord::Counts("session report: too many missing ranges"));
        }
        let mut next: u32 = 0;
        let range = |&[came, missing]: &[u32; 2]| {
            let from = next.checked_add(came)?;
            let to = from.checked_add(missing.checked_sub(1)?)?;
            next = to.checked_add(1)?;
            Some((first.wrapping_add(from), first.wrapping_add(to)))
        };
        let ranges: Option<Vec<_>> = pairs.iter().map(range).collect();
        ranges.ok_or(InvalidRecord::Counts("session report: missing ranges out of order"))
    }

    fn check_missing(&self) -> Result<(), InvalidRecord> {
        if self.missing.len() > MAX_MISSING_RANGES {
            return Err(InvalidRecord::Counts("session report: too many missing ranges"));
        }
        let last = self.offset(self.last_sequence);
        let mut free = 0;
        let mut missing = 0;
        for &(from, to) in &self.missing {
            let (from, to) = (self.offset(from), self.offset(to));
            if from < free || to < from || to >= last {
                return Err(InvalidRecord::Counts("session report: missing ranges out of order"));
            }
            missing += to - from + 1;
            // Ranges that touch would be one.
            free = to + 2;
        }
        let told = u64::from(self.received) + u64::from(missing);
        let width = u64::from(last) + 1;
        if self.received == 0 || told > width || (told < width && !self.missing_cut) {
            return Err(InvalidRecord::Counts(
                "session report: received and missing do not add up",
            ));
        }
        Ok(())
    }
}

/// What a reflector received of one session over a span of its numbers. With it a collector tells
/// the direction of losses that no later answer told (see [`crate::settle`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionReport(SessionReportParts);

impl SessionReport {
    /// Checks the parts against each other.
    ///
    /// # Errors
    /// When the span is too long or runs backwards, ranges are too many, out of order or outside,
    /// or the counts do not add up.
    pub fn new(parts: SessionReportParts) -> Result<Self, InvalidRecord> {
        if parts.offset(parts.last_sequence) >= MAX_WIDTH {
            return Err(InvalidRecord::Counts("session report: too many numbers"));
        }
        if parts.first_sent_ns > parts.last_sent_ns {
            return Err(InvalidRecord::Counts("session report: it ends before it begins"));
        }
        parts.check_missing()?;
        Ok(Self(parts))
    }

    /// What the report tells, in runs of numbers that came or did not, in order and without holes:
    /// of all its numbers, or, where ranges were cut, of those up to the last range named.
    pub(crate) fn runs(&self) -> impl Iterator<Item = Run> {
        let ranges = self.0.missing.iter();
        let ranges = ranges.map(|&(from, to)| (self.0.offset(from), self.0.offset(to)));
        let mut next = 0;
        let mut runs = Vec::with_capacity(2 * self.0.missing.len() + 1);
        for (from, to) in ranges {
            runs.push(Run { offset: next, width: from - next, came: true });
            runs.push(Run { offset: from, width: to - from + 1, came: false });
            next = to + 1;
        }
        if !self.0.missing_cut {
            let width = self.0.offset(self.0.last_sequence) + 1 - next;
            runs.push(Run { offset: next, width, came: true });
        }
        runs.into_iter()
    }

    /// The missing ranges in another form: from the first number on, alternately how many came and
    /// how many did not.
    #[must_use]
    pub fn missing_runs(&self) -> Vec<u32> {
        let pairs = self.runs().map(|run| run.width).collect::<Vec<_>>();
        pairs.as_chunks::<2>().0.concat()
    }

    /// Takes the report apart.
    #[must_use]
    pub fn into_parts(self) -> SessionReportParts {
        self.0
    }
}

/// Neighbouring numbers that all came, or all did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    /// How far the first lies after the report's first number.
    pub(crate) offset: u32,
    /// How many; 0 only where a report begins with missing numbers.
    pub(crate) width: u32,
    /// They came.
    pub(crate) came: bool,
}

impl std::ops::Deref for SessionReport {
    type Target = SessionReportParts;

    fn deref(&self) -> &SessionReportParts {
        &self.0
    }
}
