//! The numbers in the text against the data, counted again from the cells.

use std::collections::BTreeSet;

use busyhour_model::{Breach, RequirementProfile, SlotStart, UtcMicros, limits_in_force};
use jiff::civil::{Date, date};

use super::Story;
use crate::figures::{Counts, Figures};
use crate::finding::{Change, Finding, FindingKind, Place};
use crate::fleet::{SeriesNo, UpstreamNo};
use crate::replay::Recorded as _;
use crate::stage::{Stage, working_days};

/// Every number in a text: digits with at most one point between.
fn numbers(text: &str) -> Vec<String> {
    let keep = |c: char| c.is_ascii_digit() || c == '.';
    text.split(|c| !keep(c))
        .map(|word| word.trim_matches('.').to_owned())
        .filter(|word| !word.is_empty())
        .collect()
}

/// Sums over cells of a finding's series, counted without the engine's own rows.
#[derive(Default)]
struct Sum {
    valid: u64,
    bad: u64,
    by: [u64; 5],
    sent: u64,
    lost: u64,
}

impl Sum {
    fn over(stage: &Stage, finding: &Finding, wanted: impl Fn(Date, i64) -> bool) -> Self {
        let mut sum = Self::default();
        let slots = |day: Date| {
            let micros = day.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp().as_second();
            micros / 900
        };
        for &member in &finding.members {
            let (first, last) = stage.dates();
            for day in first.series(jiff::ToSpan::days(1)).take_while(|day| *day <= last) {
                let start = slots(day);
                let cells = |quarter: i64| {
                    let from = SlotStart::from_number(start + quarter);
                    stage.cells(SeriesNo(member.0), from, from.offset(1), last)
                };
                for quarter in (0..96).filter(|quarter| wanted(day, quarter * 15)) {
                    for cell in cells(quarter) {
                        sum.valid += u64::from(cell.valid);
                        sum.bad += u64::from(cell.bad);
                        sum.sent += cell.sent;
                        sum.lost += cell.lost;
                        for (by, count) in sum.by.iter_mut().zip(cell.bad_by) {
                            *by += u64::from(count);
                        }
                    }
                }
            }
        }
        sum
    }

    fn words(&self, into: &mut BTreeSet<String>) {
        let share = |part: u64, whole: u64| 100.0 * part as f64 / whole.max(1) as f64;
        into.extend([self.valid, self.bad].map(|count| count.to_string()));
        into.extend(self.by.map(|count| count.to_string()));
        into.insert(rounded(share(self.bad, self.valid)));
        into.insert(rounded(share(self.lost, self.sent)));
    }
}

/// As the text rounds: two or three digits that matter.
fn rounded(value: f64) -> String {
    let digits = if value >= 10.0 {
        0
    } else if value >= 1.0 {
        1
    } else {
        2
    };
    format!("{value:.digits$}")
}

fn dates_of(day: Date, into: &mut BTreeSet<String>) {
    into.extend([day.day().to_string(), day.year().to_string()]);
    into.extend([format!("{:02}", day.month()), format!("{:02}", day.day())]);
}

/// All that a text of this finding may say, from the finding's own dates and from the cells.
fn allowed(stage: &Stage, finding: &Finding, ms: &[f64]) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let bad = |day: Date| finding.bad_days.contains(&day);
    let last = finding.last_bad;
    let week = |day: Date| day <= last && (last - day).get_days() < 7;
    let peak = Sum::over(stage, finding, |day, at| bad(day) && (600..750).contains(&at));
    let quiet = Sum::over(stage, finding, |day, at| bad(day) && !(480..1080).contains(&at));
    let whole = Sum::over(stage, finding, |day, _| bad(day));
    let seven = Sum::over(stage, finding, |day, _| week(day));
    for sum in [&peak, &quiet, &whole, &seven] {
        sum.words(&mut all);
    }
    for day in [finding.first_bad, last] {
        dates_of(day, &mut all);
    }
    // The worst hour: the first of its stretch, of one series.
    all.extend(["10", "00", "11", "12", "30", "20", "60"].map(str::to_owned));
    all.insert(rounded((20.0 / 60.0) / (whole.bad as f64 / whole.valid as f64)));
    let observed = working_days(finding.first_bad, finding.observed_days.len());
    let within = finding.bad_days.iter().filter(|day| observed.contains(day)).count();
    let counts = [finding.bad_days.len(), observed.len(), observed.len().min(5), within, 4, 8, 0];
    all.extend(counts.map(|count| count.to_string()));
    all.extend(ms.iter().map(|ms| rounded(*ms)));
    all.insert("90".to_owned());
    let weights = finding.evidence.iter().map(|one| format!("{:.1}", one.weight.abs()));
    all.extend(weights);
    let sure = [finding.confidence, finding.cause_confidence];
    all.extend(sure.map(|share| format!("{share:.2}")));
    all
}

fn opened(stage: &Stage) -> Finding {
    let told = stage.told();
    told.into_iter().map(|(_, one)| one).find(|one| one.change == Change::Opened).unwrap()
}

