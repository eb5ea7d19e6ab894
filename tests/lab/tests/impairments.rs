//! Delay, jitter, order and loss against what a wire of the test's own really did to each packet.
//!
//! The times of both sides are the kernel's, taken where a packet leaves or reaches a namespace.
//! Between the agent's and the truth's lies no scheduling but that of the reflector, which writes into
//! its reply when it sends it.

use std::time::Duration;

use lab::{Direction, Installation, REFLECTOR, REFLECTOR_V6, Setup, Truth, Wire, number, sum};
use lab::{jitter, quantile, side_by_side, variation};
use serde_json::Value;
use testkit::{Impairment, Loss, Order};

/// How far the agent's figure may be from the wire's.
const ERROR: Duration = Duration::from_millis(1);
/// How far, besides, a percentile may be that is read from a stored histogram of packets (docs/STORE.md).
const BUCKET: f64 = 0.07;
const MS: Duration = Duration::from_millis(1);

struct Lab {
    wire: Wire,
    installation: Installation,
}

fn lab(up: Impairment, down: Impairment, seed: u64, target: &str) -> Option<Lab> {
    lab_with(up, down, seed, target, Setup::default())
}

fn lab_with(
    up: Impairment,
    down: Impairment,
    seed: u64,
    target: &str,
    setup: Setup<'_>,
) -> Option<Lab> {
    let wire = Wire::new(up, down, seed)?;
    let target = format!("{target}:862");
    let installation = Installation::start_with(wire.agent(), wire.reflector(), &target, setup);
    Some(Lab { wire, installation })
}

fn clean(delay: Duration) -> Impairment {
    Impairment::delay(delay)
}

fn lossy(loss: Loss) -> Impairment {
    Impairment { loss, ..clean(MS) }
}

impl Lab {
    /// Measures some windows, then lets the wire carry everything, so that later replies tell every
    /// loss's direction, and stops.
    fn measure(&mut self, count: usize) -> (Vec<Value>, Truth) {
        self.installation.wait_for_windows(count);
        self.heal();
        self.installation.wait_for_windows(2);
        self.finish()
    }

    fn heal(&self) {
        self.wire.impair(Direction::Up, clean(MS));
        self.wire.impair(Direction::Down, clean(MS));
    }

    fn finish(&mut self) -> (Vec<Value>, Truth) {
        (self.installation.finish(), self.wire.truth())
    }
}

/// Each window with the truth of the packets that it is about: windows follow each other without a
/// pause, and so do their packets' numbers.
fn by_window<'a>(windows: &'a [Value], truth: &Truth) -> Vec<(&'a Value, Truth)> {
    let mut first = truth.first();
    let mut pairs = Vec::new();
    for window in windows {
        let sent = number(window, "sent");
        assert_eq!(number(window, "first_sequence"), u64::from(first), "{window}");
        pairs.push((window, truth.of(first, sent)));
        first = first.wrapping_add(u32::try_from(sent).expect("few packets"));
    }
    pairs
}

/// Checks the losses of each window by itself; how many had no direction.
fn check_losses(windows: &[Value], truth: &Truth) -> u64 {
    assert_eq!(sum(windows, "sent"), truth.sent(), "sent");
    for (window, truth) in by_window(windows, truth) {
        let [up, down] = truth.lost();
        let found = [number(window, "lost_up"), number(window, "lost_down")];
        let unknown = number(window, "lost_unknown");
        assert_eq!(found[0] + found[1] + unknown, up + down, "lost, in {window}");
        assert_eq!(number(window, "loss_runs"), truth.loss_runs(), "runs of loss, in {window}");
        assert!(
            found[0] <= up && found[1] <= down,
            "no direction is made up: {up} {down} {window}"
        );
    }
    let [up, down] = truth.lost();
    let unknown = sum(windows, "lost_unknown");
    println!("truth: lost up {up}, down {down}; {unknown} of them without a direction");
    unknown
}

/// Checks a figure in microseconds.
fn check_time(window: &Value, field: &str, truth: Duration) {
    let found = Duration::from_micros(number(window, field));
    println!("{field}: agent {found:?}, wire {truth:?}");
    assert!(found.abs_diff(truth) <= ERROR, "{field}: {found:?} is not {truth:?}, {window}");
}

/// Checks a 90th percentile in microseconds. Where the tail is steep a packet more or less makes it
/// another one: it lies between those of the packets beside.
fn check_p90(window: &Value, field: &str, truth: &[Duration]) {
    let found = Duration::from_micros(number(window, field));
    let one = 1.0 / truth.len() as f64;
    let [low, high] = [0.9 - one, 0.9 + one].map(|q| quantile(truth.to_vec(), q));
    println!("{field}: agent {found:?}, wire {low:?} to {high:?}");
    let least = low.mul_f64(1.0 - BUCKET).saturating_sub(ERROR);
    let most = high.mul_f64(1.0 + BUCKET) + ERROR;
    assert!(
        (least..=most).contains(&found),
        "{field}: {found:?} not {low:?} to {high:?}, {window}"
    );
}

