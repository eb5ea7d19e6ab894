//! Whether this machine lets a configuration run: by the rules of its own file, and by nothing else.

use std::net::IpAddr;

use busyhour_daemon::chain;
use busyhour_proto::v1;

use crate::config::{Accepts, Resolved, Target, check_budget, configured};

/// Targets of one configuration.
const MAX_TARGETS: usize = 64;
/// Sessions of one agent, those of its own file included.
const MAX_SESSIONS: usize = 200;

/// The targets of a configuration, all of which may be probed, or why none of them are. What the
/// machine's own file probes already is left out. What names stand for is checked when they are resolved.
pub(super) fn targets(config: &Resolved, told: &v1::Configuration) -> Result<Vec<Target>, String> {
    if told.targets.is_empty() {
        return Ok(Vec::new());
    }
    if config.remote.accepts == Accepts::Nothing {
        return Err("this machine takes no targets from its collector (remote.accept)".to_owned());
    }
    if told.targets.len() > MAX_TARGETS {
        return Err(format!("{} targets are more than {MAX_TARGETS}", told.targets.len()));
    }
    let mut targets: Vec<Target> = Vec::with_capacity(told.targets.len());
    for one in &told.targets {
        let target = configured(told.revision, one).map_err(|error| chain(&error).to_string())?;
        let is_same = |other: &&Target| {
            other.name == target.name && other.profile_name == target.profile_name
        };
        if targets.iter().any(|other| is_same(&other)) {
            return Err(format!("target {:?} is there twice", target.name.as_str()));
        }
        if config.targets.iter().any(|own| is_same(&own)) {
            continue;
        }
        if let Ok(address) = target.host.parse::<IpAddr>() {
            config.allow.check(&target.host, address).map_err(|refused| {
                format!("target {:?} may not be probed: {refused}", target.name.as_str())
            })?;
        }
        targets.push(target);
    }
    if targets.len() + config.targets.len() > MAX_SESSIONS {
        return Err(format!("more than {MAX_SESSIONS} targets with those of this machine's file"));
    }
    let together: Vec<Target> = config.targets.iter().chain(&targets).cloned().collect();
    check_budget(&together, config.link_capacity).map_err(|error| chain(&error).to_string())?;
    Ok(targets)
}

#[cfg(test)]
mod tests {
    use busyhour_daemon::load;

    use super::*;
    use crate::config::RawConfig;

    fn config(text: &str) -> Resolved {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("agent.toml");
        let text = format!("[reflector]\nlisten = [\"127.0.0.1:0\"]\n{text}");
        std::fs::write(&file, text).unwrap();
        let raw: RawConfig = load(Some(&file), &[]).unwrap();
        raw.resolve().unwrap()
    }

    fn told(name: &str, profile: &str) -> v1::ConfiguredTarget {
        v1::ConfiguredTarget {
            name: name.to_owned(),
            profile: profile.to_owned(),
            window_ms: 15_000,
            period_ms: 60_000,
            phase_ms: Some(20_000),
        }
    }

    fn check(config: &str, told: &[v1::ConfiguredTarget]) -> Result<Vec<String>, String> {
        let told = v1::Configuration { revision: 3, edition: 1, targets: told.to_vec() };
        let targets = targets(&self::config(config), &told)?;
        Ok(targets.iter().map(|target| target.name.as_str().to_owned()).collect())
    }

    #[test]
    fn a_target_runs_under_the_revision_and_at_the_phase_that_it_was_told_with() {
        let told = v1::Configuration {
            revision: 3,
            edition: 1,
            targets: vec![told("reflector.example:862", "audio-50")],
        };
        let found = targets(&config(""), &told).unwrap();
        assert_eq!(found[0].schedule().revision.configuration(), Some(3));
        assert_eq!(found[0].phase, Some(std::time::Duration::from_secs(20)));
        assert_eq!((found[0].window().as_secs(), found[0].period().as_secs()), (15, 60));
    }

    #[test]
    fn what_the_machines_own_file_does_not_allow_is_refused_whole() {
        let good = || told("192.0.2.1:862", "audio-50");
        let refused = |config: &str, bad: v1::ConfiguredTarget, word: &str| {
            let said = check(config, &[good(), bad]).unwrap_err();
            assert!(said.contains(word), "{said}");
        };
        for address in ["127.0.0.1:1", "169.254.169.254:80", "[fe80::1]:1", "[::ffff:127.0.0.1]:1"]
        {
            refused("", told(address, "low-1"), "may not be probed");
        }
        for address in ["224.0.0.1:1", "255.255.255.255:1", "0.0.0.0:1"] {
            refused("", told(address, "low-1"), "not a machine's");
        }
        let listed = "[allow]\ntargets = [\"192.0.2.0/24\"]\n";
        refused(listed, told("198.51.100.1:862", "low-1"), "allow.targets");
        refused("", told("192.0.2.2:862", "video-150"), "link.capacity");
        refused("", told("192.0.2.2:862", "audio-51"), "audio-51");
        refused("", told("192.0.2.2", "low-1"), "HOST:PORT");
        refused("", good(), "twice");
        refused(
            "[remote]\naccept = \"nothing\"\n",
            told("192.0.2.2:862", "low-1"),
            "remote.accept",
        );
        let long = v1::ConfiguredTarget { period_ms: 240_001, ..told("192.0.2.2:862", "low-1") };
        refused("", long, "period");
        let odd = v1::ConfiguredTarget { phase_ms: Some(60_000), ..told("192.0.2.2:862", "low-1") };
        refused("", odd, "phase");
        let many: Vec<_> = (0..65).map(|n| told(&format!("192.0.2.{n}:862"), "low-1")).collect();
        assert!(check("", &many).unwrap_err().contains("64"));
    }

    #[test]
    fn all_that_the_machine_probes_shares_its_budget() {
        let own = "[[target]]\nname = \"192.0.2.9:862\"\n".to_owned();
        let many = |count| -> Vec<_> {
            (0..count).map(|n| told(&format!("192.0.2.{n}:862"), "audio-50")).collect()
        };
        assert_eq!(check("", &many(6)).unwrap().len(), 6);
        assert!(check(&own, &many(6)).unwrap_err().contains("expedited"));
    }

    #[test]
    fn what_the_machine_probes_already_is_probed_once_and_nothing_is_always_allowed() {
        let own = "[[target]]\nname = \"192.0.2.9:862\"\n";
        let both = [told("192.0.2.9:862", "audio-50"), told("192.0.2.8:862", "audio-50")];
        assert_eq!(check(own, &both).unwrap(), ["192.0.2.8:862"]);
        assert_eq!(check("[remote]\naccept = \"nothing\"\n", &[]), Ok(Vec::new()));
    }
}
