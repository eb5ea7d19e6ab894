//! The configuration in force, as `check-config` prints it. Secrets are not in it.

use std::fmt;

use busyhour_notify::{ChannelConfig, RouteConfig};

use super::Resolved;

impl fmt::Display for Resolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "[collector]\ndata_dir = {:?}", self.data_dir)?;
        writeln!(f, "\n[ingest]\nlisten = \"{}\"", self.ingest_listen)?;
        writeln!(f, "security = \"{}\"", self.ingest_security.as_str())?;
        let names: Vec<_> = self.fleet.names.iter().map(|name| format!("\"{name}\"")).collect();
        writeln!(f, "names = [{}]", names.join(", "))?;
        let life_s = self.fleet.certificate_life.as_secs();
        writeln!(f, "\n[identity]\ncertificate_life = \"{life_s}s\"")?;
        if let Some(company) = &self.fleet.company {
            writeln!(f, "ca_certificate = {:?}\nca_key = {:?}", company.certificate, company.key)?;
        }
        writeln!(f, "\n[api]\nlisten = \"{}\"", self.api_listen)?;
        if let Some(base_url) = &self.base_url {
            writeln!(f, "base_url = \"{base_url}\"")?;
        }
        if let Some(tls) = &self.api_tls {
            writeln!(f, "tls.cert = {:?}\ntls.key = {:?}", tls.certificate, tls.key)?;
        }
        if let Some(oidc) = &self.oidc {
            write!(f, "{oidc}")?;
        }
        writeln!(f, "\n[retention]")?;
        for (field, days) in self.kept_days() {
            writeln!(f, "{field} = \"{days}d\"")?;
        }
        writeln!(f, "\n[judge]\ninterval = \"{}ms\"", self.judge_interval.as_millis())?;
        writeln!(f, "settle = \"{}ms\"", self.judge_settle.as_millis())?;
        writeln!(f, "default_requirement = \"{}\"", self.requirements.default)?;
        for (name, requirement) in &self.requirements.by_target {
            writeln!(f, "\n[[target]]\nname = {:?}", name.as_str())?;
            writeln!(f, "requirement = \"{requirement}\"")?;
        }
        for channel in &self.channel_configs {
            show_channel(f, channel)?;
        }
        for route in &self.route_configs {
            show_route(f, route)?;
        }
        for report in &self.report_configs {
            let kind = format!("{:?}", report.kind).to_lowercase();
            writeln!(f, "\n[[report]]\nname = {:?}\nkind = {kind:?}", report.name)?;
            writeln!(f, "at = {:?}\nzone = {:?}", report.at, report.zone)?;
            writeln!(f, "channels = {:?}", report.channels)?;
        }
        let format = format!("{:?}", self.log.format).to_lowercase();
        writeln!(f, "\n[log]\nlevel = {:?}\nformat = {format:?}", self.log.level)
    }
}

impl Resolved {
    /// The fields of `[retention]` and the days that each kind is kept.
    pub(crate) fn kept_days(&self) -> [(&'static str, u32); 16] {
        let (telemetry, control) = (&self.retention, &self.control_retention);
        [
            ("windows", telemetry.windows_days),
            ("slots", telemetry.slots_days),
            ("hours", telemetry.hours_days),
            ("checks", telemetry.checks_days),
            ("facts", telemetry.facts_days),
            ("loads", telemetry.loads_days),
            ("gaps", telemetry.gaps_days),
            ("audit", control.audit_days),
            ("sightings", control.sightings_days),
            ("agents", control.agents_days),
            ("placements", control.placements_days),
            ("path_verdicts", control.path_verdicts_days),
            ("verdicts", control.verdicts_days),
            ("incidents", control.incidents_days),
            ("deliveries", control.deliveries_days),
            ("inventory", control.inventory_days),
        ]
    }
}

fn show_route(f: &mut fmt::Formatter<'_>, route: &RouteConfig) -> fmt::Result {
    writeln!(f, "\n[[route]]\nname = {:?}", route.name)?;
    for (field, values) in [
        ("buildings", &route.buildings),
        ("regions", &route.regions),
        ("causes", &route.causes),
        ("segments", &route.segments),
    ] {
        if !values.is_empty() {
            writeln!(f, "{field} = {values:?}")?;
        }
    }
    if let Some(least) = &route.at_least {
        writeln!(f, "at_least = {least:?}")?;
    }
    writeln!(f, "channels = {:?}", route.channels)?;
    writeln!(f, "when = {:?}", route.when.as_deref().unwrap_or("at-once"))?;
    if let Some((at, zone)) = route.digest_at.as_ref().zip(route.digest_zone.as_ref()) {
        writeln!(f, "digest_at = {at:?}\ndigest_zone = {zone:?}")?;
    }
    if let Some(after) = &route.escalate_after {
        writeln!(f, "escalate_after = {after:?}\nescalate_to = {:?}", route.escalate_to)?;
    }
    writeln!(f, "continue = {}", route.r#continue)
}

fn show_channel(f: &mut fmt::Formatter<'_>, channel: &ChannelConfig) -> fmt::Result {
    writeln!(f, "\n[[channel]]\nname = {:?}", channel.name())?;
    match channel {
        ChannelConfig::Email(email) => {
            let security = format!("{:?}", email.security).to_lowercase();
            writeln!(f, "kind = \"email\"\nhost = {:?}\nsecurity = {security:?}", email.host)?;
            writeln!(f, "from = {:?}\nto = {:?}", email.from, email.to)
        }
        ChannelConfig::Webhook(hook) => {
            writeln!(f, "kind = \"webhook\"\n# its address is a secret")?;
            let signed = if hook.signing_key_file.is_some() { "signed" } else { "not signed" };
            writeln!(f, "# what it gets is {signed}")?;
            if let Some(template) = &hook.template {
                writeln!(f, "template = {template:?}")?;
            }
            if let Some(file) = &hook.template_file {
                writeln!(f, "template_file = {file:?}")?;
            }
            if let Some(kind) = &hook.content_type {
                writeln!(f, "content_type = {kind:?}")?;
            }
            writeln!(f, "allow_private = {}", hook.allow_private)
        }
        ChannelConfig::Teams(_) => writeln!(f, "kind = \"teams\"\n# its address is a secret"),
        ChannelConfig::Alertmanager(_) => {
            writeln!(f, "kind = \"alertmanager\"\n# its address may be a secret")
        }
        ChannelConfig::PagerDuty(pagerduty) => {
            let key = &pagerduty.routing_key_file;
            writeln!(f, "kind = \"pagerduty\"\nrouting_key_file = {key:?}")
        }
        ChannelConfig::File(file) => {
            writeln!(f, "kind = \"file\"\nfolder = {:?}", file.folder)
        }
    }
}
