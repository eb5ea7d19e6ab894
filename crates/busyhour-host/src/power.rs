//! What the machine runs on.

use std::fs;
use std::path::Path;

/// Where the kernel tells of power supplies (Documentation/ABI/testing/sysfs-class-power).
const SUPPLIES: &str = "/sys/class/power_supply";

/// What the kernel says of one supply.
#[derive(Debug, Clone, Default)]
struct Supply {
    /// `Mains`, `Battery`, `USB`, `UPS`, `Wireless`.
    kind: String,
    /// `1` while a supply other than a battery gives power, `2` while it does at a voltage of its choice.
    online: String,
    /// `Discharging`, `Charging`, `Full`, `Not charging`, `Unknown`.
    status: String,
    /// `Device` of what powers a mouse and not the machine.
    scope: String,
}

/// True while the machine runs on a battery of its own; false where there is none or nobody tells.
#[must_use]
pub fn on_battery() -> bool {
    is_on_battery(&supplies(Path::new(SUPPLIES)))
}

fn supplies(folder: &Path) -> Vec<Supply> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| supply(&entry.path())).collect()
}

fn supply(path: &Path) -> Supply {
    let text = |name: &str| {
        let text = fs::read_to_string(path.join(name)).unwrap_or_default();
        text.trim().to_owned()
    };
    Supply {
        kind: text("type"),
        online: text("online"),
        status: text("status"),
        scope: text("scope"),
    }
}

/// A battery gives and nothing else does. A battery that gives while the mains are there helps out.
fn is_on_battery(supplies: &[Supply]) -> bool {
    let own = || supplies.iter().filter(|supply| supply.scope != "Device");
    let is_online = |supply: &Supply| !matches!(supply.online.as_str(), "" | "0");
    let outside = own().any(|supply| supply.kind != "Battery" && is_online(supply));
    let gives = own().any(|supply| supply.kind == "Battery" && supply.status == "Discharging");
    gives && !outside
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_on_its_battery_when_that_alone_gives() {
        let supply = |kind: &str, online: &str, status: &str, scope: &str| Supply {
            kind: kind.to_owned(),
            online: online.to_owned(),
            status: status.to_owned(),
            scope: scope.to_owned(),
        };
        let (mains, unplugged) = (supply("Mains", "1", "", ""), supply("Mains", "0", "", ""));
        let gives = supply("Battery", "", "Discharging", "System");
        let charges = supply("Battery", "", "Charging", "");
        let mouse = supply("Battery", "", "Discharging", "Device");
        let docked = supply("USB", "1", "", "");
        let programmable = supply("USB", "2", "", "");
        for (supplies, expected) in [
            (vec![], false),
            (vec![mains.clone()], false),
            (vec![unplugged.clone(), gives.clone()], true),
            (vec![gives.clone()], true),
            (vec![mains.clone(), gives.clone()], false),
            (vec![unplugged.clone(), docked, gives.clone()], false),
            (vec![programmable, gives.clone()], false),
            (vec![mains, charges.clone()], false),
            (vec![unplugged.clone(), charges.clone(), gives], true),
            (vec![unplugged, mouse.clone()], false),
            (vec![charges, mouse], false),
        ] {
            assert_eq!(is_on_battery(&supplies), expected, "{supplies:?}");
        }
    }

    #[test]
    fn a_supply_is_read_from_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let battery = folder.path().join("BAT0");
        fs::create_dir(&battery).unwrap();
        for (name, text) in [("type", "Battery\n"), ("status", "Discharging\n")] {
            fs::write(battery.join(name), text).unwrap();
        }
        assert!(is_on_battery(&supplies(folder.path())));
        fs::write(battery.join("status"), "Full\n").unwrap();
        assert!(!is_on_battery(&supplies(folder.path())));
        assert!(!is_on_battery(&supplies(&folder.path().join("nowhere"))));
    }
}
