//! What the vocabulary is called where people read it: the same words in sentence, message and page.

use crate::{Breach, Cause, GapReason, LinkKind, Mechanism};

/// A place or a cause is stated from this confidence on, 0..=1.
pub const SURE: f64 = 0.9;
/// And called likely from this one on; below it, it is not sure.
pub const LIKELY: f64 = 0.6;

/// A confidence of 0..=1 in words.
#[must_use]
pub fn how_sure(confidence: f64) -> &'static str {
    if confidence >= SURE {
        "sure"
    } else if confidence >= LIKELY {
        "likely"
    } else {
        "not sure"
    }
}

impl LinkKind {
    /// As in "on Wi-Fi only".
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Wired => "wired connections",
            Self::Wifi => "Wi-Fi",
            Self::Vpn => "VPN",
            Self::Mobile => "mobile connections",
            Self::Loopback => "loopback",
        }
    }
}

impl GapReason {
    /// Why there is nothing, as in "2.0 h: paused by the machine's owner".
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Asleep => "the machine slept",
            Self::NotRunning => "the agent was not running",
            Self::SpoolFull => "the agent's spool was full",
            Self::SpoolFailed => "the agent's disk took nothing",
            Self::ClockStep => "the clock was set",
            Self::Unresolved => "the target's name did not resolve",
            Self::Quarantined => "records had no place in time",
            Self::Paused => "paused by the machine's owner",
            Self::OnBattery => "the machine ran on its battery",
            Self::Metered => "the machine was on a metered link",
        }
    }
}

impl Breach {
    /// What it does to calls, in the words of those who make them.
    #[must_use]
    pub const fn effect_on_calls(self) -> &'static str {
        match self {
            Self::Loss => "words go missing in calls",
            Self::Burst => "syllables drop out of calls",
            Self::Delay => "people talk over one another because sound arrives late",
            Self::Jitter => "voices sound choppy or robotic",
            Self::Failed => "calls cannot be held",
        }
    }
}

impl Cause {
    /// What is to blame.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Bandwidth => "the link is too small for its busy hours",
            Self::Wifi => "the Wi-Fi",
            Self::Vpn => "the VPN",
            Self::FirewallOrProxy => "a firewall or proxy",
            Self::Qos => "calls are not preferred over other traffic",
            Self::Provider => "the provider's network",
            Self::SubnetOrNetworkDevice => "a switch, cable or other device of this subnet",
            Self::Device => "the machine itself",
            Self::CollectorOrAgent => "the measuring machine, not the network",
            Self::NotKnown => "not known",
        }
    }
}

impl Mechanism {
    /// What happens to packets; `None` where nobody knows.
    #[must_use]
    pub const fn words(self) -> Option<&'static str> {
        match self {
            Self::Queue => Some("packets wait in a queue"),
            Self::Drop => Some("packets are dropped without waiting"),
            Self::Radio => Some("packets suffer on the air"),
            Self::Outage => Some("nothing comes back"),
            Self::NotKnown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confidence_has_three_words() {
        let words = [1.0, 0.9, 0.899, 0.6, 0.599, 0.0].map(how_sure);
        assert_eq!(words, ["sure", "sure", "likely", "likely", "not sure", "not sure"]);
    }
}