#[test]
fn random_loss_up_is_counted_exactly_and_all_of_it_has_its_direction() {
    let up = lossy(Loss::Random(0.1));
    let Some(mut lab) = lab(up, clean(MS), 1, REFLECTOR) else { return };
    let (windows, truth) = lab.measure(4);
    assert!(truth.lost()[0] > 20 && truth.lost()[1] == 0, "{:?}", truth.lost());
    assert_eq!(check_losses(&windows, &truth), 0);
}

#[test]
fn bursts_of_loss_down_are_counted_exactly_and_all_of_it_has_its_direction() {
    let down = lossy(Loss::GilbertElliott { enter: 0.03, leave: 0.2, lost: 0.8 });
    let Some(mut lab) = lab(clean(MS), down, 2, &format!("[{REFLECTOR_V6}]")) else { return };
    let (windows, truth) = lab.measure(4);
    assert!(truth.lost()[1] > 20 && truth.lost()[0] == 0, "{:?}", truth.lost());
    assert_eq!(check_losses(&windows, &truth), 0);
}

#[test]
fn loss_both_ways_is_counted_exactly_and_only_a_gap_shared_by_windows_stays_open() {
    let (up, down) = (lossy(Loss::Random(0.08)), lossy(Loss::Random(0.08)));
    let Some(mut lab) = lab(up, down, 3, REFLECTOR) else { return };
    let (windows, truth) = lab.measure(4);
    assert!(truth.lost().iter().all(|&lost| lost > 10), "{:?}", truth.lost());
    let unknown = check_losses(&windows, &truth);
    assert!(unknown <= 2 * windows.len() as u64, "{unknown} of {:?}", truth.lost());
}

#[test]
fn a_cut_of_one_way_shorter_than_a_window_is_told_apart_from_the_other() {
    side_by_side([(Direction::Up, 4), (Direction::Down, 5)], |(direction, seed)| {
        let Some(mut lab) = lab(clean(MS), clean(MS), seed, REFLECTOR) else { return };
        lab.installation.wait_for_windows(1);
        let before = lab.wire.truth().passages(direction).len();
        lab.wire.impair(direction, lossy(Loss::Random(1.0)));
        e2e::wait_for("packets to be lost", || {
            (lab.wire.truth().passages(direction).len() >= before + 30).then_some(())
        });
        lab.heal();
        lab.installation.wait_for_windows(3);
        let (windows, truth) = lab.finish();
        let lost = truth.lost();
        let (cut, other) = if direction == Direction::Up { (0, 1) } else { (1, 0) };
        assert!(lost[cut] >= 30 && lost[other] == 0, "{direction:?} {lost:?}");
        assert_eq!(check_losses(&windows, &truth), 0, "{direction:?}");
    });
}

/// A cut that lasts for windows, as a broken link does: when it ends, the agent has long closed them.
#[test]
fn a_cut_longer_than_a_window_gets_its_direction_from_what_the_reflector_received() {
    side_by_side([(Direction::Up, 11), (Direction::Down, 12)], |(direction, seed)| {
        let setup = Setup { reports: true, ..Setup::default() };
        let Some(mut lab) = lab_with(clean(MS), clean(MS), seed, REFLECTOR, setup) else { return };
        lab.installation.wait_for_windows(1);
        lab.wire.impair(direction, lossy(Loss::Random(1.0)));
        let lost = |windows: &[Value]| windows.iter().filter(|of| of["failed"] == true).count();
        lab.installation.wait_until("windows to fail", |windows| lost(windows) >= 2);
        lab.heal();
        lab.installation.wait_for_windows(3);
        lab.finish();
        let windows = e2e::wait_for("the reflector's report", || {
            let windows = lab.installation.windows();
            (sum(&windows, "lost_unknown") == 0).then_some(windows)
        });
        let truth = lab.wire.truth();
        let (cut, other) = if direction == Direction::Up { (0, 1) } else { (1, 0) };
        assert!(truth.lost()[cut] > 200 && truth.lost()[other] == 0, "{:?}", truth.lost());
        assert_eq!(check_losses(&windows, &truth), 0, "{direction:?}");
        assert!(windows.iter().any(|window| window["settled"] == true), "{direction:?}");
    });
}

#[test]
fn keys_change_nothing_of_what_is_measured() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let key = folder.path().join("key");
    e2e::write_secret(&key, "a key that both sides know\n");
    side_by_side([(13, "tlvs"), (14, "authenticated")], |(seed, security)| {
        let target =
            format!("profile = \"audio-50-190\"\nsecurity = {security:?}\nkey_file = {key:?}\n");
        let reflector = format!("key_files = [{key:?}]\nrequire_key = true\n");
        let setup = Setup { target: &target, reflector: &reflector, ..Setup::default() };
        let (up, down) = (lossy(Loss::Random(0.05)), lossy(Loss::Random(0.05)));
        let Some(mut lab) = lab_with(up, down, seed, REFLECTOR, setup) else { return };
        let (windows, truth) = lab.measure(2);
        assert!(truth.lost().iter().all(|&lost| lost > 2), "{security} {:?}", truth.lost());
        let unknown = check_losses(&windows, &truth);
        assert!(unknown <= 2 * windows.len() as u64, "{security}: {unknown} of {:?}", truth.lost());
        assert!(windows.iter().all(|window| window["peer_tlvs"] == true), "{security}");
    });
}

