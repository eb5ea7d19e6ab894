//! Start, life and end of the process.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use busyhour_api::{Illustrator, Services};
use busyhour_daemon::{
    AddressFile, cancel_with_stdin, chain, init_logging, load, parse_override, shutdown_signal,
};
use busyhour_fleet::{Fleet, Planner};
use busyhour_ingest::{
    Authenticator, CertificateAuthenticator, Ingest, IngestParts, SecretAuthenticator,
};
use busyhour_judge::Judge;
use busyhour_model::UtcMicros;
use busyhour_notify::{BaseUrl, Notifier, Settings, Stores};
use busyhour_store::{Accounts, Act, Configurations, Control, Desk, Identities, Outbox, Telemetry};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::{Instant as Deadline, MissedTickBehavior, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::addresses::Addresses;
use crate::admin;
use crate::api::ApiDoor;
use crate::args::{AdminCommand, CollectorArgs, CollectorCommand, ConfigArgs};
use crate::config::{RawConfig, Resolved, Security};
use crate::damage;
use crate::maintenance;
use crate::pictures::PagePictures;
use crate::prune::{self, Pruned};
use crate::reports::StoreReports;
use crate::status::{Status, WorkFigures};

/// How long doors may take to close: open requests, and blocks that wait for a commit.
const DOORS_BOUND: Duration = Duration::from_secs(5);
/// How long the work behind them may take to end: a judgement, a mail under way. What is cut off
/// is done again at the next start.
const WORK_BOUND: Duration = Duration::from_secs(5);
/// How often the authority and the certificate of the agents' port are looked at.
const REFRESH: Duration = Duration::from_secs(60);
/// How long blocking calls may keep the process after that.
const RUNTIME_BOUND: Duration = Duration::from_secs(2);

/// Does what the command line says.
///
/// # Errors
/// When the configuration cannot be used, the store cannot be opened, an address cannot be listened
/// on, or a part of the collector fails.
pub fn execute(args: CollectorArgs) -> anyhow::Result<()> {
    match args.command {
        CollectorCommand::CheckConfig(config) => {
            print!("{}", resolve(&config)?);
            Ok(())
        }
        CollectorCommand::Check(data) => maintenance::run_check(&data, &mut std::io::stdout()),
        CollectorCommand::Backup(args) => maintenance::run_backup(&args, &mut std::io::stdout()),
        CollectorCommand::Restore(args) => maintenance::run_restore(&args, &mut std::io::stdout()),
        CollectorCommand::Rejudge(args) => maintenance::run_rejudge(&args, &mut std::io::stdout()),
        CollectorCommand::Admin(AdminCommand::Reset(args)) => {
            admin::run_reset(&args, &mut std::io::stdout())
        }
        CollectorCommand::RotateCa(config) => rotate_ca(&resolve(&config)?),
        CollectorCommand::Run(config) => {
            let resolved = resolve(&config)?;
            init_logging(&resolved.log).context("set up logging")?;
            let runtime = Runtime::new().context("start the runtime")?;
            let ended = runtime.block_on(async {
                let shutdown = shutdown_signal().context("listen to signals")?;
                if config.stop_with_stdin {
                    cancel_with_stdin(shutdown.clone()).context("watch standard input")?;
                }
                run(resolved, shutdown).await
            });
            runtime.shutdown_timeout(RUNTIME_BOUND);
            ended
        }
    }
}

/// Makes the next authority of the agents' certificates, while the collector is stopped.
fn rotate_ca(config: &Resolved) -> anyhow::Result<()> {
    let store = busyhour_store::open(&config.data_dir, config.retention);
    let (_, control) =
        store.with_context(|| format!("open the store in {}", config.data_dir.display()))?;
    let by = Act::by_operator(utc_now());
    let pin = Fleet::rotate(&config.fleet, &control, &by).context("make the next authority")?;
    let pin: String = pin.iter().map(|byte| format!("{byte:02x}")).collect();
    println!("the authority of agents' certificates is now {pin}");
    println!(
        "agents follow at their next renewal; tokens that were made before are good until they expire"
    );
    Ok(())
}

/// The configuration as written, in all its layers.
pub(crate) fn raw_config(args: &ConfigArgs) -> anyhow::Result<RawConfig> {
    let mut overrides = Vec::with_capacity(args.overrides.len());
    for text in &args.overrides {
        overrides.push(parse_override(text)?);
    }
    Ok(load(args.config.as_deref(), &overrides)?)
}

fn resolve(args: &ConfigArgs) -> anyhow::Result<Resolved> {
    raw_config(args)?.resolve().context("the configuration cannot be used")
}

/// Runs a collector until `shutdown`, or until a part of it fails.
///
/// # Errors
/// When the store cannot be opened, an address cannot be listened on, or a part fails.
pub async fn run(config: Resolved, shutdown: CancellationToken) -> anyhow::Result<()> {
    run_with(config, shutdown, |line| eprint!("{line}")).await
}

/// The same, with what only the one who starts the collector is to see given to `console`.
///
/// # Errors
/// As of [`run`].
pub async fn run_with(
    config: Resolved,
    shutdown: CancellationToken,
    console: impl FnOnce(&str),
) -> anyhow::Result<()> {
    let store = Store::open(&config).await?;
    // Only now: whoever holds the store's lock owns the file.
    AddressFile::clear(&config.data_dir).context("remove the addresses of an earlier run")?;
    let (ingest_listener, ingest_address) = bind("ingest.listen", config.ingest_listen).await?;
    let door = ApiDoor::new(config.api_listen, config.api_tls.as_ref(), store.accounts.as_ref())?;
    let (api_listener, api_address) = bind("api.listen", door.listen()).await?;
    door.tell(api_address, console);
    let base_url = match &config.base_url {
        Some(base_url) => base_url.clone(),
        None => page_of(door.scheme(), api_address)?,
    };
    let door = door.with_provider(config.oidc.as_ref(), &base_url)?;
    let data_dir = config.data_dir.clone();

    let (mut doors, mut work) = (Group::default(), Group::default());
    let ingest = start_ingest(&mut doors, &config, &store, ingest_listener)?;
    let figures = start_work(&mut work, config, &store, &base_url);
    let status = Status::new(ingest.counters(), figures, Arc::clone(&store.telemetry));
    start_api(&mut doors, store, status, (door, api_listener));

    let addresses = Addresses { pid: std::process::id(), ingest: ingest_address, api: api_address };
    let file = AddressFile::write(&data_dir, &addresses).context("write addresses.json")?;
    tracing::info!(ingest = %ingest_address, api = %api_address, page = %base_url, "ready");

    // All branches are cancel-safe: an ended task stays in its set until it is asked for.
    let ended = tokio::select! {
        biased;
        () = shutdown.cancelled() => Ok(()),
        ended = doors.first_end() => ended,
        ended = work.first_end() => ended,
    };
    drop(file);
    doors.stop(DOORS_BOUND).await;
    // Nobody else has it once the doors are closed.
    let joined = async {
        if let Some(ingest) = Arc::into_inner(ingest) {
            ingest.join().await;
        }
    };
    if timeout(DOORS_BOUND, joined).await.is_err() {
        tracing::warn!("ingest did not end in time; agents keep what was not acknowledged");
    }
    work.stop(WORK_BOUND).await;
    tracing::info!("stopped");
    ended
}

/// The two contracts of the one store.
#[derive(Clone)]
struct Store {
    telemetry: Arc<dyn Telemetry>,
    control: Arc<dyn Control>,
    accounts: Arc<dyn Accounts>,
    desk: Arc<dyn Desk>,
    outbox: Arc<dyn Outbox>,
    fleet: Arc<Fleet>,
    planner: Arc<Planner>,
}

impl Store {
    /// Opening may replay a log of some megabytes, so it is done off the runtime's threads.
    async fn open(config: &Resolved) -> anyhow::Result<Self> {
        let (directory, retention) = (config.data_dir.clone(), config.retention);
        let kept = config.kept_days();
        let opened = tokio::task::spawn_blocking(move || {
            let store = busyhour_store::open(&directory, retention)?;
            note_retention(&store.1, &kept);
            Ok::<_, busyhour_store::OpenError>(store)
        });
        let (telemetry, control) = opened
            .await
            .context("open the store")?
            .with_context(|| format!("open the store in {}", config.data_dir.display()))?;
        let control = Arc::new(control);
        let accounts: Arc<dyn Accounts> = Arc::clone(&control) as Arc<dyn Accounts>;
        let desk: Arc<dyn Desk> = Arc::clone(&control) as Arc<dyn Desk>;
        let outbox: Arc<dyn Outbox> = Arc::clone(&control) as Arc<dyn Outbox>;
        let identities: Arc<dyn Identities> = Arc::clone(&control) as Arc<dyn Identities>;
        let configurations: Arc<dyn Configurations> =
            Arc::clone(&control) as Arc<dyn Configurations>;
        let planner = Arc::new(Planner::new(configurations, Arc::new(utc_now)));
        let authority = config.fleet.clone();
        let fleet = Fleet::open(authority, identities, Arc::new(utc_now));
        let fleet = Arc::new(fleet.context("open the authority of the agents' certificates")?);
        let telemetry = Arc::new(telemetry);
        Ok(Self { telemetry, control, accounts, desk, outbox, fleet, planner })
    }
}

/// A change of retention is audited. A disk that is full at the start is no reason not to answer
/// questions; it is noted at the next start, then.
fn note_retention(control: &dyn Control, kept: &[(&str, u32)]) {
    let names: Vec<String> = kept.iter().map(|(field, _)| format!("retention.{field}")).collect();
    let settings =
        names.iter().zip(kept).map(|(name, (_, days))| (name.as_str(), format!("{days}d")));
    let settings: Vec<(&str, String)> = settings.collect();
    if let Err(error) = control.note_settings(&settings, &Act::by_collector(utc_now())) {
        tracing::warn!(error = %chain(&error), "the retention in force cannot be noted");
    }
}

/// Lets agents deliver.
fn start_ingest(
    doors: &mut Group,
    config: &Resolved,
    store: &Store,
    listener: TcpListener,
) -> anyhow::Result<Arc<Ingest>> {
    let authenticator: Arc<dyn Authenticator> = match config.ingest_security {
        Security::Tls => Arc::new(CertificateAuthenticator::new(Arc::clone(&store.fleet))),
        Security::Plaintext => Arc::new(SecretAuthenticator::new(Arc::clone(&store.control))),
    };
    let parts = IngestParts {
        telemetry: Arc::clone(&store.telemetry),
        control: Arc::clone(&store.control),
        authenticator,
        requirements: config.requirements.for_ingest(),
        retention: days(config.retention.slots_days),
    };
    let planner = Arc::clone(&store.planner);
    let ingest = Ingest::start_planned(parts, Arc::clone(&planner), doors.token.clone());
    let ingest = Arc::new(ingest.context("start ingest")?);
    doors.spawn("planner", infallible(planner.run(doors.token.clone())));
    store.fleet.end_sessions_with(ingest.live_sessions());
    let failed = ingest.failed();
    doors.spawn("ingest writer", async { failed.await.context("store blocks") });
    let (serving, fleet, security) =
        (Arc::clone(&ingest), Arc::clone(&store.fleet), config.ingest_security);
    doors.spawn("ingest", async move {
        let served = match security {
            Security::Tls => serving.serve_tls(listener, fleet).await,
            Security::Plaintext => serving.serve_plaintext(listener).await,
        };
        served.context("serve agents")
    });
    let refreshing = refresh(Arc::clone(&store.fleet), doors.token.clone());
    doors.spawn("authority", infallible(refreshing));
    Ok(ingest)
}

/// Takes over a changed authority and renews the certificate of the agents' port.
async fn refresh(fleet: Arc<Fleet>, shutdown: CancellationToken) {
    let mut ticks = tokio::time::interval(REFRESH);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        // Both branches are cancel-safe.
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let fleet = Arc::clone(&fleet);
        match tokio::task::spawn_blocking(move || fleet.refresh()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::error!(error = %chain(&error), "the authority's files cannot be used");
            }
            Err(error) => tracing::error!(%error, "the look at the authority ended early"),
        }
    }
}

