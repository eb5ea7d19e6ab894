//! A generated region as rows of the files that docs/DETECT.md describes, section *A foreign fleet*.
//! Text only: whoever has files writes it into them.

use std::fmt::Write as _;

use busyhour_model::SlotStart;

use crate::world::{BuildingRecord, Reach, RegionRecord, SeriesRecord, SlotRecord};

const US_A_SECOND: i64 = 1_000_000;

/// The first line of `buildings.csv`.
pub const BUILDINGS_HEADER: &str = "NetworkIP,NetworkName,NetworkRange,BuildingName,OwnershipType,\
BuildingType,BuildingOfficeType,City,ZipCode,Country,State,Region,InsideCorp,ExpressRoute,VPN,\
TimeZone,BusinessHours,Holidays\n";
/// The first line of `series.csv`.
pub const SERIES_HEADER: &str = "series,subnet,link,upstream,near,agent,target\n";
/// The first line of `load.csv`.
pub const LOAD_HEADER: &str = "building,start,load\n";
/// The first line of `slots.csv`.
pub const SLOTS_HEADER: &str = "series,start,valid,bad,bad_loss,bad_jitter,bad_delay,bad_burst,sent,\
lost,rtt_min_ms,rtt_p50_ms,rtt_p95_ms,expected,bad_failed,jitter_p50_ms\n";

/// Adds a region's rows of `buildings.csv`: one for each subnet.
pub fn buildings(region: &RegionRecord, out: &mut String) {
    for (number, building) in (0..).zip(&region.buildings) {
        let mut written = Vec::new();
        for series in region.series.iter().filter(|series| series.building == number) {
            if !written.contains(&series.subnet) {
                written.push(series.subnet);
                building_row(building, series, out);
            }
        }
    }
}

fn building_row(building: &BuildingRecord, series: &SeriesRecord, out: &mut String) {
    let subnet = series.subnet;
    let vpn = u8::from(series.link == busyhour_model::LinkKind::Vpn);
    let holidays: Vec<String> = building.holidays.iter().map(ToString::to_string).collect();
    let (name, city) = (quoted(&building.name), quoted(&building.city));
    let country = quoted(&building.country);
    let link = series.link.as_str();
    row(
        out,
        format_args!(
            "{},{link},{},{name},,,,{city},,{country},,,1,0,{vpn},{},{},{}",
            subnet.network(),
            subnet.prefix_len(),
            quoted(building.zone_name),
            quoted(building.hours.as_str()),
            holidays.join(" "),
        ),
    );
}

/// Adds a region's rows of `series.csv`.
pub fn series(region: &RegionRecord, out: &mut String) {
    for one in &region.series {
        let near = match (one.reach, one.near) {
            (Reach::Near, _) => "1".to_owned(),
            (Reach::Far, Some(near)) => {
                region.series.get(near as usize).map(|near| quoted(&near.name)).unwrap_or_default()
            }
            (Reach::Far, None) => String::new(),
        };
        row(
            out,
            format_args!(
                "{},{},{},{},{near},{},{}",
                quoted(&one.name),
                one.subnet,
                one.link.as_str(),
                quoted(one.upstream.as_deref().unwrap_or_default()),
                quoted(&one.agent),
                quoted(one.target.as_deref().unwrap_or_default()),
            ),
        );
    }
}

/// Adds a building's rows of `load.csv`.
pub fn loads(building: &BuildingRecord, out: &mut String) {
    let name = quoted(&building.name);
    for (start, load) in &building.loads {
        row(out, format_args!("{name},{},{load}", seconds(*start)));
    }
}

/// Adds a series' rows of `slots.csv`.
pub fn slots(series: &SeriesRecord, out: &mut String) {
    let name = quoted(&series.name);
    for slot in &series.slots {
        slot_row(&name, slot, out);
    }
}

fn slot_row(name: &str, slot: &SlotRecord, out: &mut String) {
    let [loss, burst, delay, jitter, failed] = slot.bad_by;
    row(
        out,
        format_args!(
            "{name},{},{},{},{loss},{jitter},{delay},{burst},{},{},{},{},{},{},{failed},{}",
            seconds(slot.start),
            slot.valid,
            slot.bad,
            slot.sent,
            slot.lost,
            Millis(slot.rtt_min_us),
            Millis(slot.rtt_p50_us),
            Millis(slot.rtt_p95_us),
            slot.expected,
            Millis(slot.jitter_p50_us),
        ),
    );
}

