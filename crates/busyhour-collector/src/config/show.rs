//! The configuration in force, as `check-config` prints it. Secrets are not in it.

use std::fmt;

use busyhour_notify::ChannelConfig;

use super::Resolved;

impl fmt::Display for Resolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "[collector]\ndata_dir = {:?}", self.data_dir)?;
        writeln!(f, "\n[ingest]\nlisten = \"{}\"", self.ingest_listen)?;
        writeln!(f, "\n[api]\nlisten = \"{}\"", self.api_listen)?;
        if let Some(base_url) = &self.base_url {
            writeln!(f, "base_url = \"{base_url}\"")?;
        }
        let kept = self.retention;
        writeln!(f, "\n[retention]\nwindows = \"{}d\"", kept.windows_days)?;
        writeln!(f, "slots = \"{}d\"\nothers = \"{}d\"", kept.slots_days, kept.others_days)?;
        writeln!(f, "\n[judge]\ninterval = \"{}ms\"", self.judge_interval.as_millis())?;
        writeln!(f, "default_requirement = \"{}\"", self.requirements.default)?;
        for (name, requirement) in &self.requirements.by_target {
            writeln!(f, "\n[[target]]\nname = {:?}", name.as_str())?;
            writeln!(f, "requirement = \"{requirement}\"")?;
        }
        for channel in &self.channel_configs {
            show_channel(f, channel)?;
        }
        let format = format!("{:?}", self.log.format).to_lowercase();
        writeln!(f, "\n[log]\nlevel = {:?}\nformat = {format:?}", self.log.level)
    }
}

fn show_channel(f: &mut fmt::Formatter<'_>, channel: &ChannelConfig) -> fmt::Result {
    writeln!(f, "\n[[channel]]\nname = {:?}", channel.name())?;
    match channel {
        ChannelConfig::Email(email) => {
            let security = format!("{:?}", email.security).to_lowercase();
            writeln!(f, "kind = \"email\"\nhost = {:?}\nsecurity = {security:?}", email.host)?;
            writeln!(f, "from = {:?}\nto = {:?}", email.from, email.to)
        }
        ChannelConfig::Webhook(_) => writeln!(f, "kind = \"webhook\"\n# its address is a secret"),
        ChannelConfig::File(file) => {
            writeln!(f, "kind = \"file\"\nfolder = {:?}", file.folder)
        }
    }
}
