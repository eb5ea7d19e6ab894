//! What interfaces have carried so far.

use std::collections::BTreeMap;

use crate::{HostError, read};

const PATH: &str = "/proc/net/dev";

/// What an interface has carried since it came up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Bytes received.
    pub received_bytes: u64,
    /// Packets received.
    pub received_packets: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
    /// Packets sent.
    pub sent_packets: u64,
}

impl Counters {
    /// What was carried since `earlier`; `None` when the counters were reset in between.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Option<Self> {
        Some(Self {
            received_bytes: self.received_bytes.checked_sub(earlier.received_bytes)?,
            received_packets: self.received_packets.checked_sub(earlier.received_packets)?,
            sent_bytes: self.sent_bytes.checked_sub(earlier.sent_bytes)?,
            sent_packets: self.sent_packets.checked_sub(earlier.sent_packets)?,
        })
    }
}

/// The counters of every interface by name.
///
/// # Errors
/// When the system does not tell.
pub fn counters() -> Result<BTreeMap<String, Counters>, HostError> {
    Ok(parse(&read(PATH)?))
}

/// Reads the form of `proc_net_dev(5)`: two lines of headings, then `name: 8 receive columns, 8
/// transmit columns`. A line that is not of that form is passed over.
fn parse(text: &str) -> BTreeMap<String, Counters> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<(String, Counters)> {
    let (name, columns) = line.rsplit_once(':')?;
    let columns: Vec<u64> = columns
        .split_ascii_whitespace()
        .map(|column| column.parse().ok())
        .collect::<Option<_>>()?;
    let counters = Counters {
        received_bytes: *columns.first()?,
        received_packets: *columns.get(1)?,
        sent_bytes: *columns.get(8)?,
        sent_packets: *columns.get(9)?,
    };
    Some((name.trim().to_owned(), counters))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAPTOP: &str = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 5307424   42871    0    0    0     0          0         0  5307424   42871    0    0    0     0       0          0
wlp0s20f3:18446744073709551615 2 0 17 0 0 0 0 991 8 0 0 0 0 0 0
eth0:1: 10 1 0 0 0 0 0 0 20 2 0 0 0 0 0 0
 tun0: 1 2 3
";

    #[test]
    fn interfaces_are_told_apart_and_short_lines_passed_over() {
        let parsed = parse(LAPTOP);
        assert_eq!(parsed.keys().collect::<Vec<_>>(), ["eth0:1", "lo", "wlp0s20f3"]);
        assert_eq!(
            parsed["wlp0s20f3"],
            Counters {
                received_bytes: u64::MAX,
                received_packets: 2,
                sent_bytes: 991,
                sent_packets: 8
            }
        );
        assert_eq!(parsed["lo"].sent_packets, 42_871);
        assert!(parse("").is_empty());
    }

    #[test]
    fn a_reset_is_not_a_difference() {
        let old = parse(LAPTOP)["lo"];
        let new = Counters { sent_bytes: old.sent_bytes + 5, ..old };
        assert_eq!(new.since(&old).unwrap(), Counters { sent_bytes: 5, ..Counters::default() });
        assert_eq!(old.since(&new), None);
    }

    #[test]
    fn this_machine_has_a_loopback_interface() {
        assert!(counters().unwrap().contains_key("lo"));
    }
}
