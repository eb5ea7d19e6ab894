use std::fmt::Write as _;
use std::fs;

use busyhour_detect::{Cell, Reach};
use busyhour_model::LinkKind;

use super::*;

const BUILDINGS: &str = "\
BuildingName,NetworkIP,NetworkRange,Country,VPN,TimeZone,BusinessHours,Holidays
Berlin HQ,10.1.0.0,24,DE,0,Europe/Berlin,Mo-Fr 08:00-18:00,2025-04-18 2025-04-21
Berlin HQ,10.1.1.0,24,DE,1,Europe/Berlin,Mo-Fr 08:00-18:00,
Haifa,10.2.0.0,16,IL,0,Asia/Jerusalem,Su-Th 09:00-17:00,
";
const SERIES: &str = "\
series,subnet,link,upstream,near,agent,target
b-wire,10.1.0.0/24,wired,isp-1,b-edge,b-1,teams
b-edge,10.1.0.0/24,wired,,1,b-1,edge
b-vpn,10.1.1.7,,hub,,b-2,teams
h-wifi,10.2.0.0/16,WLAN,isp-1,,h-1,teams
";
const LOAD: &str = "building,start,load\nBerlin HQ,2025-02-10T08:15:00Z,12\nHaifa,1739174400,3\n";
const SLOTS: &str = "\
series,start,valid,bad,bad_loss,bad_jitter,bad_delay,bad_burst,sent,lost,rtt_min_ms,rtt_p50_ms,rtt_p95_ms
b-wire,2025-02-10T08:00:00Z,15,2,1,0,1,0,11250,90,11.5,14,40
b-wire,2025-02-10T08:15:00Z,15,0,0,0,0,0,11250,3,11.4,13,20
h-wifi,2025-02-10T08:00:00Z,14,0,0,0,0,0,10500,0,8,9,12
";

/// Reads a folder of these files.
fn read_with(files: &[(&str, &[u8])], options: &Options) -> (anyhow::Result<Input>, String) {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    let mut notes = Notes::default();
    let input = read(folder.path(), options, &ProgressBar::hidden(), &mut notes);
    (input, notes.take().join("\n"))
}

fn read_files(files: &[(&str, &str)]) -> (Input, String) {
    let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
    let (input, notes) = read_with(&files, &Options::default());
    (input.unwrap(), notes)
}

fn fault(files: &[(&str, &str)]) -> String {
    let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
    format!("{:#}", read_with(&files, &Options::default()).0.unwrap_err())
}

fn located() -> Options {
    let fallback = Fallback { zone: zone("Europe/Berlin"), hours: hours("8-18") };
    Options { fallback, ..Options::default() }
}

fn cells(input: &Input, series: &str) -> Vec<Cell> {
    let number = input.fleet.series.iter().position(|known| known.name == series).unwrap();
    let number = u32::try_from(number).unwrap();
    input.cells.between(number, SlotStart::from_number(0), SlotStart::from_number(i64::MAX))
}

#[test]
fn a_whole_fleet_is_read() {
    let files = [
        ("buildings.csv", BUILDINGS),
        ("series.csv", SERIES),
        ("load.csv", LOAD),
        ("slots.csv", SLOTS),
    ];
    let (input, notes) = read_files(&files);
    let fleet = &input.fleet;
    let berlin = &fleet.buildings[0];
    assert_eq!((berlin.name.as_str(), berlin.holidays.len()), ("Berlin HQ", 2));
    assert_eq!(berlin.zone.iana_name(), Some("Europe/Berlin"));
    assert_eq!(fleet.buildings[1].hours.as_str(), "Su-Th 09:00-17:00");
    assert_eq!(fleet.subnets, ["10.1.0.0/24", "10.1.1.0/24", "10.2.0.0/16"]);
    let [wire, edge, vpn, wifi] = &fleet.series[..] else { panic!("{:?}", fleet.series) };
    assert_eq!((wire.reach, edge.reach), (Reach::Far, Reach::Near));
    assert_eq!(wire.near.map(|near| near.0), Some(1));
    assert_eq!((vpn.link, wifi.link), (LinkKind::Vpn, LinkKind::Wifi));
    assert_eq!((wire.agent, wire.upstream), (edge.agent, wifi.upstream));
    assert_eq!((wifi.building.0, vpn.building.0), (1, 0));
    let first = cells(&input, "b-wire")[0];
    assert_eq!((first.valid, first.bad, first.bad_by), (15, 2, [1, 0, 1, 0, 0]));
    assert_eq!((first.sent, first.lost, first.rtt_min_us), (11_250, 90, Some(11_500)));
    assert_eq!((first.rtt_p50_us, first.rtt_p95_us), (Some(14_000), Some(40_000)));
    assert_eq!(first.start.start().as_secs(), 1_739_174_400);
    assert_eq!(input.loads[1], [(first.start, 3.0)]);
    assert!(notes.contains("slots of 15 minutes (as the data show)"), "{notes}");
    assert!(!notes.contains("warning"), "{notes}");
}

