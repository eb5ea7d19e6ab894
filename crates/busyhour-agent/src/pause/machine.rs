//! When the machine itself is a reason to measure nothing.

use busyhour_host::{Route, carriers, default_route, on_battery};
use busyhour_model::LinkKind;

use super::Why;
use crate::config::PauseSettings;

/// What the machine's present state asks for, by its owner's settings. Reads files; may block.
pub(crate) fn wants(settings: &PauseSettings) -> Option<Why> {
    if settings.on_battery && on_battery() {
        return Some(Why::Battery);
    }
    let metered = settings.on_metered && is_metered(settings, default_route().as_ref(), carriers);
    metered.then_some(Why::Metered)
}

/// Whether what has no more particular way leaves by a link that is paid for by use, or a VPN takes it
/// there. What carries a VPN is asked only of one.
fn is_metered(
    settings: &PauseSettings,
    route: Option<&Route>,
    carriers: impl FnOnce() -> Vec<(String, LinkKind)>,
) -> bool {
    let costs =
        |name: &String, kind: LinkKind| kind == LinkKind::Mobile || settings.metered.contains(name);
    route.is_some_and(|route| {
        costs(&route.interface, route.kind)
            || (route.kind == LinkKind::Vpn
                && carriers().iter().any(|(name, kind)| costs(name, *kind)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mobile_link_is_metered_and_so_are_those_that_the_owner_names() {
        let settings = |metered: &[&str]| PauseSettings {
            on_battery: true,
            on_metered: true,
            metered: metered.iter().map(|&name| name.to_owned()).collect(),
        };
        let route = |interface: &str, kind: LinkKind| Route {
            interface: interface.to_owned(),
            kind,
            local: "192.0.2.1".parse().unwrap(),
            prefix: "192.0.2.0/24".parse().unwrap(),
        };
        let (modem, ethernet) = (route("wwan0", LinkKind::Mobile), route("eth0", LinkKind::Wired));
        let nobody = || panic!("nothing is carried");
        assert!(is_metered(&settings(&[]), Some(&modem), nobody));
        assert!(!is_metered(&settings(&["usb0"]), Some(&ethernet), nobody));
        assert!(is_metered(&settings(&["usb0", "eth0"]), Some(&ethernet), nobody));
        assert!(!is_metered(&settings(&["eth0"]), None, nobody));
        // A VPN is as metered as what carries it.
        let tunnel = route("tun0", LinkKind::Vpn);
        let by = |name: &str, kind| vec![(name.to_owned(), kind)];
        assert!(is_metered(&settings(&[]), Some(&tunnel), || by("wwan0", LinkKind::Mobile)));
        assert!(!is_metered(&settings(&["usb0"]), Some(&tunnel), || by("eth0", LinkKind::Wired)));
        assert!(is_metered(&settings(&["usb0"]), Some(&tunnel), || by("usb0", LinkKind::Wired)));
        assert!(is_metered(&settings(&["tun0"]), Some(&tunnel), nobody));
        assert!(!is_metered(&settings(&[]), Some(&tunnel), Vec::new));
        let never = PauseSettings { metered: vec!["eth0".to_owned()], ..PauseSettings::default() };
        assert_eq!(wants(&never), None);
    }
}
