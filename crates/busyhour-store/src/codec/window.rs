//! Windows: what changes with each, and the circumstance that many share.
//!
//! What most windows of a quiet path have alike costs them nothing: it is in the circumstance, or is
//! named by the absence of a bit in [`Shape`].

use busyhour_model::{
    BootId, BootMicros, BurstLoss, ClockQuality, Context, Dscp, DscpSeen, Ecn, EcnSeen, Histogram,
    Jitter, Judgement, LimitsVersion, LossPattern, OneWayDelay, PacketCounts, PathKey, Playout,
    Reorder, RequirementProfile, ScheduleRevision, Settlement, Stamp, TimestampMethod, TtlSeen,
    UtcMicros, Window, WindowParts, WindowVerdict,
};

use super::record::{context, put_context};
use super::{DecodeError, Decoded, Decoder, Encoder};
use crate::{JudgedWindow, StoredWindow};

pub(super) const VERSION: u8 = 2;
const WINDOW: &str = "window";
const CIRCUMSTANCE: &str = "circumstance";
/// The same layout with a settlement before it.
pub(super) const SETTLED_VERSION: u8 = 0x80 | VERSION;

/// What many windows of a path have in common; stored once and named by number.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Circumstance {
    boot: BootId,
    schedule: ScheduleRevision,
    context: Context,
    requirement: RequirementProfile,
    limits: LimitsVersion,
    rate_pps: u32,
    dscp: [Option<Dscp>; 2],
    dscp_sent: Dscp,
    ecn: [Option<Ecn>; 2],
    ecn_sent: Ecn,
    ttl: [Option<u8>; 2],
    sent_by: TimestampMethod,
    received_by: TimestampMethod,
    synchronized: bool,
    /// Whether there is a far clock, and whether it is synchronised.
    far_synchronized: Option<bool>,
    source_port: u16,
    seen_source_port: Option<u16>,
    ssid: u16,
    peer_tlvs: Option<bool>,
    playout_delay_us: Option<u32>,
}

#[cfg(test)]
pub(super) fn encode_circumstance(judged: &JudgedWindow) -> Vec<u8> {
    let mut out = Encoder::default();
    put_circumstance(&mut out, judged);
    out.into_bytes()
}

/// Appends what the window has in common with many.
pub(crate) fn put_circumstance(out: &mut Encoder, judged: &JudgedWindow) {
    let window = &judged.window;
    out.byte(VERSION);
    out.fixed(&judged.stamp.boot.to_bytes());
    out.uint(judged.schedule.0);
    put_context(out, &judged.context);
    out.text(judged.requirement.as_str());
    out.uint(judged.limits.0);
    out.uint(window.rate_pps);
    out.byte(window.dscp.sent.value());
    for dscp in [window.dscp.up, window.dscp.down] {
        out.option(dscp, |out, dscp| out.byte(dscp.value()));
    }
    out.byte(window.ecn.sent.bits());
    for ecn in [window.ecn.up, window.ecn.down] {
        out.option(ecn, |out, ecn| out.byte(ecn.bits()));
    }
    for ttl in [window.ttl.up, window.ttl.down] {
        out.option(ttl, Encoder::byte);
    }
    out.text(window.sent_by.as_str());
    out.text(window.received_by.as_str());
    out.flag(window.clock.synchronized);
    out.option(window.far_clock, |out, clock| out.flag(clock.synchronized));
    out.uint(window.source_port);
    out.option(window.seen_source_port, Encoder::uint);
    out.uint(window.ssid);
    out.option(window.peer_tlvs, Encoder::flag);
    out.option(window.playout, |out, playout| out.uint(playout.delay_us));
}