#[test]
fn order_names_units_and_separators_of_columns_do_not_matter() {
    let (plain, _) =
        read_files(&[("buildings.csv", BUILDINGS), ("series.csv", SERIES), ("slots.csv", SLOTS)]);
    let slots = "\
# exported\r
bad;valid windows;RTT lowest (us);Slot Start UTC;path;rtt_median_us;rtt_p95_us;sent;lost;bad_rtt;bad_loss\r
0;15.0;11400;2025-02-10 08:15;b-wire;13000;20000;11250;3;0;0\r
2;15;11500;1739174400;b-wire;14000;40000;11250;90;1;1\r
0;14;8000;2025-02-10T10:00:00+02:00;h-wifi;9000;12000;10500;0;0;0\r
";
    let buildings = "\
\"site\"\tsubnet\ttz\thours
Berlin HQ\t10.1.0.0/24\teurope/berlin\t8-18
Berlin HQ\t10.1.1.0/24\t\t
Haifa\t10.2.0.0/16\tAsia/Jerusalem\tSun-Thu 9-17
";
    let files = [("buildings.csv", buildings), ("series.csv", SERIES), ("slots.csv.zst", slots)];
    let packed = zstd::encode_all(slots.as_bytes(), 1).unwrap();
    let files = files.map(|(name, text)| match name {
        "slots.csv.zst" => (name, packed.as_slice()),
        _ => (name, text.as_bytes()),
    });
    let (input, _) = read_with(&files, &Options::default());
    let input = input.unwrap();
    for series in ["b-wire", "h-wifi"] {
        assert_eq!(cells(&input, series), cells(&plain, series), "{series}");
    }
    assert_eq!(input.fleet.buildings[0].zone, plain.fleet.buildings[0].zone);
    assert_eq!(input.fleet.buildings[1].hours.on(jiff::civil::Weekday::Sunday), [(540, 1020)]);
}

#[test]
fn tables_without_names_are_read_in_the_documented_order() {
    let headless = |text: &str| text.split_once('\n').unwrap().1.to_owned();
    let buildings = "\
10.1.0.0,Floor 1,24,Berlin HQ,,,,Berlin,10115,DE,,EMEA,1,0,0,Europe/Berlin,Mo-Fr 08:00-18:00
10.1.1.0,VPN,24,Berlin HQ,,,,Berlin,10115,DE,,EMEA,1,0,1,Europe/Berlin,Mo-Fr 08:00-18:00
10.2.0.0,Lab,16,Haifa,,,,Haifa,,IL,,,1,0,Asia/Jerusalem,Su-Th 09:00-17:00,2025-04-13
";
    let (input, notes) = read_files(&[
        ("buildings.csv", buildings),
        ("series.csv", &headless(SERIES)),
        ("load.csv", &headless(LOAD)),
        ("slots.csv", &headless(SLOTS)),
    ]);
    let (named, _) =
        read_files(&[("buildings.csv", BUILDINGS), ("series.csv", SERIES), ("slots.csv", SLOTS)]);
    assert_eq!(input.fleet.series, named.fleet.series);
    assert_eq!(cells(&input, "b-wire"), cells(&named, "b-wire"));
    assert_eq!(input.fleet.buildings[1].holidays.len(), 1);
    assert!(!notes.contains("warning"), "{notes}");
}

