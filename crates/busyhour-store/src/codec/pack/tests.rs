use busyhour_model::Settlement;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;

use super::super::tests::{path, stored};
use super::super::{
    encode_circumstance, encode_settled, encode_window, put_coarsened, same_window,
};
use super::*;
use crate::JudgedWindow;

const PATH: PathId = PathId(7);
const EVER: (UtcMicros, UtcMicros) = (UtcMicros(i64::MIN), UtcMicros(i64::MAX));

/// A window as the journal has it, and as it is read.
#[derive(Debug, Clone)]
struct Kept {
    window: StoredWindow,
    nth: u32,
    circumstance: Vec<u8>,
    body: Vec<u8>,
}

impl Kept {
    /// Coarsens the window, settles it when `up` is told, and encodes it.
    fn of(mut window: StoredWindow, nth: u32, up: Option<u32>) -> Self {
        let mut coarse = Encoder::default();
        put_coarsened(&mut coarse, &window.judged, window.received);
        window.judged.window = window.judged.window.coarsened();
        let circumstance = encode_circumstance(&window.judged);
        let mut body = encode_window(&window.judged, window.received);
        assert_eq!(coarse.into_bytes(), body, "coarsened at once or before");
        if let Some(up) = up {
            let unknown = window.judged.window.counts.lost_unknown();
            let up = up % (unknown + 1);
            let settlement = Settlement { up, down: unknown - up };
            body = encode_settled(&body, settlement).unwrap();
            window.judged.window = window.judged.window.settle(settlement).unwrap();
        }
        Self { window, nth, circumstance, body }
    }

    fn row(&self) -> Row<'_> {
        let Self { window, nth, circumstance, body } = self;
        Row { placed: window.judged.placed, nth: *nth, circumstance, body }
    }
}

prop_compose! {
    /// Windows in the order of time; some share a circumstance, some a time.
    fn kept(most: usize)(
        windows in prop::collection::vec(stored(), 0..most),
        picks in prop::collection::vec((any::<[u8; 3]>(), any::<u32>()), 0..4 * most),
        apart in prop_oneof![Just(15_000_000i64), 0..100_000_000i64],
    ) -> Vec<Kept> {
        let mut kept = Vec::new();
        if windows.is_empty() {
            return kept;
        }
        let mut placed = windows[0].judged.placed.0;
        for ([which, step, settled], number) in picks {
            let mut window = windows[usize::from(which) % windows.len()].clone();
            if step > 20 {
                placed = placed.saturating_add(apart).saturating_add(i64::from(step % 3));
            }
            let moved = placed.wrapping_sub(window.judged.placed.0);
            window.judged.placed = UtcMicros(placed);
            if step % 2 == 0 {
                window.received = UtcMicros(window.received.0.wrapping_add(moved));
            }
            kept.push(Kept::of(window, number, (settled > 200).then_some(number)));
        }
        kept
    }
}

fn packed(kept: &[Kept]) -> Vec<u8> {
    encode_pack(PATH, &kept.iter().map(Kept::row).collect::<Vec<_>>()).unwrap()
}

fn windows(bytes: &[u8]) -> Decoded<Vec<StoredWindow>> {
    decode_pack(bytes, PATH, &path(), EVER.0, EVER.1)
}

