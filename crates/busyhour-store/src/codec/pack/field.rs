//! The numbers of a window, in the order of its row and in the order of a pack.

use super::super::window::Shape;

/// A number that a window may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Placed,
    Nth,
    Circumstance,
    Shape,
    /// When the block came, in whole milliseconds, and the microseconds beyond.
    ReceivedMs,
    ReceivedRest,
    Started,
    StartedBoot,
    Duration,
    Flags,
    Judgements,
    Settled,
    Sent,
    Scheduled,
    LostUp,
    LostDown,
    LostUnknown,
    Runs,
    Bursts,
    BurstPackets,
    BurstLost,
    Reordered,
    Duplicated,
    WorstBurst,
    WorstBurstOf,
    Worst15s,
    Worst15sOf,
    LateUp,
    LateDown,
    DiscardedUp,
    DiscardedDown,
    Clock,
    FarClock,
    Sequences,
    FirstSequence,
    ReorderUp,
    ReorderDown,
    ReorderExtent,
    DscpUp,
    DscpDown,
    EcnUp,
    EcnDown,
    CeUp,
    CeDown,
    TtlUp,
    TtlDown,
    ClockSteps,
    Implausible,
    QueueDrops,
    ReflectorDrops,
    Lateness,
    // What follows is guessed from the distributions, which come before them in a pack.
    Median,
    OneWayUp,
    OneWayDown,
    OneWayError,
    UpJitter,
    UpJitterMax,
    DownJitter,
    DownJitterMax,
}

/// How many fields there are.
pub(super) const FIELDS: usize = Field::DownJitterMax as usize + 1;

/// In a pack's shapes: the window is settled. In rows the version tells that.
pub(super) const SETTLED: u64 = 1 << 32;
/// Every window has it.
pub(super) const ALWAYS: u64 = 0;

/// How a part of a row is written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    Number(Field),
    Signed(Field),
    Byte(Field),
    /// When the block came, from where the window lies.
    Received,
    /// The shape, as rows have it.
    Shape,
    /// One of the distributions, by its place in [`super::table::Table`].
    Spread(usize),
}

/// The places of the distributions, in the order in which a pack has them.
pub(super) const UP: usize = 0;
pub(super) const DOWN: usize = 1;
pub(super) const RTT: usize = 2;

/// What a row has, in order, and the bit of the shape that says so.
pub(super) const ROW: &[(u64, &[Part])] = {
    use Field as F;
    use Part::{Byte, Number as N, Received, Signed, Spread};
    &[
        (ALWAYS, &[Received, Signed(F::Started), N(F::StartedBoot), N(F::Duration)]),
        (ALWAYS, &[Byte(F::Flags), Byte(F::Judgements), Part::Shape]),
        (ALWAYS, &[N(F::Sent)]),
        (Shape::SCHEDULED, &[N(F::Scheduled)]),
        (Shape::LOST, &[N(F::LostUp), N(F::LostDown), N(F::LostUnknown)]),
        (Shape::LOSS_PATTERN, &[N(F::Runs), N(F::Bursts), N(F::BurstPackets), N(F::BurstLost)]),
        (Shape::REORDERED, &[N(F::Reordered)]),
        (Shape::DUPLICATED, &[N(F::Duplicated)]),
        (Shape::BURST, &[N(F::WorstBurst), N(F::WorstBurstOf)]),
        (Shape::WORST, &[N(F::Worst15s), N(F::Worst15sOf)]),
        (ALWAYS, &[Spread(RTT)]),
        (Shape::MEDIAN, &[N(F::Median)]),
        (Shape::ONE_WAY, &[Signed(F::OneWayUp), Signed(F::OneWayDown), N(F::OneWayError)]),
        (ALWAYS, &[Spread(UP), Spread(DOWN)]),
        (Shape::UP_JITTER, &[N(F::UpJitter), N(F::UpJitterMax)]),
        (Shape::DOWN_JITTER, &[N(F::DownJitter), N(F::DownJitterMax)]),
        (Shape::PLAYOUT, &[N(F::LateUp), N(F::LateDown), N(F::DiscardedUp), N(F::DiscardedDown)]),
        (Shape::CLOCK, &[N(F::Clock)]),
        (Shape::FAR_CLOCK, &[N(F::FarClock)]),
        (Shape::FIRST_SEQUENCE, &[N(F::FirstSequence)]),
        (Shape::REORDER, &[N(F::ReorderUp), N(F::ReorderDown), N(F::ReorderExtent)]),
        (Shape::DSCP, &[N(F::DscpUp), N(F::DscpDown)]),
        (Shape::ECN, &[N(F::EcnUp), N(F::EcnDown), N(F::CeUp), N(F::CeDown)]),
        (Shape::TTL, &[N(F::TtlUp), N(F::TtlDown)]),
        (Shape::SEQUENCES, &[N(F::Sequences)]),
        (Shape::CLOCK_STEPS, &[N(F::ClockSteps)]),
        (Shape::IMPLAUSIBLE, &[N(F::Implausible)]),
        (Shape::QUEUE_DROPS, &[N(F::QueueDrops)]),
        (Shape::REFLECTOR_DROPS, &[N(F::ReflectorDrops)]),
        (ALWAYS, &[N(F::Lateness)]),
    ]
};

