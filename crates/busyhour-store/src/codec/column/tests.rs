use proptest::prelude::*;

use super::*;

/// Columns of the kinds that there are: noise around a level, slopes, wild numbers, rare exceptions.
fn column() -> impl Strategy<Value = Vec<i64>> {
    let length = 0usize..300;
    let noise = (any::<i64>(), 0u32..64, length.clone()).prop_flat_map(|(level, shift, length)| {
        prop::collection::vec(any::<i64>(), length).prop_map(move |noise| {
            noise.into_iter().map(|n| level.wrapping_add(n >> shift)).collect::<Vec<_>>()
        })
    });
    let slope =
        (any::<[i64; 3]>(), length.clone(), 0u32..64).prop_flat_map(|(by, length, shift)| {
            prop::collection::vec(any::<i64>(), length).prop_map(move |noise| {
                let (mut at, mut step) = (by[0], by[1]);
                let next = |n: i64| {
                    at = at.wrapping_add(step);
                    step = step.wrapping_add(by[2]);
                    at.wrapping_add(n >> shift)
                };
                noise.into_iter().map(next).collect::<Vec<_>>()
            })
        });
    let rare =
        prop::collection::vec(prop_oneof![20 => Just(5i64), 1 => any::<i64>()], length.clone());
    let skewed = prop::collection::vec((any::<u64>(), 0u32..64), length)
        .prop_map(|all| all.into_iter().map(|(n, shift)| (n >> shift).cast_signed()).collect());
    prop_oneof![noise, slope, rare, skewed]
}

fn written(values: &[i64]) -> (Plan, Vec<u8>) {
    let plan = Plan::of(values);
    let mut out = Encoder::default();
    plan.write(&mut out, values);
    (plan, out.into_bytes())
}

fn read_all(bytes: &[u8], count: usize) -> Decoded<Vec<i64>> {
    let bytes = [&[1], bytes].concat();
    let mut from = Decoder::of_version(&bytes, 1, "column")?;
    let values = read(&mut from, count)?;
    from.finish(values)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn a_column_survives_exactly_and_costs_what_was_computed(values in column()) {
        let (plan, bytes) = written(&values);
        prop_assert_eq!(read_all(&bytes, values.len()), Ok(values.clone()));
        if !values.is_empty() {
            prop_assert_eq!(plan.cost, bytes.len() as u64 * 8);
        }
    }

    #[test]
    fn every_coding_survives_and_costs_what_was_computed(values in column()) {
        prop_assume!(!values.is_empty());
        let lowest = values.iter().copied().min().unwrap();
        let lengths = lengths(&values, lowest);
        let longest = lengths.iter().rposition(|&n| n > 0).unwrap() as u32;
        let codings = [
            Coding::packed(lowest, &lengths, longest, values.len()),
            Coding::magnitudes(lowest, &lengths, longest, values.len()),
            Coding::sparse(&values),
            Coding::steps(&values),
        ];
        for (coding, cost) in codings {
            let mut out = Encoder::with_version(1);
            coding.write(&mut out, &values);
            let bytes = out.into_bytes();
            prop_assert_eq!(bytes.len() as u64 * 8 - 8, cost, "{:?}", coding);
            let mut from = Decoder::of_version(&bytes, 1, "column").unwrap();
            let mut again = Vec::new();
            Coding::read(coding.number(), &mut from, values.len(), &mut again).unwrap();
            prop_assert!(from.finish(()).is_ok());
            prop_assert_eq!(&again, &values, "{:?}", coding);
        }
    }

    #[test]
    fn a_column_that_is_cut_short_is_not_read(values in column()) {
        let (_, bytes) = written(&values);
        for length in 0..bytes.len() {
            prop_assert!(read_all(&bytes[..length], values.len()).is_err());
        }
    }

    #[test]
    fn any_bytes_give_as_many_values_as_were_asked_for_or_none(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        mode in 0u8..32, count in 0usize..2_000,
    ) {
        let bytes = [&[1, mode], bytes.as_slice()].concat();
        let mut from = Decoder::of_version(&bytes, 1, "column").unwrap();
        if let Ok(values) = read(&mut from, count) {
            prop_assert_eq!(values.len(), count);
        }
    }
}

#[test]
fn what_hardly_changes_takes_hardly_anything() {
    let bits = |value: &dyn Fn(i64) -> i64| Plan::of(&(0..240).map(value).collect::<Vec<_>>()).cost;
    assert_eq!(bits(&|_| 0), 16, "one number");
    assert!(bits(&|n| 1_790_000_000_000_000 + n * 60_000_000) <= 17 * 8, "a grid");
    assert!(bits(&|n| n * n * 1_000) <= 8 * 8, "a curve");
    assert!(bits(&|n| i64::from(n == 77) * 1_000_000) <= 9 * 8, "one exception");
    assert!(bits(&|n| 18_000 + (n * 7_919) % 64) <= 240 * 6 + 6 * 8, "six bits of noise");
}