#[test]
fn every_number_in_the_text_is_one_of_the_data() {
    for (by, rise_us) in [(Breach::Loss, 0), (Breach::Delay, 90_000), (Breach::Jitter, 0)] {
        let mut stage = Stage::street(3, 14);
        let trouble = stage.trouble(&[0, 1, 2, 3], &working_days(date(2025, 3, 10), 4));
        trouble.by = by;
        trouble.rise_us = rise_us;
        let finding = opened(&stage);
        let rise = f64::from(rise_us) / 1e3;
        // Means over whole days: two and a half hours of twenty-four are slower.
        let day = 20.0 + rise * 2.5 / 24.0;
        let jitter = if by == Breach::Jitter { 40.0 } else { 1.0 };
        let day_jitter = 1.0 + (jitter - 1.0) * 2.5 / 24.0;
        let ms = [20.0, 20.0 + rise, rise, 1.0, jitter, day, day_jitter];
        // And of the limits: their version, and the date of what they were published in.
        let tau = ["1", "0", "2019", "03", "01"].map(str::to_owned);
        let allowed: BTreeSet<String> =
            allowed(&stage, &finding, &ms).into_iter().chain(tau).collect();
        for text in [&finding.sentence, &finding.paragraph] {
            for number in numbers(text) {
                assert!(allowed.contains(&number), "{number} in {text}\nknown: {allowed:?}");
            }
            for sentence in text.split(". ") {
                let begins = sentence.chars().next();
                assert!(
                    begins.is_some_and(|first| !first.is_lowercase()),
                    "{sentence:?} of {text}"
                );
            }
        }
        assert!(finding.sentence.contains("20 of 60 checks"), "{}", finding.sentence);
        assert!(finding.sentence.contains("on 3 of the 3 observed"), "{}", finding.sentence);
    }
}

#[test]
fn a_daily_average_that_hides_it_says_so_and_one_that_does_not_says_that() {
    let sentence = |bad: u32, hours: (u16, u16), by: Breach| {
        let mut stage = Stage::street(3, 14);
        let trouble = stage.trouble(&[0, 1, 2, 3], &working_days(date(2025, 3, 10), 4));
        (trouble.bad, trouble.hours, trouble.by) = (bad, hours, by);
        opened(&stage).sentence
    };
    let hidden = sentence(5, (600, 750), Breach::Loss);
    assert!(hidden.contains("average would have said that all is well: 0.06 % loss"), "{hidden}");
    assert!(hidden.contains("bad 9.6 times as often as over the whole days"), "{hidden}");
    // Five hours of fifteen in which a third is lost altogether.
    let plain = sentence(5, (600, 900), Breach::Failed);
    assert!(plain.contains("The daily average fails too: 6.9 % loss."), "{plain}");
}

#[test]
fn the_daily_average_is_held_against_the_limits_that_its_paths_are_judged_by() {
    let sentence = |requirement: RequirementProfile, bad: u32| {
        let mut stage = Stage::street(3, 14);
        stage.fleet.series.iter_mut().for_each(|info| info.requirement = requirement);
        stage.trouble(&[0, 1, 2, 3], &working_days(date(2025, 3, 10), 4)).bad = bad;
        let told = stage.told();
        let opened = |one: &Finding| one.change == Change::Opened && one.kind.alerts();
        told.into_iter().map(|(_, one)| one).find(opened).unwrap().sentence
    };
    let client = sentence(RequirementProfile::ClientToMicrosoftEdge, 5);
    assert!(client.contains("all is well: 0.06 % loss"), "{client}");
    let edge = sentence(RequirementProfile::SiteEdgeToMicrosoftEdge, 10);
    assert!(edge.contains("The daily average fails too: 0.11 % loss."), "{edge}");
    let none = sentence(RequirementProfile::None, 5);
    assert!(!none.contains("daily average"), "{none}");
}

#[test]
fn an_engineer_is_told_which_limits_were_counted_by() {
    let paragraph = |requirement: RequirementProfile| {
        let mut stage = Stage::street(3, 14);
        stage.fleet.series.iter_mut().for_each(|info| info.requirement = requirement);
        stage.trouble(&[0, 1, 2, 3], &working_days(date(2025, 3, 10), 4));
        let told = stage.told();
        let opened = |one: &Finding| one.change == Change::Opened && one.kind.alerts();
        told.into_iter().map(|(_, one)| one).find(opened).unwrap().paragraph
    };
    let edge = paragraph(RequirementProfile::ClientToMicrosoftEdge);
    let said = " Limits: version 1 (Microsoft, Prepare your organization's network for Teams \
                (prepare-network.md), 2019-03-01).";
    assert!(edge.contains(said), "{edge}");
    assert!(!paragraph(RequirementProfile::None).contains("Limits:"));
}

