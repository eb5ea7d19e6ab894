//! What an incident's columns do not have: who suffers, its figures, its words.
//!
//! Members are a blob of their own, so that forgetting an agent reads no words.

use busyhour_model::{
    BuildingId, Evidence, FindingKind, Incident, IncidentId, IncidentMember, IncidentPlace,
    IncidentState, PathId, Siblings, SubnetId, UtcMicros,
};
use jiff::civil::Date;

use super::judgement::{
    average, date, f64, put_average, put_date, put_f64, put_worst_hour, worst_hour,
};
use super::{Decoded, Decoder, Encoder};

const VERSION: u8 = 1;
const MEMBERS_VERSION: u8 = 1;

/// What is in an incident's columns.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct IncidentColumns {
    pub(crate) id: IncidentId,
    pub(crate) number: u64,
    pub(crate) kind: FindingKind,
    pub(crate) state: IncidentState,
    pub(crate) building: BuildingId,
    pub(crate) place: IncidentPlace,
    pub(crate) noted: UtcMicros,
    pub(crate) opened: Option<UtcMicros>,
    pub(crate) closed: Option<UtcMicros>,
    pub(crate) openings: u32,
}

/// Encodes who suffers: each building and subnet once, then the paths as steps.
pub(crate) fn encode_members(members: &[IncidentMember]) -> Vec<u8> {
    let mut out = Encoder::with_version(MEMBERS_VERSION);
    let mut places: Vec<_> = members.iter().map(|one| (one.building, one.subnet)).collect();
    places.sort_unstable();
    places.dedup();
    out.uint(places.len() as u64);
    for (building, subnet) in &places {
        out.fixed(&building.to_bytes());
        out.fixed(&subnet.to_bytes());
    }
    out.uint(members.len() as u64);
    let mut before = 0;
    for member in members {
        out.delta(member.path.0, before);
        before = member.path.0;
        let at = places.partition_point(|place| *place < (member.building, member.subnet));
        out.uint(at as u64);
    }
    out.into_bytes()
}

pub(crate) fn decode_members(bytes: &[u8]) -> Decoded<Vec<IncidentMember>> {
    let from = &mut Decoder::of_version(bytes, MEMBERS_VERSION, "members of an incident")?;
    let length = from.length()?;
    let place = |from: &mut Decoder<'_>| -> Decoded<_> {
        let building = BuildingId::from_u128(u128::from_be_bytes(from.fixed()?));
        Ok((building, SubnetId::from_u128(u128::from_be_bytes(from.fixed()?))))
    };
    let places = (0..length).map(|_| place(from)).collect::<Decoded<Vec<_>>>()?;
    let length = from.length()?;
    let mut before = 0;
    let member = |_| -> Decoded<_> {
        before = from.delta(before)?;
        let at = usize::try_from(from.uint()?).map_err(|_| from.error())?;
        let &(building, subnet) = places.get(at).ok_or(from.error())?;
        Ok(IncidentMember { path: PathId(before), building, subnet })
    };
    let members = (0..length).map(member).collect::<Decoded<Vec<_>>>()?;
    from.finish(members)
}

/// Encodes an incident: all but its columns and its members.
pub(crate) fn encode_incident(incident: &Incident) -> Vec<u8> {
    let mut out = Encoder::with_version(VERSION);
    out.text(incident.segment.as_str());
    put_siblings(&mut out, &incident.siblings);
    put_spans(&mut out, &incident.hours);
    out.text(incident.change.as_str());
    put_date(&mut out, incident.changed);
    out.option(incident.merged_into, Encoder::uint);
    out.flag(incident.stale);
    put_date(&mut out, incident.first_bad);
    put_date(&mut out, incident.last_bad);
    put_dates(&mut out, &incident.bad_days);
    put_dates(&mut out, &incident.observed_days);
    out.option(incident.opened_on, put_date);
    out.option(incident.closed_on, put_date);
    put_f64(&mut out, incident.severity);
    put_f64(&mut out, incident.confidence);
    out.text(incident.cause.as_str());
    put_f64(&mut out, incident.cause_confidence);
    out.text(incident.mechanism.as_str());
    out.uint(incident.evidence.len() as u64);
    incident.evidence.iter().for_each(|one| put_evidence(&mut out, one));
    out.option(incident.worst_hour.as_ref(), put_worst_hour);
    out.option(incident.worst_on, put_date);
    out.option(incident.average.as_ref(), put_average);
    out.flag(incident.masked);
    out.option(incident.masking_factor, put_f64);
    out.text(&incident.sentence);
    out.text(&incident.paragraph);
    out.flag(incident.simulated);
    out.into_bytes()
}

