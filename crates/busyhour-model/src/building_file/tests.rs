use proptest::prelude::*;

use super::*;

/// The sample row of the format's description.
const SAMPLE: &str = include_str!("tests/building.csv");

/// A good row with some columns replaced.
fn row(changes: &[(usize, &str)]) -> String {
    let mut columns: Vec<_> = SAMPLE.trim().split(',').map(str::to_owned).collect();
    columns[0] = "10.1.2.0".to_owned();
    columns[2] = "24".to_owned();
    for &(column, value) in changes {
        columns[column - 1] = value.to_owned();
    }
    columns.join(",") + "\r\n"
}

/// "severity line:column" of each finding.
fn places(parsed: &Parsed) -> Vec<String> {
    let place = |f: &Finding| match f.column {
        Some(column) => format!("{} {}:{column}", f.severity, f.line),
        None => format!("{} {}", f.severity, f.line),
    };
    parsed.findings.iter().map(place).collect()
}

#[track_caller]
fn check(file: &str, companion: Option<&str>, expected: &[&str]) -> Parsed {
    let parsed = parse(file, companion);
    assert_eq!(places(&parsed), expected, "{:#?}", parsed.findings);
    for finding in &parsed.findings {
        assert!(!finding.message.is_empty() && !finding.remedy.is_empty(), "{finding:?}");
    }
    parsed
}

#[test]
fn the_sample_of_the_format_is_read() {
    let parsed = check(SAMPLE, None, &["warning 1:1"]);
    assert!(!parsed.has_errors());
    assert!(parsed.findings[0].message.contains("192.168.1.0/24"), "a common home prefix");
    let [building] = parsed.buildings.as_slice() else { panic!("one building") };
    assert_eq!((building.name.as_str(), building.city.as_str()), ("SEATTLE-SEA-1", "Seattle"));
    assert_eq!((building.country.as_str(), building.region.as_str()), ("US", "MSUS"));
    assert_eq!(building.time_zone.as_deref(), Some("America/Los_Angeles"));
    assert_eq!(building.business_hours.as_ref().unwrap().as_str(), "Mo-Fr 08:00-18:00");
    let [subnet] = building.subnets.as_slice() else { panic!("one subnet") };
    assert_eq!(subnet.prefix.to_string(), "192.168.1.0/26");
    assert_eq!(subnet.egress, None);
    let expected = crate::NetworkColumns {
        network_name: "USA/Seattle/SEATTLE-SEA-1".to_owned(),
        ownership_type: "Contoso".to_owned(),
        building_type: "IT Termination".to_owned(),
        building_office_type: "Engineering".to_owned(),
        city: "Seattle".to_owned(),
        zip_code: "98001".to_owned(),
        country: "US".to_owned(),
        state: "WA".to_owned(),
        region: "MSUS".to_owned(),
        inside_corp: true,
        express_route: false,
        vpn: false,
    };
    assert_eq!(subnet.columns, expected);
}

#[test]
fn tabs_quotes_line_ends_marks_and_fourteen_columns_are_read() {
    let good = row(&[]);
    let expected = parse(&good, None).buildings;
    assert_eq!(expected.len(), 1);
    let tabs = good.replace(',', "\t");
    let marked = format!("\u{feff}{}", good.replace("\r\n", "\n"));
    let fourteen = good.replace(",0\r\n", "\r\n");
    let empty_vpn = good.replace(",0\r\n", ",\r\n");
    let blank_lines = format!("\r\n\n{good}\n\n");
    let spaces = good.replace(',', " , ");
    for file in [&tabs, &marked, &fourteen, &empty_vpn, &blank_lines, &spaces] {
        assert_eq!(check(file, None, &[]).buildings, expected, "{file:?}");
    }
    let quoted = row(&[(2, "\"Floor 1, \"\"west\"\"\"")]);
    let parsed = check(&quoted, None, &[]);
    assert_eq!(parsed.buildings[0].subnets[0].columns.network_name, "Floor 1, \"west\"");
}