/// Serves the API and the page.
fn start_api(
    doors: &mut Group,
    store: Store,
    status: Status,
    (door, listener): (ApiDoor, TcpListener),
) {
    let services = Services {
        telemetry: store.telemetry,
        control: store.control,
        accounts: store.accounts,
        desk: store.desk,
        outbox: store.outbox,
        fleet: store.fleet,
        planner: store.planner,
        status: Arc::new(status),
        clock: Arc::new(utc_now),
    };
    doors.spawn("api", door.serve(listener, services, doors.token.clone()));
}

/// Judges, tells and forgets.
fn start_work(
    work: &mut Group,
    config: Resolved,
    store: &Store,
    base_url: &BaseUrl,
) -> WorkFigures {
    let (telemetry, control) = (&store.telemetry, &store.control);
    // Nobody wakes the judge: the interval is short, and looking for marks is cheap.
    let judge = Judge::new(
        Arc::clone(telemetry),
        Arc::clone(control),
        config.judge_interval,
        Arc::default(),
    );
    let settings = Settings {
        settle: config.judge_settle,
        routes: config.routes,
        reports: config.reports,
        ..Settings::new(base_url.clone())
    };
    let illustrator = Illustrator::new(
        Arc::clone(telemetry),
        Arc::clone(control),
        Arc::clone(&store.desk),
        Arc::clone(&store.fleet),
        Arc::new(utc_now),
    );
    let stores = Stores {
        control: Arc::clone(control),
        desk: Arc::clone(&store.desk),
        outbox: Arc::clone(&store.outbox),
    };
    let reports = StoreReports {
        telemetry: Arc::clone(telemetry),
        control: Arc::clone(control),
        desk: Arc::clone(&store.desk),
    };
    let notifier = Notifier::new(stores, config.channels, settings)
        .with_pictures(Arc::new(PagePictures(illustrator)))
        .with_reports(Arc::new(reports));
    let figures = WorkFigures {
        judge: judge.status(),
        notify: notifier.counters(),
        pruned: Pruned::default(),
    };
    let prune = prune::run(
        (Arc::clone(telemetry), Arc::clone(control)),
        config.control_retention,
        Arc::clone(&figures.pruned),
        work.token.clone(),
    );
    work.spawn("judge", infallible(judge.run(work.token.clone())));
    work.spawn("notify", infallible(notifier.run(work.token.clone())));
    work.spawn("prune", infallible(prune));
    work.spawn("damage", infallible(damage::run(Arc::clone(telemetry), work.token.clone())));
    figures
}