#[test]
fn the_round_trip_is_what_the_wire_took_whatever_either_way_took_of_it() {
    let Some(mut lab) = lab(clean(35 * MS), clean(10 * MS), 6, REFLECTOR) else { return };
    lab.installation.wait_for_windows(3);
    let (windows, truth) = lab.finish();
    for (window, truth) in by_window(&windows, &truth) {
        assert_eq!(number(window, "received"), truth.sent());
        check_time(window, "rtt_us_median", quantile(truth.round_trips(), 0.5));
        check_p90(window, "rtt_us_p90", &truth.round_trips());
    }
}

#[test]
fn jitter_shows_in_the_direction_that_jitters_and_not_in_the_other() {
    let jittery = Impairment { jitter: 15 * MS, order: Order::Free, ..clean(5 * MS) };
    side_by_side([Direction::Up, Direction::Down], |direction| {
        let up = if direction == Direction::Up { jittery } else { clean(5 * MS) };
        let down = if direction == Direction::Down { jittery } else { clean(5 * MS) };
        let Some(mut lab) = lab(up, down, 7, REFLECTOR) else { return };
        lab.installation.wait_for_windows(3);
        let (windows, truth) = lab.finish();
        // What a busy machine adds to either way is in the truth as well.
        let other = if direction == Direction::Up { Direction::Down } else { Direction::Up };
        let [loud, still] = [direction, other].map(|way| jitter(&truth.transits(way)));
        assert!(loud > still, "{direction:?}: {loud:?} {still:?}");
        for (window, truth) in by_window(&windows, &truth) {
            for (way, word) in [(Direction::Up, "up"), (Direction::Down, "down")] {
                let transits = truth.transits(way);
                check_p90(window, &format!("{word}_variation_us_p90"), &variation(&transits));
                check_time(window, &format!("{word}_jitter_us"), jitter(&transits));
            }
        }
    });
}

#[test]
fn packets_that_overtake_each_other_are_counted_in_the_direction_in_which_they_did() {
    let rough = Impairment { jitter: 60 * MS, order: Order::Free, ..clean(20 * MS) };
    side_by_side([(Direction::Up, 8), (Direction::Down, 9)], |(direction, seed)| {
        let up = if direction == Direction::Up { rough } else { clean(20 * MS) };
        let down = if direction == Direction::Down { rough } else { clean(20 * MS) };
        let Some(mut lab) = lab(up, down, seed, REFLECTOR) else { return };
        let (windows, truth) = lab.measure(3);
        assert_eq!(truth.lost(), [0, 0]);
        assert_eq!(check_losses(&windows, &truth), 0, "order is no loss");
        let made = truth.reordering(direction);
        assert!(made.packets > 20, "{made:?}");
        for way in [Direction::Up, Direction::Down] {
            let field = if way == Direction::Up { "up_reordered" } else { "down_reordered" };
            assert_eq!(
                sum(&windows, field),
                truth.reordering(way).packets,
                "{direction:?} {field}"
            );
        }
        assert_eq!(sum(&windows, "reordered"), truth.round_trip_reordering().packets);
        let extent = windows.iter().map(|window| number(window, "reorder_extent_max")).max();
        assert_eq!(extent, Some(made.extent), "how far they did");
    });
}

#[test]
fn duplicated_packets_are_counted_and_inflate_nothing() {
    let copying = Impairment { duplicate: 0.2, ..clean(5 * MS) };
    let Some(mut lab) = lab(copying, copying, 9, REFLECTOR) else { return };
    let (windows, truth) = lab.measure(4);
    assert!(truth.duplicates() > 50, "{}", truth.duplicates());
    assert_eq!(check_losses(&windows, &truth), 0, "copies are no loss");
    assert_eq!(sum(&windows, "received"), truth.sent());
    assert_eq!(sum(&windows, "duplicated"), truth.duplicates());
    for field in ["reordered", "up_reordered", "down_reordered"] {
        assert_eq!(sum(&windows, field), 0, "{field}");
    }
}

#[test]
fn everything_at_once_loses_no_packet_in_the_accounts_and_makes_no_direction_up() {
    let loss = Loss::GilbertElliott { enter: 0.02, leave: 0.3, lost: 0.7 };
    let order = Order::Free;
    let rough = Impairment { loss, jitter: 60 * MS, order, duplicate: 0.1, ..clean(20 * MS) };
    let Some(mut lab) = lab(rough, rough, 10, &format!("[{REFLECTOR_V6}]")) else { return };
    let (windows, truth) = lab.measure(4);
    assert!(truth.lost().iter().sum::<u64>() > 20 && truth.duplicates() > 20);
    check_losses(&windows, &truth);
    assert_eq!(sum(&windows, "duplicated"), truth.duplicates());
    assert_eq!(sum(&windows, "reordered"), truth.round_trip_reordering().packets);
}