/// The fields in the order of a pack, those before the distributions and those behind them, each with
/// the bit of the shape that says that a window has it, and what it may be guessed from.
pub(super) const BEFORE: &[(Field, u64, &[Guess])] = {
    use Field as F;
    &[
        (F::Placed, ALWAYS, NONE),
        (F::Nth, ALWAYS, NONE),
        (F::Circumstance, ALWAYS, NONE),
        (F::Shape, ALWAYS, NONE),
        (F::ReceivedMs, ALWAYS, &[Guess::PlacedMs, Guess::Nothing]),
        (F::ReceivedRest, ALWAYS, NONE),
        (F::Started, ALWAYS, NONE),
        (F::StartedBoot, ALWAYS, &[Guess::Started, Guess::Nothing]),
        (F::Duration, ALWAYS, NONE),
        (F::Flags, ALWAYS, NONE),
        (F::Judgements, ALWAYS, NONE),
        (F::Settled, SETTLED, NONE),
        (F::Sent, ALWAYS, NONE),
        (F::Scheduled, Shape::SCHEDULED, NONE),
        (F::LostUp, Shape::LOST, NONE),
        (F::LostDown, Shape::LOST, NONE),
        (F::LostUnknown, Shape::LOST, NONE),
        (F::Runs, Shape::LOSS_PATTERN, &[Guess::Lost, Guess::Nothing]),
        (F::Bursts, Shape::LOSS_PATTERN, NONE),
        (F::BurstPackets, Shape::LOSS_PATTERN, NONE),
        (F::BurstLost, Shape::LOSS_PATTERN, &[Guess::Nothing, Guess::BurstPackets]),
        (F::Reordered, Shape::REORDERED, NONE),
        (F::Duplicated, Shape::DUPLICATED, NONE),
        (F::WorstBurst, Shape::BURST, NONE),
        (F::WorstBurstOf, Shape::BURST, NONE),
        (F::Worst15s, Shape::WORST, &[Guess::Nothing, Guess::Lost]),
        (F::Worst15sOf, Shape::WORST, NONE),
        (F::LateUp, Shape::PLAYOUT, NONE),
        (F::LateDown, Shape::PLAYOUT, NONE),
        (F::DiscardedUp, Shape::PLAYOUT, &[Guess::LateUp, Guess::Nothing]),
        (F::DiscardedDown, Shape::PLAYOUT, &[Guess::LateDown, Guess::Nothing]),
        (F::Clock, Shape::CLOCK, NONE),
        (F::FarClock, Shape::FAR_CLOCK, NONE),
        (F::Sequences, Shape::SEQUENCES, NONE),
        (F::FirstSequence, Shape::FIRST_SEQUENCE, &[Guess::NextSequence, Guess::Nothing]),
        (F::ReorderUp, Shape::REORDER, NONE),
        (F::ReorderDown, Shape::REORDER, NONE),
        (F::ReorderExtent, Shape::REORDER, NONE),
        (F::DscpUp, Shape::DSCP, NONE),
        (F::DscpDown, Shape::DSCP, NONE),
        (F::EcnUp, Shape::ECN, NONE),
        (F::EcnDown, Shape::ECN, NONE),
        (F::CeUp, Shape::ECN, NONE),
        (F::CeDown, Shape::ECN, NONE),
        (F::TtlUp, Shape::TTL, NONE),
        (F::TtlDown, Shape::TTL, NONE),
        (F::ClockSteps, Shape::CLOCK_STEPS, NONE),
        (F::Implausible, Shape::IMPLAUSIBLE, NONE),
        (F::QueueDrops, Shape::QUEUE_DROPS, NONE),
        (F::ReflectorDrops, Shape::REFLECTOR_DROPS, NONE),
        (F::Lateness, ALWAYS, NONE),
    ]
};

pub(super) const BEHIND: &[(Field, u64, &[Guess])] = {
    use Field as F;
    &[
        (F::Median, Shape::MEDIAN, &[Guess::Nothing, Guess::RttMean]),
        (F::OneWayUp, Shape::ONE_WAY, &[Guess::Nothing, Guess::UpMean]),
        (F::OneWayDown, Shape::ONE_WAY, &[Guess::MedianLessUp, Guess::Nothing, Guess::DownMean]),
        (F::OneWayError, Shape::ONE_WAY, &[Guess::BothErrors, Guess::Nothing]),
        (F::UpJitter, Shape::UP_JITTER, &[Guess::Nothing, Guess::UpMean]),
        (F::UpJitterMax, Shape::UP_JITTER, &[Guess::Nothing, Guess::UpJitter]),
        (F::DownJitter, Shape::DOWN_JITTER, &[Guess::Nothing, Guess::DownMean]),
        (F::DownJitterMax, Shape::DOWN_JITTER, &[Guess::Nothing, Guess::DownJitter]),
    ]
};

const NONE: &[Guess] = &[Guess::Nothing];

/// What a number is guessed to be; only how far it is off is written. The pack says which guess was
/// taken where there is a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guess {
    Nothing,
    PlacedMs,
    Started,
    Lost,
    BurstPackets,
    LateUp,
    LateDown,
    /// Where the numbers of the window before ended.
    NextSequence,
    /// The mean round trip above the lowest, as the median is kept.
    RttMean,
    UpMean,
    DownMean,
    MedianLessUp,
    BothErrors,
    UpJitter,
    DownJitter,
    /// Of a distribution: as many samples as packets came back.
    Received,
    /// Of a distribution: as high above its lowest as the higher of both variations.
    HigherVariation,
    /// Of the sum of the distribution with this place: each value in the middle of its group.
    Middles(usize),
    /// Of a distribution's sum: each value the lowest.
    Lowest,
    /// Of round trips' sum: the lowest and both variations.
    Variations,
}
