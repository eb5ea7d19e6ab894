//! What is wrong in a building, as it was built in.

use busyhour_model::LinkKind;
use ipnet::IpNet;
use jiff::civil::{Date, Weekday};

/// What kind of trouble a simulated building has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// None.
    Healthy,
    /// Packets are lost in the same hours of every workday, too few for the daily average.
    MaskedPeak,
    /// One bad hour on one day of the newest week, and nothing else.
    SingleBadHour,
    /// The round trip is too long at all times.
    AlwaysBad,
    /// Too much jitter in the same hours of every workday, in one of several subnets.
    OneSubnet,
    /// Short bursts of loss on Wi-Fi only, while the same subnet's wired agent is fine.
    WifiOnly,
}

/// Where and when a simulated building is bad.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truth {
    /// What is wrong.
    pub condition: Condition,
    /// The local minute of the day at which it begins.
    pub from_minute: u16,
    /// The local minute of the day at which it ends, not included; equal to `from_minute` when the
    /// building is healthy.
    pub until_minute: u16,
    /// The only local date it happens on.
    pub date: Option<Date>,
    /// The only subnet it happens in.
    pub subnet: Option<IpNet>,
    /// The only kind of link it happens on.
    pub link: Option<LinkKind>,
}

impl Truth {
    /// True when a path in `subnet` over `link` is bad at this local date and minute.
    #[must_use]
    pub fn is_bad_at(&self, subnet: IpNet, link: LinkKind, date: Date, minute: u16) -> bool {
        let here = self.subnet.is_none_or(|s| s == subnet) && self.link.is_none_or(|l| l == link);
        let today = match (self.condition, self.date) {
            (Condition::AlwaysBad, _) => true,
            (_, Some(only)) => only == date,
            (_, None) => is_workday(date),
        };
        here && today && (self.from_minute..self.until_minute).contains(&minute)
    }
}

/// Monday to Friday, as in every building of the demonstration.
pub(crate) fn is_workday(date: Date) -> bool {
    !matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday)
}
