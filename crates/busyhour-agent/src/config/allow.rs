//! What may be probed, from the words of the file.

use std::net::IpAddr;

use super::raw::RawAllow;
use super::{InvalidConfig, Target};
use crate::allow::{Allow, Listed, network};

/// The most entries of either list.
const MAX_ENTRIES: usize = 256;

/// Reads both lists, and holds the file's own targets to them where they are written as addresses. What
/// names stand for is only known later.
pub(super) fn resolve(raw: &RawAllow, targets: &[Target]) -> Result<Allow, InvalidConfig> {
    let invalid = |field, found: &String| InvalidConfig::Allow { field, found: found.clone() };
    for (field, entries) in [("targets", &raw.targets), ("special", &raw.special)] {
        if entries.len() > MAX_ENTRIES {
            return Err(InvalidConfig::Allow {
                field,
                found: format!("{} entries", entries.len()),
            });
        }
    }
    let listed = |text: &String| Listed::parse(text).ok_or_else(|| invalid("targets", text));
    let listed = raw.targets.iter().map(listed).collect::<Result<_, _>>()?;
    let special = |text: &String| network(text).ok_or_else(|| invalid("special", text));
    let special = raw.special.iter().map(special).collect::<Result<_, _>>()?;
    let written = |target: &Target| target.host.parse::<IpAddr>().ok();
    let allow = Allow::new(listed, special, targets.iter().filter_map(written));
    for target in targets {
        let Some(address) = written(target) else { continue };
        allow.check(&target.host, address).map_err(|source| InvalidConfig::Refused {
            name: target.name.as_str().to_owned(),
            problem: source.to_string(),
        })?;
    }
    Ok(allow)
}
