//! The last two weeks of a building or of one of its networks, day by day: a picture, the same as a
//! table, and both as files.

use std::collections::BTreeMap;

use askama::Template;
use busyhour_chart::{DayMark, Svg, dated_strip, day_strip};
use busyhour_model::{Building, BuildingId, DaySummary, Scope, Subnet};
use jiff::civil::Date;

use super::building::Verdict;
use super::files::{Content, Files};
use super::findings::part_query;
use super::subnet::no_subnet;
use crate::json::buildings::no_building;
use crate::problem::Problem;
use crate::scoped::Scoped;
use crate::state::{STRIP_DAYS, add_days, date_in, strip, zone_of};
use crate::week::Part;

/// A strip with its table and where both are as files.
#[derive(Template)]
#[template(path = "strip.html")]
pub(super) struct Strip {
    name: String,
    marks: Vec<DayMark>,
    rows: Vec<Row>,
    files: Files,
    /// The table is shown at once.
    open: bool,
}

struct Row {
    date: Date,
    /// Its day in the building.
    href: String,
    masked: bool,
    verdict: Verdict,
}

impl Strip {
    /// The two weeks to `last`; of `days` it takes those that were judged of the part.
    pub(super) fn new(
        days: &[DaySummary],
        (part, name): (Part, &str),
        last: Date,
        today: Date,
    ) -> Self {
        let of_part = days.iter().filter(|day| is_of(day, part)).map(|day| (day.date, day));
        let days: BTreeMap<Date, &DaySummary> = of_part.collect();
        let marks = strip(&days, last, today);
        let row = |mark: &DayMark| Row::new(mark, days.get(&mark.date).copied(), part);
        Self {
            name: format!("The last two weeks of {name}"),
            rows: marks.iter().rev().map(row).collect(),
            files: Files::strip(part, &last.to_string()),
            marks,
            open: false,
        }
    }

    pub(super) fn of_building(days: &[DaySummary], building: &Building, today: Date) -> Self {
        let part = Part { building: building.id, subnet: None, link: None };
        Self::new(days, (part, &building.name), today, today)
    }

    pub(super) fn with_open_table(self) -> Self {
        Self { open: true, ..self }
    }

    /// As it is a file: of a building, or of one of its networks on one kind of link.
    pub(super) fn content(
        services: &Scoped,
        part: Part,
        asked: Option<Date>,
        table: bool,
    ) -> Result<Content, Problem> {
        let (name, today) = named(services, part.building)?;
        let last = asked.unwrap_or(today).min(today);
        let name = match (part.subnet, part.link) {
            (None, None) => name,
            (Some(id), Some(link)) => {
                let mut subnets = services.control.subnets()?.into_iter();
                let is_it = |one: &Subnet| one.id == id && one.building == part.building;
                let subnet = subnets.find(is_it).ok_or_else(no_subnet)?;
                format!("{}, {link}", subnet.prefix)
            }
            (Some(_), None) | (None, Some(_)) => {
                let why = "days are judged of a building, or of a subnet on a kind of link";
                return Err(Problem::bad_request(why));
            }
        };
        let first = add_days(last, 1 - STRIP_DAYS);
        let days = services.control.days(Some(part.building), first, last)?;
        let strip = Self::new(&days, (part, &name), last, today);
        Ok(if table {
            Content::Table(strip.lines())
        } else {
            Content::Picture(dated_strip(&strip.name, &strip.marks))
        })
    }

    fn svg(&self) -> Svg {
        day_strip(&self.name, &self.marks)
    }

