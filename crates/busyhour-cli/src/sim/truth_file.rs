//! `truth.json`: what is true of a simulated fleet, with names instead of numbers.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read as _, Write as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use busyhour_model::LinkKind;
use busyhour_sim::score::{Ground, GroundBuilding, GroundSeries};
use busyhour_sim::world::{BadDay, NamedPlace, Plan, Reach, Truth};
use serde::{Deserialize, Serialize};

use super::findings::{Day, RawPlace, clock, minutes};

const NAME: &str = "truth.json";
const SCHEMA_VERSION: u32 = 1;
/// Ten thousand buildings over a year stay below it.
const MAX_BYTES: u64 = 2 * 1024 * 1024 * 1024;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTruths {
    schema_version: u32,
    plan: RawPlan,
    buildings: Vec<RawBuilding>,
    series: Vec<RawSeries>,
    truths: Vec<RawTruth>,
}

/// What it was made from. Only the days matter to scoring.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPlan {
    seed: u64,
    fleet: String,
    mechanisms: String,
    first: Day,
    days: u32,
    sampling: String,
    absent: f64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBuilding {
    name: String,
    /// From Monday.
    works: [bool; 7],
    closed: Vec<Day>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSeries {
    name: String,
    building: String,
    subnet: String,
    agent: String,
    link: String,
    upstream: Option<String>,
    target: Option<String>,
    near: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTruth {
    id: u32,
    kind: String,
    class: String,
    place: RawPlace,
    same_as: Vec<RawPlace>,
    mechanism: String,
    causes: Vec<String>,
    series: Vec<String>,
    buildings: Vec<String>,
    hours: Vec<(String, String)>,
    from: Day,
    until: Day,
    active: Vec<Day>,
    bad: Vec<RawBadDay>,
    severity: f64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBadDay {
    date: Day,
    worst_share: f64,
}

/// Writes the truth into a folder.
pub(super) fn write(folder: &Path, plan: &Plan, ground: &Ground) -> anyhow::Result<()> {
    let file = File::create_new(folder.join(NAME)).with_context(|| format!("create {NAME}"))?;
    let mut file = BufWriter::new(file);
    serde_json::to_writer(&mut file, &raw(plan, ground))
        .with_context(|| format!("write {NAME}"))?;
    writeln!(file).and_then(|()| file.flush()).with_context(|| format!("write {NAME}"))
}

/// Reads the truth of a folder.
pub(super) fn read(folder: &Path) -> anyhow::Result<Ground> {
    let path = folder.join(NAME);
    let file = File::open(&path)
        .with_context(|| format!("open {} (`busyhour sim generate` writes it)", path.display()))?;
    if file.metadata().is_ok_and(|about| about.len() > MAX_BYTES) {
        bail!("{} is larger than any fleet's", path.display());
    }
    let truths = serde_json::from_reader(BufReader::new(file.take(MAX_BYTES)));
    let truths: RawTruths = truths.with_context(|| format!("read {}", path.display()))?;
    if truths.schema_version != SCHEMA_VERSION {
        bail!(
            "{} has schema version {}, this program reads {SCHEMA_VERSION}: generate it again",
            path.display(),
            truths.schema_version
        );
    }
    ground(truths).with_context(|| format!("understand {}", path.display()))
}

fn raw(plan: &Plan, ground: &Ground) -> RawTruths {
    let building = |number: u32| name_at(&ground.buildings, number, |one| &one.name);
    let series = |number: u32| name_at(&ground.series, number, |one| &one.name);
    RawTruths {
        schema_version: SCHEMA_VERSION,
        plan: RawPlan {
            seed: plan.seed,
            fleet: plan.hardness.as_str().to_owned(),
            mechanisms: plan.mechanisms.as_str().to_owned(),
            first: Day(plan.first),
            days: plan.days,
            sampling: plan.sampling.to_string(),
            absent: plan.absent_days,
        },
        buildings: ground
            .buildings
            .iter()
            .map(|one| RawBuilding {
                name: one.name.clone(),
                works: one.works,
                closed: one.closed.iter().map(|date| Day(*date)).collect(),
            })
            .collect(),
        series: ground
            .series
            .iter()
            .map(|one| RawSeries {
                name: one.name.clone(),
                building: building(one.building),
                subnet: one.subnet.clone(),
                agent: one.agent.clone(),
                link: one.link.as_str().to_owned(),
                upstream: one.upstream.clone(),
                target: one.target.clone(),
                near: one.reach == Reach::Near,
            })
            .collect(),
        truths: ground.truths.iter().map(|one| raw_truth(one, &building, &series)).collect(),
    }
}

fn name_at<T>(list: &[T], number: u32, name: impl Fn(&T) -> &String) -> String {
    list.get(number as usize).map(|one| name(one).clone()).unwrap_or_default()
}

fn raw_truth(
    truth: &Truth,
    building: &impl Fn(u32) -> String,
    series: &impl Fn(u32) -> String,
) -> RawTruth {
    let bad = |bad: &BadDay| RawBadDay { date: Day(bad.date), worst_share: bad.worst_share };
    RawTruth {
        id: truth.id,
        kind: truth.kind.as_str().to_owned(),
        class: truth.class.as_str().to_owned(),
        place: RawPlace::from(&truth.place),
        same_as: truth.same_as.iter().map(RawPlace::from).collect(),
        mechanism: truth.mechanism.clone(),
        causes: truth.causes.clone(),
        series: truth.series.iter().map(|number| series(*number)).collect(),
        buildings: truth.buildings.iter().map(|number| building(*number)).collect(),
        hours: truth.hours.iter().map(|(from, until)| (clock(*from), clock(*until))).collect(),
        from: Day(truth.from),
        until: Day(truth.until),
        active: truth.active.iter().map(|date| Day(*date)).collect(),
        bad: truth.bad.iter().map(bad).collect(),
        severity: truth.severity,
    }
}

fn ground(raw: RawTruths) -> anyhow::Result<Ground> {
    let buildings: HashMap<String, u32> =
        (0..).zip(&raw.buildings).map(|(number, one)| (one.name.clone(), number)).collect();
    let series: HashMap<String, u32> =
        (0..).zip(&raw.series).map(|(number, one)| (one.name.clone(), number)).collect();
    let truths = raw.truths.into_iter().map(|one| {
        let id = one.id;
        truth(one, &buildings, &series).with_context(|| format!("truth {id}"))
    });
    Ok(Ground {
        first: raw.plan.first.0,
        days: raw.plan.days,
        truths: truths.collect::<anyhow::Result<_>>()?,
        series: raw
            .series
            .into_iter()
            .map(|one| {
                Ok(GroundSeries {
                    building: number(&buildings, "building", &one.building)?,
                    link: link(&one.link)?,
                    reach: if one.near { Reach::Near } else { Reach::Far },
                    name: one.name,
                    subnet: one.subnet,
                    agent: one.agent,
                    upstream: one.upstream,
                    target: one.target,
                })
            })
            .collect::<anyhow::Result<_>>()?,
        buildings: raw
            .buildings
            .into_iter()
            .map(|one| GroundBuilding {
                name: one.name,
                works: one.works,
                closed: one.closed.into_iter().map(|day| day.0).collect(),
            })
            .collect(),
    })
}

fn truth(
    raw: RawTruth,
    buildings: &HashMap<String, u32>,
    series: &HashMap<String, u32>,
) -> anyhow::Result<Truth> {
    let numbers = |names: &[String], of: &HashMap<String, u32>, what| {
        let mut numbers = names
            .iter()
            .map(|name| number(of, what, name))
            .collect::<anyhow::Result<Vec<u32>>>()?;
        numbers.sort_unstable();
        anyhow::Ok(numbers)
    };
    let bad = |bad: RawBadDay| BadDay { date: bad.date.0, worst_share: bad.worst_share };
    Ok(Truth {
        id: raw.id,
        kind: raw.kind.parse()?,
        class: raw.class.parse()?,
        place: NamedPlace::try_from(raw.place)?,
        same_as: raw.same_as.into_iter().map(NamedPlace::try_from).collect::<Result<_, _>>()?,
        mechanism: raw.mechanism,
        causes: raw.causes,
        series: numbers(&raw.series, series, "series")?,
        buildings: numbers(&raw.buildings, buildings, "building")?,
        hours: raw
            .hours
            .iter()
            .map(|(from, until)| Ok((minutes(from)?, minutes(until)?)))
            .collect::<anyhow::Result<_>>()?,
        from: raw.from.0,
        until: raw.until.0,
        active: raw.active.into_iter().map(|day| day.0).collect(),
        bad: raw.bad.into_iter().map(bad).collect(),
        severity: raw.severity,
    })
}

fn number(of: &HashMap<String, u32>, what: &str, name: &str) -> anyhow::Result<u32> {
    of.get(name).copied().with_context(|| format!("no {what} is called {name:?}"))
}

pub(super) fn link(word: &str) -> anyhow::Result<LinkKind> {
    word.parse().with_context(|| format!("{word:?} is no kind of link"))
}
