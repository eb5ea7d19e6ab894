//! What the rows of a finding's series say together: all that a cause and a sentence may use.

use busyhour_model::Breach;
use jiff::ToSpan as _;
use jiff::civil::Date;

use crate::finding::{Finding, FindingKind};
use crate::fleet::{Fleet, SeriesNo};
use crate::history::History;
use crate::quarters::Quarters;
use crate::series::{Part, Peak, SeriesDay, Worst};
use crate::timeline::Clocks;

/// Counts that add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    pub(crate) valid: u64,
    pub(crate) bad: u64,
    pub(crate) bad_by: [u64; 5],
    pub(crate) sent: u64,
    pub(crate) lost: u64,
    pub(crate) remarked: u64,
}

impl Counts {
    fn add(&mut self, part: &Part) {
        self.valid += u64::from(part.valid);
        self.bad += u64::from(part.bad);
        self.sent += part.sent;
        self.lost += part.lost;
    }

    fn add_peak(&mut self, peak: &Peak) {
        self.add(&peak.part);
        for (sum, count) in self.bad_by.iter_mut().zip(peak.bad_by) {
            *sum += u64::from(count);
        }
        self.remarked += peak.remarked;
    }

    /// The share of bad windows, 0..=1; 0 of none.
    pub(crate) fn share(&self) -> f64 {
        ratio(self.bad, self.valid)
    }

    /// Packets lost over packets sent, 0..=1; 0 of none.
    pub(crate) fn loss(&self) -> f64 {
        ratio(self.lost, self.sent)
    }

    /// The limit that most bad windows broke: failed windows by that when they are half of the bad
    /// ones. `None` where nothing is bad or nothing says by what.
    pub(crate) fn dominant(&self) -> Option<Breach> {
        dominant(self.bad, self.bad_by)
    }
}

/// A share of a whole, 0..=1; 0 of nothing.
pub(crate) fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// The limit that most bad windows broke; see [`Counts::dominant`].
pub(crate) fn dominant(bad: u64, bad_by: [u64; 5]) -> Option<Breach> {
    let by = |breach: Breach| bad_by.get(breach as usize).copied().unwrap_or(0);
    if bad > 0 && by(Breach::Failed) * 2 >= bad {
        return Some(Breach::Failed);
    }
    let order = [Breach::Loss, Breach::Burst, Breach::Delay, Breach::Jitter];
    // Of equals `max_by_key` takes the last; the first of the order is wanted.
    let most = order.into_iter().rev().max_by_key(|&breach| by(breach))?;
    (by(most) > 0).then_some(most)
}

/// The figures of a finding.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Figures {
    /// The worst hour of its last bad day that falls into its hours, with whose it is.
    pub(crate) worst: Option<(Date, SeriesNo, Worst)>,
    /// The bad hours of all bad days.
    pub(crate) peak: Counts,
    /// The hours outside busy hours on these days.
    pub(crate) quiet: Counts,
    /// These days altogether, as the daily average sees them.
    pub(crate) day: Counts,
    /// The seven calendar days up to the last bad one, all hours: as a whole week's percentile sees
    /// them.
    pub(crate) week: Counts,
    /// The median over series and days of the round trip at the bad hours and outside busy hours, in
    /// microseconds.
    pub(crate) peak_rtt_us: Option<u32>,
    pub(crate) quiet_rtt_us: Option<u32>,
    /// And of the jitter.
    pub(crate) peak_jitter_us: Option<u32>,
    pub(crate) quiet_jitter_us: Option<u32>,
    /// The mean round trip and jitter of these days, in microseconds: what a daily average says.
    pub(crate) day_rtt_us: Option<u32>,
    pub(crate) day_jitter_us: Option<u32>,
    /// The median of how loss follows delay (Kendall's tau, in thousandths).
    pub(crate) delay_with_loss: Option<i16>,
    /// Series days that are bad.
    pub(crate) bad_rows: usize,
}