/// Always the same one of what a strategy gives.
fn some<T: std::fmt::Debug>(of: impl Strategy<Value = T>) -> T {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    of.new_tree(&mut runner).unwrap().current()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn rows_come_back_from_a_pack_as_they_were(kept in kept(8)) {
        let bytes = packed(&kept);
        let rows = unpack_rows(&bytes, PATH).unwrap();
        let expected: Vec<Row<'_>> = kept.iter().map(Kept::row).collect();
        prop_assert_eq!(rows.iter().collect::<Vec<_>>(), expected);
        let times: Vec<_> = kept.iter().map(|kept| (kept.row().placed, kept.nth)).collect();
        prop_assert_eq!(pack_times(&bytes, PATH), Ok(times));
    }

    #[test]
    fn windows_come_back_from_a_pack_with_every_field(kept in kept(8)) {
        let expected: Vec<StoredWindow> = kept.iter().map(|kept| kept.window.clone()).collect();
        prop_assert_eq!(windows(&packed(&kept)), Ok(expected));
    }

    #[test]
    fn a_range_of_a_pack_holds_what_lies_in_it(kept in kept(6), a: usize, b: usize) {
        prop_assume!(!kept.is_empty());
        let at = |n: usize| kept[n % kept.len()].row().placed;
        let (from, until) = (at(a).min(at(b)), at(a).max(at(b)));
        let inside = |kept: &&Kept| (from..until).contains(&kept.row().placed);
        let expected: Vec<_> = kept.iter().filter(inside).map(|kept| kept.window.clone()).collect();
        prop_assert_eq!(decode_pack(&packed(&kept), PATH, &path(), from, until), Ok(expected));
    }

    #[test]
    fn a_pack_that_is_cut_short_or_of_another_path_is_not_read(kept in kept(3)) {
        let bytes = packed(&kept);
        for length in 0..bytes.len() {
            prop_assert!(windows(&bytes[..length]).is_err(), "{length} of {} bytes", bytes.len());
            prop_assert!(pack_times(&bytes[..length], PATH).is_err());
        }
        prop_assert!(windows(&[&bytes[..], &[0]].concat()).is_err());
        prop_assert!(unpack_rows(&bytes, PathId(8)).is_err());
    }

    #[test]
    fn distributions_are_coarsened_where_they_were_not(stored in stored()) {
        let judged: &JudgedWindow = &stored.judged;
        let circumstance = encode_circumstance(judged);
        let body = encode_window(judged, stored.received);
        let row = Row { placed: judged.placed, nth: 0, circumstance: &circumstance, body: &body };
        let mut expected = stored.clone();
        expected.judged.window = judged.window.coarsened();
        prop_assert_eq!(windows(&encode_pack(PATH, &[row]).unwrap()), Ok(vec![expected]));
    }

    #[test]
    fn damage_that_the_checksum_does_not_show_does_no_harm(
        kept in kept(4), at: usize, to: u8, cut: usize,
    ) {
        let bytes = packed(&kept);
        let mut content = bytes[1..bytes.len() - CHECKSUM_BYTES].to_vec();
        fuzz_pack(&content);
        let at = at % content.len();
        content[at] = to;
        fuzz_pack(&content);
        content.truncate(cut % content.len());
        fuzz_pack(&content);
    }

    #[test]
    fn any_bytes_as_the_content_of_a_pack_do_no_harm(
        rows in 0u8..40, bytes in prop::collection::vec(prop_oneof![Just(0u8), 0u8..8, any::<u8>()], 0..400),
    ) {
        fuzz_pack(&[&[rows], bytes.as_slice()].concat());
    }
}

#[test]
fn every_bit_that_flips_in_a_pack_is_noticed() {
    let bytes = packed(&some(kept(4).prop_filter("some", |kept| kept.len() > 2)));
    assert!(windows(&bytes).is_ok());
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(unpack_rows(&flipped, PATH).is_err(), "bit {bit}");
        assert!(pack_times(&flipped, PATH).is_err(), "bit {bit}");
    }
}

#[test]
fn too_many_rows_and_rows_that_cannot_be_read_are_refused() {
    let kept = Kept::of(some(stored()), 0, None);
    let row = kept.row();
    assert!(encode_pack(PATH, &vec![row; MAX_PACK_ROWS + 1]).is_err());
    for length in 0..row.body.len() {
        assert!(encode_pack(PATH, &[Row { body: &row.body[..length], ..row }]).is_err());
    }
    let rows = unpack_rows(&packed(&[kept.clone(), kept.clone()]), PATH).unwrap();
    assert!(rows.iter().all(|again| same_window(again.body, row.body)));
}

#[test]
fn the_moment_of_arrival_is_rounded_down_to_the_millisecond() {
    let rounded = |at| to_the_millisecond(UtcMicros(at)).0;
    assert_eq!([0, 999, 1_000, -1].map(rounded), [0, 0, 1_000, -1_000]);
}

#[test]
fn a_pack_that_claims_more_windows_than_there_may_be_is_not_read() {
    // The columns of when and which: each one number for all.
    let claiming = |rows: usize| {
        let mut out = Encoder::with_version(VERSION);
        out.uint(rows as u64);
        out.fixed(&[0; 4]);
        let bytes = out.into_bytes();
        let sum = checksum(PATH, &bytes);
        pack_times(&[bytes, sum.to_vec()].concat(), PATH)
    };
    assert_eq!(claiming(MAX_PACK_ROWS).unwrap().len(), MAX_PACK_ROWS);
    assert!(claiming(MAX_PACK_ROWS + 1).is_err());
}
