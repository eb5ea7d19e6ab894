//! Configuration: what a file may say, and what it means once it was checked.

mod identity;
mod oidc;
mod raw;
mod show;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use busyhour_daemon::LogConfig;
use busyhour_fleet::FleetConfig;
use busyhour_model::{InvalidPath, RequirementProfile, TargetName};
use busyhour_notify::{
    BaseUrl, Channel, ChannelConfig, ChannelError, InvalidBaseUrl, InvalidReport, InvalidRoute,
    ReportConfig, ReportPlan, Route, RouteConfig,
};
use busyhour_store::{ControlRetention, Retention};
use thiserror::Error;

use crate::api::ApiTls;

pub use identity::Security;
pub use oidc::{InvalidOidc, Oidc};
pub use raw::RawConfig;
pub(crate) use raw::defaults;

/// Something in the configuration that cannot be.
#[derive(Debug, Error)]
pub enum InvalidConfig {
    /// An address that cannot be listened on.
    #[error("{field} = {found:?} is not an address with a port (such as \"127.0.0.1:7443\")")]
    Listen {
        /// The field.
        field: &'static str,
        /// What was given.
        found: String,
    },
    /// Agents would send their secrets in the clear over a network.
    #[error("ingest.listen cannot be used")]
    IngestListen(#[source] busyhour_ingest::PlaintextBeyondLoopback),
    /// Neither of the two.
    #[error("ingest.security = {0:?} is neither \"tls\" nor \"plaintext\"")]
    Security(String),
    /// A name that no certificate can be for.
    #[error("ingest.names: {0}")]
    Name(String),
    /// Agents could not tell that it is this collector.
    #[error(
        "ingest.listen = {0} is every address of this machine: say in ingest.names what agents reach it \
         by, such as [\"busyhour.example.org\"]"
    )]
    NoName(SocketAddr),
    /// One of two files.
    #[error("identity.ca_certificate and identity.ca_key are given both or not at all")]
    HalfAuthority,
    /// The API would be open to a network.
    #[error("api.listen cannot be used")]
    ApiListen(#[source] busyhour_api::ListenRefused),
    /// A certificate without its key, or the other way round.
    #[error("api.tls needs both: cert, the file of the certificates, and key, the file of the key")]
    ApiTls,
    /// Nobody could sign in with the identity provider.
    #[error("api.oidc cannot be used")]
    Oidc(#[source] InvalidOidc),
    /// The page's address is not one.
    #[error("api.base_url cannot be used")]
    BaseUrl(#[source] InvalidBaseUrl),
    /// A duration that is not one, or out of range.
    #[error("{field} = {found:?} is not a duration {expected}")]
    Duration {
        /// The field.
        field: &'static str,
        /// What was given.
        found: String,
        /// What would have been accepted.
        expected: &'static str,
    },
    /// What is fine would outlive what it is summed up in, or what it needs to be understood.
    #[error("retention.{finer} must not be longer than retention.{coarser}")]
    Retention {
        /// The field of what is fine.
        finer: &'static str,
        /// The field of what it is summed up in, or needs.
        coarser: &'static str,
    },
    /// A target's name or requirement is none.
    #[error("target {name:?} cannot be used")]
    Target {
        /// Its name.
        name: String,
        /// What the model says.
        source: InvalidPath,
    },
    /// The default requirement is none.
    #[error("judge.default_requirement cannot be used")]
    DefaultRequirement(#[source] InvalidPath),
    /// Two channels or two targets share a name.
    #[error("two {what} are named {name:?}")]
    Twice {
        /// What they are.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// More than the collector is made for.
    #[error("{found} {what} are more than {max}")]
    TooMany {
        /// What they are.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there may be.
        max: usize,
    },
    /// A channel cannot be used.
    #[error(transparent)]
    Channel(ChannelError),
    /// A route cannot be used.
    #[error(transparent)]
    Route(InvalidRoute),
    /// A report cannot be sent.
    #[error(transparent)]
    Report(InvalidReport),
}

/// What paths are judged by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirements {
    /// For every target that is not named.
    pub default: RequirementProfile,
    /// By target.
    pub by_target: BTreeMap<TargetName, RequirementProfile>,
}

impl Requirements {
    pub(crate) fn for_ingest(&self) -> busyhour_ingest::Requirements {
        busyhour_ingest::Requirements::new(self.by_target.clone(), self.default)
    }
}

/// What the collector does; everything in it was checked.
#[derive(Debug)]
pub struct Resolved {
    /// Where the databases lie.
    pub data_dir: PathBuf,
    /// Where agents deliver.
    pub ingest_listen: SocketAddr,
    /// What their connections are protected by.
    pub ingest_security: Security,
    /// Who agents are, and who says so.
    pub fleet: FleetConfig,
    /// Where the API and the page are.
    pub api_listen: SocketAddr,
    /// What the API and the page are served over TLS with; plain HTTP when there is none.
    pub api_tls: Option<ApiTls>,
    /// Where people open the page; the API's own address unless told.
    pub base_url: Option<BaseUrl>,
    /// Who else proves who people are.
    pub oidc: Option<Oidc>,
    /// How long data is kept.
    pub retention: Retention,
    /// How long control data is kept.
    pub control_retention: ControlRetention,
    /// How often is judged when nothing new wakes the judge.
    pub judge_interval: Duration,
    /// How long an opened incident waits before it is told.
    pub judge_settle: Duration,
    /// What paths are judged by.
    pub requirements: Requirements,
    /// Where alerts go.
    pub channels: Vec<Channel>,
    /// The channels as configured, to be shown.
    pub channel_configs: Vec<ChannelConfig>,
    /// Who is told what, and when.
    pub routes: Vec<Route>,
    /// The routes as configured, to be shown.
    pub route_configs: Vec<RouteConfig>,
    /// Reports to be sent.
    pub reports: Vec<ReportPlan>,
    /// The reports as configured, to be shown.
    pub report_configs: Vec<ReportConfig>,
    /// Logging.
    pub log: LogConfig,
}

impl RawConfig {
    /// Where the databases lie, whatever the rest says.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.collector.data_dir
    }

    /// Checks everything, and reads the secrets of the channels.
    ///
    /// # Errors
    /// When a value is not what its field wants, or an address is not safe to listen on.
    pub fn resolve(self) -> Result<Resolved, InvalidConfig> {
        let ingest_listen = parse_listen("ingest.listen", &self.ingest.listen)?;
        let ingest_security = identity::security(&self.ingest, ingest_listen)?;
        let port = (ingest_listen, ingest_security);
        let fleet = identity::fleet(&self.ingest, &self.identity, &self.collector.data_dir, port)?;
        let api_listen = parse_listen("api.listen", &self.api.listen)?;
        let api_tls = match (&self.api.tls.cert, &self.api.tls.key) {
            (Some(certificate), Some(key)) => {
                Some(ApiTls { certificate: certificate.clone(), key: key.clone() })
            }
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => return Err(InvalidConfig::ApiTls),
        };
        if api_tls.is_none() {
            busyhour_api::check_listen(api_listen).map_err(InvalidConfig::ApiListen)?;
        }
        let base_url = self.api.base_url.as_deref().map(str::parse).transpose();
        let reached = (api_listen, self.api.base_url.as_deref());
        let oidc = self.api.oidc.clone().map(|raw| Oidc::resolve(raw, reached)).transpose();
        let judge_interval =
            parse_duration("judge.interval", &self.judge.interval, defaults::JUDGE_INTERVALS)?;
        let judge_settle =
            parse_duration("judge.settle", &self.judge.settle, defaults::JUDGE_SETTLES)?;
        let retention = self.resolve_retention()?;
        let control_retention = self.resolve_control_retention(&retention)?;
        let requirements = self.resolve_requirements()?;
        let channels = build_channels(&self.channel)?;
        let (routes, reports) = (self.build_routes()?, self.build_reports()?);
        Ok(Resolved {
            data_dir: self.collector.data_dir,
            ingest_listen,
            ingest_security,
            fleet,
            api_listen,
            api_tls,
            base_url: base_url.map_err(InvalidConfig::BaseUrl)?,
            oidc: oidc.map_err(InvalidConfig::Oidc)?,
            retention,
            control_retention,
            judge_interval,
            judge_settle,
            requirements,
            channels,
            channel_configs: self.channel,
            routes,
            route_configs: self.route,
            reports,
            report_configs: self.report,
            log: self.log,
        })
    }

    fn build_routes(&self) -> Result<Vec<Route>, InvalidConfig> {
        bounded("routes", self.route.len(), defaults::MAX_ROUTES)?;
        let channels: Vec<&str> = self.channel.iter().map(ChannelConfig::name).collect();
        let routes = self.route.iter().map(|route| Route::build(route, &channels));
        routes.collect::<Result<_, _>>().map_err(InvalidConfig::Route)
    }

    fn build_reports(&self) -> Result<Vec<ReportPlan>, InvalidConfig> {
        bounded("reports", self.report.len(), defaults::MAX_REPORTS)?;
        let channels: Vec<&str> = self.channel.iter().map(ChannelConfig::name).collect();
        for (index, report) in self.report.iter().enumerate() {
            if self.report[..index].iter().any(|earlier| earlier.name == report.name) {
                let name = report.name.clone();
                return Err(InvalidConfig::Twice { what: "reports", name });
            }
        }
        let reports = self.report.iter().map(|report| ReportPlan::build(report, &channels));
        reports.collect::<Result<_, _>>().map_err(InvalidConfig::Report)
    }

    /// How long telemetry is kept, whatever the rest says.
    pub(crate) fn resolve_retention(&self) -> Result<Retention, InvalidConfig> {
        let kept = &self.retention;
        let retention = Retention {
            windows_days: parse_days("retention.windows", &kept.windows)?,
            slots_days: parse_days("retention.slots", &kept.slots)?,
            hours_days: parse_days("retention.hours", &kept.hours)?,
            checks_days: parse_days("retention.checks", &kept.checks)?,
            facts_days: parse_days("retention.facts", &kept.facts)?,
            loads_days: parse_days("retention.loads", &kept.loads)?,
            gaps_days: parse_days("retention.gaps", &kept.gaps)?,
        };
        if retention.windows_days > retention.slots_days {
            return Err(InvalidConfig::Retention { finer: "windows", coarser: "slots" });
        }
        if retention.slots_days > retention.hours_days {
            return Err(InvalidConfig::Retention { finer: "slots", coarser: "hours" });
        }
        Ok(retention)
    }

    fn resolve_control_retention(
        &self,
        telemetry: &Retention,
    ) -> Result<ControlRetention, InvalidConfig> {
        let kept = &self.retention;
        let retention = ControlRetention {
            audit_days: parse_days("retention.audit", &kept.audit)?,
            sightings_days: parse_days("retention.sightings", &kept.sightings)?,
            agents_days: parse_days("retention.agents", &kept.agents)?,
            placements_days: parse_days("retention.placements", &kept.placements)?,
            path_verdicts_days: parse_days("retention.path_verdicts", &kept.path_verdicts)?,
            verdicts_days: parse_days("retention.verdicts", &kept.verdicts)?,
            incidents_days: parse_days("retention.incidents", &kept.incidents)?,
            deliveries_days: parse_days("retention.deliveries", &kept.deliveries)?,
            inventory_days: parse_days("retention.inventory", &kept.inventory)?,
        };
        let shorter = [
            ("hours", telemetry.hours_days, "placements", retention.placements_days),
            ("agents", retention.agents_days, "placements", retention.placements_days),
            ("path_verdicts", retention.path_verdicts_days, "verdicts", retention.verdicts_days),
        ];
        match shorter.into_iter().find(|(_, finer, _, coarser)| finer > coarser) {
            Some((finer, _, coarser, _)) => Err(InvalidConfig::Retention { finer, coarser }),
            None => Ok(retention),
        }
    }

    fn resolve_requirements(&self) -> Result<Requirements, InvalidConfig> {
        bounded("targets", self.target.len(), defaults::MAX_TARGETS)?;
        let default =
            self.judge.default_requirement.parse().map_err(InvalidConfig::DefaultRequirement)?;
        let mut by_target = BTreeMap::new();
        for target in &self.target {
            let wrong = |source| InvalidConfig::Target { name: target.name.clone(), source };
            let name = TargetName::new(target.name.clone()).map_err(wrong)?;
            let requirement = target.requirement.parse().map_err(wrong)?;
            if by_target.insert(name, requirement).is_some() {
                return Err(InvalidConfig::Twice { what: "targets", name: target.name.clone() });
            }
        }
        Ok(Requirements { default, by_target })
    }
}

fn build_channels(configs: &[ChannelConfig]) -> Result<Vec<Channel>, InvalidConfig> {
    bounded("channels", configs.len(), defaults::MAX_CHANNELS)?;
    for (index, config) in configs.iter().enumerate() {
        if configs[..index].iter().any(|earlier| earlier.name() == config.name()) {
            let name = config.name().to_owned();
            return Err(InvalidConfig::Twice { what: "channels", name });
        }
    }
    configs.iter().map(|config| Channel::build(config).map_err(InvalidConfig::Channel)).collect()
}

fn bounded(what: &'static str, found: usize, max: usize) -> Result<(), InvalidConfig> {
    if found > max { Err(InvalidConfig::TooMany { what, found, max }) } else { Ok(()) }
}

fn parse_listen(field: &'static str, text: &str) -> Result<SocketAddr, InvalidConfig> {
    text.parse().map_err(|_| InvalidConfig::Listen { field, found: text.to_owned() })
}

fn parse_duration(
    field: &'static str,
    text: &str,
    (lowest, highest, expected): (Duration, Duration, &'static str),
) -> Result<Duration, InvalidConfig> {
    let parsed = text.parse::<jiff::SignedDuration>().ok();
    parsed
        .and_then(|signed| Duration::try_from(signed).ok())
        .filter(|duration| (lowest..=highest).contains(duration))
        .ok_or_else(|| InvalidConfig::Duration { field, found: text.to_owned(), expected })
}

/// Whole days, as retention is counted in them.
fn parse_days(field: &'static str, text: &str) -> Result<u32, InvalidConfig> {
    text.strip_suffix('d')
        .and_then(|days| days.parse().ok())
        .filter(|days| (1..=defaults::MAX_RETENTION_DAYS).contains(days))
        .ok_or_else(|| {
            let expected = "from 1d to 3660d, in whole days";
            InvalidConfig::Duration { field, found: text.to_owned(), expected }
        })
}

#[cfg(test)]
mod tests;