pub(crate) fn decode_incident(
    bytes: &[u8],
    columns: IncidentColumns,
    members: Vec<IncidentMember>,
) -> Decoded<Incident> {
    let from = &mut Decoder::of_version(bytes, VERSION, "incident")?;
    let incident = Incident {
        id: columns.id,
        number: columns.number,
        kind: columns.kind,
        place: columns.place,
        building: columns.building,
        state: columns.state,
        noted: columns.noted,
        opened: columns.opened,
        closed: columns.closed,
        openings: columns.openings,
        members,
        segment: from.word()?,
        siblings: siblings(from)?,
        hours: spans(from)?,
        change: from.word()?,
        changed: date(from)?,
        merged_into: from.option(Decoder::uint)?,
        stale: from.flag()?,
        first_bad: date(from)?,
        last_bad: date(from)?,
        bad_days: dates(from)?,
        observed_days: dates(from)?,
        opened_on: from.option(date)?,
        closed_on: from.option(date)?,
        severity: f64(from)?,
        confidence: f64(from)?,
        cause: from.word()?,
        cause_confidence: f64(from)?,
        mechanism: from.word()?,
        evidence: all_evidence(from)?,
        worst_hour: from.option(worst_hour)?,
        worst_on: from.option(date)?,
        average: from.option(average)?,
        masked: from.flag()?,
        masking_factor: from.option(f64)?,
        sentence: from.text()?.to_owned(),
        paragraph: from.text()?.to_owned(),
        simulated: from.flag()?,
    };
    from.finish(incident)
}

fn put_siblings(out: &mut Encoder, siblings: &Siblings) {
    let Siblings { within, suffering, beside, suffering_beside, near, suffering_near } = *siblings;
    out.all([within, suffering, beside, suffering_beside, near, suffering_near]);
}

fn siblings(from: &mut Decoder<'_>) -> Decoded<Siblings> {
    let [within, suffering, beside, suffering_beside, near, suffering_near] = from.numbers()?;
    Ok(Siblings { within, suffering, beside, suffering_beside, near, suffering_near })
}

fn put_evidence(out: &mut Encoder, one: &Evidence) {
    out.text(one.cause.as_str());
    put_f64(out, one.weight);
    out.text(&one.text);
}

fn all_evidence(from: &mut Decoder<'_>) -> Decoded<Vec<Evidence>> {
    let length = from.length()?;
    let evidence = |_| -> Decoded<_> {
        Ok(Evidence { cause: from.word()?, weight: f64(from)?, text: from.text()?.to_owned() })
    };
    (0..length).map(evidence).collect()
}

fn put_dates(out: &mut Encoder, dates: &[Date]) {
    out.uint(dates.len() as u64);
    dates.iter().for_each(|&date| put_date(out, date));
}

fn dates(from: &mut Decoder<'_>) -> Decoded<Vec<Date>> {
    let length = from.length()?;
    (0..length).map(|_| date(from)).collect()
}

/// Spans of minutes of the day.
pub(super) fn put_spans(out: &mut Encoder, spans: &[(u16, u16)]) {
    out.uint(spans.len() as u64);
    for &(start, end) in spans {
        out.uint(start);
        out.uint(end);
    }
}

pub(super) fn spans(from: &mut Decoder<'_>) -> Decoded<Vec<(u16, u16)>> {
    let length = from.length()?;
    (0..length).map(|_| Ok((from.u16()?, from.u16()?))).collect()
}

#[cfg(test)]
mod tests;