    /// Oldest first, as they are drawn; what is not known is empty.
    fn lines(self) -> Vec<Vec<String>> {
        let names =
            ["date", "verdict", "hidden_by_average", "worst_hour", "daily_average", "coverage"];
        let row = |row: Row| {
            let Verdict { words, worst, average, coverage, .. } = row.verdict;
            let [worst, average, coverage] =
                [worst, average, coverage].map(|words| words.replace('–', ""));
            let masked = row.masked.to_string();
            vec![row.date.to_string(), words.to_owned(), masked, worst, average, coverage]
        };
        let names = names.map(str::to_owned).to_vec();
        [names].into_iter().chain(self.rows.into_iter().rev().map(row)).collect()
    }
}

/// A building's name, and which day it is there.
fn named(services: &Scoped, id: BuildingId) -> Result<(String, Date), Problem> {
    let mut buildings = services.control.buildings()?.into_iter();
    let building = buildings.find(|one| one.id == id).ok_or_else(no_building)?;
    let today = date_in((services.clock)(), &zone_of(&building));
    Ok((building.name, today))
}

fn is_of(day: &DaySummary, part: Part) -> bool {
    match day.scope {
        Scope::Building(id) => (id, None, None) == (part.building, part.subnet, part.link),
        Scope::Subnet(id, link) => (part.subnet, part.link) == (Some(id), Some(link)),
        Scope::Agent(..) | Scope::Path(_) => false,
    }
}

impl Row {
    /// In the words of its mark, so that table and picture say the same.
    fn new(mark: &DayMark, day: Option<&DaySummary>, part: Part) -> Self {
        let query = part_query(part.subnet, part.link);
        let verdict = day.map_or_else(Verdict::unknown, Verdict::new);
        Self {
            date: mark.date,
            href: format!("/buildings/{}?date={}{query}", part.building, mark.date),
            masked: day.is_some_and(|day| day.verdict.is_bad() && day.masked),
            verdict: Verdict { words: mark.shape.words(), ..verdict },
        }
    }
}

#[cfg(test)]
mod tests {
    use busyhour_model::{DayVerdict, LinkKind, SubnetId};
    use jiff::civil::date;

    use super::*;
    use crate::state::tests::{BUILDING, day};

    #[test]
    fn table_and_picture_tell_the_same_days_of_the_same_part() {
        let subnet = SubnetId::from_u128(7);
        let on =
            |scope, number, verdict, masked| DaySummary { scope, ..day(number, verdict, masked) };
        let (own, net) = (Scope::Building(BUILDING), |id, link| Scope::Subnet(id, link));
        let mut closed = on(own, 8, DayVerdict::Missing, false);
        (closed.expected, closed.valid) = (0, 0);
        let days = [
            on(own, 6, DayVerdict::PeakBad, true),
            on(own, 7, DayVerdict::Missing, false),
            closed,
            on(own, 9, DayVerdict::AllDayBad, false),
            on(net(subnet, LinkKind::Wired), 9, DayVerdict::Good, true),
            on(net(subnet, LinkKind::Wifi), 10, DayVerdict::Good, false),
            on(net(SubnetId::from_u128(8), LinkKind::Wired), 10, DayVerdict::PeakBad, false),
        ];
        let told = |subnet, link| {
            let part = Part { building: BUILDING, subnet, link };
            let strip = Strip::new(&days, (part, "Quay"), date(2026, 3, 10), date(2026, 3, 10));
            let marks: Vec<&str> = strip.marks.iter().map(|mark| mark.shape.words()).collect();
            let words: Vec<&str> = strip.rows.iter().rev().map(|row| row.verdict.words).collect();
            assert_eq!(marks, words);
            assert_eq!((words.len(), strip.rows[0].date), (14, date(2026, 3, 10)), "newest first");
            let masked = strip.rows.iter().filter(|row| row.masked).count();
            (words[9..].join("; "), masked)
        };
        let all = "bad at a busy hour; unknown; not a business day; bad all day; unknown";
        assert_eq!(told(None, None), (all.to_owned(), 1));
        let wired = "unknown; unknown; unknown; good; unknown";
        assert_eq!(told(Some(subnet), Some(LinkKind::Wired)), (wired.to_owned(), 0));
    }
}
