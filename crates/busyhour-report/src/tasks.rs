//! The calendar of tasks: what the guide of operations asks for daily, weekly and monthly, what helps to
//! do it here, and how it stands with whom signed it off.
//!
//! After Microsoft's operations guide for Teams calling (the activities of each role with their cadence), in
//! our own words. What Busyhour cannot help with says so; it is in the calendar because somebody must do it.

use jiff::civil::{Date, Weekday};

use crate::period::{Period, ReportKind};

/// Earlier periods that are looked at for what was left undone.
const LOOK_BACK: usize = 4;

/// A task of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Task {
    /// Its name in SQL, JSON and on the command line.
    pub name: &'static str,
    /// For each day, week or month.
    pub cadence: ReportKind,
    /// What is to be done.
    pub what: &'static str,
    /// What in Busyhour helps to do it.
    pub helps: &'static str,
}

const fn task(
    cadence: ReportKind,
    name: &'static str,
    what: &'static str,
    helps: &'static str,
) -> Task {
    Task { name, cadence, what, helps }
}

/// All of them, daily ones first.
pub const TASKS: &[Task] = &[
    task(
        ReportKind::Daily,
        "digest",
        "See what opened, recovers or closed since yesterday, and that each has who acts",
        "busyhour report daily; busyhour incident ls",
    ),
    task(
        ReportKind::Daily,
        "coverage",
        "See that every building is observed; ask after silent agents",
        "the table \"Not known\" of the daily digest; busyhour agent ls",
    ),
    task(
        ReportKind::Daily,
        "service-health",
        "Look at Microsoft's service health, and hold it against what is seen here",
        "incidents whose part is Microsoft's (busyhour incident ls); the health itself is in Microsoft's \
         admin centre",
    ),
    task(
        ReportKind::Daily,
        "service-addresses",
        "Look for announced changes of service addresses; ask for changes of firewalls and proxies",
        "none yet: the announcements are Microsoft's; incidents by cause firewall-or-proxy show what \
         was missed",
    ),
    task(
        ReportKind::Weekly,
        "quality-review",
        "Go through the Quality Experience Review, the largest buildings first; agree on what is mended",
        "busyhour report weekly",
    ),
    task(
        ReportKind::Weekly,
        "open-incidents",
        "Go through open incidents: acknowledged, owned, still true",
        "busyhour incident ls; the page of each incident",
    ),
    task(
        ReportKind::Weekly,
        "network-report",
        "Report availability, use and room of the links to who runs them",
        "the worst hours and degraded time of the weekly review; early warnings (busyhour incident ls \
         --all-kinds)",
    ),
    task(
        ReportKind::Weekly,
        "usage",
        "Measure how much people call, and where",
        "busyhour load import keeps it, and busy hours are learned of it",
    ),
    task(
        ReportKind::Weekly,
        "building-data",
        "Bring the building file up to date: subnets that are not in it, buildings that moved",
        "busyhour subnet missing; busyhour building import",
    ),
    task(
        ReportKind::Weekly,
        "licences-and-numbers",
        "Look after licences and telephone numbers",
        "none: they are in Microsoft's admin centre",
    ),
    task(
        ReportKind::Monthly,
        "steering-committee",
        "Tell the steering committee: quality against targets, open problems, what was mended and how it has been since",
        "busyhour report monthly",
    ),
    task(
        ReportKind::Monthly,
        "capacity",
        "Plan the capacity of links whose busy hours grow worse",
        "the monthly pack's degraded time and shift; drift and early warnings (busyhour incident ls \
         --all-kinds)",
    ),
    task(
        ReportKind::Monthly,
        "recovery-test",
        "Test that the network recovers: spare links, spare egress",
        "paths over the test's hours (busyhour path hours); plan it as maintenance",
    ),
    task(
        ReportKind::Monthly,
        "endpoints",
        "Review what devices and Wi-Fi drivers are in use and required",
        "incidents by cause wifi and device; the catalogue of devices is kept elsewhere",
    ),
    task(
        ReportKind::Monthly,
        "owners",
        "See that every cause has an owner in every region, and that names still hold",
        "busyhour owner ls; the owners in the monthly pack's open problems",
    ),
];

impl Task {
    /// The one with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        TASKS.iter().find(|task| task.name == name)
    }

    /// The last of its periods that is over on a date. A day that counts is one of Monday to Friday.
    #[must_use]
    pub fn due(&self, today: Date) -> Period {
        working(Period::over_by(self.cadence, today))
    }
}

/// That somebody did a task for a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done<'a> {
    /// The task's name.
    pub task: &'a str,
    /// The period, as [`Period`] writes it.
    pub period: &'a str,
    /// Who signed it off.
    pub by: &'a str,
}