#[test]
fn an_average_that_passes_by_what_is_broken_most_may_fail_by_another_limit() {
    let figures = Figures {
        peak: Counts { valid: 60, bad: 20, bad_by: [20, 0, 0, 0, 0], ..Counts::default() },
        day: Counts { valid: 900, bad: 20, sent: 1_000, lost: 1, ..Counts::default() },
        day_rtt_us: Some(150_000),
        day_jitter_us: Some(1_000),
        ..Figures::default()
    };
    let of = |profile| {
        super::average_of(&figures, limits_in_force(profile, UtcMicros(1_790_000_000_000_000))?)
    };
    let said = |text: &str, passes| Some((text.to_owned(), passes));
    let client = of(RequirementProfile::ClientToMicrosoftEdge);
    assert_eq!(client, said("150 ms round trip", false));
    let far = of("client-to-azure-canada-central".parse().unwrap());
    assert_eq!(far, said("0.10 % loss", true));
}

#[test]
fn what_happened_once_at_night_is_told_with_the_night_s_figures() {
    let mut stage = Stage::street(3, 14);
    let night = stage.trouble(&[0], &working_days(date(2025, 3, 10), 1));
    (night.hours, night.by, night.bad) = ((180, 240), Breach::Failed, 15);
    let told = stage.told();
    let once = told.iter().map(|(_, one)| one).find(|one| one.kind == FindingKind::OneOff).unwrap();
    assert!(once.sentence.contains("In the worst of it 100 % of the checks"), "{}", once.sentence);
}

#[test]
fn hours_of_a_finding_are_named_by_the_clock() {
    let mut stage = Stage::street(3, 14);
    let all = working_days(date(2025, 3, 10), 4);
    stage.trouble(&[0, 1, 2, 3], &all);
    stage.trouble(&[0, 1, 2, 3], &all).hours = (900, 960);
    let sentence = opened(&stage).sentence;
    assert!(
        sentence.contains("between 10:00 and 12:30 and between 15:00 and 16:00 local time"),
        "{sentence}"
    );
}

#[test]
fn the_clock_is_named_where_clocks_differ() {
    let mut stage = Stage::street(4, 14);
    for building in 2..4 {
        stage.fleet.buildings[building].zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(2));
    }
    let days = working_days(date(2025, 3, 10), 3);
    let all: Vec<u32> = (0..16).collect();
    stage.trouble(&all, &days);
    // House C has the worst hours, and is asked about.
    stage.trouble(&[8], &days).bad = 7;
    let finding = opened(&stage);
    let sentence = &finding.sentence;
    assert!(sentence.contains("between 12:00 and 14:30 local time of House C"), "{sentence}");
    assert!(sentence.contains("(12:00–13:00), 28 of 60 checks"), "{sentence}");
    // An hour of a series that keeps to another clock says whose it is.
    let figures = Figures::default();
    let story = Story { fleet: &stage.fleet, finding: &finding, figures: &figures, limits: None };
    assert_eq!(story.elsewhere(SeriesNo(0)), " in House A");
    assert_eq!(story.elsewhere(SeriesNo(12)), "");
}

#[test]
fn buildings_that_share_something_are_counted_and_a_region_is_no_way() {
    let mut stage = Stage::street(3, 14);
    stage.trouble(&[0, 1, 2, 3], &working_days(date(2025, 3, 10), 4));
    let mut finding = opened(&stage);
    finding.place = Place::Upstream(UpstreamNo(0));
    finding.members = vec![SeriesNo(0), SeriesNo(4)];
    let place = |stage: &Stage, finding: &Finding| {
        let figures = Figures::default();
        Story { fleet: &stage.fleet, finding, figures: &figures, limits: None }.place()
    };
    assert_eq!(place(&stage, &finding), "2 of 3 buildings behind ISP");
    stage.fleet.regions.insert(UpstreamNo(0));
    assert_eq!(place(&stage, &finding), "2 of 3 buildings in ISP");
    finding.members.push(SeriesNo(8));
    assert_eq!(place(&stage, &finding), "All buildings in ISP");
}

#[test]
fn a_subnet_of_one_machine_is_not_told_from_that_machine() {
    let mut stage = Stage::street(1, 14);
    stage.trouble(&[0, 1, 2, 3], &working_days(date(2025, 3, 10), 4));
    let mut finding = opened(&stage);
    let subnet = stage.fleet.series[0].subnet;
    finding.place = Place::Subnet(subnet, None);
    let figures = Figures::default();
    let mut blamed = |members: &[u32]| {
        finding.members = members.iter().map(|&no| SeriesNo(no)).collect();
        let story =
            Story { fleet: &stage.fleet, finding: &finding, figures: &figures, limits: None };
        story.blamed()
    };
    assert_eq!(blamed(&[0]), "this machine or its subnet");
    assert_eq!(blamed(&[0, 1]), "this subnet");
}

#[test]
fn a_share_of_siblings_is_told_in_words() {
    let cases = [(4, 4, "all 4 paths"), (0, 3, "none of 3 paths"), (1, 1, "1 of 1 paths")];
    for (part, whole, expected) in cases {
        assert_eq!(super::count_of(part, whole, "paths"), expected);
    }
}