#[test]
fn what_is_missing_is_said_with_what_is_lost() {
    let options = located();
    let (input, notes) = read_with(
        &[("slots.csv", b"series,start,valid,bad\nHaifa/lab/pc-7/wifi,1739174400,15,0\n")],
        &options,
    );
    let input = input.unwrap();
    assert_eq!(input.fleet.buildings[0].name, "Haifa");
    assert_eq!(input.fleet.subnets, ["lab"]);
    assert_eq!(input.fleet.series[0].link, LinkKind::Wifi);
    for said in [
        "there is no buildings.csv",
        "there is no series.csv",
        "there is no load.csv: the configured hours are the busy hours",
        "slots.csv has no bad_loss, bad_jitter, bad_delay, bad_burst",
        "slots.csv has no sent, lost",
        "slots.csv has no rtt_min, rtt_p50, rtt_p95",
    ] {
        assert!(notes.contains(said), "{said}: {notes}");
    }
}

#[test]
fn zone_and_hours_are_never_guessed() {
    let slots = "series,start,valid,bad\na,1739174400,15,0\n";
    let error = fault(&[("slots.csv", slots)]);
    assert!(error.contains("--zone Europe/Berlin"), "{error}");
    let buildings = "building,zone\na,Europe/Berlin\n";
    let error = fault(&[("buildings.csv", buildings), ("slots.csv", slots)]);
    assert!(error.contains("--hours"), "{error}");
    // A country with one zone and usual hours tells both, and that is said.
    let (input, notes) =
        read_files(&[("buildings.csv", "building,country\na,DE\n"), ("slots.csv", slots)]);
    assert_eq!(input.fleet.buildings[0].zone.iana_name(), Some("Europe/Berlin"));
    assert!(notes.contains("the time zone is the country's"), "{notes}");
}

#[test]
fn bad_rows_are_told_counted_and_lose_nothing_else() {
    let slots = format!(
        "{SLOTS}\
b-wire,2025-02-10T08:30:00Z,15
b-wire,yesterday,15,0,0,0,0,0,0,0,,,
b-wire,2025-02-10T08:30:00Z,15,16,0,0,0,0,0,0,,,
b-wire,2025-02-10T08:30:00Z,15,1,2,0,0,0,0,0,,,
b-wire,2025-02-10T08:30:00Z,-15,0,0,0,0,0,0,0,,,
b-wire,2025-02-10T08:30:00Z,99999999999999999999,0,0,0,0,0,0,0,,,
b-wire,2025-02-10T08:30:00Z,15,0,0,0,0,0,5,6,,,
b-wire,2025-02-10T08:30:00Z,15,0,0,0,0,0,750,0,-1,,
b-wire,2025-02-10T08:30:00Z,15,0,0,0,0,0,750,0,1e99,,
,2025-02-10T08:30:00Z,15,0,0,0,0,0,750,0,,,
b-wire,\"2025-02-10T08:30:00Z,15,0,0,0,0,0,750,0,,,
b-wire,2025-02-10T08:45:00Z,NaN,0,0,0,0,0,750,0,,,
b-wire,2025-02-10T09:00:00Z,15,0,0,0,0,0,750,0,NaN,,null
"
    );
    let files =
        [("buildings.csv", BUILDINGS), ("series.csv", SERIES), ("slots.csv", slots.as_str())];
    let (input, notes) = read_files(&files);
    let found = cells(&input, "b-wire");
    assert_eq!(found.len(), 3, "{notes}");
    assert_eq!((found[2].valid, found[2].rtt_min_us), (15, None));
    assert!(notes.contains("slots.csv, line 5, column 4: bad \"\" is not a count"), "{notes}");
    assert!(notes.contains("slots.csv, line 6, column 2: start \"yesterday\""), "{notes}");
    assert!(notes.contains("slots.csv: rows that could not be read: 12 of 16"), "{notes}");
}

