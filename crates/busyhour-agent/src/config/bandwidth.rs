//! Rates as people write them: `512kbit/s`, `100Mbit/s`, `1Gbit/s`.

const UNITS: [(&str, u64); 4] =
    [("Gbit/s", 1_000_000_000), ("Mbit/s", 1_000_000), ("kbit/s", 1_000), ("bit/s", 1)];

/// Reads a whole number of bits a second with its unit.
pub(super) fn parse(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// Writes a rate so that [`parse`] reads it back, in its largest whole unit.
pub(super) fn show(bits_per_second: u64) -> String {
    let whole = |unit: &&(&str, u64)| bits_per_second.is_multiple_of(unit.1);
    let (unit, factor) = UNITS.iter().find(whole).unwrap_or(&("bit/s", 1));
    format!("{}{unit}", bits_per_second / factor)
}

/// Writes what is sent for people, in kbit/s with at most one digit behind the point; rounded up, so
/// that something is never shown as nothing.
pub(super) fn kilobits(bits_per_second: u64) -> String {
    tenths(bits_per_second.div_ceil(100))
}

/// Writes a limit for people; rounded down, so that what is above it never looks the same.
pub(super) fn limit_kilobits(bits_per_second: u64) -> String {
    tenths(bits_per_second / 100)
}

fn tenths(tenths: u64) -> String {
    match tenths % 10 {
        0 => format!("{} kbit/s", tenths / 10),
        rest => format!("{}.{rest} kbit/s", tenths / 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_and_written_in_their_largest_whole_unit() {
        for text in ["9bit/s", "512kbit/s", "100Mbit/s", "10Gbit/s", "1500Mbit/s"] {
            assert_eq!(show(parse(text).unwrap()), text);
        }
        assert_eq!(show(parse("1000kbit/s").unwrap()), "1Mbit/s");
        for text in
            ["", "100", "Mbit/s", "100 Mbit/s", "1.5Mbit/s", "100mbit/s", "100Mb/s", "-1bit/s"]
        {
            assert_eq!(parse(text), None, "{text:?}");
        }
        assert_eq!(parse("99999999999999999999Gbit/s"), None);
        assert_eq!(parse("18446744074Gbit/s"), None, "the product does not fit");
    }

    #[test]
    fn people_read_kilobits() {
        assert_eq!(kilobits(14_500), "14.5 kbit/s");
        assert_eq!(kilobits(58_000), "58 kbit/s");
        assert_eq!(kilobits(1), "0.1 kbit/s", "what is sent is never shown as nothing");
        assert_eq!(limit_kilobits(115_990), "115.9 kbit/s");
    }
}
