use jiff::civil::date;
use proptest::prelude::*;

use super::*;

/// 2026-03-20T00:00:00Z.
const NOW: UtcMicros = UtcMicros::from_secs(1_773_964_800);

fn building(number: u128, name: &str, zone: Option<&str>) -> Building {
    Building {
        id: BuildingId::from_u128(number),
        name: name.to_owned(),
        city: String::new(),
        country: String::new(),
        region: String::new(),
        time_zone: zone.map(str::to_owned),
        business_hours: None,
        holidays: std::collections::BTreeSet::new(),
    }
}

fn buildings() -> [Building; 4] {
    [
        building(1, "Berlin HQ", Some("Europe/Berlin")),
        building(2, "Tower", Some("Asia/Kolkata")),
        building(3, "Somewhere", None),
        building(4, "Seattle", Some("America/Los_Angeles")),
    ]
}

fn read(text: &str) -> Parsed {
    parse(text, &buildings(), NOW)
}

/// `severity line:column` of each finding.
fn places(parsed: &Parsed) -> Vec<String> {
    let place = |finding: &Finding| match finding.column {
        Some(column) => format!("{} {}:{column}", finding.severity, finding.line),
        None => format!("{} {}", finding.severity, finding.line),
    };
    parsed.findings.iter().map(place).collect()
}

/// The told quarter-hours of a day, each with its load.
fn told(load: &BuildingLoad) -> Vec<(usize, f32)> {
    let quarters = load.quarters.iter().enumerate();
    quarters.filter_map(|(at, load)| Some((at, (*load)?))).collect()
}

#[test]
fn load_lies_on_the_buildings_own_day() {
    let parsed = read(
        "start,remark,LOAD,Building\n2026-03-02T08:15:00Z,a,9,Tower\n\
         2026-03-02T23:15:00Z,b,4,Berlin HQ\n1772523000,c,2.5,Berlin HQ\n",
    );
    assert!(parsed.findings.is_empty(), "{:?}", parsed.findings);
    assert_eq!(parsed.rows, 3);
    let [berlin, tower] = parsed.loads.as_slice() else { panic!("{:?}", parsed.loads) };
    // A quarter past midnight in Berlin, a quarter to two in the afternoon in Kolkata.
    assert_eq!((berlin.date, told(berlin)), (date(2026, 3, 3), vec![(1, 4.0), (34, 2.5)]));
    assert_eq!((tower.date, told(tower)), (date(2026, 3, 2), vec![(55, 9.0)]));
    assert_eq!((tower.machines, tower.source), (0, LoadSource::Imported));
    assert_eq!(
        (berlin.building, tower.building),
        (BuildingId::from_u128(1), BuildingId::from_u128(2))
    );
}

#[test]
fn a_row_holds_as_long_as_the_grid_that_all_rows_keep_to() {
    let quarters = |starts: &[&str]| -> Vec<usize> {
        let rows: String =
            starts.iter().map(|start| format!("Berlin HQ\t2026-03-02T{start}:00Z\t1\n")).collect();
        let parsed = read(&format!("building\tstart\tload\n{rows}"));
        assert!(parsed.findings.is_empty(), "{:?}", parsed.findings);
        told(&parsed.loads[0]).into_iter().map(|(at, _)| at).collect()
    };
    assert_eq!(quarters(&["08:00", "10:00"]), [36, 37, 38, 39, 44, 45, 46, 47]);
    assert_eq!(quarters(&["08:00", "08:30"]), [36, 37, 38, 39]);
    assert_eq!(quarters(&["08:30"]), [38, 39]);
    assert_eq!(quarters(&["08:00", "08:45"]), [36, 39]);
}