#[test]
fn too_many_bad_rows_are_another_format() {
    let mut slots = SLOTS.to_owned();
    for minute in 0..60 {
        writeln!(slots, "b-wire,10.2.2025 08:{minute:02},15,0").unwrap();
    }
    let files =
        [("buildings.csv", BUILDINGS), ("series.csv", SERIES), ("slots.csv", slots.as_str())];
    let error = fault(&files);
    assert!(error.contains("60 of 63 rows cannot be read"), "{error}");
}

#[test]
fn another_table_is_refused_with_what_it_holds() {
    let buildings = ("buildings.csv", BUILDINGS);
    let error = fault(&[buildings, ("slots.csv", "series,valid,bad\na,1,0\n")]);
    assert!(error.contains("line 1"), "{error}");
    let error = fault(&[buildings, ("a.csv", "x"), ("b.csv", "y")]);
    assert!(error.contains("several other tables (\"a.csv\", \"b.csv\")"), "{error}");
    let error = fault(&[buildings]);
    assert!(error.contains("neither slots.csv nor windows.csv"), "{error}");
    let error = fault(&[("slots.csv", "")]);
    assert!(error.contains("is empty"), "{error}");
    let error = fault(&[("buildings.csv", "a;b\n1;2\n"), ("slots.csv", SLOTS)]);
    assert!(error.contains("BuildingName"), "{error}");
    let error =
        fault(&[buildings, ("series.csv", SERIES), ("slots.csv", "series,start,valid,bad\n")]);
    assert!(error.contains("no row that can be judged"), "{error}");
}

#[test]
fn repeated_rows_count_once_and_the_later_one_wins() {
    let slots = format!("{SLOTS}b-wire,2025-02-10T08:00:00Z,13,5,0,0,0,0,0,0,,,\n");
    let files =
        [("buildings.csv", BUILDINGS), ("series.csv", SERIES), ("slots.csv", slots.as_str())];
    let (input, notes) = read_files(&files);
    let found = cells(&input, "b-wire");
    assert_eq!((found.len(), found[0].valid, found[0].bad), (2, 13, 5));
    assert!(notes.contains("rows told again: 1"), "{notes}");
}

#[test]
fn series_without_a_building_are_left_out_and_named() {
    let slots = format!("{SLOTS}nowhere,2025-02-10T08:00:00Z,15,15,0,0,0,0,0,0,,,\n");
    let series = format!("{SERIES}lost,172.16.0.0/12,wired,,,,\n");
    let files = [
        ("buildings.csv", BUILDINGS),
        ("series.csv", series.as_str()),
        ("slots.csv", slots.as_str()),
    ];
    let (input, notes) = read_files(&files);
    assert_eq!(input.fleet.series.len(), 4);
    assert!(notes.contains("\"lost\", \"nowhere\""), "{notes}");
    assert!(notes.contains("rows of series without a known building: 1 of 4"), "{notes}");
}

