//! The figures of verdicts and incidents; what is asked for is in columns beside them.

use busyhour_model::{
    BuildingId, DailyAverage, DaySummary, DayVerdict, Incident, IncidentId, IncidentState,
    LinkKind, Scope, SubnetId, UtcMicros, WorstHour,
};
use jiff::civil::Date;

use super::{Decoded, Decoder, Encoder};

const VERSION: u8 = 1;

/// Encodes the figures of a verdict: all but scope, building, date, verdict and masked.
pub(crate) fn encode_day(day: &DaySummary) -> Vec<u8> {
    let mut out = Encoder::with_version(VERSION);
    for count in [day.expected, day.valid, day.bad] {
        out.uint(count);
    }
    out.option(day.worst_hour.as_ref(), put_worst_hour);
    out.uint(day.bad_quarters.len() as u64);
    for &minute in &day.bad_quarters {
        out.uint(minute);
    }
    out.option(day.average.as_ref(), put_average);
    out.option(day.masking_factor, put_f64);
    out.into_bytes()
}

pub(crate) fn decode_day(
    bytes: &[u8],
    (scope, building, date): (Scope, BuildingId, Date),
    verdict: DayVerdict,
    masked: bool,
) -> Decoded<DaySummary> {
    let from = &mut Decoder::of_version(bytes, VERSION, "verdict")?;
    let (expected, valid, bad) = (from.u32()?, from.u32()?, from.u32()?);
    let worst_hour = from.option(worst_hour)?;
    let length = from.length()?;
    let bad_quarters = (0..length).map(|_| from.u16()).collect::<Decoded<_>>()?;
    let day = DaySummary {
        scope,
        building,
        date,
        verdict,
        expected,
        valid,
        bad,
        worst_hour,
        bad_quarters,
        average: from.option(average)?,
        masked,
        masking_factor: from.option(f64)?,
    };
    from.finish(day)
}

/// Encodes an incident: all but identity, scope, building, state and the two times.
pub(crate) fn encode_incident(incident: &Incident) -> Vec<u8> {
    let mut out = Encoder::with_version(VERSION);
    out.option(incident.subnet, |out, subnet| out.fixed(&subnet.to_bytes()));
    out.option(incident.link, |out, link| out.text(link.as_str()));
    put_date(&mut out, incident.first_bad);
    put_date(&mut out, incident.last_bad);
    out.uint(incident.from_minute);
    out.uint(incident.until_minute);
    out.uint(incident.bad_days);
    out.uint(incident.observed_days);
    out.option(incident.worst_hour.as_ref(), put_worst_hour);
    out.option(incident.average.as_ref(), put_average);
    out.flag(incident.masked);
    out.option(incident.masking_factor, put_f64);
    out.text(&incident.sentence);
    out.flag(incident.simulated);
    out.into_bytes()
}

pub(crate) fn decode_incident(
    bytes: &[u8],
    id: IncidentId,
    (scope, building): (Scope, BuildingId),
    state: IncidentState,
    (opened, closed): (UtcMicros, Option<UtcMicros>),
) -> Decoded<Incident> {
    let from = &mut Decoder::of_version(bytes, VERSION, "incident")?;
    let incident = Incident {
        id,
        scope,
        building,
        subnet: from.option(|from| Ok(SubnetId::from_u128(u128::from_be_bytes(from.fixed()?))))?,
        link: from.option(Decoder::word::<LinkKind>)?,
        state,
        opened,
        closed,
        first_bad: date(from)?,
        last_bad: date(from)?,
        from_minute: from.u16()?,
        until_minute: from.u16()?,
        bad_days: from.u32()?,
        observed_days: from.u32()?,
        worst_hour: from.option(worst_hour)?,
        average: from.option(average)?,
        masked: from.flag()?,
        masking_factor: from.option(f64)?,
        sentence: from.text()?.to_owned(),
        simulated: from.flag()?,
    };
    from.finish(incident)
}

fn put_worst_hour(out: &mut Encoder, hour: &WorstHour) {
    out.uint(hour.start_minute);
    out.uint(hour.valid);
    out.uint(hour.bad);
    out.option(hour.dominant, |out, breach| out.text(breach.as_str()));
    for figure in [hour.loss_ppm, hour.loss_ppm_p90, hour.rtt_us_p90, hour.jitter_us_p90] {
        out.uint(figure);
    }
}

fn worst_hour(from: &mut Decoder<'_>) -> Decoded<WorstHour> {
    Ok(WorstHour {
        start_minute: from.u16()?,
        valid: from.u32()?,
        bad: from.u32()?,
        dominant: from.option(Decoder::word)?,
        loss_ppm: from.u32()?,
        loss_ppm_p90: from.u32()?,
        rtt_us_p90: from.u32()?,
        jitter_us_p90: from.u32()?,
    })
}

fn put_average(out: &mut Encoder, average: &DailyAverage) {
    for figure in [average.loss_ppm, average.rtt_us, average.jitter_us] {
        out.uint(figure);
    }
    out.flag(average.passes);
}

fn average(from: &mut Decoder<'_>) -> Decoded<DailyAverage> {
    Ok(DailyAverage {
        loss_ppm: from.u32()?,
        rtt_us: from.u32()?,
        jitter_us: from.u32()?,
        passes: from.flag()?,
    })
}

fn put_date(out: &mut Encoder, date: Date) {
    out.int(i64::from(date.year()));
    out.byte(date.month().cast_unsigned());
    out.byte(date.day().cast_unsigned());
}

fn date(from: &mut Decoder<'_>) -> Decoded<Date> {
    let year = i16::try_from(from.int()?).map_err(|_| from.error())?;
    let (month, day) = (from.byte()?.cast_signed(), from.byte()?.cast_signed());
    Date::new(year, month, day).map_err(|_| from.error())
}

fn put_f64(out: &mut Encoder, value: f64) {
    out.fixed(&value.to_be_bytes());
}

fn f64(from: &mut Decoder<'_>) -> Decoded<f64> {
    Ok(f64::from_be_bytes(from.fixed()?))
}
