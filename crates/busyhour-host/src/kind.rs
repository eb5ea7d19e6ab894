//! What kind of link an interface is.

use busyhour_model::LinkKind;

/// What `/sys/class/net/NAME` says about an interface.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Clues {
    /// The text of `type`: an `ARPHRD_` number (linux/if_arp.h).
    pub(crate) hardware: String,
    /// The text of `uevent`: lines of `KEY=value`.
    pub(crate) uevent: String,
    /// True when there is a `wireless` or `phy80211` folder.
    pub(crate) wireless: bool,
    /// True when there is a `tun_flags` file: the interface belongs to a process.
    pub(crate) tunnel: bool,
}

/// `ARPHRD_PPP`.
const PPP: u16 = 512;
/// `ARPHRD_TUNNEL`, `ARPHRD_TUNNEL6`, `ARPHRD_SIT`, `ARPHRD_IPGRE`, `ARPHRD_NONE` (WireGuard, tun).
const TUNNELS: [u16; 5] = [768, 769, 776, 778, 0xfffe];
/// `ARPHRD_RAWIP`: what cellular modems present.
const RAW_IP: u16 = 519;
/// `ARPHRD_LOOPBACK`.
const LOOPBACK: u16 = 772;

impl Clues {
    /// Tells the kind; whatever has no mark of another kind is wired.
    pub(crate) fn kind(&self) -> LinkKind {
        let hardware = self.hardware.trim().parse::<u16>().unwrap_or(0);
        let device = self.uevent.lines().find_map(|line| line.strip_prefix("DEVTYPE="));
        match device.map(str::trim) {
            Some("wlan") => return LinkKind::Wifi,
            Some("wwan") => return LinkKind::Mobile,
            Some("wireguard") => return LinkKind::Vpn,
            _ => {}
        }
        if hardware == LOOPBACK {
            LinkKind::Loopback
        } else if self.wireless {
            LinkKind::Wifi
        } else if hardware == RAW_IP {
            LinkKind::Mobile
        } else if self.tunnel || hardware == PPP || TUNNELS.contains(&hardware) {
            LinkKind::Vpn
        } else {
            LinkKind::Wired
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_from_their_marks() {
        let clues = |hardware: &str, uevent: &str, wireless, tunnel| Clues {
            hardware: hardware.to_owned(),
            uevent: uevent.to_owned(),
            wireless,
            tunnel,
        };
        let table = [
            (clues("1\n", "INTERFACE=eth0\nIFINDEX=2\n", false, false), LinkKind::Wired),
            (clues("772\n", "INTERFACE=lo\nIFINDEX=1\n", false, false), LinkKind::Loopback),
            (clues("1\n", "DEVTYPE=wlan\nINTERFACE=wlp0s20f3\n", false, false), LinkKind::Wifi),
            (clues("1\n", "INTERFACE=wlan0\n", true, false), LinkKind::Wifi),
            (clues("65534\n", "DEVTYPE=wireguard\nINTERFACE=wg0\n", false, false), LinkKind::Vpn),
            (clues("65534\n", "INTERFACE=tun0\n", false, true), LinkKind::Vpn),
            (clues("1\n", "INTERFACE=tap0\n", false, true), LinkKind::Vpn),
            (clues("512\n", "INTERFACE=ppp0\n", false, false), LinkKind::Vpn),
            (clues("1\n", "DEVTYPE=wwan\nINTERFACE=wwan0\n", false, false), LinkKind::Mobile),
            (clues("519\n", "INTERFACE=rmnet0\n", false, false), LinkKind::Mobile),
            (clues("1\n", "DEVTYPE=bridge\nINTERFACE=br0\n", false, false), LinkKind::Wired),
            (clues("", "", false, false), LinkKind::Wired),
        ];
        for (clues, kind) in table {
            assert_eq!(clues.kind(), kind, "{clues:?}");
        }
    }
}