async fn bind(
    field: &'static str,
    address: SocketAddr,
) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("listen on {field} = {address}; is another collector running?"))?;
    let address = listener.local_addr().with_context(|| format!("ask for the port of {field}"))?;
    Ok((listener, address))
}

fn page_of(scheme: &str, api: SocketAddr) -> anyhow::Result<BaseUrl> {
    format!("{scheme}://{api}").parse().context("tell the page's address")
}

fn days(days: u32) -> Duration {
    Duration::from_secs(u64::from(days) * 86_400)
}

async fn infallible(work: impl Future<Output = ()>) -> anyhow::Result<()> {
    work.await;
    Ok(())
}

/// The wall clock, for labels.
pub(crate) fn utc_now() -> UtcMicros {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UtcMicros(0).plus(since)
}

/// Tasks that end together.
#[derive(Default)]
struct Group {
    token: CancellationToken,
    tasks: JoinSet<(&'static str, anyhow::Result<()>)>,
}

impl Group {
    fn spawn(
        &mut self,
        name: &'static str,
        task: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        self.tasks.spawn(async move { (name, task.await) });
    }

    /// Waits for a task that ends although nobody asked it to.
    async fn first_end(&mut self) -> anyhow::Result<()> {
        match self.tasks.join_next().await {
            Some(Ok((name, Ok(())))) => bail!("{name} ended without being asked to"),
            Some(Ok((name, Err(error)))) => Err(error.context(format!("{name} failed"))),
            Some(Err(error)) => Err(error).context("a part of the collector panicked"),
            None => std::future::pending().await,
        }
    }

    /// Asks all tasks to end and waits for them, at most as long as `bound`.
    async fn stop(mut self, bound: Duration) {
        self.token.cancel();
        let deadline = Deadline::now() + bound;
        loop {
            match timeout_at(deadline, self.tasks.join_next()).await {
                Ok(None) => return,
                Ok(Some(Ok((_, Ok(()))))) => {}
                Ok(Some(Ok((name, Err(error))))) => {
                    tracing::warn!(name, error = format!("{error:#}"), "ended with an error");
                }
                Ok(Some(Err(error))) => tracing::error!(%error, "a part of the collector panicked"),
                Err(_) => {
                    tracing::warn!(left = self.tasks.len(), "parts did not end in time");
                    return; // Dropping the set aborts what is left.
                }
            }
        }
    }
}
