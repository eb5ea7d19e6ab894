//! Figures with their bounds, made of counts.

use super::bounds::{Median, Rate, Share};
use super::explain::Reason;
use super::{Placed, Tally};

/// Days of a building-month.
const BUILDING_MONTH_DAYS: f64 = 30.0;

/// Places told with a confidence of one tenth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConfidenceBin {
    /// The lowest confidence of the bin.
    pub from: f64,
    /// The places told with it.
    pub placed: Placed,
    /// How many were right.
    pub right: Share,
}

/// What the counts say.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Buildings times days, in months of 30.
    pub building_months: f64,
    /// False alerts for each building-month.
    pub false_alerts: Rate,
    /// False alerts by what may have been their reason, most first.
    pub false_by: Vec<(Reason, u64)>,
    /// Alerts for each building-month.
    pub alerts: Rate,
    /// Alerts that a truth explains.
    pub precision: Share,
    /// Musts that were found.
    pub recall: Share,
    /// The same by kind of place.
    pub recall_by_place: Vec<(&'static str, Share)>,
    /// Episodes found that need not be.
    pub may: Share,
    /// Constant faults found.
    pub constant: Share,
    /// Alerts that a truth explains whose kind, constant or not, is right.
    pub kind_right: Share,
    /// Working days from the first truly bad one to the alert, of musts found; `None` without any.
    pub days_to_detect: Option<Median>,
    /// Places right where the confidence is at least 0.9.
    pub sure_right: Share,
    /// Incidents with a reason whose place is told with a confidence of at least 0.9.
    pub sure: Share,
    /// Places right, whatever the confidence.
    pub place_right: Share,
    /// Places right by confidence.
    pub reliability: Vec<ConfidenceBin>,
    /// Alerts for each truth that is the reason of any; `None` without any.
    pub alerts_per_cause: Option<f64>,
    /// Incidents open 30 days after their cause ended.
    pub stuck: Share,
    /// Incidents of episodes for which a cause was named.
    pub cause_named: Share,
    /// Right ones among those named.
    pub cause_right: Share,
    /// The counts.
    pub tally: Tally,
}

/// A figure with its bounds.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its name for programs.
    pub name: &'static str,
    /// What it is.
    pub what: &'static str,
    /// The figure; `None` of nothing.
    pub value: Option<f64>,
    /// The bound below it, where there is one.
    pub low: Option<f64>,
    /// The bound above it, where there is one.
    pub high: Option<f64>,
    /// Decimals to show.
    pub decimals: usize,
    /// The counts it is made of, in words.
    pub counts: String,
}

impl Row {
    /// The figure for people.
    #[must_use]
    pub fn figure(&self) -> String {
        self.value.map_or_else(|| "-".to_owned(), |value| format!("{value:.*}", self.decimals))
    }

    /// The bounds for people; empty where there are none.
    #[must_use]
    pub fn bounds(&self) -> String {
        let digits = self.decimals;
        match (self.low, self.high) {
            (Some(low), Some(high)) => format!("{low:.digits$} to {high:.digits$}"),
            (None, Some(high)) => format!("at most {high:.digits$}"),
            (Some(low), None) => format!("at least {low:.digits$}"),
            (None, None) => String::new(),
        }
    }

    fn rate(name: &'static str, what: &'static str, rate: &Rate) -> Self {
        Self {
            name,
            what,
            value: rate.rate,
            low: None,
            high: rate.bound.is_finite().then_some(rate.bound),
            decimals: 4,
            counts: format!("{} in {:.0} building-months", rate.events, rate.exposure),
        }
    }

    fn share(name: &'static str, what: &'static str, share: &Share) -> Self {
        Self {
            name,
            what,
            value: share.share,
            low: Some(share.low),
            high: Some(share.high),
            decimals: 3,
            counts: format!("{} of {}", share.hits, share.of),
        }
    }

    fn noting(mut self, more: &str) -> Self {
        self.counts.push_str(more);
        self
    }
}

