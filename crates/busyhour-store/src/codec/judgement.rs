//! The figures of verdicts; what is asked for is in columns beside them.

use busyhour_model::{
    BuildingId, DailyAverage, DaySummary, DayVerdict, Judgement, LimitsVersion, Scope, WorstHour,
};
use jiff::civil::Date;

use super::{Decoded, Decoder, Encoder};

const VERSION: u8 = 1;

/// Encodes the figures of a verdict: all but scope, building, date, verdict and masked.
pub(crate) fn encode_day(day: &DaySummary) -> Vec<u8> {
    let mut out = Encoder::with_version(VERSION);
    out.option(day.limits, |out, limits| out.uint(limits.0));
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
    let limits = from.option(|from| Ok(LimitsVersion(from.u32()?)))?;
    let (expected, valid, bad) = (from.u32()?, from.u32()?, from.u32()?);
    let worst_hour = from.option(worst_hour)?;
    let length = from.length()?;
    let bad_quarters = (0..length).map(|_| from.u16()).collect::<Decoded<_>>()?;
    let day = DaySummary {
        scope,
        building,
        date,
        verdict,
        limits,
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

pub(super) fn put_worst_hour(out: &mut Encoder, hour: &WorstHour) {
    out.uint(hour.start_minute);
    out.uint(hour.valid);
    out.uint(hour.bad);
    out.option(hour.dominant, |out, breach| out.text(breach.as_str()));
    out.all(hour.bad_by);
    for figure in [hour.loss_ppm, hour.loss_ppm_p90, hour.rtt_us_p90, hour.jitter_us_p90] {
        out.uint(figure);
    }
    out.uint(hour.reordered);
    out.uint(hour.replies);
    out.byte(order_number(hour.order));
    out.option(hour.rating_p10_hundredths, |out, rating| out.int(i64::from(rating)));
}

pub(super) fn worst_hour(from: &mut Decoder<'_>) -> Decoded<WorstHour> {
    Ok(WorstHour {
        start_minute: from.u16()?,
        valid: from.u32()?,
        bad: from.u32()?,
        dominant: from.option(Decoder::word)?,
        bad_by: from.numbers()?,
        loss_ppm: from.u32()?,
        loss_ppm_p90: from.u32()?,
        rtt_us_p90: from.u32()?,
        jitter_us_p90: from.u32()?,
        reordered: from.uint()?,
        replies: from.uint()?,
        order: order(from)?,
        rating_p10_hundredths: from.option(rating)?,
    })
}

const fn order_number(order: Judgement) -> u8 {
    match order {
        Judgement::Pass => 0,
        Judgement::Fail => 1,
        Judgement::Unknown => 2,
    }
}

fn order(from: &mut Decoder<'_>) -> Decoded<Judgement> {
    let known = [Judgement::Pass, Judgement::Fail, Judgement::Unknown];
    let number = from.byte()?;
    known.into_iter().find(|order| order_number(*order) == number).ok_or_else(|| from.error())
}

fn rating(from: &mut Decoder<'_>) -> Decoded<i32> {
    i32::try_from(from.int()?).map_err(|_| from.error())
}

pub(super) fn put_average(out: &mut Encoder, average: &DailyAverage) {
    for figure in [average.loss_ppm, average.rtt_us, average.jitter_us] {
        out.uint(figure);
    }
    out.flag(average.passes);
}

pub(super) fn average(from: &mut Decoder<'_>) -> Decoded<DailyAverage> {
    Ok(DailyAverage {
        loss_ppm: from.u32()?,
        rtt_us: from.u32()?,
        jitter_us: from.u32()?,
        passes: from.flag()?,
    })
}

pub(super) fn put_date(out: &mut Encoder, date: Date) {
    out.int(i64::from(date.year()));
    out.byte(date.month().cast_unsigned());
    out.byte(date.day().cast_unsigned());
}

pub(super) fn date(from: &mut Decoder<'_>) -> Decoded<Date> {
    let year = i16::try_from(from.int()?).map_err(|_| from.error())?;
    let (month, day) = (from.byte()?.cast_signed(), from.byte()?.cast_signed());
    Date::new(year, month, day).map_err(|_| from.error())
}

pub(super) fn put_f64(out: &mut Encoder, value: f64) {
    out.fixed(&value.to_be_bytes());
}

pub(super) fn f64(from: &mut Decoder<'_>) -> Decoded<f64> {
    Ok(f64::from_be_bytes(from.fixed()?))
}

#[cfg(test)]
mod tests {
    use busyhour_model::{Breach, PathId};
    use jiff::civil::date as on;

    use super::*;
    use crate::codec::DecodeError;
    use crate::codec::tests::check_cuts;

    /// One that has everything, each figure another.
    fn full(order: Judgement) -> DaySummary {
        DaySummary {
            scope: Scope::Path(PathId(3)),
            building: BuildingId::from_u128(4),
            date: on(2026, 9, 21),
            verdict: DayVerdict::PeakBad,
            limits: Some(LimitsVersion(u32::MAX)),
            expected: 600,
            valid: 580,
            bad: 61,
            worst_hour: Some(WorstHour {
                start_minute: 600,
                valid: 60,
                bad: 59,
                dominant: Some(Breach::Jitter),
                bad_by: [1, 2, 3, 4, 5],
                loss_ppm: 11,
                loss_ppm_p90: 12,
                rtt_us_p90: 13,
                jitter_us_p90: 14,
                reordered: 15,
                replies: u64::MAX,
                order,
                rating_p10_hundredths: Some(-300),
            }),
            bad_quarters: vec![600, 615, 1_425],
            average: Some(DailyAverage { loss_ppm: 21, rtt_us: 22, jitter_us: 23, passes: true }),
            masked: true,
            masking_factor: Some(22.25),
        }
    }

    /// One of which as little as possible is known.
    fn bare() -> DaySummary {
        DaySummary {
            limits: None,
            worst_hour: None,
            bad_quarters: Vec::new(),
            average: None,
            masked: false,
            masking_factor: None,
            ..full(Judgement::Unknown)
        }
    }

    fn decode(bytes: &[u8], day: &DaySummary) -> Decoded<DaySummary> {
        decode_day(bytes, (day.scope, day.building, day.date), day.verdict, day.masked)
    }

    #[test]
    fn a_verdict_survives_exactly_and_not_cut() {
        let orders = [Judgement::Pass, Judgement::Fail, Judgement::Unknown];
        for day in orders.map(full).into_iter().chain([bare()]) {
            let bytes = encode_day(&day);
            assert_eq!(decode(&bytes, &day).as_ref(), Ok(&day));
            check_cuts(&bytes, |cut| decode(cut, &day));
        }
    }

    #[test]
    fn an_order_that_nobody_wrote_is_damage() {
        let (pass, fail) = (full(Judgement::Pass), full(Judgement::Fail));
        let (mut bytes, other) = (encode_day(&pass), encode_day(&fail));
        let at = bytes.iter().zip(&other).position(|(a, b)| a != b).unwrap();
        bytes[at] = 3;
        assert_eq!(decode(&bytes, &pass), Err(DecodeError::Damaged("verdict")));
    }
}