pub(crate) fn decode_circumstance(bytes: &[u8]) -> Decoded<Circumstance> {
    let from = &mut Decoder::of_version(bytes, VERSION, CIRCUMSTANCE)?;
    let circumstance = Circumstance {
        boot: BootId::from_u128(u128::from_be_bytes(from.fixed()?)),
        schedule: ScheduleRevision(from.uint()?),
        context: context(from)?,
        requirement: from.word()?,
        limits: LimitsVersion(from.u32()?),
        rate_pps: from.u32()?,
        dscp_sent: dscp(from)?,
        dscp: [from.option(dscp)?, from.option(dscp)?],
        ecn_sent: ecn(from)?,
        ecn: [from.option(ecn)?, from.option(ecn)?],
        ttl: [from.option(Decoder::byte)?, from.option(Decoder::byte)?],
        sent_by: from.word()?,
        received_by: from.word()?,
        synchronized: from.flag()?,
        far_synchronized: from.option(Decoder::flag)?,
        source_port: from.u16()?,
        seen_source_port: from.option(Decoder::u16)?,
        ssid: from.u16()?,
        peer_tlvs: from.option(Decoder::flag)?,
        playout_delay_us: from.option(Decoder::u32)?,
    };
    from.finish(circumstance)
}

/// Which parts a window has that a quiet one has not: one bit each. What is usual on a quiet path
/// has no bit, and what is commonest among the rest the lowest.
pub(super) struct Shape(u64);

impl Shape {
    /// The bits, in the order in which the parts are written.
    pub(super) const SCHEDULED: u64 = 1;
    pub(super) const LOST: u64 = 1 << 1;
    pub(super) const LOSS_PATTERN: u64 = 1 << 2;
    pub(super) const BURST: u64 = 1 << 3;
    pub(super) const MEDIAN: u64 = 1 << 4;
    pub(super) const ONE_WAY: u64 = 1 << 5;
    pub(super) const UP_JITTER: u64 = 1 << 6;
    pub(super) const DOWN_JITTER: u64 = 1 << 7;
    pub(super) const CLOCK: u64 = 1 << 8;
    pub(super) const FAR_CLOCK: u64 = 1 << 9;
    pub(super) const FIRST_SEQUENCE: u64 = 1 << 10;
    /// The worst 15 s are the window's own.
    pub(super) const WORST_IS_THIS: u64 = 1 << 11;
    pub(super) const WORST: u64 = 1 << 12;
    pub(super) const PLAYOUT: u64 = 1 << 13;
    pub(super) const REORDERED: u64 = 1 << 14;
    pub(super) const REORDER: u64 = 1 << 15;
    pub(super) const DUPLICATED: u64 = 1 << 16;
    pub(super) const DSCP: u64 = 1 << 17;
    pub(super) const ECN: u64 = 1 << 18;
    pub(super) const TTL: u64 = 1 << 19;
    pub(super) const SEQUENCES: u64 = 1 << 20;
    pub(super) const CLOCK_STEPS: u64 = 1 << 21;
    pub(super) const IMPLAUSIBLE: u64 = 1 << 22;
    pub(super) const QUEUE_DROPS: u64 = 1 << 23;
    pub(super) const REFLECTOR_DROPS: u64 = 1 << 24;
    /// There is no burst where the rate would let one be told.
    pub(super) const NO_BURST: u64 = 1 << 25;
    pub(super) const ALL: u64 = (1 << 26) - 1;