#[test]
fn each_fault_has_its_place() {
    for (changes, expected) in [
        (&[(1, "10.1.2.7")][..], "error 1:1"),
        (&[(1, "10.1.2")], "error 1:1"),
        (&[(1, "")], "error 1:1"),
        (&[(1, "2001:db8::")], "error 1:1"),
        (&[(1, "10.1.2.0/24")], "error 1:1"),
        (&[(2, "")], "error 1:2"),
        (&[(3, "255.255.255.0")], "error 1:3"),
        (&[(3, "7"), (1, "10.0.0.0")], "error 1:3"),
        (&[(3, "29")], "error 1:3"),
        (&[(3, "32")], "error 1:3"),
        (&[(3, "33")], "error 1:3"),
        (&[(3, "-1")], "error 1:3"),
        (&[(4, "")], "error 1:4"),
        (&[(13, "true")], "error 1:13"),
        (&[(13, "")], "error 1:13"),
        (&[(14, "2")], "error 1:14"),
        (&[(15, "no")], "error 1:15"),
        (&[(6, "a\u{1b}b")], "error 1:6"),
        (&[(1, "NetworkIP")], "error 1"),
        (&[(12, "EMEA,EMEA")], "error 1"),
    ] {
        let parsed = check(&row(changes), None, &[expected]);
        assert!(parsed.has_errors());
        assert_eq!(parsed.buildings, [], "a row with a fault is not a network");
    }
    check("10.1.2.0,HQ,24\r\n", None, &["error 1"]);
    check(&row(&[]).replace(',', ";"), None, &["error 1"]);
    check("", None, &["error 1"]);
    check(&row(&[(6, &"x".repeat(300))]), None, &["error 1:6"]);
}

#[test]
fn remedies_say_what_to_write() {
    let remedy = |changes: &[(usize, &str)]| parse(&row(changes), None).findings[0].remedy.clone();
    assert_eq!(remedy(&[(1, "10.1.2.7")]), "write the network address 10.1.2.0");
    assert_eq!(remedy(&[(3, "255.255.255.0")]), "write the prefix length 24");
    assert_eq!(remedy(&[(13, "true")]), "write 1 for yes, 0 for no");
}

#[test]
fn every_fault_of_every_row_is_told_in_order() {
    let file = [
        "\n".to_owned(),
        row(&[]),
        row(&[(1, "10.9.9.9"), (13, "x")]),
        "\n\n".to_owned(),
        row(&[(3, "99"), (4, "")]),
    ];
    check(&file.concat(), None, &["error 3:1", "error 3:13", "error 6:3", "error 6:4"]);
}

#[test]
fn single_addresses_are_for_vpn() {
    check(&row(&[(1, "10.1.2.7"), (3, "32"), (15, "1")]), None, &[]);
    check(&row(&[(1, "10.1.2.7"), (3, "32"), (2, "Frankfurt-VPN")]), None, &[]);
    check(&row(&[(1, "10.1.2.7"), (3, "32")]), None, &["error 1:3"]);
}

#[test]
fn equal_prefixes_need_different_egress_prefixes() {
    let file = row(&[(4, "A")]) + &row(&[(4, "B")]);
    check(&file, None, &["error 2:1"]);
    let table = |a: &str, b: &str| {
        format!("BuildingName,Prefix,EgressPrefix\nA,10.1.2.0/24,{a}\nB,10.1.2.0/24,{b}\n")
    };
    check(&file, Some(&table("198.51.100.0/28", "")), &["error 2:1"]);
    check(&file, Some(&table("198.51.100.0/28", "198.51.100.0/28")), &["error 2:1"]);
    let parsed = check(&file, Some(&table("198.51.100.0/28", "203.0.113.0/28")), &[]);
    let egress = |at: usize| parsed.buildings[at].subnets[0].egress.unwrap().to_string();
    assert_eq!([egress(0), egress(1)], ["198.51.100.0/28", "203.0.113.0/28"]);
    // The same network twice in one building is a slip, not two branches.
    check(&(row(&[]) + &row(&[])), None, &["error 2:1"]);
}

#[test]
fn nested_prefixes_are_warned_of_with_the_nearest_around_them() {
    let file = [
        row(&[(1, "10.1.2.0"), (3, "24")]),
        row(&[(1, "10.1.0.0"), (3, "16")]),
        row(&[(1, "10.1.2.64"), (3, "26")]),
        row(&[(1, "10.1.3.0"), (3, "24")]),
        row(&[(1, "10.2.0.0"), (3, "16")]),
    ];
    let parsed = check(&file.concat(), None, &["warning 1:1", "warning 3:1", "warning 4:1"]);
    assert!(!parsed.has_errors());
    assert!(parsed.findings[1].message.contains("10.1.2.0/24"), "{:?}", parsed.findings[1]);
    assert!(parsed.findings[2].message.contains("10.1.0.0/16"), "{:?}", parsed.findings[2]);
}