impl Figures {
    /// Of a finding's series on its bad days, at its hours by the clock where each is. Where none of them is bad by itself, of
    /// those of its building in their sum.
    pub(crate) fn of(fleet: &Fleet, history: &History, finding: &Finding) -> Self {
        let mut clocks = Clocks::of(fleet, finding, finding.last_bad);
        let of_series = finding.members.iter().map(|&no| {
            let hours = clocks.hours(no).unwrap_or(finding.hours);
            (no, hours, history.all(no))
        });
        let figures = Self::of_rows(of_series, finding);
        if figures.bad_rows > 0 {
            return figures;
        }
        let first = finding.members.first().copied().unwrap_or(SeriesNo(0));
        let unions = history.unions_of(finding.home);
        let sums = unions
            .map(|union| (first, finding.hours, history.union_days(union, Date::MIN, Date::MAX)));
        let most = sums.map(|one| Self::of_rows(std::iter::once(one), finding));
        most.max_by_key(|sum| sum.bad_rows).filter(|sum| sum.bad_rows > 0).unwrap_or(figures)
    }

    fn of_rows<'a>(
        sources: impl Iterator<Item = (SeriesNo, Quarters, &'a [SeriesDay])>,
        finding: &Finding,
    ) -> Self {
        let mut figures = Self::default();
        let mut medians = Medians::default();
        let week = finding.last_bad.saturating_sub(6.days())..=finding.last_bad;
        for (series, hours, rows) in sources {
            for row in rows {
                if week.contains(&row.date) {
                    figures.week.add(&row.busy);
                    figures.week.add(&row.quiet);
                }
                if finding.bad_days.binary_search(&row.date).is_err() {
                    continue;
                }
                figures.add(row);
                medians.add(row);
                let later = figures.worst.is_none_or(|(date, ..)| row.date > date);
                if let Some(worst) = row.worst().filter(|worst| worst.is_at(hours))
                    && row.verdict.is_bad()
                    && (later || figures.is_worse(row.date, &worst))
                {
                    figures.worst = Some((row.date, series, worst));
                }
            }
        }
        medians.finish(&mut figures);
        figures
    }

    /// Of something that moved: round trips after and before, in place of those of bad and quiet
    /// hours. A route by its quiet hours, a warning by busy hours beside quiet ones, a drift by the
    /// busy hours of its last and its first month.
    pub(crate) fn moved(history: &History, finding: &Finding) -> Self {
        let mut figures = Self::default();
        let (mut after, mut before) = (Vec::new(), Vec::new());
        let (mut jitter_after, mut jitter_before) = (Vec::new(), Vec::new());
        for &series in &finding.members {
            match finding.kind {
                FindingKind::Drift => {
                    let months = history.months(series);
                    after.extend(months.last().and_then(|month| month.busy_us));
                    before.extend(months.first().and_then(|month| month.busy_us));
                }
                FindingKind::LevelShift => {
                    for row in history.days(series, Date::MIN, finding.changed) {
                        let side =
                            if row.date < finding.first_bad { &mut before } else { &mut after };
                        side.extend(row.base_rtt_us);
                    }
                }
                _ => {
                    for &day in &finding.bad_days {
                        let row = history.day(series, day);
                        after.extend(row.and_then(|row| row.busy.rtt_p50_us));
                        before.extend(row.and_then(|row| row.quiet.rtt_p50_us));
                        jitter_after.extend(row.and_then(|row| row.busy.jitter_p50_us));
                        jitter_before.extend(row.and_then(|row| row.quiet.jitter_p50_us));
                    }
                }
            }
        }
        figures.peak_rtt_us = lower_median(&mut after);
        figures.quiet_rtt_us = lower_median(&mut before);
        figures.peak_jitter_us = lower_median(&mut jitter_after);
        figures.quiet_jitter_us = lower_median(&mut jitter_before);
        figures
    }