#[test]
fn networks_are_found_by_prefix_address_or_name_and_in_their_building() {
    let buildings = "\
NetworkIP,NetworkName,BuildingName,zone,hours
10.0.0.0/8,campus,North,UTC,8-18
10.1.0.0/16,lab,North,UTC,8-18
floor 3,,North,UTC,8-18
192.168.1.0/24,,North,UTC,8-18
192.168.1.0/24,,South,UTC,8-18
172.16.0.0,,South,UTC,8-18
";
    let series = "\
series,subnet,building
a,10.1.0.0/16,
b,10.1.2.3,
c,10.1.2.0/24,
d,10.9.9.9,
e,lab,
f,floor 3,
g,192.168.1.7,South
h,192.168.1.7,
i,172.16.0.0,
j,,South
k,somewhere,North
l,192.168.1.0/24,South
";
    let slots = "series,start,valid,bad\na,1739174400,15,0\n";
    let (input, notes) =
        read_files(&[("buildings.csv", buildings), ("series.csv", series), ("slots.csv", slots)]);
    let fleet = &input.fleet;
    let found: Vec<_> = fleet
        .series
        .iter()
        .map(|series| {
            let (building, subnet) = (series.building.0 as usize, series.subnet.0 as usize);
            let building = fleet.buildings[building].name.as_str();
            (series.name.as_str(), building, fleet.subnets[subnet].as_str())
        })
        .collect();
    let expected = [
        ("a", "North", "10.1.0.0/16"),
        ("b", "North", "10.1.0.0/16"),
        ("c", "North", "10.1.0.0/16"),
        ("d", "North", "10.0.0.0/8"),
        ("e", "North", "10.1.0.0/16"),
        ("f", "North", "floor 3"),
        ("g", "South", "192.168.1.0/24"),
        ("i", "South", "172.16.0.0"),
        ("j", "South", "j"),
        ("k", "North", "somewhere"),
        ("l", "South", "192.168.1.0/24"),
    ];
    assert_eq!(found, expected, "{notes}");
    assert!(notes.contains("the building is not known of the series \"h\""), "{notes}");
    let subnet =
        |name: &str| fleet.series.iter().find(|series| series.name == name).unwrap().subnet;
    assert_eq!(subnet("g"), subnet("l"));
}

#[test]
fn a_series_finds_its_near_series_by_agent_then_subnet_then_building_and_never_guesses() {
    let buildings = "BuildingName,NetworkIP,zone,hours\nA,10.1.0.0/24,UTC,8-18\n\
                     A,10.1.1.0/24,UTC,8-18\nB,10.2.0.0/24,UTC,8-18\n";
    let series = "\
series,subnet,near,agent
a-1,10.1.0.0/24,,x
a-1-edge,10.1.0.0/24,1,x
a-2-edge,10.1.0.0/24,yes,y
a-3,10.1.0.0/24,,z
a-4,10.1.1.0/24,,w
a-5-edge,10.1.1.0/24,true,v
b-1,10.2.0.0/24,0,x
b-2,10.2.0.0/24,b-3,
b-3,10.2.0.0/24,b-3,
";
    let slots = "series,start,valid,bad\na-1,1739174400,15,0\n";
    let (input, _) =
        read_files(&[("buildings.csv", buildings), ("series.csv", series), ("slots.csv", slots)]);
    let fleet = &input.fleet;
    let near = |name: &str| {
        let series = fleet.series.iter().find(|series| series.name == name).unwrap();
        series.near.map(|near| fleet.series[near.0 as usize].name.as_str())
    };
    assert_eq!(near("a-1"), Some("a-1-edge"), "its agent's");
    assert_eq!(near("a-3"), None, "two in its subnet, three in its building");
    assert_eq!(near("a-4"), Some("a-5-edge"), "the only one of its subnet");
    assert_eq!(near("b-2"), Some("b-3"), "as named");
    assert_eq!(near("b-1"), Some("b-3"), "the only one of its building; x there is another agent");
    assert_eq!(near("a-1-edge"), None);
}

#[test]
fn windows_and_samples_are_read_from_tables_of_their_own() {
    let mut windows = "series,start,sent,lost,burst_lost,burst_of,rtt_ms,jitter_ms\n".to_owned();
    let mut samples = "time,series,rtt\n".to_owned();
    for number in 0..120_i64 {
        let (at, slow) = (1_739_174_400 + number * 15, number % 10 == 0);
        let rtt = if slow { 130 } else { 20 };
        writeln!(windows, "a/b/c,{at},750,{},0,10,{rtt},2", if slow { 9 } else { 0 }).unwrap();
        writeln!(samples, "{at},a/b/c,{rtt}").unwrap();
    }
    for (name, text, loss) in [("windows.csv", windows, 6), ("pings.csv", samples, 0)] {
        let (input, notes) = read_with(&[(name, text.as_bytes())], &located());
        let found = cells(&input.unwrap(), "a/b/c");
        let first = found[0];
        assert_eq!((found.len(), first.valid, first.bad), (2, 60, 6), "{name}: {notes}");
        assert_eq!(first.bad_by, [loss, 0, 6, 0, 0], "{name}");
        assert_eq!((first.rtt_min_us, first.rtt_p95_us), (Some(20_000), Some(130_000)), "{name}");
        assert_eq!(notes.contains("tells delay alone"), name == "pings.csv");
    }
}

