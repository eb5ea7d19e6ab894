//! The configuration in force, as `check-config` prints it.

use std::fmt;
use std::path::PathBuf;

use super::bandwidth::{self, kilobits, limit_kilobits};
use super::budget::Budget;
use super::duration::show;
use super::{Access, Admission, ReflectorSettings, Resolved, Security, Target};

impl fmt::Display for Resolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "[agent]\ndata_dir = {:?}", self.data_dir)?;
        if let Some(collector) = &self.collector {
            match &collector.access {
                Access::Secret { file, .. } => {
                    writeln!(f, "secret_file = {file:?}")?;
                    writeln!(f, "# which names agent {}", collector.agent)?;
                }
                Access::Certificate(_) => {
                    writeln!(f, "# enrolled there as agent {}", collector.agent)?;
                }
            }
            writeln!(f, "\n[collector]\nurl = \"{}\"", collector.url)?;
        }
        show_link(f, self)?;
        for target in &self.targets {
            show_target(f, target)?;
        }
        writeln!(f, "\n[allow]\ntargets = {:?}", self.allow.targets())?;
        writeln!(f, "special = {:?}", self.allow.special())?;
        show_reflector(f, &self.reflector)?;
        let (accept, trial) = (self.remote.accepts.as_str(), show(self.remote.trial));
        writeln!(f, "\n[remote]\naccept = {accept:?}\ntrial = {trial:?}")?;
        let pause = &self.pause;
        writeln!(f, "\n[pause]\non_battery = {}", pause.on_battery)?;
        writeln!(f, "on_metered = {}\nmetered = {:?}", pause.on_metered, pause.metered)?;
        writeln!(f, "\n[spool]\nmax_bytes = {}", self.spool.max_bytes)?;
        writeln!(f, "max_age = {:?}", show(self.spool.max_age))?;
        writeln!(f, "seal_after = {:?}", show(self.spool.seal_after))?;
        let format = format!("{:?}", self.log.format).to_lowercase();
        writeln!(f, "\n[log]\nlevel = {:?}\nformat = {format:?}", self.log.level)
    }
}

fn show_link(f: &mut fmt::Formatter<'_>, config: &Resolved) -> fmt::Result {
    let mut shown = Vec::new();
    for target in config.targets.iter().filter(|target| !target.is_of_the_table()) {
        let name = target.profile_name.as_str();
        if shown.contains(&name) {
            continue;
        }
        shown.push(name);
        let (rate, bytes) = (target.profile.rate(), target.profile.ip_packet_bytes());
        writeln!(f, "\n[[profile]]\nname = {name:?}\nclass = \"{}\"", target.class())?;
        writeln!(f, "rate = {rate}\npacket_bytes = {bytes}")?;
    }
    if config.targets.is_empty() {
        return Ok(());
    }
    writeln!(f, "\n[link]")?;
    if let Some(capacity) = config.link_capacity {
        writeln!(f, "capacity = \"{}\"", bandwidth::show(capacity))?;
    }
    let budget = Budget::of(&config.targets);
    let (total, limit) =
        (kilobits(budget.total), limit_kilobits(Budget::limit(config.link_capacity)));
    let expedited = kilobits(budget.expedited);
    writeln!(f, "# all targets together: {total} on average, at most {limit}")?;
    writeln!(f, "# of it expedited: {expedited}, at most {}", limit_kilobits(Budget::EXPEDITED))
}

fn show_target(f: &mut fmt::Formatter<'_>, target: &Target) -> fmt::Result {
    let schedule = if target.period() == target.window() { "continuous" } else { "duty" };
    writeln!(f, "\n[[target]]\nname = {:?}", target.name.as_str())?;
    writeln!(f, "class = \"{}\"\nprofile = {:?}", target.class(), target.profile_name.as_str())?;
    writeln!(f, "peer = {:?}\nsecurity = {:?}", target.peer.name(), target.security.as_str())?;
    if let Security::Tlvs(file) | Security::Authenticated(file) = &target.security {
        writeln!(f, "key_file = {:?}", file.path)?;
    }
    let profile = &target.profile;
    writeln!(f, "timestamps = {:?}", target.timestamps.as_str())?;
    writeln!(f, "ecn = \"{}\"\nschedule = {schedule:?}", profile.ecn())?;
    let (window, period) = (show(target.window()), show(target.period()));
    writeln!(f, "window = {window:?}\nperiod = {period:?}")?;
    let (rate, bytes, dscp) = (profile.rate(), profile.ip_packet_bytes(), profile.dscp());
    writeln!(f, "# {rate} packets a second of {bytes} bytes, marked {dscp}")?;
    let (ports, mean) = (profile.ports(), kilobits(profile.mean_bits_per_second()));
    writeln!(f, "# from a port of {}-{}; {mean} on average", ports.start(), ports.end())
}

fn show_reflector(f: &mut fmt::Formatter<'_>, reflector: &ReflectorSettings) -> fmt::Result {
    let listen: Vec<String> = reflector.listen.iter().map(ToString::to_string).collect();
    writeln!(f, "\n[reflector]\nlisten = {listen:?}")?;
    if listen.is_empty() {
        return Ok(());
    }
    let word = match reflector.admission {
        Admission::Permissive => "permissive",
        Admission::Provisioned(_) => "provisioned",
    };
    let allow: Vec<String> = reflector.allow.iter().map(ToString::to_string).collect();
    let keys: Vec<&PathBuf> = reflector.keys.iter().map(|key| &key.path).collect();
    let counting = if reflector.stateful { "stateful" } else { "stateless" };
    writeln!(f, "admission = {word:?}\nallow = {allow:?}\nkey_files = {keys:?}")?;
    writeln!(f, "require_key = {}\ncounting = {counting:?}", reflector.require_key)?;
    writeln!(f, "disclose_addresses = {}", reflector.disclose_addresses)?;
    writeln!(f, "max_sessions = {}", reflector.max_sessions)?;
    writeln!(f, "max_sessions_per_address = {}", reflector.max_sessions_per_address)?;
    writeln!(f, "timestamps = {:?}", reflector.timestamps.as_str())?;
    let Admission::Provisioned(sessions) = &reflector.admission else { return Ok(()) };
    for session in sessions {
        writeln!(f, "\n[[reflector.session]]\nssid = {}", session.ssid)?;
        if let Some(source) = session.source {
            writeln!(f, "source = \"{source}\"")?;
        }
        if let Some(key) = &session.key {
            writeln!(f, "key_file = {:?}", key.path)?;
        }
        writeln!(f, "short_requests = {}", session.short_requests)?;
    }
    Ok(())
}