    fn add(&mut self, row: &SeriesDay) {
        self.day.add(&row.busy);
        self.day.add(&row.quiet);
        if row.verdict.is_bad() {
            self.bad_rows += 1;
            row.peak().into_iter().for_each(|peak| self.peak.add_peak(peak));
            self.quiet.add(&row.quiet);
        }
    }

    fn is_worse(&self, date: Date, worst: &Worst) -> bool {
        let than = |&(known, _, other): &(Date, SeriesNo, Worst)| {
            let share = |a: &Worst, b: &Worst| u64::from(a.bad) * u64::from(b.valid);
            known == date && share(worst, &other) > share(&other, worst)
        };
        self.worst.as_ref().is_some_and(than)
    }

    /// How much longer a round trip takes at the bad hours, in microseconds; 0 when it does not.
    pub(crate) fn rise_us(&self) -> Option<u32> {
        Some(self.peak_rtt_us?.saturating_sub(self.quiet_rtt_us?))
    }

    /// How much more jitter there is at the bad hours, in microseconds; 0 when there is not.
    pub(crate) fn jitter_rise_us(&self) -> Option<u32> {
        Some(self.peak_jitter_us?.saturating_sub(self.quiet_jitter_us?))
    }

    /// How many times the worst hour's share of bad windows is the whole days' share.
    pub(crate) fn factor(&self) -> Option<f64> {
        let (_, _, worst) = self.worst?;
        let share = self.day.share();
        (share > 0.0).then(|| worst.share() / share)
    }
}

#[derive(Default)]
struct Medians {
    peak_rtt: Vec<u32>,
    quiet_rtt: Vec<u32>,
    peak_jitter: Vec<u32>,
    quiet_jitter: Vec<u32>,
    tau: Vec<i16>,
    day_rtt: Mean,
    day_jitter: Mean,
}

/// A mean weighted by windows.
#[derive(Default)]
struct Mean {
    sum: u64,
    weight: u64,
}

impl Mean {
    fn add(&mut self, value: Option<u32>, weight: u32) {
        if let Some(value) = value {
            self.sum += u64::from(value) * u64::from(weight);
            self.weight += u64::from(weight);
        }
    }

    fn value(&self) -> Option<u32> {
        self.sum.checked_div(self.weight).and_then(|mean| u32::try_from(mean).ok())
    }
}

impl Medians {
    fn add(&mut self, row: &SeriesDay) {
        for part in [&row.busy, &row.quiet] {
            self.day_rtt.add(part.rtt_mean_us, part.valid);
            self.day_jitter.add(part.jitter_mean_us, part.valid);
        }
        if !row.verdict.is_bad() {
            return;
        }
        let peak = row.peak().map(|peak| &peak.part);
        self.peak_rtt.extend(peak.and_then(|part| part.rtt_p50_us));
        self.quiet_rtt.extend(row.quiet.rtt_p50_us.or(row.base_rtt_us));
        self.peak_jitter.extend(peak.and_then(|part| part.jitter_p50_us));
        self.quiet_jitter.extend(row.quiet.jitter_p50_us);
        self.tau.extend(row.delay_with_loss());
    }

    fn finish(mut self, figures: &mut Figures) {
        figures.peak_rtt_us = lower_median(&mut self.peak_rtt);
        figures.quiet_rtt_us = lower_median(&mut self.quiet_rtt);
        figures.peak_jitter_us = lower_median(&mut self.peak_jitter);
        figures.quiet_jitter_us = lower_median(&mut self.quiet_jitter);
        figures.delay_with_loss = lower_median(&mut self.tau);
        figures.day_rtt_us = self.day_rtt.value();
        figures.day_jitter_us = self.day_jitter.value();
    }
}

/// The lower median; `None` of nothing.
pub(crate) fn lower_median<T: Copy + Ord>(values: &mut [T]) -> Option<T> {
    values.sort_unstable();
    values.get(values.len().checked_sub(1)? / 2).copied()
}
