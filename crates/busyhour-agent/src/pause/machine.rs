//! When the machine itself is a reason to measure nothing.

use busyhour_host::{Route, default_route, on_battery};
use busyhour_model::LinkKind;

use super::Why;
use crate::config::PauseSettings;

/// What the machine's present state asks for, by its owner's settings. Reads files; may block.
pub(crate) fn wants(settings: &PauseSettings) -> Option<Why> {
    if settings.on_battery && on_battery() {
        return Some(Why::Battery);
    }
    let metered = settings.on_metered && is_metered(settings, default_route().as_ref());
    metered.then_some(Why::Metered)
}

/// Whether what has no more particular way leaves by a link that is paid for by use.
fn is_metered(settings: &PauseSettings, route: Option<&Route>) -> bool {
    route.is_some_and(|route| {
        route.kind == LinkKind::Mobile || settings.metered.contains(&route.interface)
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
        assert!(is_metered(&settings(&[]), Some(&modem)));
        assert!(!is_metered(&settings(&["usb0"]), Some(&ethernet)));
        assert!(is_metered(&settings(&["usb0", "eth0"]), Some(&ethernet)));
        assert!(!is_metered(&settings(&["eth0"]), None));
        let never = PauseSettings { metered: vec!["eth0".to_owned()], ..PauseSettings::default() };
        assert_eq!(wants(&never), None);
    }
}
