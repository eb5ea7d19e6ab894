//! How an incident stands with people, and what mending it changed.

use busyhour_model::desk::{Overlay, Proof, QuietKind, ShortRemark, Side, Standing};
use busyhour_model::{Incident, UtcMicros};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use schemars::JsonSchema;
use serde::Serialize;

use crate::problem::Problem;
use crate::scoped::{Scoped, desk};
use crate::text;

/// Days after the last bad one that are looked at for what mending changed.
const AFTER_DAYS: i32 = 30;
/// Buildings of an incident whose days are: their verdicts are read for each view of it.
const MAX_PROOF_BUILDINGS: usize = 10;

/// How it stands with people.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct People {
    /// When this opening of it was acknowledged, by whom, and what becomes of it.
    acknowledged_utc: Option<String>,
    acknowledged_by: Option<String>,
    acknowledged_reason: Option<String>,
    /// Who must act, and how to reach them.
    owner: Option<String>,
    owner_contact: Option<String>,
    /// It was said of this incident; else it is from the table of owners.
    owner_by_hand: bool,
    /// `silence` or `maintenance` while it is not told, and until when.
    quiet: Option<&'static str>,
    quiet_until_utc: Option<String>,
    /// The number of the incident that people made it part of.
    part_of: Option<u64>,
}

/// How an incident stands with people now.
pub(crate) struct Laid {
    pub(crate) standing: Standing,
    /// What people made it part of, as far as who asks sees that.
    pub(crate) part_of: Option<u64>,
}

impl Laid {
    pub(crate) fn read(
        services: &Scoped,
        overlay: &Overlay,
        incident: &Incident,
    ) -> Result<Self, Problem> {
        let whole = desk::part_of(&services.control, overlay, incident)?;
        Ok(Self {
            standing: overlay.standing(incident, (services.clock)()),
            part_of: whole.map(|whole| whole.number),
        })
    }
}

impl People {
    pub(super) fn new(Laid { standing, part_of }: &Laid) -> Self {
        let seen = standing.acknowledged.as_ref();
        let owner = standing.owner.as_ref();
        let quiet = standing.quiet.as_ref();
        Self {
            acknowledged_utc: seen.map(|seen| text::utc(seen.at)),
            acknowledged_by: seen.map(|seen| seen.by.clone()),
            acknowledged_reason: seen.map(|seen| seen.reason.to_string()),
            owner: owner.map(|owner| owner.name.to_string()),
            owner_contact: owner
                .and_then(|owner| owner.contact.as_ref())
                .map(ShortRemark::to_string),
            owner_by_hand: standing.owner_by_hand,
            quiet: quiet.map(|cover| QuietKind::as_str(cover.kind)),
            quiet_until_utc: quiet.map(|cover| text::utc(cover.until)),
            part_of: *part_of,
        }
    }
}

/// Medians over days of the worst hour of each day.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SideItem {
    days: usize,
    bad_days: usize,
    bad_ratio: f64,
    /// 90th percentiles of windows.
    loss_ratio_p90: f64,
    rtt_us_p90: u32,
    jitter_us_p90: u32,
}

impl SideItem {
    pub(super) fn new(side: &Side) -> Self {
        let Side { days, bad_days, bad_share, loss_ppm, rtt_us, jitter_us } = *side;
        Self {
            days,
            bad_days,
            bad_ratio: bad_share,
            loss_ratio_p90: f64::from(loss_ppm) / 1_000_000.0,
            rtt_us_p90: rtt_us,
            jitter_us_p90: jitter_us,
        }
    }
}

/// What is shown of one incident beside what the engine found.
pub(crate) struct Around {
    pub(crate) laid: Laid,
    /// Ascending.
    pub(crate) parts: Vec<u64>,
    pub(crate) proof: Option<Proof>,
}

impl Around {
    pub(crate) fn read(services: &Scoped, incident: &Incident) -> Result<Self, Problem> {
        let overlay = services.desk.overlay((services.clock)())?;
        let mut parts = Vec::new();
        for part in overlay.parts_of(incident.id) {
            let Some(part) = services.control.incident(part)? else { continue };
            let whole = desk::part_of(&services.control, &overlay, &part)?;
            if whole.is_some_and(|whole| whole.id == incident.id) {
                parts.push(part.number);
            }
        }
        parts.sort_unstable();
        Ok(Self {
            laid: Laid::read(services, &overlay, incident)?,
            parts,
            proof: proof(services, incident)?,
        })
    }
}

/// Before and after, for one that is better or over.
fn proof(services: &Scoped, incident: &Incident) -> Result<Option<Proof>, Problem> {
    if !Proof::may_be_of(incident) {
        return Ok(None);
    }
    let bad = &incident.bad_days;
    let first = bad.get(bad.len().saturating_sub(Proof::MOST_DAYS));
    let Some((from, last)) = first.copied().zip(bad.last().copied()) else {
        return Ok(None);
    };
    // Somewhere it is tomorrow already.
    let tomorrow = day_after((services.clock)());
    let until =
        tomorrow.map_or(last, |tomorrow| tomorrow.min(last.saturating_add(AFTER_DAYS.days())));
    let mut days = Vec::new();
    for building in incident.buildings().into_iter().take(MAX_PROOF_BUILDINGS) {
        days.extend(services.control.days(Some(building), from, until)?);
    }
    Ok(Proof::new(incident, &days))
}

/// The date of UTC a day later.
fn day_after(now: UtcMicros) -> Option<Date> {
    let now = Timestamp::from_microsecond(now.0).ok()?;
    now.to_zoned(TimeZone::UTC).date().tomorrow().ok()
}