    fn of(window: &Window) -> Self {
        let counts = &window.counts;
        let playout = window.playout.unwrap_or_default();
        let (dscp, ecn, ttl) = (&window.dscp, &window.ecn, &window.ttl);
        let parts = [
            (Self::SCHEDULED, counts.scheduled() != counts.sent()),
            (Self::LOST, counts.lost() != 0),
            (Self::LOSS_PATTERN, window.loss_pattern != LossPattern::default()),
            (Self::NO_BURST, window.burst.is_none() && calm(window.rate_pps).is_some()),
            (Self::BURST, window.burst.is_some() && window.burst != calm(window.rate_pps)),
            (Self::MEDIAN, window.rtt_median_us.is_some()),
            (Self::ONE_WAY, window.one_way.is_some()),
            (Self::UP_JITTER, window.up_jitter.is_some()),
            (Self::DOWN_JITTER, window.down_jitter.is_some()),
            (Self::CLOCK, window.clock.error_us != 0),
            (Self::FAR_CLOCK, window.far_clock.is_some_and(|clock| clock.error_us != 0)),
            (Self::FIRST_SEQUENCE, window.first_sequence != 0),
            (Self::WORST_IS_THIS, window.worst_15s.is_some() && window.worst_15s == whole(counts)),
            (Self::WORST, window.worst_15s.is_some() && window.worst_15s != whole(counts)),
            (Self::PLAYOUT, Playout { delay_us: 0, ..playout } != Playout::default()),
            (Self::REORDERED, counts.reordered() != 0),
            (Self::REORDER, window.reorder != Reorder::default()),
            (Self::DUPLICATED, counts.duplicated() != 0),
            (Self::DSCP, dscp.up_changed != 0 || dscp.down_changed != 0),
            (Self::ECN, (ecn.up_changed, ecn.down_changed, ecn.up_ce, ecn.down_ce) != (0, 0, 0, 0)),
            (Self::TTL, ttl.up_changes != 0 || ttl.down_changes != 0),
            (Self::SEQUENCES, window.sequences != counts.sent()),
            (Self::CLOCK_STEPS, window.clock_step_samples != 0),
            (Self::IMPLAUSIBLE, window.implausible_samples != 0),
            (Self::QUEUE_DROPS, window.receive_queue_drops != 0),
            (Self::REFLECTOR_DROPS, window.reflector_drops != 0),
        ];
        Self(parts.into_iter().filter(|(_, there)| *there).fold(0, |bits, (bit, _)| bits | bit))
    }

    const fn has(&self, bit: u64) -> bool {
        self.0 & bit != 0
    }

    /// A part that is there, or what its absence stands for.
    fn read<T: Default>(&self, bit: u64, read: impl FnOnce() -> Decoded<T>) -> Decoded<T> {
        if self.has(bit) { read() } else { Ok(T::default()) }
    }
}

/// A worst 200 ms without loss, as a rate that lets one be told has it.
fn calm(rate_pps: u32) -> Option<BurstLoss> {
    (rate_pps >= 50).then(|| BurstLoss::new(0, rate_pps / 5).ok()).flatten()
}

/// The whole window as a stretch.
fn whole(counts: &PacketCounts) -> Option<BurstLoss> {
    BurstLoss::new(counts.lost(), counts.sent()).ok()
}

#[cfg(test)]
pub(super) fn encode_window(judged: &JudgedWindow, received: UtcMicros) -> Vec<u8> {
    let mut out = Encoder::default();
    put_window(&mut out, judged, received, Encoder::histogram);
    out.into_bytes()
}

/// Appends what is not in the path's row, the circumstance or the key, with histograms as coarse as they
/// are stored; all else as it came, so that lost packets of unknown direction are of unknown direction.
pub(crate) fn put_coarsened(out: &mut Encoder, judged: &JudgedWindow, received: UtcMicros) {
    put_window(out, judged, received, Encoder::coarse_histogram);
}

fn put_window(
    out: &mut Encoder,
    judged: &JudgedWindow,
    received: UtcMicros,
    histogram: fn(&mut Encoder, &Histogram),
) {
    let (stamp, window) = (&judged.stamp, &judged.window);
    out.byte(VERSION);
    out.delta(received.0, judged.placed.0);
    out.delta(stamp.started.0, judged.placed.0);
    out.uint(stamp.started_boot.0);
    out.uint(stamp.duration_us());
    put_verdict(out, &judged.verdict);
    let shape = Shape::of(window);
    out.uint(shape.0);
    put_counts(out, window, &shape);
    put_delays(out, window, &shape, histogram);
    put_evidence(out, window, &shape);
}

