//! Every threshold of detection, in one place. Where each comes from and what it was tried against:
//! `docs/DETECT.md`.

/// A rule that can be taken out, to show what it is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// Three of the last four same weekdays are enough.
    Weekly,
    /// Two of the last three days are enough when they are much alike.
    Quick,
    /// A day that is bad outside busy hours as well is another kind of day.
    OffPeak,
    /// Bad days count together only at overlapping hours.
    SameHours,
    /// Busy hours are learned from load.
    LearnedHours,
    /// What the site's own edge sees tells inside from outside.
    NearProbes,
    /// An hour needs so many bad windows, whatever their share.
    CountFloor,
    /// An hour needs bad windows in more than one bin.
    Spread,
    /// Days that a moved route explains do not recur.
    LevelShiftGuard,
    /// A fault that goes on through the night is one, however many days it touches.
    NightGuard,
    /// Outages and degradation do not recur together.
    AlikeGuard,
    /// A constant fault lasts longer than an incident of some days.
    ConstantSpan,
    /// A good day counts only where the hours in question were seen.
    SeenHours,
    /// Agents that are seldom there are judged together with the rest of their building.
    Union,
}

impl Rule {
    /// All rules.
    pub const ALL: [Self; 14] = [
        Self::Weekly,
        Self::Quick,
        Self::OffPeak,
        Self::SameHours,
        Self::LearnedHours,
        Self::NearProbes,
        Self::CountFloor,
        Self::Spread,
        Self::LevelShiftGuard,
        Self::NightGuard,
        Self::AlikeGuard,
        Self::ConstantSpan,
        Self::SeenHours,
        Self::Union,
    ];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Weekly => "weekly",
            Self::Quick => "quick",
            Self::OffPeak => "off-peak",
            Self::SameHours => "same-hours",
            Self::LearnedHours => "learned-hours",
            Self::NearProbes => "near-probes",
            Self::CountFloor => "count-floor",
            Self::Spread => "spread",
            Self::LevelShiftGuard => "level-shift-guard",
            Self::NightGuard => "night-guard",
            Self::AlikeGuard => "alike-guard",
            Self::ConstantSpan => "constant-span",
            Self::SeenHours => "seen-hours",
            Self::Union => "union",
        }
    }
}

/// The rules that hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules(u32);

impl Rules {
    /// All of them.
    #[must_use]
    pub const fn all() -> Self {
        Self(u32::MAX)
    }

    /// These without one.
    #[must_use]
    pub const fn without(self, rule: Rule) -> Self {
        Self(self.0 & !(1 << rule as u32))
    }

    /// True when a rule is among them.
    #[must_use]
    pub const fn hold(self, rule: Rule) -> bool {
        self.0 >> (rule as u32) & 1 == 1
    }
}

