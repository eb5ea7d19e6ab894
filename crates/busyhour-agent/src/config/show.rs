//! The configuration in force, as `check-config` prints it.

use std::fmt;

use super::duration::show;
use super::{Resolved, Target};

impl fmt::Display for Resolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "[agent]\ndata_dir = {:?}", self.data_dir)?;
        if let Some(collector) = &self.collector {
            writeln!(f, "secret_file = {:?}", collector.secret_file)?;
            writeln!(f, "# which names agent {}", collector.agent)?;
            writeln!(f, "\n[collector]\nurl = \"{}\"", collector.url)?;
        }
        for target in &self.targets {
            show_target(f, target)?;
        }
        let listen: Vec<String> = self.reflector.iter().map(ToString::to_string).collect();
        writeln!(f, "\n[reflector]\nlisten = {listen:?}")?;
        writeln!(f, "\n[spool]\nmax_bytes = {}", self.spool.max_bytes)?;
        writeln!(f, "max_age = {:?}", show(self.spool.max_age))?;
        writeln!(f, "seal_after = {:?}", show(self.spool.seal_after))?;
        let format = format!("{:?}", self.log.format).to_lowercase();
        writeln!(f, "\n[log]\nlevel = {:?}\nformat = {format:?}", self.log.level)
    }
}

fn show_target(f: &mut fmt::Formatter<'_>, target: &Target) -> fmt::Result {
    let schedule = if target.period == target.window { "continuous" } else { "duty" };
    writeln!(f, "\n[[target]]\nname = {:?}", target.name.as_str())?;
    writeln!(f, "class = \"{}\"\nschedule = {schedule:?}", target.class)?;
    let (window, period) = (show(target.window), show(target.period));
    writeln!(f, "# {window} of packets every {period}")
}