fn put_counts(out: &mut Encoder, window: &Window, shape: &Shape) {
    let counts = &window.counts;
    out.uint(counts.sent());
    if shape.has(Shape::SCHEDULED) {
        out.uint(counts.scheduled() - counts.sent());
    }
    if shape.has(Shape::LOST) {
        out.all([counts.lost_up(), counts.lost_down(), counts.lost_unknown()]);
    }
    if shape.has(Shape::LOSS_PATTERN) {
        let LossPattern { runs, bursts, burst_packets, burst_lost } = window.loss_pattern;
        out.all([runs, bursts, burst_packets, burst_lost]);
    }
    if shape.has(Shape::REORDERED) {
        out.uint(counts.reordered());
    }
    if shape.has(Shape::DUPLICATED) {
        out.uint(counts.duplicated());
    }
    for (bit, stretch) in [(Shape::BURST, window.burst), (Shape::WORST, window.worst_15s)] {
        if let Some(stretch) = stretch.filter(|_| shape.has(bit)) {
            out.all([stretch.lost(), stretch.of()]);
        }
    }
}

fn put_delays(
    out: &mut Encoder,
    window: &Window,
    shape: &Shape,
    histogram: fn(&mut Encoder, &Histogram),
) {
    histogram(out, &window.rtt);
    if let Some(median) = window.rtt_median_us {
        out.uint(median.saturating_sub(window.rtt.min()));
    }
    if let Some(one_way) = window.one_way {
        out.int(one_way.up_median_us.into());
        out.int(one_way.down_median_us.into());
        out.uint(one_way.error_us);
    }
    histogram(out, &window.up_variation);
    histogram(out, &window.down_variation);
    for Jitter { mean_us, max_us } in [window.up_jitter, window.down_jitter].into_iter().flatten() {
        out.all([mean_us, max_us]);
    }
    if shape.has(Shape::PLAYOUT) {
        let playout = window.playout.unwrap_or_default();
        out.all([playout.late_up, playout.late_down]);
        out.all([playout.discarded_up, playout.discarded_down]);
    }
}

fn put_evidence(out: &mut Encoder, window: &Window, shape: &Shape) {
    let Reorder { up, down, extent_max } = window.reorder;
    let (dscp, ecn, ttl) = (&window.dscp, &window.ecn, &window.ttl);
    let parts: [(u64, &[u32]); 12] = [
        (Shape::CLOCK, &[window.clock.error_us]),
        (Shape::FAR_CLOCK, &[window.far_clock.unwrap_or_default().error_us]),
        (Shape::FIRST_SEQUENCE, &[window.first_sequence]),
        (Shape::REORDER, &[up, down, extent_max]),
        (Shape::DSCP, &[dscp.up_changed, dscp.down_changed]),
        (Shape::ECN, &[ecn.up_changed, ecn.down_changed, ecn.up_ce, ecn.down_ce]),
        (Shape::TTL, &[ttl.up_changes, ttl.down_changes]),
        (Shape::SEQUENCES, &[window.sequences]),
        (Shape::CLOCK_STEPS, &[window.clock_step_samples]),
        (Shape::IMPLAUSIBLE, &[window.implausible_samples]),
        (Shape::QUEUE_DROPS, &[window.receive_queue_drops]),
        (Shape::REFLECTOR_DROPS, &[window.reflector_drops]),
    ];
    for (bit, numbers) in parts {
        if shape.has(bit) {
            out.all(numbers.iter().copied());
        }
    }
    out.uint(window.send_lateness_max_us);
}

/// The same window, settled: beside what was observed, which stays.
pub(crate) fn encode_settled(bytes: &[u8], settlement: Settlement) -> Decoded<Vec<u8>> {
    let from = Decoder::of_version(bytes, VERSION, WINDOW)?;
    let mut out = Encoder::with_version(SETTLED_VERSION);
    out.uint(settlement.up);
    out.fixed(from.rest());
    Ok(out.into_bytes())
}