impl Report {
    /// The figures of these counts.
    #[must_use]
    pub fn of(tally: Tally) -> Self {
        let months = tally.building_days as f64 / BUILDING_MONTH_DAYS;
        let mut false_by: Vec<(Reason, u64)> =
            tally.false_alerts.iter().map(|(reason, count)| (*reason, *count)).collect();
        false_by.sort_by_key(|(reason, count)| (std::cmp::Reverse(*count), *reason));
        let by_place = tally.recall_by_place.iter();
        let sum = |of: fn(&Placed) -> u64| tally.placed.iter().map(of).sum::<u64>();
        let sure = tally.placed.last().copied().unwrap_or_default();
        Self {
            building_months: months,
            false_alerts: Rate::new(tally.false_total(), months),
            false_by,
            alerts: Rate::new(tally.alerts, months),
            precision: Share::new(tally.explained, tally.alerts),
            recall: Share::new(tally.must_found, tally.must),
            recall_by_place: by_place
                .map(|(place, (must, found))| (*place, Share::new(*found, *must)))
                .collect(),
            may: Share::new(tally.may_found, tally.may),
            constant: Share::new(tally.constant_found, tally.constant),
            kind_right: Share::new(tally.kind_right, tally.explained),
            days_to_detect: Median::of(&days(&tally)),
            sure_right: Share::new(sure.right, sure.incidents),
            sure: Share::new(sure.incidents, sum(|placed| placed.incidents)),
            place_right: Share::new(sum(|placed| placed.right), sum(|placed| placed.incidents)),
            reliability: reliability(&tally),
            alerts_per_cause: (tally.reasons > 0)
                .then(|| tally.explained as f64 / tally.reasons as f64),
            stuck: Share::new(tally.stuck, tally.ended),
            cause_named: Share::new(tally.cause_named, tally.cause_due),
            cause_right: Share::new(tally.cause_right, tally.cause_named),
            tally,
        }
    }

    /// The figures in the order of the benchmark's table.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        let tally = &self.tally;
        let carried = format!(
            " ({} by an incident open already, {} by another episode's alert)",
            tally.must_carried, tally.must_shared
        );
        let another_word: u64 = tally.placed.iter().map(|placed| placed.by_another_word).sum();
        let another_word = format!(" ({another_word} by another word)");
        let stale = format!(" ({} said they were stale)", tally.stuck_stale);
        let recall = Row::share("recall", "recall of episodes", &self.recall).noting(&carried);
        let right = "place right where confidence is at least 0.9";
        let stuck = "still open 30 days after the cause ended";
        let false_alerts = "false alerts per building-month";
        vec![
            Row::rate("false-alerts", false_alerts, &self.false_alerts),
            recall,
            self.detect_row(),
            Row::share("place-right-when-sure", right, &self.sure_right),
            Row::share("place-sure", "incidents that sure", &self.sure),
            Row::share("place-right", "place right", &self.place_right).noting(&another_word),
            self.alerts_per_cause_row(),
            Row::share("stuck", stuck, &self.stuck).noting(&stale),
            Row::share("cause-named", "cause named", &self.cause_named),
            Row::share("cause-right", "cause right where named", &self.cause_right),
            Row::share("precision", "alerts that a truth explains", &self.precision),
            Row::share("weaker-found", "weaker episodes found", &self.may),
            Row::share("constant-found", "constant faults found", &self.constant),
            Row::share("kind-right", "constant or not: right", &self.kind_right),
            Row::rate("alerts", "alerts per building-month", &self.alerts),
        ]
    }

    fn detect_row(&self) -> Row {
        let counts = |median: Median| format!("of {}; 90 % within {}", median.of, median.p90);
        Row {
            name: "days-to-detect",
            what: "working days to detect, median",
            value: self.days_to_detect.map(|median| median.median.into()),
            low: self.days_to_detect.map(|median| median.low.into()),
            high: self.days_to_detect.map(|median| median.high.into()),
            decimals: 0,
            counts: self.days_to_detect.map(counts).unwrap_or_default(),
        }
    }

    fn alerts_per_cause_row(&self) -> Row {
        Row {
            name: "alerts-per-cause",
            what: "alerts per true cause",
            value: self.alerts_per_cause,
            low: None,
            high: None,
            decimals: 2,
            counts: format!("{} alerts of {} causes", self.tally.explained, self.tally.reasons),
        }
    }
}

fn days(tally: &Tally) -> Vec<u32> {
    let repeat = |(days, count): (&u32, &u64)| {
        std::iter::repeat_n(*days, usize::try_from(*count).unwrap_or_default())
    };
    tally.days_to_detect.iter().flat_map(repeat).collect()
}

fn reliability(tally: &Tally) -> Vec<ConfidenceBin> {
    let bins = tally.placed.iter().enumerate();
    bins.map(|(number, placed)| ConfidenceBin {
        from: number as f64 / super::CONFIDENCE_BINS as f64,
        placed: *placed,
        right: Share::new(placed.right, placed.incidents),
    })
    .collect()
}