#[test]
fn each_fault_is_told_with_its_place_and_a_remedy() {
    for (text, expected) in [
        ("", &["error 1"][..]),
        ("building,load\n", &["error 1"]),
        ("building,start,load,start\n", &["error 1:4"]),
        (
            "building,start,load\nAtlantis,2026-03-02T08:00:00Z,1\nAtlantis,x,1\n",
            &["error 2:1", "error 3:2"],
        ),
        ("building,start,load\nSomewhere,2026-03-02T08:00:00Z,1\n", &["warning 2:1"]),
        ("building,start,load\nTower,2026-03-02T08:00:00Z,-1\n", &["error 2:3"]),
        ("building,start,load\nTower,2026-03-02T08:00:00Z,NaN\n", &["error 2:3"]),
        ("building,start,load\nTower,2026-03-02 08:00,1\n", &["error 2:2"]),
        ("building,start,load\nTower,2026-03-02T08:07:00Z,1\n", &["error 2:2"]),
        ("building,start,load\nTower,2026-03-20T00:15:00Z,1\n", &["error 2:2"]),
        ("building,start,load\nTower,0,1\n", &["error 2:2"]),
        ("building,start,load\nTower,99999999999999999,1\n", &["error 2:2"]),
        ("building,start,load\n\n,,\nTower,2026-03-02T08:00:00Z,\n", &[]),
    ] {
        let parsed = read(text);
        assert_eq!(places(&parsed), expected, "{text}: {:?}", parsed.findings);
        assert!(parsed.findings.iter().all(|finding| !finding.remedy.is_empty()), "{text}");
        assert!(parsed.loads.is_empty(), "{text}");
    }
}

#[test]
fn of_rows_that_tell_the_same_the_later_counts() {
    let start = "2026-03-02T08:00:00Z";
    let text = format!("building,start,load\nTower,{start},1\nTower,{start},2\nTower,{start},3\n");
    let parsed = read(&text);
    assert_eq!(places(&parsed), ["warning 3"]);
    assert!(parsed.findings[0].message.starts_with("2 rows"), "{:?}", parsed.findings);
    assert_eq!(told(&parsed.loads[0]).first(), Some(&(54, 3.0)));
}

#[test]
fn a_day_on_which_clocks_change_keeps_the_wall_clocks_quarters() {
    let day = |first: &str, hours: i64| {
        let first: Timestamp = first.parse().unwrap();
        let row = |hour: i64| format!("Seattle,{},{hour}\n", first.as_second() + hour * 3_600);
        let rows: String = (0..hours).map(row).collect();
        let parsed = read(&format!("building,start,load\n{rows}"));
        assert_eq!((parsed.loads.len(), parsed.findings.len()), (1, 0), "{:?}", parsed.findings);
        told(&parsed.loads[0])
    };
    let spring = day("2026-03-08T08:00:00Z", 23);
    assert_eq!(spring.len(), 92);
    assert!(spring.iter().all(|&(quarter, _)| !(8..12).contains(&quarter)), "{spring:?}");
    let autumn = day("2025-11-02T07:00:00Z", 25);
    assert_eq!(autumn.len(), 96);
    assert_eq!(autumn[4], (4, 2.0), "of the hour that comes twice the second counts");
}

#[test]
fn a_table_without_end_is_refused() {
    let many: Vec<Building> =
        (1..=12).map(|number| building(number, &format!("B{number}"), Some("UTC"))).collect();
    let mut text = "building,start,load\n".to_owned();
    for building in &many {
        for day in 0..9_000i64 {
            let start = EARLIEST.as_secs() + day * 86_400;
            text.push_str(&format!("{},{start},1\n", building.name));
        }
    }
    let parsed = parse(&text, &many, NOW);
    assert!(parsed.has_errors() && parsed.loads.is_empty());
}

proptest! {
    #[test]
    fn whatever_the_text_only_real_loads_come_out(
        rows in proptest::collection::vec("(B1|B2|B3),[0-9]{1,10},(-?[0-9.e]{0,6})", 0..20),
        noise in "\\PC{0,80}",
    ) {
        let text = format!("building,start,load\n{}\n{noise}", rows.join("\n"));
        fuzz_parse(text.as_bytes());
        fuzz_parse(noise.as_bytes());
    }

    #[test]
    fn whole_quarter_hours_all_come_back(
        starts in proptest::collection::btree_set(0i64..2_000, 1..50),
    ) {
        let start = |quarter: i64| EARLIEST.as_secs() + 365 * 86_400 + quarter * 900;
        let rows: String =
            starts.iter().map(|&quarter| format!("B2,{},{quarter}\n", start(quarter))).collect();
        let text = format!("building,start,load\n{rows}");
        fuzz_parse(text.as_bytes());
        let parsed = parse(&text, &[building(2, "B2", Some("UTC"))], NOW);
        prop_assert!(!parsed.has_errors());
        let told: usize = parsed.loads.iter().map(|load| told(load).len()).sum();
        prop_assert!(told >= starts.len());
    }
}