/// Begins with how many of the packets lost with direction unknown were lost up, when that was
/// settled.
fn begin(bytes: &[u8]) -> Decoded<(Decoder<'_>, Option<u32>)> {
    if bytes.first() != Some(&SETTLED_VERSION) {
        return Ok((Decoder::of_version(bytes, VERSION, WINDOW)?, None));
    }
    let mut from = Decoder::of_version(bytes, SETTLED_VERSION, WINDOW)?;
    let up = from.u32()?;
    Ok((from, Some(up)))
}

/// Whether two encodings are of the same window, whenever its block came and whether settled or not.
pub(crate) fn same_window(one: &[u8], other: &[u8]) -> bool {
    fn observed(bytes: &[u8]) -> Decoded<&[u8]> {
        let (mut from, _) = begin(bytes)?;
        from.int()?;
        Ok(from.rest())
    }
    matches!((observed(one), observed(other)), (Ok(one), Ok(other)) if one == other)
}

pub(crate) fn decode_window(
    bytes: &[u8],
    placed: UtcMicros,
    path: &PathKey,
    circumstance: &Circumstance,
) -> Decoded<StoredWindow> {
    let (mut from, settled_up) = begin(bytes)?;
    let window = read_window(&mut from, settled_up, placed, path, circumstance)?;
    from.finish(window)
}

/// The numbers of a window in the order of its row, wherever they lie.
pub(super) trait Numbers {
    fn error(&self) -> DecodeError;
    fn uint(&mut self) -> Decoded<u64>;
    fn int(&mut self) -> Decoded<i64>;
    fn byte(&mut self) -> Decoded<u8>;
    fn histogram(&mut self) -> Decoded<Histogram>;

    fn u32(&mut self) -> Decoded<u32> {
        self.uint()?.try_into().map_err(|_| self.error())
    }

    fn i32(&mut self) -> Decoded<i32> {
        self.int()?.try_into().map_err(|_| self.error())
    }

    fn numbers<const N: usize>(&mut self) -> Decoded<[u32; N]> {
        let mut numbers = [0; N];
        for number in &mut numbers {
            *number = self.u32()?;
        }
        Ok(numbers)
    }
}

impl Numbers for Decoder<'_> {
    fn error(&self) -> DecodeError {
        self.error()
    }

    fn uint(&mut self) -> Decoded<u64> {
        self.uint()
    }

    fn int(&mut self) -> Decoded<i64> {
        self.int()
    }

    fn byte(&mut self) -> Decoded<u8> {
        self.byte()
    }

    fn histogram(&mut self) -> Decoded<Histogram> {
        self.histogram()
    }
}

/// Reads a window; `settled_up` of its packets lost with direction unknown were lost up, when that was
/// settled.
pub(super) fn read_window(
    from: &mut impl Numbers,
    settled_up: Option<u32>,
    placed: UtcMicros,
    path: &PathKey,
    circumstance: &Circumstance,
) -> Decoded<StoredWindow> {
    let received = UtcMicros(from.int()?.wrapping_add(placed.0));
    let started = UtcMicros(from.int()?.wrapping_add(placed.0));
    let started_boot = BootMicros(from.uint()?);
    let duration_us = from.uint()?;
    let stamp = Stamp::new(started, started_boot, circumstance.boot, duration_us)
        .map_err(|_| from.error())?;
    let verdict = verdict(from)?;
    let window = settled(window(from, path, circumstance)?, settled_up, from)?;
    let judged = JudgedWindow {
        placed,
        stamp,
        schedule: circumstance.schedule,
        context: circumstance.context.clone(),
        window,
        requirement: circumstance.requirement,
        limits: circumstance.limits,
        verdict,
    };
    Ok(StoredWindow { judged, received })
}

fn settled(window: Window, up: Option<u32>, from: &impl Numbers) -> Decoded<Window> {
    let Some(up) = up else { return Ok(window) };
    let down = window.counts.lost_unknown().checked_sub(up).ok_or(from.error())?;
    window.settle(Settlement { up, down }).map_err(|_| from.error())
}