/// How a task stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskState {
    /// The task.
    pub task: &'static Task,
    /// The last of its periods that is over.
    pub period: Period,
    /// Who signed that off, in the order they did; nobody while it is due.
    pub signed_by: Vec<String>,
    /// Earlier periods that nobody signed off, the oldest first.
    pub overdue: Vec<Period>,
}

impl TaskState {
    /// `signed off`, `due` or `overdue`.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match (self.signed_by.is_empty(), self.overdue.is_empty()) {
            (false, _) => "signed off",
            (true, true) => "due",
            (true, false) => "overdue",
        }
    }
}

/// How all tasks stand on a date. What lies before the first sign-off ever, on `since`, is not asked for: the
/// calendar was not kept then.
#[must_use]
pub fn calendar(today: Date, since: Option<Date>, done: &[Done<'_>]) -> Vec<TaskState> {
    let state = |task: &'static Task| {
        let period = task.due(today);
        let signed = |of: Period| {
            let of = of.to_string();
            done.iter().filter(move |done| done.task == task.name && done.period == of)
        };
        let before = std::iter::successors(Some(period), |period| Some(working(period.previous())));
        let mut overdue: Vec<Period> = before
            .skip(1)
            .take(LOOK_BACK)
            .filter(|period| since.is_some_and(|since| period.last() >= since))
            .filter(|period| signed(*period).next().is_none())
            .collect();
        overdue.reverse();
        TaskState {
            task,
            period,
            signed_by: signed(period).map(|done| done.by.to_owned()).collect(),
            overdue,
        }
    };
    TASKS.iter().map(state).collect()
}

/// A day of the weekend stands for the Friday before it.
fn working(mut period: Period) -> Period {
    let weekend = |period: &Period| {
        period.kind() == ReportKind::Daily
            && matches!(period.first().weekday(), Weekday::Saturday | Weekday::Sunday)
    };
    while weekend(&period) {
        period = period.previous();
    }
    period
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn state_of(states: &[TaskState], name: &str) -> (String, &'static str, Vec<String>) {
        let found = states.iter().find(|state| state.task.name == name).unwrap();
        let overdue = found.overdue.iter().map(ToString::to_string).collect();
        (found.period.to_string(), found.word(), overdue)
    }

    #[test]
    fn before_anybody_signed_anything_off_nothing_is_overdue() {
        let states = calendar(date(2026, 8, 26), None, &[]);
        assert_eq!(states.len(), TASKS.len());
        assert!(states.iter().all(|state| state.word() == "due"));
        assert_eq!(state_of(&states, "quality-review").0, "2026-W34");
        assert_eq!(state_of(&states, "steering-committee").0, "2026-07");
    }

    #[test]
    fn what_was_left_undone_since_the_first_sign_off_is_overdue() {
        let done = |period| Done { task: "quality-review", period, by: "eva" };
        let since = Some(date(2026, 8, 6));
        let states = calendar(date(2026, 8, 26), since, &[done("2026-W32")]);
        let (period, word, overdue) = state_of(&states, "quality-review");
        assert_eq!(
            (period.as_str(), word, overdue),
            ("2026-W34", "overdue", vec!["2026-W33".to_owned()])
        );
        let states = calendar(date(2026, 8, 26), since, &[done("2026-W32"), done("2026-W34")]);
        assert_eq!(state_of(&states, "quality-review").1, "signed off");
        assert_eq!(state_of(&states, "quality-review").2, ["2026-W33"], "it stays to be done");
        // July ended before anybody began.
        assert_eq!(state_of(&states, "steering-committee").1, "due");
        assert_eq!(
            state_of(&states, "digest").2,
            ["2026-08-19", "2026-08-20", "2026-08-21", "2026-08-24"],
            "no further back, and no weekend"
        );
    }

    #[test]
    fn a_weekend_asks_for_nothing_of_its_own() {
        let digest = Task::named("digest").unwrap();
        for (today, due) in [
            (date(2026, 8, 25), "2026-08-24"),
            (date(2026, 8, 24), "2026-08-21"),
            (date(2026, 8, 23), "2026-08-21"),
            (date(2026, 8, 22), "2026-08-21"),
        ] {
            assert_eq!(digest.due(today).to_string(), due, "{today}");
        }
    }

    #[test]
    fn names_of_tasks_are_words_and_none_is_given_twice() {
        let mut names: Vec<&str> = TASKS.iter().map(|task| task.name).collect();
        assert!(names.iter().all(|name| {
            name.len() <= 40 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
        }));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), TASKS.len());
        assert!(TASKS.is_sorted_by_key(|task| task.cadence));
    }
}
