//! A building's load and its working week.

use busyhour_model::{BuildingId, BuildingLoad, LoadSource, WeekFrame, WorkingWeek};
use jiff::civil::Date;

use super::incident::{put_spans, spans};
use super::{Decoded, Decoder, Encoder};

const LOAD_VERSION: u8 = 1;
const WEEK_VERSION: u8 = 1;
/// A bit for each quarter-hour of a day.
const BITS: usize = 12;

/// Encodes a day's quarter-hours: which are known, then these.
pub(crate) fn encode_quarters(load: &BuildingLoad) -> Vec<u8> {
    let mut out = Encoder::with_version(LOAD_VERSION);
    let mut known = [0u8; BITS];
    for (bits, quarters) in known.iter_mut().zip(load.quarters.chunks(8)) {
        *bits = (0..).zip(quarters).fold(0, |bits, (at, one)| bits | u8::from(one.is_some()) << at);
    }
    out.fixed(&known);
    load.quarters.iter().flatten().for_each(|&load| put_f32(&mut out, load));
    out.into_bytes()
}

/// The quarter-hours that [`encode_quarters`] put in.
pub(crate) fn decode_quarters(bytes: &[u8]) -> Decoded<[Option<f32>; 96]> {
    let from = &mut Decoder::of_version(bytes, LOAD_VERSION, "load of a building")?;
    let known: [u8; BITS] = from.fixed()?;
    let mut quarters = [None; 96];
    for (bits, quarters) in known.iter().zip(quarters.chunks_mut(8)) {
        for (at, quarter) in (0..).zip(quarters) {
            *quarter = if bits >> at & 1 == 1 { Some(f32(from)?) } else { None };
        }
    }
    from.finish(quarters)
}

/// Encodes a working week: all but the building and the date it was looked at.
pub(crate) fn encode_week(week: &WorkingWeek) -> Vec<u8> {
    let mut out = Encoder::with_version(WEEK_VERSION);
    put_days(&mut out, &week.hours, week.working);
    week.typical.iter().for_each(|&load| out.option(load, put_f32));
    out.flag(week.learned);
    out.flag(week.source == LoadSource::Imported);
    out.fixed(&week.machines.to_be_bytes());
    out.option(week.pending.as_ref(), |out, (hours, working)| put_days(out, hours, *working));
    out.into_bytes()
}

pub(crate) fn decode_week(
    bytes: &[u8],
    building: BuildingId,
    looked_on: Date,
) -> Decoded<WorkingWeek> {
    let from = &mut Decoder::of_version(bytes, WEEK_VERSION, "working week")?;
    let (hours, working) = days(from)?;
    let mut typical = [None; 7];
    for load in &mut typical {
        *load = from.option(f32)?;
    }
    let learned = from.flag()?;
    let source = if from.flag()? { LoadSource::Imported } else { LoadSource::Agents };
    let machines = u32::from_be_bytes(from.fixed()?);
    let pending = from.option(days)?;
    from.finish(WorkingWeek {
        building,
        looked_on,
        hours,
        working,
        typical,
        learned,
        source,
        machines,
        pending,
    })
}

fn put_days(out: &mut Encoder, hours: &[Vec<(u16, u16)>; 7], working: [bool; 7]) {
    for (hours, working) in hours.iter().zip(working) {
        out.flag(working);
        put_spans(out, hours);
    }
}

fn days(from: &mut Decoder<'_>) -> Decoded<WeekFrame> {
    let (mut hours, mut working) = ([const { Vec::new() }; 7], [false; 7]);
    for (hours, working) in hours.iter_mut().zip(&mut working) {
        *working = from.flag()?;
        *hours = spans(from)?;
    }
    Ok((hours, working))
}

fn put_f32(out: &mut Encoder, value: f32) {
    out.fixed(&value.to_be_bytes());
}

fn f32(from: &mut Decoder<'_>) -> Decoded<f32> {
    Ok(f32::from_be_bytes(from.fixed()?))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;
    use crate::codec::tests::check_cuts;

    fn load(quarters: [Option<f32>; 96]) -> BuildingLoad {
        let building = BuildingId::from_u128(1);
        let (date, source) = (date(2026, 9, 21), LoadSource::Agents);
        BuildingLoad { building, date, source, machines: 9, quarters }
    }

    fn decode(bytes: &[u8]) -> Decoded<WorkingWeek> {
        decode_week(bytes, BuildingId::from_u128(1), date(2026, 9, 21))
    }

    fn days() -> impl Strategy<Value = WeekFrame> {
        let spans = prop::collection::vec(any::<(u16, u16)>(), 0..4);
        (prop::array::uniform7(spans), any::<[bool; 7]>())
    }

    fn known() -> impl Strategy<Value = Option<f32>> {
        prop::option::of(0.0f32..1e9)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

        #[test]
        fn a_days_load_survives_exactly_and_not_cut(quarters in prop::collection::vec(known(), 96)) {
            let quarters: [Option<f32>; 96] = quarters.try_into().unwrap();
            let bytes = encode_quarters(&load(quarters));
            prop_assert_eq!(decode_quarters(&bytes), Ok(quarters));
            check_cuts(&bytes, decode_quarters);
        }

        #[test]
        fn a_working_week_survives_exactly_and_not_cut(
            (hours, working) in days(),
            typical in prop::array::uniform7(known()),
            learned: bool,
            source in prop::sample::select(LoadSource::ALL.to_vec()),
            machines: u32,
            pending in prop::option::of(days()),
        ) {
            let (building, looked_on) = (BuildingId::from_u128(1), date(2026, 9, 21));
            let week = WorkingWeek {
                building, looked_on, hours, working, typical, learned, source, machines, pending,
            };
            let bytes = encode_week(&week);
            prop_assert_eq!(decode(&bytes), Ok(week));
            check_cuts(&bytes, decode);
        }

        #[test]
        fn random_bytes_of_loads_and_weeks_never_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let bytes = [&[1], bytes.as_slice()].concat();
            let _ = (decode_quarters(&bytes), decode(&bytes));
        }
    }
}