fn window(from: &mut impl Numbers, path: &PathKey, shared: &Circumstance) -> Decoded<Window> {
    let shape = Shape(from.uint()?);
    if shape.0 & !Shape::ALL != 0 {
        return Err(from.error());
    }
    let mut parts = WindowParts {
        sent_by: shared.sent_by,
        received_by: shared.received_by,
        source_port: shared.source_port,
        seen_source_port: shared.seen_source_port,
        ssid: shared.ssid,
        peer_tlvs: shared.peer_tlvs,
        ..counts(from, path, shared, &shape)?
    };
    delays(from, &mut parts, shared, &shape)?;
    evidence(from, &mut parts, shared, &shape)?;
    Window::new(parts).map_err(|_| from.error())
}

fn counts(
    from: &mut impl Numbers,
    path: &PathKey,
    shared: &Circumstance,
    shape: &Shape,
) -> Decoded<WindowParts> {
    let sent = from.u32()?;
    let more = shape.read(Shape::SCHEDULED, || from.u32())?;
    let scheduled = sent.checked_add(more).ok_or(from.error())?;
    let lost = shape.read(Shape::LOST, || from.numbers::<3>())?;
    let [runs, bursts, burst_packets, burst_lost] =
        shape.read(Shape::LOSS_PATTERN, || from.numbers())?;
    let reordered = shape.read(Shape::REORDERED, || from.u32())?;
    let duplicated = shape.read(Shape::DUPLICATED, || from.u32())?;
    let counts = PacketCounts::new(scheduled, sent, lost, reordered, duplicated)
        .map_err(|_| from.error())?;
    let burst = match (shape.has(Shape::BURST), shape.has(Shape::NO_BURST)) {
        (true, false) => Some(stretch(from)?),
        (false, true) => None,
        (false, false) => calm(shared.rate_pps),
        (true, true) => return Err(from.error()),
    };
    let worst_15s = match (shape.has(Shape::WORST), shape.has(Shape::WORST_IS_THIS)) {
        (true, false) => Some(stretch(from)?),
        (false, true) => whole(&counts),
        (false, false) => None,
        (true, true) => return Err(from.error()),
    };
    Ok(WindowParts {
        burst,
        worst_15s,
        loss_pattern: LossPattern { runs, bursts, burst_packets, burst_lost },
        ..WindowParts::new(path.clone(), shared.rate_pps, counts)
    })
}

fn delays(
    from: &mut impl Numbers,
    parts: &mut WindowParts,
    shared: &Circumstance,
    shape: &Shape,
) -> Decoded<()> {
    parts.rtt = from.histogram()?;
    let lowest = parts.rtt.min();
    parts.rtt_median_us = shape
        .read(Shape::MEDIAN, || from.u32()?.checked_add(lowest).ok_or(from.error()).map(Some))?;
    parts.one_way = shape.read(Shape::ONE_WAY, || {
        Ok(Some(OneWayDelay {
            up_median_us: from.i32()?,
            down_median_us: from.i32()?,
            error_us: from.u32()?,
        }))
    })?;
    parts.up_variation = from.histogram()?;
    parts.down_variation = from.histogram()?;
    parts.up_jitter = shape.read(Shape::UP_JITTER, || jitter(from).map(Some))?;
    parts.down_jitter = shape.read(Shape::DOWN_JITTER, || jitter(from).map(Some))?;
    let [late_up, late_down, discarded_up, discarded_down] =
        shape.read(Shape::PLAYOUT, || from.numbers())?;
    parts.playout = shared.playout_delay_us.map(|delay_us| Playout {
        delay_us,
        late_up,
        late_down,
        discarded_up,
        discarded_down,
    });
    Ok(())
}

