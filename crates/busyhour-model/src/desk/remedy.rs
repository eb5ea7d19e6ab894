//! What to do about a cause, and who does such things.

use crate::{Cause, Segment};

/// What to do, for who does not know the network, and who usually does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remedy {
    /// Who does such things, where nobody said whose it is.
    pub who: &'static str,
    /// What to do, each a sentence, in the order in which it is worth trying.
    pub steps: &'static [&'static str],
}

/// What to do about a likely cause; where that is not known, about the part of the way that it is on.
#[must_use]
pub const fn remedy(cause: Cause, segment: Segment) -> Remedy {
    match cause {
        Cause::Bandwidth => BANDWIDTH,
        Cause::Wifi => WIFI,
        Cause::Vpn => VPN,
        Cause::FirewallOrProxy => FIREWALL,
        Cause::Qos => QOS,
        Cause::Provider => PROVIDER,
        Cause::SubnetOrNetworkDevice => SUBNET,
        Cause::Device => DEVICE,
        Cause::CollectorOrAgent => AGENT,
        Cause::NotKnown => unknown(segment),
    }
}

const fn unknown(segment: Segment) -> Remedy {
    match segment {
        Segment::CustomerLan => Remedy { who: "whoever runs the building's network", ..UNKNOWN },
        Segment::CustomerWan => Remedy { who: "whoever runs the wide area network", ..UNKNOWN },
        Segment::Provider => {
            Remedy { who: "the provider, by whoever holds the contract", ..UNKNOWN }
        }
        Segment::Microsoft => MICROSOFT,
        Segment::Unknown => UNKNOWN,
    }
}

const BANDWIDTH: Remedy = Remedy {
    who: "whoever runs the wide area network",
    steps: &[
        "Look at the use of the building's link in the hours named above: it is full, or is sold smaller than it is used.",
        "Find what fills it in these hours (updates, backups, video) and move that to the night, or limit it.",
        "Give calls their own class on the link, so that they pass what can wait.",
        "If calls alone fill it, order a larger link; size it for the busy hour, not for the day.",
    ],
};
const WIFI: Remedy = Remedy {
    who: "whoever runs Wi-Fi",
    steps: &[
        "Compare with machines on a cable in the same place: if these are fine, it is the air.",
        "Move clients to 5 or 6 GHz, and give neighbouring access points channels that do not overlap.",
        "Check that WMM is on, and that drivers of the machines' adapters are of this year.",
        "Measure signal and airtime where people sit in these hours; add access points, or cables to meeting rooms.",
    ],
};
const VPN: Remedy = Remedy {
    who: "whoever runs the VPN",
    steps: &[
        "Let calls go past the tunnel: route the media networks of Microsoft 365 directly (split tunnel).",
        "Check that the tunnel is UDP, not TCP, for what stays in it.",
        "Look at the concentrator's load and licences in the hours named above.",
    ],
};
const FIREWALL: Remedy = Remedy {
    who: "whoever runs firewalls and proxies",
    steps: &[
        "Open UDP 3478 to 3481 to the media networks of Microsoft 365, for all machines of the building.",
        "Let media go past the proxy; calls over TCP or HTTP break up first.",
        "Except these networks from inspection of packets and of TLS.",
        "Test again from a machine in the building.",
    ],
};
const QOS: Remedy = Remedy {
    who: "whoever runs the network's classes of traffic",
    steps: &[
        "Follow the marks (DSCP 46 for audio) hop by hop: somewhere they are cleared, or written over.",
        "Check that the marked class is served first on every link that fills up, in both directions.",
        "Check that the class is large enough for the calls of the busy hour.",
    ],
};
const PROVIDER: Remedy = Remedy {
    who: "the provider, by whoever holds the contract",
    steps: &[
        "Open a ticket with the hours, the days and the figures told here, and the raw windows as proof.",
        "Ask for the use of the access and of the next hops in these hours, not for averages of a day.",
        "Compare with another provider's way, where there is one, and move calls there until it is mended.",
    ],
};
const SUBNET: Remedy = Remedy {
    who: "whoever runs the building's network",
    steps: &[
        "Other subnets of the building are fine: look at what this one alone goes through (switch, uplink, cable).",
        "Read the counters of errors, drops and duplex of these ports in the hours named above.",
        "Update or exchange the device; put one machine elsewhere to see whether it is fine there.",
    ],
};
const DEVICE: Remedy = Remedy {
    who: "whoever looks after the machine",
    steps: &[
        "Other machines beside it are fine: look at this one's cable, adapter, driver and load.",
        "Exchange its headset or dock only after that; they do not lose packets.",
    ],
};
const AGENT: Remedy = Remedy {
    who: "whoever runs Busyhour",
    steps: &[
        "It is the measuring that suffers, probably not the calls: look at the agent's machine and its load.",
        "See what the agent says of itself: late sending, a full queue, steps of its clock.",
    ],
};
const MICROSOFT: Remedy = Remedy {
    who: "whoever administers Microsoft 365",
    steps: &[
        "Look at the service's health page for the hours named above.",
        "Open a ticket with Microsoft with the hours, the networks concerned and the raw windows as proof.",
        "Check that the building leaves for the internet close by, not through a far office.",
    ],
};
const UNKNOWN: Remedy = Remedy {
    who: "whoever runs the network",
    steps: &[
        "Compare who suffers with who does not, on the incident's page: what both use is not the cause.",
        "Put an agent on a cable near the building's edge; what it sees tells the building from what is beyond.",
    ],
};