#[test]
fn home_prefixes_are_fine_with_an_egress_prefix() {
    let file = row(&[(1, "192.168.0.0"), (4, "A")]);
    check(&file, None, &["warning 1:1"]);
    let table = "BuildingName,Prefix,EgressPrefix\nA,192.168.0.0/24,198.51.100.0/28\n";
    check(&file, Some(table), &[]);
}

#[test]
fn a_network_that_holds_a_home_prefix_is_warned_of_unless_it_is_a_whole_plan() {
    for (network, range, expected) in [
        ("192.168.0.0", "16", &["warning 1:1"][..]),
        ("10.0.0.0", "16", &["warning 1:1"]),
        ("192.168.0.0", "23", &["warning 1:1"]),
        ("192.168.4.0", "22", &[]),
        ("10.0.0.0", "15", &[]),
    ] {
        let parsed = check(&row(&[(1, network), (3, range)]), None, expected);
        let told = |f: &Finding| f.message.contains(" holds ");
        assert!(parsed.findings.iter().all(told), "{:?}", parsed.findings);
    }
}

#[test]
fn names_that_differ_in_case_only_are_warned_of() {
    let file = [
        row(&[(1, "10.1.0.0"), (4, "Berlin HQ")]),
        row(&[(1, "10.2.0.0"), (4, "Berlin Hq")]),
        row(&[(1, "10.3.0.0"), (4, "Berlin HQ")]),
    ];
    let parsed = check(&file.concat(), None, &["warning 2"]);
    let message = &parsed.findings[0].message;
    assert!(message.contains("Berlin Hq") && message.contains("Berlin HQ"), "{message}");
    assert_eq!(parsed.buildings.len(), 2);
}

#[test]
fn buildings_whose_zone_or_hours_cannot_be_told_are_named() {
    let file = [
        row(&[(1, "10.1.0.0"), (4, "Austin"), (11, "TX")]),
        row(&[(1, "10.2.0.0"), (4, "Atlantis"), (10, "Atlantis")]),
        row(&[(1, "10.3.0.0"), (4, "Riyadh"), (10, "Saudi Arabia"), (11, "")]),
    ];
    let parsed = check(&file.concat(), None, &["warning 1", "warning 2"]);
    assert!(parsed.findings[0].message.contains("\"Austin\" needs TimeZone:"));
    assert!(parsed.findings[1].message.contains("\"Atlantis\" needs TimeZone and BusinessHours:"));
    let hours = |at: usize| parsed.buildings[at].business_hours.as_ref().map(|h| h.as_str());
    assert_eq!(hours(0), Some("Mo-Fr 08:00-18:00"));
    assert_eq!(hours(1), None);
    assert_eq!(hours(2), Some("Su-Th 08:00-18:00"));
    let table = "businesshours,TIMEZONE,BuildingName\n\
                 ,America/Chicago,Austin\nTu-Sa 09:00-17:00,utc,Atlantis\n";
    let parsed = check(&file.concat(), Some(table), &[]);
    assert_eq!(parsed.buildings[0].time_zone.as_deref(), Some("America/Chicago"));
    assert_eq!(parsed.buildings[1].business_hours.as_ref().unwrap().as_str(), "Tu-Sa 09:00-17:00");
}

#[test]
fn the_companion_table_tells_on_which_dates_nobody_works() {
    let table = "BuildingName,Holidays\n\
                 A,2026-12-25 2026-12-26\nA,2027-01-01;2026-12-25\nB,\n";
    let file = row(&[(4, "A")]) + &row(&[(1, "10.9.0.0"), (4, "B")]);
    let parsed = check(&file, Some(table), &[]);
    let dates = ["2026-12-25", "2026-12-26", "2027-01-01"].map(|date| date.parse().unwrap());
    assert_eq!(parsed.buildings[0].holidays, dates.into());
    assert!(parsed.buildings[1].holidays.is_empty());
    let days = |count: usize| {
        let all = jiff::civil::date(2026, 1, 1).series(jiff::ToSpan::days(1)).take(count);
        all.map(|date| date.to_string()).collect::<Vec<_>>().join(" ")
    };
    check(&file, Some(&format!("BuildingName,Holidays\nA,{}\n", days(400))), &[]);
    check(&file, Some(&format!("BuildingName,Holidays\nA,{}\n", days(401))), &["error 2:2"]);
}