fn evidence(
    from: &mut impl Numbers,
    parts: &mut WindowParts,
    shared: &Circumstance,
    shape: &Shape,
) -> Decoded<()> {
    let error_us = shape.read(Shape::CLOCK, || from.u32())?;
    parts.clock = ClockQuality { synchronized: shared.synchronized, error_us };
    let error_us = shape.read(Shape::FAR_CLOCK, || from.u32())?;
    parts.far_clock =
        shared.far_synchronized.map(|synchronized| ClockQuality { synchronized, error_us });
    parts.first_sequence = shape.read(Shape::FIRST_SEQUENCE, || from.u32())?;
    let [up, down, extent_max] = shape.read(Shape::REORDER, || from.numbers())?;
    parts.reorder = Reorder { up, down, extent_max };
    let [up_changed, down_changed] = shape.read(Shape::DSCP, || from.numbers())?;
    let [up, down] = shared.dscp;
    parts.dscp = DscpSeen { sent: shared.dscp_sent, up, down, up_changed, down_changed };
    let [up_changed, down_changed, up_ce, down_ce] = shape.read(Shape::ECN, || from.numbers())?;
    let [up, down] = shared.ecn;
    parts.ecn =
        EcnSeen { sent: shared.ecn_sent, up, down, up_changed, down_changed, up_ce, down_ce };
    let [up_changes, down_changes] = shape.read(Shape::TTL, || from.numbers())?;
    let [up, down] = shared.ttl;
    parts.ttl = TtlSeen { up, down, up_changes, down_changes };
    parts.sequences = if shape.has(Shape::SEQUENCES) { from.u32()? } else { parts.counts.sent() };
    parts.clock_step_samples = shape.read(Shape::CLOCK_STEPS, || from.u32())?;
    parts.implausible_samples = shape.read(Shape::IMPLAUSIBLE, || from.u32())?;
    parts.receive_queue_drops = shape.read(Shape::QUEUE_DROPS, || from.u32())?;
    parts.reflector_drops = shape.read(Shape::REFLECTOR_DROPS, || from.u32())?;
    parts.send_lateness_max_us = from.u32()?;
    Ok(())
}

fn stretch(from: &mut impl Numbers) -> Decoded<BurstLoss> {
    let [lost, of] = from.numbers()?;
    BurstLoss::new(lost, of).map_err(|_| from.error())
}

fn jitter(from: &mut impl Numbers) -> Decoded<Jitter> {
    let [mean_us, max_us] = from.numbers()?;
    Ok(Jitter { mean_us, max_us })
}

fn dscp(from: &mut Decoder<'_>) -> Decoded<Dscp> {
    Dscp::new(from.byte()?).map_err(|_| from.error())
}

fn ecn(from: &mut Decoder<'_>) -> Decoded<Ecn> {
    match from.byte()? {
        bits @ 0..=3 => Ok(Ecn::from_tos(bits)),
        _ => Err(from.error()),
    }
}

/// Two flags and four judgements of two bits, in two bytes.
fn put_verdict(out: &mut Encoder, verdict: &WindowVerdict) {
    let bits = |judgement| match judgement {
        Judgement::Pass => 0u8,
        Judgement::Fail => 1,
        Judgement::Unknown => 2,
    };
    out.byte(u8::from(verdict.valid) | (u8::from(verdict.failed) << 1));
    out.byte(
        bits(verdict.loss)
            | (bits(verdict.burst) << 2)
            | (bits(verdict.delay) << 4)
            | (bits(verdict.jitter) << 6),
    );
}

fn verdict(from: &mut impl Numbers) -> Decoded<WindowVerdict> {
    let (flags, judgements) = (from.byte()?, from.byte()?);
    let judgement = |shift: u8| match (judgements >> shift) & 3 {
        0 => Ok(Judgement::Pass),
        1 => Ok(Judgement::Fail),
        2 => Ok(Judgement::Unknown),
        _ => Err(from.error()),
    };
    if flags > 3 {
        return Err(from.error());
    }
    Ok(WindowVerdict {
        valid: flags & 1 != 0,
        failed: flags & 2 != 0,
        loss: judgement(0)?,
        burst: judgement(2)?,
        delay: judgement(4)?,
        jitter: judgement(6)?,
    })
}