/// The thresholds. Shares are in parts per thousand or per hundred, as their names say, so that they
/// compare exactly with counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Params {
    /// The rules that hold.
    pub rules: Rules,

    /// A bin is usable with one in so many of its expected windows.
    pub usable_one_in: u32,
    /// An hour is bad from this share of bad windows on.
    pub bad_permille: u32,
    /// And from so many bad windows on.
    pub bad_windows: u32,
    /// And with bad windows in so many quarter-hours (as many bins as an hour has, when those are
    /// fewer).
    pub bad_bins: u32,
    /// A day is good only with this share of its expected windows and of its bins.
    pub coverage_percent: u32,
    /// The middle half of the hours outside busy hours is bad too from this share on.
    pub off_peak_permille: u32,
    /// And from this share of the busy hours' share on.
    pub off_peak_to_busy_percent: u32,
    /// Where those were not seen, what was seen beside the bad hours (the middle half of it) is hardly
    /// better from this share of theirs on.
    pub rest_to_peak_percent: u32,
    /// Fewer observed hours of the clock beside the bad ones say nothing.
    pub rest_hours: u32,
    /// With fewer of them outside busy hours the night was not seen.
    pub off_peak_hours: u32,
    /// Without them a day is bad throughout when this share of its observed busy bins is.
    pub throughout_percent: u32,

    /// How many bad days make it recur.
    pub recurs: u32,
    /// Among so many observed working days.
    pub of_days: u32,
    /// Which lie so many calendar days back at most, today included.
    pub look_back_days: i32,
    /// Two bad days that are much alike are enough among so many observed working days.
    pub quick_of_days: u32,
    /// Which lie no more than so many calendar days apart.
    pub quick_span_days: i32,
    /// They are alike when their bad hours have this Jaccard index.
    pub quick_likeness_percent: u32,
    /// And neither is bad in more than so many quarter-hours.
    pub quick_most_quarters: u32,
    /// And the worst hour of either has this share of bad windows.
    pub quick_permille: u32,
    /// Or `recurs` among so many same weekdays.
    pub of_weekdays: u32,
    /// Which lie so many calendar days back at most, today included.
    pub weekday_look_back_days: i32,
    /// Calendar days from the first to the last bad day of a constant fault, at least: more than any
    /// incident of some days lasts.
    pub constant_span_days: i32,
    /// An hour between two bad days is still bad from this share of their worst hours' share on.
    pub night_to_worst_percent: u32,

    /// Days of load that busy hours are learned from.
    pub load_days: i32,
    /// A typical day has this share of its weekday's median load.
    pub typical_day_percent: u32,
    /// A working weekday, and an open day, have this share of what is usual.
    pub working_percent: u32,
    /// Fewer typical days teach nothing.
    pub typical_days: u32,
    /// A busy quarter-hour has this share of the highest hour's load.
    pub busy_percent: u32,
    /// Holes up to this are closed, in minutes.
    pub busy_gap_minutes: u16,
    /// Shorter stretches are not busy hours, in minutes.
    pub busy_least_minutes: u16,
    /// Longer ones are cut to the busiest such stretch, in minutes.
    pub busy_most_minutes: u16,
    /// Two learnings agree from this Jaccard index on.
    pub agree_percent: u32,

    /// A round trip moved, or is higher, from this many microseconds on.
    pub moved_us: u32,
    /// And from this share on.
    pub moved_percent: u32,
    /// Days before a level shift that are compared, at most and at least.
    pub shift_days_before: (usize, usize),
    /// Days after a level shift that make it one.
    pub shift_days_after: usize,
    /// Elevation begins so far above the quiet hours, in microseconds.
    pub elevated_from_us: u32,
    /// And is full so much further, in microseconds.
    pub elevated_over_us: u32,
    /// Elevation begins at this loss, in parts per million.
    pub elevated_from_ppm: u32,
    /// And is full at so much more, in parts per million.
    pub elevated_over_ppm: u32,

    /// Bad windows that operations tolerate: what burns is measured against it.
    pub budget_permille: u32,
    /// How many times faster than that it burns over the last hour and the last bin, in tenths.
    pub burn_tenths: u32,
    /// A bin of a one-off incident has this share of bad windows.
    pub acute_percent: u32,
    /// And as many of them follow each other as make so many minutes.
    pub acute_minutes: u16,

    /// Days an early warning compares, at most.
    pub early_days: usize,
    /// And at least.
    pub early_least: usize,
    /// How improbable so many days with slower busy hours must be by chance, in parts per thousand:
    /// 8 of 8 or 9 of 10.
    pub early_permille: u32,
    /// Drift needs so many months.
    pub drift_months: usize,
    /// And to be this improbable without a trend, in parts per thousand.
    pub drift_permille: u32,
}

impl Params {
    /// What a rule gives, or what stands for its absence.
    #[must_use]
    pub const fn holds(&self, rule: Rule) -> bool {
        self.rules.hold(rule)
    }
}

impl Default for Params {
    fn default() -> Self {
        Self {
            rules: Rules::all(),
            usable_one_in: 5,
            bad_permille: 50,
            bad_windows: 6,
            bad_bins: 2,
            coverage_percent: 40,
            off_peak_permille: 20,
            off_peak_to_busy_percent: 50,
            rest_to_peak_percent: 25,
            rest_hours: 2,
            off_peak_hours: 6,
            throughout_percent: 90,
            recurs: 3,
            of_days: 5,
            look_back_days: 20,
            quick_of_days: 3,
            quick_span_days: 4,
            quick_likeness_percent: 50,
            quick_most_quarters: 20,
            quick_permille: 150,
            of_weekdays: 4,
            weekday_look_back_days: 36,
            constant_span_days: 4,
            night_to_worst_percent: 33,
            load_days: 28,
            typical_day_percent: 50,
            working_percent: 40,
            typical_days: 4,
            busy_percent: 50,
            busy_gap_minutes: 90,
            busy_least_minutes: 60,
            busy_most_minutes: 720,
            agree_percent: 80,
            moved_us: 5_000,
            moved_percent: 10,
            shift_days_before: (10, 3),
            shift_days_after: 3,
            elevated_from_us: 5_000,
            elevated_over_us: 25_000,
            elevated_from_ppm: 1_000,
            elevated_over_ppm: 9_000,
            budget_permille: 10,
            burn_tenths: 144,
            acute_percent: 50,
            acute_minutes: 30,
            early_days: 10,
            early_least: 8,
            early_permille: 12,
            drift_months: 5,
            drift_permille: 25,
        }
    }
}