#[test]
fn the_companion_table_adds_ipv6_prefixes() {
    let table = "BuildingName\tPrefix\tNetworkName\tEgressPrefix\n\
                 SEATTLE-SEA-1\t2001:db8:7::/48\tv6\t\n\
                 SEATTLE-SEA-1\t2001:db8:8::/48\t\t\n\
                 SEATTLE-SEA-1\tfd00::/64\tula\t2001:db8:9::/48\n";
    let parsed = check(&row(&[]), Some(table), &[]);
    let told: Vec<_> = parsed.buildings[0]
        .subnets
        .iter()
        .map(|s| (s.prefix.to_string(), s.columns.network_name.as_str(), s.egress.is_some()))
        .collect();
    let name = "USA/Seattle/SEATTLE-SEA-1";
    let expected = [
        ("10.1.2.0/24".to_owned(), name, false),
        ("2001:db8:7::/48".to_owned(), "v6", false),
        ("2001:db8:8::/48".to_owned(), name, false),
        ("fd00::/64".to_owned(), "ula", true),
    ];
    assert_eq!(told, expected);
}

#[test]
fn each_fault_of_the_companion_table_has_its_place() {
    const HEADER: &str =
        "BuildingName,TimeZone,BusinessHours,Holidays,Prefix,EgressPrefix,NetworkName\n";
    let file = row(&[(4, "A")]);
    for (line, expected) in [
        ("B,,,,,,", &["error 2:1"][..]),
        (",Europe/Berlin,,,,,", &["error 2:1"]),
        ("A,Berlin,,,,,", &["error 2:2"]),
        ("A,,nine to five,,,,", &["error 2:3"]),
        ("A,,,2026-12-25 boxing-day,,,", &["error 2:4"]),
        ("A,,,2026-02-30,,,", &["error 2:4"]),
        ("A,,,,10.1.2.0,,", &["error 2:5"]),
        ("A,,,,10.1.2.5/24,,", &["error 2:5"]),
        ("A,,,,10.7.7.0/24,,", &["error 2:5"]),
        ("A,,,,::/0,,", &["error 2:5"]),
        ("A,,,,10.1.2.0/24,198.51.100.1/28,", &["error 2:6"]),
        ("A,,,,,198.51.100.0/28,", &["error 2:6"]),
        ("A,,,,2001:db8::/48,,\nA,,,,2001:db8::/48,,", &["error 3:5"]),
        ("A,Europe/Berlin,,,,,\nA,Europe/Paris,,,,,", &["error 3:2"]),
        ("A,,,,10.1.2.0/24,198.51.100.0/28,\nA,,,,10.1.2.0/24,203.0.113.0/28,", &["error 3:6"]),
        ("A,Europe/Berlin", &[]),
        ("", &[]),
    ] {
        check(&file, Some(&format!("{HEADER}{line}\n")), expected);
    }
    check(&file, Some("TimeZone\nEurope/Berlin\n"), &["error 1"]);
    check(&file, Some("BuildingName,TimeZone,TimeZone\n"), &["error 1:3"]);
    check(&file, Some("BuildingName,Colour\nA,red\n"), &["warning 1:2"]);
}

#[test]
fn a_flood_of_findings_is_cut_and_counted() {
    let file: String = (0..1_500).map(|_| row(&[(13, "x")])).collect();
    let parsed = parse(&file, None);
    assert_eq!(parsed.findings.len(), MAX_FINDINGS + 1);
    assert!(parsed.findings[MAX_FINDINGS].message.starts_with("500 more"));
}

#[test]
fn what_is_exported_is_the_format() {
    let parsed = parse(SAMPLE, None);
    assert_eq!(export(&parsed.buildings).trim(), SAMPLE.trim());
}

prop_compose! {
    fn text()(text in "[ -~é]{0,12}") -> String { text.trim().to_owned() }
}