#[test]
fn slots_of_any_length_up_to_an_hour_are_judged_in_bins_that_hold_them() {
    for (minutes, bin, expected) in [
        (5, Bin::Quarter, 15),
        (10, Bin::Half, 15),
        (15, Bin::Quarter, 5),
        (30, Bin::Half, 5),
        (20, Bin::Hour, 15),
        (60, Bin::Hour, 5),
    ] {
        let mut slots = "series,start,valid,bad,expected\n".to_owned();
        for number in 0..(2 * 1_440 / minutes) {
            writeln!(slots, "a,{},5,0,5", 1_739_145_600 + i64::from(number * minutes) * 60)
                .unwrap();
        }
        let (input, notes) = read_with(&[("slots.csv", slots.as_bytes())], &located());
        let input = input.unwrap();
        assert_eq!(input.fleet.bin, bin, "{minutes}: {notes}");
        let found = cells(&input, "a");
        assert_eq!(found.len(), 2 * 96 / usize::from(bin.quarters()), "{minutes}");
        assert!(found.iter().all(|cell| cell.valid == expected && cell.expected == expected));
        assert!(found.iter().all(|c| c.start.number() % i64::from(bin.quarters()) == 0));
    }
    let (input, _) = read_with(
        &[("slots.csv", b"series,start,valid,bad\na,1739145600,5,0\n")],
        &Options { slot_minutes: Some(7), ..located() },
    );
    assert!(input.unwrap_err().to_string().contains("do not divide an hour"));
}

#[test]
fn whatever_the_bytes_reading_ends_with_an_answer() {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let whole = [
        ("buildings.csv", BUILDINGS),
        ("series.csv", SERIES),
        ("load.csv", LOAD),
        ("slots.csv", SLOTS),
    ];
    for round in 0..300 {
        let mut files = whole.map(|(name, text)| (name, text.as_bytes().to_vec()));
        let file = &mut files[round % 4].1;
        for _ in 0..next() % 8 {
            let at = usize::try_from(next()).unwrap() % file.len();
            match next() % 4 {
                0 => file.truncate(at.max(1)),
                1 => file[at] = next().to_le_bytes()[0],
                2 => file.insert(at, b"\",\n;\0-9"[usize::try_from(next() % 7).unwrap()]),
                _ => {
                    let part = file[at..].to_vec();
                    file.extend(part);
                }
            }
        }
        let files: Vec<_> = files.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
        let (input, notes) = read_with(&files, &located());
        match input {
            Ok(input) => {
                let counts_hold = |cell: &Cell| {
                    cell.bad <= cell.valid
                        && cell.valid <= cell.expected
                        && cell.bad_by.iter().all(|by| *by <= cell.bad)
                };
                for series in &input.fleet.series {
                    assert!(cells(&input, &series.name).iter().all(counts_hold), "{notes}");
                    assert!((series.building.0 as usize) < input.fleet.buildings.len());
                    assert!((series.agent.0 as usize) < input.fleet.agents.len());
                }
            }
            Err(error) => assert!(!format!("{error:#}").is_empty()),
        }
    }
}

#[test]
fn every_truncation_of_a_table_is_read_or_refused() {
    for length in 0..SLOTS.len() {
        let files =
            [("buildings.csv", BUILDINGS), ("series.csv", SERIES), ("slots.csv", &SLOTS[..length])];
        let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
        if let (Ok(input), notes) = read_with(&files, &Options::default()) {
            let read = cells(&input, "b-wire").len() + cells(&input, "h-wifi").len();
            let whole = SLOTS[..length].matches('\n').count() - 1;
            assert!(read == whole || read == whole + 1, "{length}: {notes}");
        }
    }
}