/// Microseconds as milliseconds; nothing where there are none.
struct Millis(Option<u32>);

impl std::fmt::Display for Millis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |us| write!(f, "{}.{:03}", us / 1_000, us % 1_000))
    }
}

fn seconds(start: SlotStart) -> i64 {
    start.start().0 / US_A_SECOND
}

fn row(out: &mut String, fields: std::fmt::Arguments<'_>) {
    // Writing into a string cannot fail.
    let _ = out.write_fmt(fields);
    out.push('\n');
}

/// A field as RFC 4180 has it.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use busyhour_model::LinkKind;
    use jiff::civil::date;
    use jiff::tz::TimeZone;

    use super::*;

    fn region() -> RegionRecord {
        let start = SlotStart::from_number(1_932_300);
        let slot = SlotRecord {
            start,
            sent: 11_250,
            lost: 7,
            rtt_min_us: Some(12_003),
            rtt_p50_us: Some(14_250),
            rtt_p95_us: None,
            jitter_p50_us: Some(90),
            delivered: None,
            expected: 15,
            valid: 15,
            bad: 4,
            bad_by: [1, 2, 3, 4, 0],
        };
        let one = |name: &str, reach, near, slots| SeriesRecord {
            name: name.to_owned(),
            building: 0,
            subnet: "10.1.2.0/24".parse().unwrap(),
            agent: "a1".to_owned(),
            link: LinkKind::Wifi,
            target: Some("teams".to_owned()),
            upstream: Some("north".to_owned()),
            reach,
            near,
            slots,
        };
        RegionRecord {
            number: 0,
            buildings: vec![BuildingRecord {
                name: "Tower, \"old\"".to_owned(),
                city: "Oslo".to_owned(),
                country: "NO".to_owned(),
                zone_name: "Europe/Oslo",
                zone: TimeZone::UTC,
                hours: "Mo-Fr 08:00-18:00".parse().unwrap(),
                holidays: [date(2025, 4, 17), date(2025, 4, 18)].into(),
                works: [true; 7],
                closed: [].into(),
                loads: vec![(start, 12.5)],
            }],
            series: vec![
                one("n1", Reach::Near, None, vec![]),
                one("f1", Reach::Far, Some(0), vec![slot]),
            ],
            truths: vec![],
        }
    }

    #[test]
    fn a_region_becomes_the_documented_rows() {
        let region = region();
        let mut out = String::new();
        buildings(&region, &mut out);
        assert_eq!(
            out,
            "10.1.2.0,wifi,24,\"Tower, \"\"old\"\"\",,,,Oslo,,NO,,,1,0,0,Europe/Oslo,\
             Mo-Fr 08:00-18:00,2025-04-17 2025-04-18\n"
        );
        out.clear();
        series(&region, &mut out);
        assert_eq!(
            out,
            "n1,10.1.2.0/24,wifi,north,1,a1,teams\nf1,10.1.2.0/24,wifi,north,n1,a1,teams\n"
        );
        out.clear();
        loads(&region.buildings[0], &mut out);
        assert_eq!(out, "\"Tower, \"\"old\"\"\",1739070000,12.5\n");
        out.clear();
        slots(&region.series[1], &mut out);
        assert_eq!(out, "f1,1739070000,15,4,1,4,3,2,11250,7,12.003,14.250,,15,0,0.090\n");
    }

    #[test]
    fn every_row_has_a_field_for_each_column() {
        let region = region();
        let fields = |text: &str| text.trim_end().replace("Tower, ", "").matches(',').count();
        let check = |header: &str, write: &dyn Fn(&mut String)| {
            let mut out = String::new();
            write(&mut out);
            let first = out.lines().next().unwrap();
            assert_eq!(fields(first), fields(header), "{header}");
        };
        check(BUILDINGS_HEADER, &|out| buildings(&region, out));
        check(SERIES_HEADER, &|out| series(&region, out));
        check(LOAD_HEADER, &|out| loads(&region.buildings[0], out));
        check(SLOTS_HEADER, &|out| slots(&region.series[1], out));
    }
}