prop_compose! {
    fn any_subnet(number: u8)(
        texts in prop::collection::vec(text(), 8),
        (inside_corp, express_route, vpn) in any::<(bool, bool, bool)>(),
        egress in prop::option::of(0u8..9),
        v6 in any::<bool>(),
    ) -> FileSubnet {
        let mut texts = texts.into_iter();
        let mut next = || texts.next().unwrap();
        let prefix = if v6 { format!("2001:db8:{number}::/48") } else { format!("10.{number}.0.0/16") };
        FileSubnet {
            prefix: prefix.parse().unwrap(),
            egress: egress.map(|n| format!("198.51.{n}.0/24").parse().unwrap()),
            columns: crate::NetworkColumns {
                network_name: format!("n{}", next()),
                ownership_type: next(),
                building_type: next(),
                building_office_type: next(),
                city: next(),
                zip_code: next(),
                country: next(),
                state: next(),
                region: String::new(),
                inside_corp,
                express_route,
                vpn,
            },
        }
    }
}

prop_compose! {
    /// A building as [`parse`] may make it: its first network is IPv4 and its IPv6 networks, last,
    /// share the other columns of the first.
    fn any_building(number: u8)(
        name in text(),
        zone in prop::option::of(prop::sample::select(vec!["Europe/Berlin", "Asia/Tokyo"])),
        holidays in prop::collection::btree_set(1i8..28, 0..4),
        subnets in (any_subnet(number), any_subnet(number + 1), any_subnet(number + 2)),
    ) -> FileBuilding {
        let mut subnets = [subnets.0, subnets.1, subnets.2];
        subnets[0].prefix = format!("10.{number}.0.0/16").parse().unwrap();
        subnets.sort_by_key(|subnet| matches!(subnet.prefix, ipnet::IpNet::V6(_)));
        let first = subnets[0].columns.clone();
        for subnet in &mut subnets {
            if matches!(subnet.prefix, ipnet::IpNet::V6(_)) {
                let network_name = subnet.columns.network_name.clone();
                subnet.columns = crate::NetworkColumns { network_name, ..first.clone() };
            }
        }
        FileBuilding {
            name: format!("{number} {name}").trim().to_owned(),
            city: first.city.clone(),
            country: first.country.clone(),
            region: first.region.clone(),
            time_zone: zone.map(str::to_owned),
            business_hours: zone.map(|_| "Mo-Fr 07:00-16:00".parse().unwrap()),
            holidays: holidays.into_iter().map(|day| jiff::civil::date(2026, 12, day)).collect(),
            subnets: subnets.to_vec(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn what_is_exported_is_read_back(buildings in (any_building(1), any_building(4), any_building(7))) {
        let buildings = vec![buildings.0, buildings.1, buildings.2];
        let (file, companion) = (export(&buildings), export_companion(&buildings));
        let again = parse(&file, Some(&companion));
        prop_assert!(!again.has_errors(), "{:#?}\n{file}\n{companion}", again.findings);
        for (read, given) in again.buildings.iter().zip(&buildings) {
            // What nobody told may be told from the country.
            let told = FileBuilding {
                time_zone: given.time_zone.clone().or(read.time_zone.clone()),
                business_hours: given.business_hours.clone().or(read.business_hours.clone()),
                ..given.clone()
            };
            prop_assert_eq!(read, &told);
        }
        prop_assert_eq!(again.buildings.len(), 3);
        prop_assert_eq!(export(&again.buildings), file);
    }

    #[test]
    fn nothing_makes_the_parser_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200), companion in ".{0,200}",
    ) {
        fuzz_parse(&bytes);
        let file = String::from_utf8_lossy(&bytes);
        let parsed = parse(&file, Some(&companion));
        prop_assert!(parsed.has_errors() || !parsed.buildings.is_empty() || !parsed.findings.is_empty());
    }

    #[test]
    fn nothing_like_a_file_makes_the_parser_panic(
        file in "([0-9.,\t\"\r\n;/:a-f]|10\\.0\\.0\\.0|,,,,,,,,,){0,80}",
        companion in "BuildingName,Prefix,EgressPrefix\n([0-9.,\"\n/:a-f]|10\\.0\\.0\\.0/8){0,80}",
    ) {
        fuzz_parse(file.as_bytes());
        let parsed = parse(&file, Some(&companion));
        let lines = file.lines().count().max(companion.lines().count()).max(1);
        prop_assert!(parsed.findings.iter().all(|f| (1..=lines as u32 + 1).contains(&f.line)));
    }
}
